"""URLs we did not choose: every way inside is closed, every endless answer is cut."""

import asyncio
import datetime
import gzip
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gesso.core.fetch import FetchError, FetchFailed, FetchRefused, FetchTooLarge, SafeFetcher, is_public
from tests.providers.loopback import DROP, Loopback, Reply, Seen, loopback

PUBLIC = "93.184.215.14"
LIMITS: dict[str, Any] = {"max_bytes": 1000, "timeout_seconds": 5}


class Wires(httpcore2.AsyncNetworkBackend):
    """Leads connections to public addresses to a loopback server, and notes where they were meant to go."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.asked: list[tuple[str, int]] = []
        self._real = httpcore2.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, *rest: Any, **named: Any) -> httpcore2.AsyncNetworkStream:
        self.asked.append((host, port))
        if not is_public(host):
            return await self._real.connect_tcp(host, port, *rest, **named)
        if not self.port:
            raise httpcore2.ConnectError("nobody there")
        return await self._real.connect_tcp("127.0.0.1", self.port, *rest, **named)


class Names:
    """A resolver whose answers are scripted; the last one repeats."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(values) for name, values in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.answers:
            return [host] if host.replace(".", "").isdigit() or ":" in host else []
        queue = self.answers[host]
        return queue.pop(0) if len(queue) > 1 else queue[0]


async def error_of(url: str, **how: Any) -> FetchError:
    fetcher = SafeFetcher(**how)
    try:
        with pytest.raises(FetchError) as caught:
            await fetcher.get(url, **LIMITS)
        return caught.value
    finally:
        await fetcher.aclose()


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
     "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "203.0.113.9",
     "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16", "::", "::1", "::ffff:127.0.0.1",
     "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "fe80::1", "fe80::1%eth0", "fec0::1",
     "fc00::1", "fd00:ec2::254", "ff02::1", "2002:7f00:1::", "2001:0:4136::1", "2001:db8::1", "3fff::1", "100::1",
     "2001:4860::1%lo", "localhost", "", "127.1", "0x7f000001"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", PUBLIC, "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111", "2a00:1450::1",
     "::ffff:1.1.1.1", "64:ff9b::101:101"],
)  # fmt: skip
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://127.0.0.1./", "https://127.1/", "https://127.0.1/", "https://2130706433/",
        "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://017700000001/", "https://0/",
        "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/",
        "https://[0:0:0:0:0:0:0:1]/", "https://[fe80::1%25eth0]/", "https://127。0。0。1/", "https://①②⑦.0.0.1/",
        "https://127.0.0.%31/", "https://localhost/", "https://LOCALHOST/", "https://localhost./",
        "https://0.0.0.0/", "https://169.254.169.254/latest/meta-data/", "https://100.64.0.1/", "https://10.0.0.1/",
        "https://user@example.com/", "https://user:pass@example.com/", "https://example.com@127.0.0.1/",
        "https://example.com\\@127.0.0.1/", "https://exa mple.com/", "https://example.com\r\nHost: x/",
        "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "data:text/plain,hi", "gopher://x/",
        "//example.com/", "example.com", "", "https://", "https:///etc", "https://example.com:0/",
        "https://example.com:99999/", "https://.example.com/", "https://a..b/", "https://[::1", "https://" + "a" * 9000,
    ],
)  # fmt: skip
async def test_ways_inside_are_closed(url: str) -> None:
    wires = Wires()
    assert isinstance(await error_of(url, network=wires), FetchRefused)
    assert wires.asked == []


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["10.1.2.3"], ["::1"], ["::ffff:10.0.0.1"], [PUBLIC, "192.168.0.1"]])
async def test_a_name_with_a_private_address_is_refused(answer: list[str]) -> None:
    wires = Wires()
    error = await error_of("https://inside.test/x?token=hush", resolver=Names(inside_test=[answer]), network=wires)
    assert isinstance(error, FetchRefused)
    assert wires.asked == []
    assert "hush" not in error.reason


async def test_a_name_that_does_not_resolve_may_do_so_later() -> None:
    error = await error_of("https://nowhere.test/", resolver=Names())
    assert isinstance(error, FetchFailed)
    assert error.retryable


