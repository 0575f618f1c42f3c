"""HTTP to a provider: one pooled client, credentials for the configured origins only, capped answers, no retries.

`NoAnswer.sent` tells whether any byte of the request may have left: for a paid call that is the difference
between "try again" and "nobody knows".
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from time import monotonic
from typing import Any

import httpx2
from pydantic import SecretStr

from gesso.core.logs import MASK, redact
from gesso.core.tls import trusted
from gesso.providers import exchange
from gesso.providers.base import JSON, ConnectionConfig
from gesso.providers.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable

ANSWER_MAX_BYTES = 8 * 2**20
"""No answer without a file inside is larger."""
CONNECT_SECONDS = 10.0
# Servers commonly keep idle connections for a minute. Giving ours up much sooner makes it very unlikely that a
# paid POST is written to a connection the other side is just closing, which would leave its outcome unknown.
KEEPALIVE_SECONDS = 5.0
RETRY_AFTER_MAX_SECONDS = 3600.0

Credentials = Callable[[str], Mapping[str, str]]
"""From the key to the headers that carry it."""
FilePart = tuple[str, tuple[str, bytes, str]]
"""A file of a form: (field, (file name, bytes, media type))."""


class NoAnswer(Exception):
    """No usable HTTP answer. `sent`: whether the request, or part of it, may have reached the other side."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent

    def while_asking(self, about: str) -> ProviderError:
        """What it means for a call that changes nothing: it can be made again. `about` begins the operator's note."""
        return Unavailable(note=f"{about}: {self}")

    def while_making(self, about: str) -> ProviderError:
        """What it means for a call that may be billed and cannot be repeated: OutcomeUnknown once it may have arrived,
        Unavailable before."""
        return OutcomeUnknown(note=f"{about}: {self}") if self.sent else self.while_asking(about)


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

    def data(self) -> Any:
        """The decoded body, or None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Streamed:
    """An answer whose body is still coming."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = response.headers

    @property
    def is_events(self) -> bool:
        """Whether it is a stream of server-sent events."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"

    async def read(self) -> Answer:
        """The whole body: an error, or a server that does not stream. Raises NoAnswer."""
        return await _read(self._response, ANSWER_MAX_BYTES)

    async def events(self) -> AsyncIterator[str]:
        """The `data` of each server-sent event, until the end of the stream. Raises NoAnswer when it breaks."""
        _check_announced(self._response, ANSWER_MAX_BYTES)
        data: list[str] = []
        total = 0
        async for line in _lines(self._response):
            total += len(line)
            if total > ANSWER_MAX_BYTES:
                raise NoAnswer("the stream is longer than any real one", sent=True)
            if not line:
                if data:
                    yield "\n".join(data)
                data = []
            elif line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
        if data:
            yield "\n".join(data)


def checked_base(base_url: str) -> str:
    """A configured base URL without trailing slash. Raises Misconfigured("model")."""
    base = base_url.strip().rstrip("/")
    try:
        url = httpx2.URL(base)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise Misconfigured("model", note="The base URL must look like https://host/prefix.")
    return base


def usable_key(config: ConnectionConfig, sandbox_key: str = "sandbox") -> SecretStr:
    """The key to send, checked to be safe in a header. Raises Misconfigured("key"); never repeats the key.

    A sandbox connection without a key sends `sandbox_key`.
    """
    given = config.api_key.get_secret_value().strip() if config.api_key else ""
    if not given and config.sandbox:
        given = sandbox_key
    if not given:
        raise Misconfigured("key", note="No API key is set for this connection.")
    if not given.isascii() or not given.isprintable() or " " in given:
        raise Misconfigured("key", note="The API key holds characters that a key cannot have.")
    return SecretStr(given)


class HttpClient:
    """Speaks HTTP for one connection."""

    def __init__(self, key: SecretStr | None, credentials: Credentials, bases: Sequence[str]) -> None:
        """`bases`: the addresses our credentials may go to. Without a key (a server that wants none) none are sent."""
        self._key = key
        self._credentials = dict(credentials(key.get_secret_value())) if key else {}
        self._origins = {_origin(httpx2.URL(base)) for base in bases}
        self._http = httpx2.AsyncClient(
            # A proxy named in the environment is for the outside world, not for a stand-in on this machine.
            trust_env=not _is_loopback(bases[0]),
            verify=trusted(),
            follow_redirects=False,
            timeout=httpx2.Timeout(30.0, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=200, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_SECONDS),
            headers={"User-Agent": "gesso", "Accept": "application/json"},
        )

    def trusts(self, url: str) -> bool:
        """Whether credentials may go to `url`: same scheme, host and port as one of ours, and no user part."""
        try:
            parsed = httpx2.URL(url)
            return not parsed.userinfo and _origin(parsed) in self._origins
        except httpx2.InvalidURL:
            return False

    async def call(
        self,
        method: str,
        url: str,
        *,
        body: JSON = None,
        data: bytes | None = None,
        form: Mapping[str, str] | None = None,
        files: Sequence[FilePart] = (),
        headers: Mapping[str, str] | None = None,
        seconds: float = 30.0,
        authorised: bool = True,
        max_bytes: int = ANSWER_MAX_BYTES,
    ) -> Answer:
        """One request, one answer, within `seconds` altogether.

        `body` is sent as JSON, `data` as it is, `form` and `files` as multipart/form-data.
        Raises NoAnswer, UntrustedUrl (nothing was sent) and Rejected when `body` cannot be written as JSON.
        """
        request = self._request(
            method, url, body=body, data=data, form=form, files=files, headers=headers, authorised=authorised
        )
        said = body if body is not None else _described(data, form, files)
        with self._noting(method, url, said) as noted:
            async with self._sending(request, seconds, read_seconds=seconds) as response:
                answer = await _read(response, max_bytes)
            noted(answer.status, answer.body)
        return answer

    @contextlib.asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        body: JSON = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 300.0,
        idle_seconds: float = 60.0,
    ) -> AsyncIterator[Streamed]:
        """One request whose answer is read as it comes: all of it within `seconds`, `idle_seconds` between pieces.

        Raises as `call` does, also from inside the block when the stream breaks.
        """
        request = self._request(method, url, body=body, headers=headers)
        with self._noting(method, url, body) as noted:
            async with self._sending(request, seconds, read_seconds=idle_seconds) as response:
                yield Streamed(response)
                noted(response.status_code, "‹streamed›")

    def _request(
        self,
        method: str,
        url: str,
        *,
        body: JSON,
        data: bytes | None = None,
        form: Mapping[str, str] | None = None,
        files: Sequence[FilePart] = (),
        headers: Mapping[str, str] | None = None,
        authorised: bool = True,
    ) -> httpx2.Request:
        if not self.trusts(url):
            raise UntrustedUrl
        sending = (dict(self._credentials) if authorised else {}) | dict(headers or {})
        if form is not None or files:
            # Fields as parts without a file name: otherwise a form without files would go out urlencoded.
            fields = [(name, (None, value.encode(), None)) for name, value in (form or {}).items()]
            return self._http.build_request(method, url, files=[*fields, *files], headers=sending)
        if body is not None:
            data = _dumps(body)
            sending["Content-Type"] = "application/json"
        return self._http.build_request(method, url, content=data, headers=sending)

    @contextlib.asynccontextmanager
    async def _sending(
        self, request: httpx2.Request, seconds: float, *, read_seconds: float
    ) -> AsyncIterator[httpx2.Response]:
        sent = False

        async def watch(event: str, _: Mapping[str, Any]) -> None:
            nonlocal sent
            if event.endswith("send_request_headers.started"):
                sent = True

        timeout = httpx2.Timeout(read_seconds, connect=min(CONNECT_SECONDS, seconds))
        request.extensions = {**request.extensions, "trace": watch, "timeout": timeout.as_dict()}
        response: httpx2.Response | None = None
        try:
            async with asyncio.timeout(seconds):
                response = await self._http.send(request, stream=True)
                yield response
        except TimeoutError:
            raise NoAnswer(f"no answer within {seconds:g} s", sent=sent) from None
        except (httpx2.HTTPError, httpx2.StreamError, OSError, AttributeError) as error:
            # AttributeError: anyio asks a connection for its socket that was reset in the moment of its making.
            raise NoAnswer(_broke(error), sent=sent) from None
        finally:
            if response is not None:
                await response.aclose()

    @contextlib.contextmanager
    def _noting(self, method: str, url: str, said: object) -> Iterator[Callable[[int, object], None]]:
        """Note the exchange inside for whoever is recording, also when it fails."""
        began = monotonic()
        answer: tuple[int | None, object] = (None, None)

        def noted(status: int, response: object) -> None:
            nonlocal answer
            answer = (status, response)

        try:
            yield noted
        except NoAnswer as error:
            answer = (None, f"no answer: {error}")
            raise
        finally:
            if exchange.is_recording():
                exchange.note(
                    method=method, url=url, status=answer[0], took_seconds=monotonic() - began, request=said,
                    response=answer[1], mask=self.mask,
                )  # fmt: skip

    def mask(self, text: str) -> str:
        """`text` without our key, or anything that looks like one."""
        key = self._key.get_secret_value() if self._key else ""
        for secret in (key, key.rpartition(":")[2]):
            if len(secret) >= 6:
                text = text.replace(secret, MASK)
        return redact(text)

    async def aclose(self) -> None:
        """Close pooled connections."""
        await self._http.aclose()


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds from a Retry-After header in either form, between 1 and 3,600; None when absent or unreadable."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds()
    if seconds != seconds:  # NaN
        return None
    return min(max(seconds, 1.0), RETRY_AFTER_MAX_SECONDS)


def _broke(error: Exception) -> str:
    """What became of the connection, in words; the kind of error for whoever looks it up."""
    kind = type(error).__name__
    return f"no connection ({kind})" if kind.startswith("Connect") else f"the connection broke ({kind})"


def _described(data: bytes | None, form: Mapping[str, str] | None, files: Sequence[FilePart]) -> object:
    """A body that is not JSON, for the record."""
    if form is not None or files:
        return {**(form or {}), **{name: f"‹{kind}, {len(content)} bytes›" for name, (_, content, kind) in files}}
    return None if data is None else f"‹{len(data)} bytes›"


def _check_announced(response: httpx2.Response, max_bytes: int) -> None:
    """Raises NoAnswer for an answer that says itself that it is too large: nobody has to wait for it."""
    announced = response.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > max_bytes:
        raise NoAnswer("the answer is larger than any real one", sent=True)


async def _read(response: httpx2.Response, max_bytes: int) -> Answer:
    _check_announced(response, max_bytes)
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise NoAnswer("the answer is larger than any real one", sent=True)
    return Answer(response.status_code, response.headers, bytes(body))


async def _lines(response: httpx2.Response) -> AsyncIterator[str]:
    """Lines without their ends. Only \\n and \\r\\n end a line: text may hold the other separators Python knows."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > ANSWER_MAX_BYTES:
            raise NoAnswer("a line is longer than any real one", sent=True)
        for line in whole:
            yield line.removesuffix(b"\r").decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _is_loopback(base: str) -> bool:
    host = httpx2.URL(base).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _dumps(body: JSON) -> bytes:
    try:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        raise Rejected("The request holds a number that cannot be sent.") from None
