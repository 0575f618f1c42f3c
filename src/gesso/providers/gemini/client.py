"""HTTP to the Gemini API: where it is, which version of it, and how the key goes."""

import re

import httpx2

from gesso.providers.base import ConnectionConfig
from gesso.providers.errors import Misconfigured
from gesso.providers.http import HttpClient, checked_base, usable_key

GOOGLE = "https://generativelanguage.googleapis.com"
VERSION = "v1beta"
"""The documentation's examples, and with them every image setting, are of this version; the SDK's default is `v1`."""
_VERSION = re.compile(r"v\d+[a-z0-9]*")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,198}")


def base_of(base_url: str | None) -> str:
    """The address of the API with its version, without trailing slash. Raises Misconfigured("model").

    Where the path ends with no version such as `v1`, `/v1beta` is added. An address below a version is a slip: that
    of Google's stand-in for OpenAI (`…/v1beta/openai`), or of one endpoint.
    """
    base = checked_base(base_url or GOOGLE)
    *above, last = httpx2.URL(base).path.split("/")
    if _VERSION.fullmatch(last):
        return base
    if any(_VERSION.fullmatch(part) for part in above):
        raise Misconfigured("model", note="The base URL must end with the version, such as https://host/v1beta.")
    return f"{base}/{VERSION}"


class GeminiClient(HttpClient):
    """Speaks HTTP for one account. The key goes in a header, never in the address."""

    def __init__(self, config: ConnectionConfig) -> None:
        """Raises Misconfigured when the key or the address cannot be used."""
        self.base = base_of(config.base_url)
        super().__init__(usable_key(config), lambda key: {"x-goog-api-key": key}, (self.base,))

    def call_of(self, model: str, method: str) -> str:
        """The address of a model's method, such as `generateContent`. Raises Misconfigured for a name that is none."""
        name = model.removeprefix("models/")
        if not _MODEL.fullmatch(name):
            raise Misconfigured("model", note=f"{model[:80]!r} is not the name of a model.")
        return f"{self.base}/models/{name}:{method}"
