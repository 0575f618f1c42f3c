"""HTTP to fal: which hosts there are, and how they want the key."""

from dataclasses import dataclass

from gesso.providers.base import ConnectionConfig
from gesso.providers.http import HttpClient, checked_base, usable_key

SANDBOX_KEY = "sandbox:sandbox"


@dataclass(frozen=True)
class Hosts:
    """Base URLs without trailing slash. With a configured base URL all three are the same."""

    queue: str = "https://queue.fal.run"
    rest: str = "https://rest.fal.ai"
    media: str = "https://v3.fal.media"

    @classmethod
    def of(cls, base_url: str | None) -> "Hosts":
        """fal's own hosts, or `base_url` in place of every one of them. Raises Misconfigured("model")."""
        if base_url is None:
            return cls()
        base = checked_base(base_url)
        return cls(base, base, base)


class FalClient(HttpClient):
    """Speaks HTTP for one fal account."""

    def __init__(self, config: ConnectionConfig) -> None:
        self.hosts = Hosts.of(config.base_url)
        key = usable_key(config, SANDBOX_KEY)
        hosts = (self.hosts.queue, self.hosts.rest, self.hosts.media)
        super().__init__(key, lambda value: {"Authorization": f"Key {value}"}, hosts)
