"""The only way to a URL that we did not choose: https to public addresses, capped in size and time.

The address is checked where the connection is made, and the connection goes to the very address that was
checked, so a name that resolves differently a moment later (DNS rebinding) gains nothing. Every redirect goes
through the same gate. Origins the operator configured (a stand-in, a private object store) are exempt from the
https and address rules, but only when asked for directly: the outside world cannot redirect us to them.

No proxy from the environment is used: behind one, the address could not be checked.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpcore2
import httpx2

from gesso.core.tls import trusted

MAX_REDIRECTS = 5
CONNECT_SECONDS = 10.0
KEEPALIVE_SECONDS = 5.0
_URL_MAX_LENGTH = 8192
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

# IANA's special-purpose registry, written out: `is_global` differs between Python patch releases.
_CLOSED_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # a cloud's metadata service on a public address
    )
)  # fmt: skip
_OPEN_6 = IPv6Network("2000::/3")
_CLOSED_6 = tuple(IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
_NAT64 = IPv6Network("64:ff9b::/96")

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


class FetchError(Exception):
    """Base. `reason` is a sentence without the URL's path or query, which may be a signed secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FetchRefused(FetchError):
    """The URL, a redirect, or the kind of answer is not allowed. Trying again is pointless."""


class FetchTooLarge(FetchError):
    """The body is larger than the caller's limit."""


class FetchFailed(FetchError):
    """The other side did not deliver. `status` when there was an HTTP answer; `retryable` if it may do later."""

    def __init__(self, reason: str, *, status: int | None = None, retryable: bool) -> None:
        super().__init__(reason)
        self.status = status
        self.retryable = retryable


@dataclass(frozen=True)
class Fetched:
    """A body in memory. `media_type` as claimed by the server, lower case, without parameters: do not trust it."""

    data: bytes = field(repr=False)
    media_type: str | None
    final_url: str = field(repr=False)


def is_public(address: str) -> bool:
    """Whether an IP address (no name) belongs to the public internet, looking through v4-mapped and NAT64 forms."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return _is_public_4(ip.ipv4_mapped)
        if ip in _NAT64:
            return _is_public_4(IPv4Address(int(ip) & 0xFFFF_FFFF))
        return ip.scope_id is None and ip in _OPEN_6 and not any(ip in network for network in _CLOSED_6)
    return _is_public_4(ip)


def _is_public_4(ip: IPv4Address) -> bool:
    return not any(ip in network for network in _CLOSED_4)


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of `host`, by the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)  # 1 = SOCK_STREAM
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to checked addresses only. `exempt` are the (host, port) pairs of configured origins."""

    def __init__(
        self, exempt: frozenset[tuple[str, int]], resolver: Resolver, network: httpcore2.AsyncNetworkBackend
    ) -> None:
        self._exempt = exempt
        self._resolver = resolver
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError):
            addresses = ()
        if not addresses:
            raise httpcore2.ConnectError("the name does not resolve")
        # One bad address spoils all: a public name with a private address beside it is a trap, not a mirror.
        if (host, port) not in self._exempt and not all(map(is_public, addresses)):
            raise FetchRefused(f"{host} does not have a public address.")
        failure: Exception = httpcore2.ConnectError("no address")
        for address in addresses[:4]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


