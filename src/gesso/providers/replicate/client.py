"""HTTP to Replicate: one host for everything, and how it wants the token."""

from gesso.providers.base import ConnectionConfig
from gesso.providers.http import Answer, HttpClient, checked_base, usable_key

API = "https://api.replicate.com"


class ReplicateClient(HttpClient):
    """Speaks HTTP for one Replicate account. `base` ends in /v1, without a slash."""

    def __init__(self, config: ConnectionConfig) -> None:
        """A configured address may end in /v1 or not: Replicate's own SDKs differ about it. Raises Misconfigured."""
        root = checked_base(config.base_url) if config.base_url else API
        self.base = f"{root.removesuffix('/v1')}/v1"
        super().__init__(usable_key(config), lambda key: {"Authorization": f"Bearer {key}"}, [self.base])


def is_replicate(answer: Answer) -> bool:
    """Whether an error answer is in Replicate's own shape, rather than from a proxy on the way."""
    body = answer.data()
    return isinstance(body, dict) and ("detail" in body or "title" in body)
