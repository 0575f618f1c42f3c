"""HTTP to kie.ai: one host for the API, one for uploads, and a key that may carry the webhook key along.

kie.ai signs its callbacks only for accounts that made a webhook (HMAC) key. It is a secret like the other one, so it
is stored with it: `<API key>` or `<API key>:<webhook key>`. Only the first part is ever sent.
"""

from gesso.core.logs import MASK
from gesso.providers.base import ConnectionConfig
from gesso.providers.errors import Misconfigured
from gesso.providers.http import HttpClient, checked_base, usable_key

API = "https://api.kie.ai"
UPLOADS = "https://kieai.redpandaai.co"


class KieClient(HttpClient):
    """Speaks HTTP for one account. `webhook_key` is empty where the account signs nothing."""

    def __init__(self, config: ConnectionConfig) -> None:
        """A configured address stands for both hosts. Raises Misconfigured when it, or the key, cannot be used."""
        key = usable_key(config)
        api_key, _, webhook_key = key.get_secret_value().partition(":")
        if not api_key:
            raise Misconfigured("key", note="Give the API key, or the API key, a colon and the webhook key.")
        self.base = checked_base(config.base_url) if config.base_url else API
        self.uploads = self.base if config.base_url else UPLOADS
        self.webhook_key = webhook_key.encode()
        self._parts = (api_key, webhook_key)
        super().__init__(key, lambda _: {"Authorization": f"Bearer {api_key}"}, [self.base, self.uploads])

    def mask(self, text: str) -> str:
        """`text` without our keys, each of the two by itself, or anything that looks like one."""
        for secret in self._parts:
            if len(secret) >= 6:
                text = text.replace(secret, MASK)
        return super().mask(text)