class SafeFetcher:
    """Fetches from anywhere public. Safe for many tasks of one event loop; close it when done."""

    def __init__(
        self,
        allowed_origins: Iterable[str] = (),
        *,
        resolver: Resolver = resolve,
        network: httpcore2.AsyncNetworkBackend | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """`allowed_origins` are configured addresses such as "http://127.0.0.1:9000"; a path in them is ignored."""
        self._allowed = frozenset(_origin(httpx2.URL(origin)) for origin in allowed_origins)
        self._exempt = frozenset((host, port) for _, host, port in self._allowed)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl_context or trusted(),
            max_connections=64,
            max_keepalive_connections=16,
            keepalive_expiry=KEEPALIVE_SECONDS,
            network_backend=_CheckedNetwork(self._exempt, resolver, network or httpcore2.AnyIOBackend()),
        )

    async def get(self, url: str, *, max_bytes: int, timeout_seconds: float) -> Fetched:
        """The body behind `url`, all redirects included within `timeout_seconds`.

        Raises FetchRefused, FetchTooLarge, FetchFailed.
        """
        async with _deadline(timeout_seconds):
            target, inside = self._checked(url, None)
            for _ in range(MAX_REDIRECTS + 1):
                headers = {"Accept": "*/*"}
                async with self._stream("GET", target, headers, None, timeout_seconds) as response:
                    if response.status not in _REDIRECTS:
                        data = await _body(response, max_bytes)
                        return Fetched(data, _media_type(response), str(target))
                    location = _header(response, b"location")
                if not location:
                    raise FetchFailed(f"{target.host} redirects to nowhere.", retryable=False)
                target, inside = self._checked(_joined(target, location), inside)
            raise FetchRefused(f"{target.host} redirects too many times.")

    async def put(self, url: str, data: bytes, *, media_type: str, timeout_seconds: float) -> None:
        """Send `data` to a URL someone handed us for an upload. Redirects are refused.

        Raises FetchRefused, FetchFailed.
        """
        async with _deadline(timeout_seconds):
            target, _ = self._checked(url, None)
            headers = {"Content-Type": media_type, "Content-Length": str(len(data))}
            async with self._stream("PUT", target, headers, data, timeout_seconds) as response:
                if response.status in _REDIRECTS:
                    raise FetchRefused(f"{target.host} redirects an upload.")
                _accept(response, target.host)

    async def aclose(self) -> None:
        """Close pooled connections."""
        await self._pool.aclose()

    def _checked(self, url: str, inside: bool | None) -> tuple[httpx2.URL, bool]:
        """The URL parsed and allowed, and whether it is a configured origin. `inside`: where we come from."""
        target = _parse(url)
        origin = _origin(target)
        configured = origin in self._allowed
        if not configured and origin[1:] in self._exempt:
            raise FetchRefused("An internal address was asked for in another way than it is configured.")
        if configured and inside is False:
            raise FetchRefused("A redirect leads from the outside to an internal address.")
        if not configured and target.scheme != "https":
            raise FetchRefused("Only https addresses are fetched.")
        if not configured and target.host.rstrip(".").rpartition(".")[2] == "localhost":
            raise FetchRefused("The address belongs to this machine.")
        return target, configured

    @asynccontextmanager
    async def _stream(
        self, method: str, url: httpx2.URL, headers: dict[str, str], data: bytes | None, seconds: float
    ) -> AsyncIterator[httpcore2.Response]:
        port = f":{url.port}" if url.port is not None else ""
        host = f"[{url.host}]" if ":" in url.host else url.raw_host.decode("ascii")
        fixed = {"Host": f"{host}{port}", "User-Agent": "gesso", "Accept-Encoding": "identity"}
        sending = [(name.encode(), value.encode()) for name, value in {**fixed, **headers}.items()]
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path or b"/")
        timeouts = {"connect": min(CONNECT_SECONDS, seconds), "read": seconds, "write": seconds, "pool": seconds}
        try:
            async with self._pool.stream(
                method, target, headers=sending, content=data, extensions={"timeout": timeouts}
            ) as response:
                yield response
        except (
            httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError, AttributeError,
        ) as error:  # fmt: skip
            # AttributeError: anyio asks a connection for its socket that was reset in the moment of its making.
            raise FetchFailed(f"{url.host}: {type(error).__name__}.", retryable=True) from None


@asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise FetchFailed(f"Not finished within {seconds:g} seconds.", retryable=True) from None


def _parse(url: str) -> httpx2.URL:
    if len(url) > _URL_MAX_LENGTH or "\\" in url or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise FetchRefused("The address holds characters that no address has.")
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise FetchRefused("The address cannot be read.") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise FetchRefused("Only https addresses are fetched.")
    if parsed.userinfo:
        raise FetchRefused("The address holds a user name.")
    if parsed.port is not None and not 1 <= parsed.port <= 65535:
        raise FetchRefused("The address has an impossible port.")
    _check_host(parsed.host)
    return parsed


def _check_host(host: str) -> None:
    """Refuse numbers dressed up as names (2130706433, 0x7f.1, 127.1): resolvers read them as addresses."""
    if "%" in host or host.startswith(".") or ".." in host:
        raise FetchRefused("The address has an impossible host.")
    last = host.rstrip(".").rpartition(".")[2]
    if ":" not in host and (last.isdigit() or last.startswith("0x")):
        try:
            IPv4Address(host)
        except ValueError:
            raise FetchRefused("The address has an impossible host.") from None


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (80 if url.scheme == "http" else 443)


def _joined(base: httpx2.URL, location: str) -> str:
    try:
        return str(base.join(location))
    except httpx2.InvalidURL:
        raise FetchRefused(f"{base.host} redirects to an address that cannot be read.") from None


async def _body(response: httpcore2.Response, max_bytes: int) -> bytes:
    _accept(response, "The server")
    # We ask for identity; a server that compresses all the same could hide a bomb of any size in a few bytes.
    if _header(response, b"content-encoding").lower() not in ("", "identity"):
        raise FetchRefused("The server sent a compressed body, which was not asked for.")
    declared = _header(response, b"content-length")
    if declared.isdigit() and int(declared[:20]) > max_bytes:
        raise FetchTooLarge(f"The file is larger than {max_bytes} bytes.")
    data = bytearray()
    async for chunk in response.aiter_stream():
        data += chunk
        if len(data) > max_bytes:
            raise FetchTooLarge(f"The file is larger than {max_bytes} bytes.")
    return bytes(data)


def _accept(response: httpcore2.Response, host: str) -> None:
    status = response.status
    if not 200 <= status < 300:
        raise FetchFailed(f"{host} answered {status}.", status=status, retryable=status in _TRANSIENT)


def _header(response: httpcore2.Response, name: bytes) -> str:
    return next((value.decode("latin-1").strip() for key, value in response.headers if key.lower() == name), "")


def _media_type(response: httpcore2.Response) -> str | None:
    return _header(response, b"content-type").partition(";")[0].strip().lower() or None
