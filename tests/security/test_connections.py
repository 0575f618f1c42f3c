"""Clients that keep a server waiting, over real sockets: each is let go in bounded time, and nobody else notices."""

import asyncio
import contextlib
import io
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx2
import pytest
from PIL import Image

from gesso.web.connections import HEAD_BYTES, PIPELINE
from gesso.web.events import CHANNEL
from tests.cast import session_token
from tests.media.pictures import keep
from tests.security.site import Cast, Site, parts_of, people

PATIENCE = 15.0
"""Thirty times what the server waits for, on a machine that does other things too."""
ASK = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@dataclass
class Line:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        said = bytearray()
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while chunk := await self.reader.read(65536):
                    said += chunk
        return bytes(said)

    async def drip(self, head: bytes, drop: Callable[[int], bytes], pause: float) -> bytes:
        """Send `head`, then `drop(n)` again and again until the server has had enough; what it said."""
        self.writer.write(head)
        answer = asyncio.create_task(self.rest())
        number = 0
        while not answer.done():
            with contextlib.suppress(ConnectionError):
                self.writer.write(drop(number))
                await self.writer.drain()
            number += 1
            await asyncio.sleep(pause)
        return answer.result()


@contextlib.asynccontextmanager
async def line(site: Site, *, source: str = "127.0.0.1", receive_buffer: int | None = None) -> AsyncIterator[Line]:
    """A connection from `source`, with the kernel's receive buffer made small where wished."""
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.bind((source, 0))
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", site.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=2**14)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


async def gone(site: Site) -> None:
    """Wait until the server holds no connection any more."""
    assert site.server_state is not None
    async with asyncio.timeout(PATIENCE):
        while site.server_state.connections:
            await asyncio.sleep(0.02)


# --- heads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"X-Slow: 1\r\n"),
        (b"GET /", b"a"),
        (b"GET / HTTP/1.1\r\nX: ", b"a"),
        (b"", b"\r\n"),
        (ASK, b"\r\n"),
        (ASK, b"G"),
    ],
    ids=["silence", "headers", "an address", "a value", "blank lines", "blank lines after a request", "a second head"],
)
async def test_a_head_that_never_ends_is_not_waited_for(impatient_site: Site, head: bytes, drop: bytes) -> None:
    began = time.monotonic()
    async with line(impatient_site) as slow:
        said = await slow.drip(head, lambda number: drop[:1] if number and drop == b"G" else drop, 0.05)
    assert time.monotonic() - began < PATIENCE
    late = said.removeprefix(said[: said.find(b"HTTP/1.1 4")]) if b"HTTP/1.1 4" in said else b""
    assert late == b"" or parts_of(late)[0] in (400, 408)
    assert (b"200 OK" in said) == head.startswith(ASK)
    await gone(impatient_site)


@pytest.mark.parametrize("kind", ["one line", "many headers", "empty headers", "an address"])
async def test_a_head_without_end_is_cut_before_it_fills_the_memory(impatient_site: Site, kind: str) -> None:
    start = {"one line": b"GET / HTTP/1.1\r\nX: ", "an address": b"GET /"}.get(kind, b"GET / HTTP/1.1\r\n")
    piece = {"many headers": b"X-Header: some words\r\n", "empty headers": b"a:\r\n"}.get(kind, b"a") * 1000
    sent = 0

    def more(_: int) -> bytes:
        nonlocal sent
        sent += len(piece)
        return piece

    async with line(impatient_site) as fast:
        said = await fast.drip(start, more, 0)
    assert not said or parts_of(said)[0] == 431
    assert sent < 100 * HEAD_BYTES
    await gone(impatient_site)


async def test_the_longest_prompt_fits_into_an_address(site: Site) -> None:
    answer = await site.ask(
        b"GET /start?prompt=" + b"%F0%9F%8F%94" * 2000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    )
    assert parts_of(answer)[0] == 303


async def test_requests_sent_ahead_are_few(impatient_site: Site) -> None:
    async with line(impatient_site) as polite:
        polite.writer.write(ASK * 4 + LAST)
        said = await polite.rest()
        assert said.count(b"200 OK") == 5
    async with line(impatient_site) as flood:
        flood.writer.write(ASK * 3000)
        said = await flood.rest()
        assert said.count(b"200 OK") <= PIPELINE + 1
    await gone(impatient_site)


# --- bodies --------------------------------------------------------------------------------------------


def post(length: int | None, path: bytes = b"/login", more: bytes = b"") -> bytes:
    framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    form = b"Content-Type: application/x-www-form-urlencoded"
    return b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n%s\r\n%s\r\n" % (path, form, framing, more)


@pytest.mark.parametrize(
    ("head", "drop"),
    [(post(100_000), b"a"), (post(None), b"1\r\na\r\n"), (post(100_000), b""), (post(None), b"")],
    ids=["dripping", "dripping chunks", "halted", "halted chunks"],
)
async def test_a_body_that_stands_still_is_cut_off_and_nobody_else_waits(
    impatient_site: Site, head: bytes, drop: bytes
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line(impatient_site)) for _ in range(20)]
        slow = [asyncio.create_task(one.drip(head, lambda _: drop, 0.05)) for one in lines]
        async with impatient_site.visitor() as other:
            assert (await other.get("/login")).status_code == 200
        for said in await asyncio.gather(*slow):
            assert b"200 OK" not in said
    await gone(impatient_site)


async def test_a_slow_but_steady_body_is_waited_for(impatient_site: Site) -> None:
    """Three times as long as a body may stand still, at a speed above the slowest."""
    async with line(impatient_site) as steady:
        steady.writer.write(post(15 * 2000, more=b"Connection: close\r\n"))
        for _ in range(15):
            steady.writer.write(b"a" * 2000)
            await steady.writer.drain()
            await asyncio.sleep(0.1)
        assert parts_of(await steady.rest())[0] == 422


