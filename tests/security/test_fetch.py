"""Server-side request forgery: what tests/core/test_fetch.py does not try."""

import asyncio

import pytest

from gesso.core.fetch import FetchError, FetchFailed, FetchRefused, SafeFetcher
from tests.core.test_fetch import LIMITS, PUBLIC, Names, Wires, error_of
from tests.providers.loopback import Reply, loopback


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY", "http_proxy"])
async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It would be asked for the name, and what it connects to could not be checked."""
    async with loopback(lambda _: Reply(200)) as proxy:
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        wires = Wires()
        assert isinstance(
            await error_of("https://cdn.test/x", resolver=Names(cdn_test=[[PUBLIC]]), network=wires), FetchFailed
        )
        assert proxy.seen == [] and {host for host, _ in wires.asked} == {PUBLIC}


@pytest.mark.parametrize(
    "host",
    [
        "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
        "localhost。",
        "LOCALHOST%00.cdn.test",
        "127.0.0.1%2f@cdn.test",
        "１２７.0.0.1",
        "0x7f.1",
        "0177.1",
        "127.0.0.1\u200b",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::1%lo]",
        "[fe80::1%25lo]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "metadata。google。internal",
        "169。254。169。254",
        "4294967295",
        "1.1.1.1.",
        "a" * 64 + ".test",
        "xn--",
        "-.test",
        "a..test",
        "cdn.test:443:80",
        "cdn.test:0",
        "cdn.test:65536",
        "cdn.test:-1",
    ],
)
async def test_no_spelling_of_a_host_leads_inside(host: str) -> None:
    """Whatever it is taken for: refused, or asked of a resolver that knows no such name. Nothing is connected to."""
    wires = Wires()
    with pytest.raises((FetchError, UnicodeError)) as caught:
        fetcher = SafeFetcher(resolver=Names(cdn_test=[[PUBLIC]]), network=wires)
        try:
            await fetcher.get(f"https://{host}/latest/meta-data", **LIMITS)
        finally:
            await fetcher.aclose()
    assert isinstance(caught.value, FetchError)
    assert {where for where, _ in wires.asked} <= {PUBLIC, "1.1.1.1"}


async def test_one_bad_address_among_many_spoils_all() -> None:
    wires = Wires()
    answers = [PUBLIC] * 50 + ["fd00::1"]
    assert isinstance(
        await error_of("https://cdn.test/", resolver=Names(cdn_test=[answers]), network=wires), FetchRefused
    )
    assert wires.asked == []


@pytest.mark.parametrize(
    "start",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n"],
    ids=["a header", "silence", "a status", "headers"],
)
async def test_an_answer_without_end_is_left(start: bytes) -> None:
    """Its head too: bounded by time, and by what the parser takes."""

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        piece = (
            b"" if start.endswith(b"\r\n\r\n") else b"X: y\r\n" * 1000 if start.endswith(b"OK\r\n") else b"a" * 10_000
        )
        for _ in range(2000):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)

    async with loopback(lambda _: Reply(stream=endless)) as server:
        fetcher = SafeFetcher([server.url])
        try:
            with pytest.raises(FetchFailed):
                await asyncio.wait_for(fetcher.get(f"{server.url}/x", max_bytes=1000, timeout_seconds=1), 15)
        finally:
            await fetcher.aclose()
