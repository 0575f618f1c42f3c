"""HTTP to a ComfyUI box: where it is, and the key for a proxy in front of it."""

from gesso.providers.base import ConnectionConfig
from gesso.providers.errors import Misconfigured
from gesso.providers.http import HttpClient, checked_base, usable_key


class ComfyClient(HttpClient):
    """Speaks HTTP for one box. `root` is its address without `/api`, under which all routes are asked."""

    def __init__(self, config: ConnectionConfig) -> None:
        """Raises Misconfigured without a usable address, or with an unusable key. A key is optional: ComfyUI knows
        none, but a proxy before it may want a bearer token."""
        if not config.base_url:
            raise Misconfigured("model", note="No address is set for this connection, such as http://10.0.0.5:8188.")
        self.root = checked_base(config.base_url).removesuffix("/api").rstrip("/")
        given = config.api_key is not None and config.api_key.get_secret_value().strip() != ""
        self.has_key = given
        key = usable_key(config) if given else None
        super().__init__(key, lambda value: {"Authorization": f"Bearer {value}"}, (self.root,))

    def url(self, path: str) -> str:
        """The address of `path`, such as `history/<id>`."""
        return f"{self.root}/api/{path}"