async def test_a_body_that_goes_on_after_the_answer_is_cut_off(impatient_site: Site) -> None:
    head = post(None, b"/api/auth/logout", b"Origin: https://elsewhere.example\r\n")
    async with line(impatient_site) as stubborn:
        said = await stubborn.drip(head, lambda _: b"1000\r\n" + b"a" * 4096 + b"\r\n", 0.01)
    assert not said or parts_of(said)[0] == 403
    await gone(impatient_site)


async def test_a_sender_who_leaves_in_the_middle_leaves_nothing_behind(impatient_site: Site) -> None:
    for head in (post(1000), post(None), post(1000, more=b"Expect: 100-continue\r\n")):
        async with line(impatient_site) as leaver:
            leaver.writer.write(head + b"abc")
            await leaver.writer.drain()
    await gone(impatient_site)


async def test_who_asks_first_whether_to_send_is_told_to(impatient_site: Site) -> None:
    async with line(impatient_site) as asking:
        asking.writer.write(post(4, more=b"Expect: 100-continue\r\nConnection: close\r\n"))
        async with asyncio.timeout(PATIENCE):
            assert b"100 Continue" in await asking.reader.readuntil(b"\r\n\r\n")
        asking.writer.write(b"a=bc")
        assert parts_of(await asking.rest())[0] == 422


# --- readers -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def large(impatient_site: Site) -> tuple[Cast, str]:
    """Somebody with a picture of several megabytes: noise does not shrink."""
    cast = await people(impatient_site.db)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (1500, 1500), os.urandom(1500 * 1500 * 3)).save(buffer, "PNG", compress_level=0)
    async with impatient_site.db.workspace(cast.ada.workspace_id, cast.ada.user_id) as tx:
        asset = await keep(tx, impatient_site.app.state.storage, buffer.getvalue())
    return cast, str(asset.id)


async def getting(site: Site, cast: Cast, path: str) -> bytes:
    token = await session_token(site.db, cast.ada)
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {site.cookie}={token}\r\n\r\n".encode()


async def test_a_file_that_nobody_reads_is_not_kept_waiting(impatient_site: Site, large: tuple[Cast, str]) -> None:
    cast, asset = large
    request = await getting(impatient_site, cast, f"/media/{asset}/original")
    async with contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line(impatient_site, receive_buffer=4096)) for _ in range(10)]
        for one in lines:
            one.writer.write(request)
            one.reader._transport.pause_reading()  # type: ignore[attr-defined]  # what a reader who left does
        async with impatient_site.visitor(cast.ada) as other:
            whole = await other.get(f"/media/{asset}/original")
            assert len(whole.content) > 6_000_000
        await gone(impatient_site)


async def test_a_slow_but_steady_reader_gets_all_of_it(impatient_site: Site, large: tuple[Cast, str]) -> None:
    cast, asset = large
    request = await getting(impatient_site, cast, f"/media/{asset}/original")
    async with line(impatient_site, receive_buffer=65536) as steady:
        steady.writer.write(request)
        said = bytearray(await steady.reader.readuntil(b"\r\n\r\n"))
        length, got, began = int(parts_of(bytes(said))[1]["content-length"]), 0, time.monotonic()
        while got < length:
            got += len(await steady.reader.read(65536))
            if time.monotonic() - began < 3:  # six times as long as one may stand still
                await asyncio.sleep(0.1)
    assert got == length


async def test_a_stream_that_nobody_reads_ends(impatient_site: Site, large: tuple[Cast, str]) -> None:
    cast, _ = large
    workspace = cast.ada.workspace_id
    request = await getting(impatient_site, cast, "/api/events")
    hub = impatient_site.app.state.events
    async with line(impatient_site, receive_buffer=4096) as deaf:
        deaf.writer.write(request)
        await deaf.reader.readuntil(b"\r\n\r\n")
        deaf.reader._transport.pause_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(4 * PATIENCE):
            while impatient_site.server_state.connections:
                payload = f'{{"workspace": "{workspace}", "type": "asset", "id": "'
                await impatient_site.db.look_up(
                    "SELECT pg_notify($1, $2 || n || repeat('x', 2000) || '\"}') FROM generate_series(1, 50) n",
                    CHANNEL, payload,
                )  # fmt: skip
                await asyncio.sleep(0.02)
            while str(workspace) in hub._streams:
                await asyncio.sleep(0.02)


# --- many ----------------------------------------------------------------------------------------------


async def test_one_address_cannot_take_all_connections(impatient_site: Site) -> None:
    limit = impatient_site.settings.web.connections_per_address
    async with contextlib.AsyncExitStack() as stack:
        greedy = [await stack.enter_async_context(line(impatient_site, source="127.0.0.2")) for _ in range(limit + 10)]
        for one in greedy[limit:]:
            assert await one.rest() == b""
        async with httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(local_address="127.0.0.3"),
            base_url=f"http://127.0.0.1:{impatient_site.port}",
        ) as other:
            assert (await other.get("/healthz")).status_code == 200
    await gone(impatient_site)
    async with line(impatient_site, source="127.0.0.2") as later:
        later.writer.write(LAST)
        assert b"200 OK" in await later.rest()


async def test_a_proxy_may_have_any_number(impatient_site: Site) -> None:
    async with contextlib.AsyncExitStack() as stack:
        many = [await stack.enter_async_context(line(impatient_site)) for _ in range(60)]
        for one in many:
            one.writer.write(ASK)
        for said in await asyncio.gather(*(one.reader.readline() for one in many)):
            assert b"200 OK" in said
