"""HTTP to fal: one pooled client, credentials for the configured origin only, capped answers, no retries.

`NoAnswer.sent` tells whether any byte of the request may have left: for a paid call that is the difference
between "try again" and "nobody knows".
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import httpx2
from pydantic import SecretStr

from gesso.core.logs import MASK, redact
from gesso.providers.base import JSON, ConnectionConfig
from gesso.providers.errors import Misconfigured, Rejected

ANSWER_MAX_BYTES = 8 * 2**20
CONNECT_SECONDS = 10.0
# Servers commonly keep idle connections for a minute. Giving ours up much sooner makes it very unlikely that a
# paid POST is written to a connection the other side is just closing, which would leave its outcome unknown.
KEEPALIVE_SECONDS = 5.0
SANDBOX_KEY = "sandbox:sandbox"


class NoAnswer(Exception):
    """No usable HTTP answer. `sent`: whether the request, or part of it, may have reached the other side."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class UntrustedUrl(Exception):
    """A URL outside the configured origins was about to be given our credentials."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read whole. Header names are case-insensitive."""

    status: int
    headers: httpx2.Headers
    body: bytes

    def json(self) -> Any:
        """The decoded body. Raises ValueError when it is not JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Hosts:
    """Base URLs without trailing slash. With a configured base URL all four are the same."""

    queue: str = "https://queue.fal.run"
    rest: str = "https://rest.fal.ai"
    media: str = "https://v3.fal.media"

    @classmethod
    def of(cls, base_url: str | None) -> "Hosts":
        """fal's own hosts, or `base_url` in place of every one of them. Raises Misconfigured("model")."""
        if base_url is None:
            return cls()
        base = base_url.strip().rstrip("/")
        try:
            url = httpx2.URL(base)
        except httpx2.InvalidURL:
            url = httpx2.URL("")
        if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
            raise Misconfigured("model", note="The base URL must look like https://host/prefix.")
        return cls(base, base, base)

    def trusts(self, url: str) -> bool:
        """Whether credentials may go to `url`: same scheme, host and port as one of ours, and no user part."""
        try:
            parsed = httpx2.URL(url)
            return not parsed.userinfo and _origin(parsed) in {
                _origin(httpx2.URL(host)) for host in (self.queue, self.rest, self.media)
            }
        except httpx2.InvalidURL:
            return False


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _is_loopback(base: str) -> bool:
    host = httpx2.URL(base).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def usable_key(config: ConnectionConfig) -> SecretStr:
    """The key to send, checked to be safe in a header. Raises Misconfigured("key"); never repeats the key."""
    given = config.api_key.get_secret_value().strip() if config.api_key else ""
    if not given and config.sandbox:
        given = SANDBOX_KEY
    if not given:
        raise Misconfigured("key", note="No API key is set for this connection.")
    if not given.isascii() or not given.isprintable() or " " in given:
        raise Misconfigured("key", note="The API key holds characters that a key cannot have.")
    return SecretStr(given)


class FalClient:
    """Speaks HTTP for one connection."""

    def __init__(self, config: ConnectionConfig) -> None:
        self.hosts = Hosts.of(config.base_url)
        self._key = usable_key(config)
        self._http = httpx2.AsyncClient(
            # A proxy named in the environment is for the outside world, not for a stand-in on this machine.
            trust_env=not _is_loopback(self.hosts.queue),
            follow_redirects=False,
            timeout=httpx2.Timeout(30.0, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=200, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_SECONDS),
            headers={"User-Agent": "gesso", "Accept": "application/json"},
        )

    async def call(
        self,
        method: str,
        url: str,
        *,
        body: JSON = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 30.0,
        authorised: bool = True,
    ) -> Answer:
        """One request, one answer, within `seconds` altogether. `body` is sent as JSON, `data` as it is.

        Raises NoAnswer, UntrustedUrl (nothing was sent) and Rejected when `body` cannot be written as JSON.
        """
        if not self.hosts.trusts(url):
            raise UntrustedUrl
        sent = False

        async def watch(event: str, _: Mapping[str, Any]) -> None:
            nonlocal sent
            if event.endswith("send_request_headers.started"):
                sent = True

        sending = dict(headers or {})
        if authorised:
            sending.setdefault("Authorization", f"Key {self._key.get_secret_value()}")
        if body is not None:
            data = _dumps(body)
            sending["Content-Type"] = "application/json"
        request = self._http.build_request(method, url, content=data, headers=sending, extensions={"trace": watch})
        request.extensions["timeout"] = httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)).as_dict()
        try:
            async with asyncio.timeout(seconds):
                return await self._read(request)
        except TimeoutError:
            raise NoAnswer(f"no answer within {seconds:g} s", sent=sent) from None
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            raise NoAnswer(type(error).__name__, sent=sent) from None

    async def _read(self, request: httpx2.Request) -> Answer:
        response = await self._http.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_MAX_BYTES:
                    raise NoAnswer("the answer is larger than any real one", sent=True)
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers, bytes(body))

    def mask(self, text: str) -> str:
        """`text` without our key, or anything that looks like one."""
        key = self._key.get_secret_value()
        for secret in (key, key.rpartition(":")[2]):
            if len(secret) >= 6:
                text = text.replace(secret, MASK)
        return redact(text)

    async def aclose(self) -> None:
        """Close pooled connections."""
        await self._http.aclose()


def _dumps(body: JSON) -> bytes:
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        raise Rejected("The request holds a number that cannot be sent.") from None