# -- over a public name, led to loopback with real TLS ---------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(server, client) contexts: a certificate for cdn.test and other.test, trusted by the client alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("cdn.test"), x509.DNSName("other.test")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder: Path = tmp_path_factory.mktemp("tls")
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(secret + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


async def test_the_checked_address_is_the_one_connected_to(
    certificates: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """DNS rebinding: the second answer would be loopback, but nobody asks a second time."""
    names = Names(cdn_test=[[PUBLIC], ["127.0.0.1"]])
    reply = Reply(200, b"picture", {"Content-Type": "Image/PNG; q=1"})
    async with loopback(lambda _: reply, certificates[0]) as server:
        wires = Wires(server.port)
        fetcher = SafeFetcher(resolver=names, network=wires, ssl_context=certificates[1])
        fetched = await fetcher.get("https://cdn.test/a%20b.png?x=1#part", **LIMITS)
        await fetcher.aclose()
    assert (fetched.data, fetched.media_type) == (b"picture", "image/png")
    assert (wires.asked, names.asked) == ([(PUBLIC, 443)], ["cdn.test"])
    (seen,) = server.seen
    assert (seen.target, seen.headers["host"]) == ("/a%20b.png?x=1", "cdn.test")
    assert seen.headers["accept-encoding"] == "identity"
    assert "authorization" not in seen.headers


async def test_a_new_connection_is_checked_anew(certificates: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    names = Names(cdn_test=[[PUBLIC], ["127.0.0.1"]])
    async with loopback(lambda _: Reply(200, b"x", {"Connection": "close"}), certificates[0]) as server:
        fetcher = SafeFetcher(resolver=names, network=Wires(server.port), ssl_context=certificates[1])
        await fetcher.get("https://cdn.test/1", **LIMITS)
        await asyncio.sleep(0.05)
        with pytest.raises(FetchRefused):
            await fetcher.get("https://cdn.test/2", **LIMITS)
        await fetcher.aclose()


async def test_the_certificate_must_be_the_names(certificates: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    names = Names(evil_test=[[PUBLIC]])
    async with loopback(lambda _: Reply(200), certificates[0]) as server:
        wires = Wires(server.port)
        error = await error_of("https://evil.test/", resolver=names, network=wires, ssl_context=certificates[1])
    assert isinstance(error, FetchFailed)
    assert server.seen == []


@pytest.mark.parametrize(
    "location",
    ["https://127.0.0.1/x", "http://other.test/x", "https://inside.test/", "//[::1]/", "file:///etc/passwd",
     "https://user:pass@other.test/", "https://169.254.169.254/latest/", "https://2130706433/", "https://[",
     "{allowed}/x"],
)  # fmt: skip
async def test_redirects_go_through_the_same_gate(
    certificates: tuple[ssl.SSLContext, ssl.SSLContext], location: str
) -> None:
    names = Names(cdn_test=[[PUBLIC]], other_test=[[PUBLIC]], inside_test=[["10.0.0.1"]])
    async with loopback(lambda _: Reply(200, b"inside")) as inside:
        target = location.format(allowed=inside.url)
        reply = Reply(302, headers={"Location": target})
        async with loopback(lambda _: reply, certificates[0]) as server:
            how = {"network": Wires(server.port), "ssl_context": certificates[1], "resolver": names}
            error = await error_of("https://cdn.test/a", allowed_origins=[inside.url], **how)
    assert isinstance(error, FetchRefused)
    assert inside.seen == []


async def test_a_redirect_outside_is_followed(certificates: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    def answer(seen: Seen) -> Reply:
        if seen.headers["host"] == "cdn.test":
            return Reply(302, headers={"Location": "https://other.test/final"})
        return Reply(200, b"there")

    async with loopback(answer, certificates[0]) as server:
        names = Names(cdn_test=[[PUBLIC]], other_test=[[PUBLIC]])
        fetcher = SafeFetcher(resolver=names, network=Wires(server.port), ssl_context=certificates[1])
        fetched = await fetcher.get("https://cdn.test/a", **LIMITS)
        await fetcher.aclose()
    assert (fetched.data, fetched.final_url) == (b"there", "https://other.test/final")


# -- from a configured origin ----------------------------------------------------------------------------------


async def inside(reply: Any, **limits: Any) -> Any:
    """What fetching /x from a configured loopback origin gives."""
    async with loopback(reply if callable(reply) else lambda _: reply) as server:
        fetcher = SafeFetcher([f"{server.url}/prefix"])
        try:
            return await fetcher.get(f"{server.url}/x", **{**LIMITS, **limits})
        finally:
            await fetcher.aclose()


async def test_a_configured_origin_is_served_from_loopback_over_http() -> None:
    fetched = await inside(Reply(200, b"hi", {"Content-Type": "text/plain"}))
    assert (fetched.data, fetched.media_type) == (b"hi", "text/plain")
    relative = await inside(
        lambda seen: Reply(200, b"ok") if seen.path == "/y" else Reply(301, headers={"Location": "y"})
    )
    assert relative.data == b"ok"


async def test_another_port_or_scheme_is_another_origin() -> None:
    async with loopback(lambda _: Reply(200)) as server, loopback(lambda _: Reply(200)) as other:
        for url in (other.url, server.url.replace("http", "https"), f"http://localhost:{server.port}"):
            assert isinstance(await error_of(url, allowed_origins=[server.url]), FetchRefused)
    assert server.seen == other.seen == []


async def test_redirect_loops_end() -> None:
    with pytest.raises(FetchRefused):
        await inside(Reply(302, headers={"Location": "/x"}))
    with pytest.raises(FetchFailed):
        await inside(Reply(302))


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(404, False), (403, False), (410, False), (408, True), (429, True), (500, True), (503, True)],
)
async def test_errors_say_whether_to_come_back(status: int, retryable: bool) -> None:
    with pytest.raises(FetchFailed) as caught:
        await inside(Reply(status))
    assert (caught.value.status, caught.value.retryable) == (status, retryable)


async def test_size_limits_hold_for_declared_and_for_endless_bodies() -> None:
    assert len((await inside(Reply(200, b"x" * 1000))).data) == 1000
    with pytest.raises(FetchTooLarge):
        await inside(Reply(200, b"x" * 1001))

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n")
        for _ in range(10_000):
            writer.write(b"x" * 1000)
            await writer.drain()

    with pytest.raises(FetchTooLarge):
        await inside(Reply(stream=endless))


async def test_a_dripping_body_meets_the_deadline() -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        for _ in range(900):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    started = asyncio.get_running_loop().time()
    with pytest.raises(FetchFailed) as caught:
        await inside(Reply(stream=drip), timeout_seconds=0.3)
    assert caught.value.retryable
    assert asyncio.get_running_loop().time() - started < 2


async def test_compressed_bodies_are_refused() -> None:
    bomb = gzip.compress(b"\0" * 1_000_000)
    assert len(bomb) < 2000
    with pytest.raises(FetchRefused):
        await inside(Reply(200, bomb, {"Content-Encoding": "gzip"}), max_bytes=5000)


@pytest.mark.parametrize(
    "raw",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"HTTP/1.1 200 OK\r\nContent-"],
)
async def test_broken_answers_may_be_tried_again(raw: bytes) -> None:
    with pytest.raises(FetchFailed) as caught:
        await inside(Reply(raw=raw, keep_alive=False))
    assert caught.value.retryable


# -- uploads -----------------------------------------------------------------------------------------------------


async def put(server: Loopback, url: str) -> None:
    fetcher = SafeFetcher([server.url])
    try:
        await fetcher.put(url, b"data", media_type="image/png", timeout_seconds=5)
    finally:
        await fetcher.aclose()


async def test_an_upload_is_sent_once_and_never_redirected() -> None:
    async with loopback(lambda _: Reply(201)) as server:
        await put(server, f"{server.url}/u")
    (seen,) = server.seen
    assert (seen.method, seen.body, seen.headers["content-type"]) == ("PUT", b"data", "image/png")
    async with loopback(lambda _: Reply(307, headers={"Location": "/elsewhere"})) as server:
        with pytest.raises(FetchRefused):
            await put(server, f"{server.url}/u")
        assert len(server.seen) == 1
        with pytest.raises(FetchRefused):
            await put(server, "https://127.0.0.1/u")
    async with loopback(lambda _: DROP) as server:
        with pytest.raises(FetchFailed):
            await put(server, f"{server.url}/u")
