"""HTTP to OpenAI or to a server that speaks its wire: where it is, and whether it wants a key."""

import re

import httpx2

from gesso.providers.base import ConnectionConfig
from gesso.providers.errors import Misconfigured
from gesso.providers.http import HttpClient, checked_base, usable_key

OPENAI = "https://api.openai.com/v1"
_OWN_HOSTS = ("api.openai.com", "eu.api.openai.com")
_VERSION = re.compile(r"v\d+[a-z0-9]*")
_ENDPOINTS = re.compile(r"/(?:chat/completions|completions|images/generations|images/edits|models|moderations|videos)$")


def base_of(base_url: str | None) -> str:
    """The address all paths are put behind, without trailing slash. Raises Misconfigured("model").

    Servers differ in what they call their base URL: `https://api.groq.com/openai/v1` names the version,
    `http://localhost:11434` does not. Where no part of the path is a version such as `v1`, `/v1` is added; an
    endpoint at the end, copied with the address, is dropped.
    """
    if base_url is None:
        return OPENAI
    base = _ENDPOINTS.sub("", checked_base(base_url)).rstrip("/")
    parts = httpx2.URL(base).path.split("/")
    return base if any(_VERSION.fullmatch(part) for part in parts) else f"{base}/v1"


class OpenAIClient(HttpClient):
    """Speaks HTTP for one account, or one server.

    `is_openai`: whether it is OpenAI itself or the sandbox standing in for it, and not a server like it. Only
    there a key is a must.
    """

    def __init__(self, config: ConnectionConfig) -> None:
        """Raises Misconfigured when the address, or a key that is needed or given, cannot be used."""
        self.base = base_of(config.base_url)
        self.is_openai = config.sandbox or httpx2.URL(self.base).host in _OWN_HOSTS
        given = config.api_key is not None and config.api_key.get_secret_value().strip() != ""
        key = usable_key(config) if given or self.is_openai else None
        self.has_key = key is not None
        super().__init__(key, lambda value: {"Authorization": f"Bearer {value}"}, (self.base,))

    def url(self, path: str) -> str:
        """The address of `path`, such as `chat/completions`."""
        return f"{self.base}/{path}"


def check_model_id(model: str) -> None:
    """Raises Misconfigured unless `model` can be the name of a model: no control characters, not endless."""
    if not model.strip() or len(model) > 200 or not model.isprintable():
        raise Misconfigured("model", note=f"{model[:80]!r} is not the name of a model.")
