"""Many open event streams on one web process: what each costs, how soon an event is with all, and all lost at once."""

import asyncio
import contextlib
import json
import re
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

from bench.house import HOT, PEOPLE, House, memory_mb, token
from bench.load import Line, Load, get, paced, percentile, post
from bench.report import Row
from bench.statements import REQUEST, SUBMIT
from bench.submit import by_anyone

OPENED_AT_ONCE = 50
OTHERS_A_SECOND = 20.0
"""Generations that other people ask for all the while; the provider refuses them at once, so no time goes into
painting."""
EVENTS, PAUSE = 5, 2.0
"""So many are measured, with seconds between them in which the generation goes on: each step is an event, too."""
GAP_EVENTS = 3
"""What happens while the streams are cut off, each a second after the other."""
PATIENCE = 120.0

_TOLD = re.compile(rb'event: generation\ndata: {"id":"([^"]+)"}')
_ID, _RETRY = re.compile(rb"(?:^|\n)id: (\d+)"), re.compile(rb"(?:^|\n)retry: (\d+)")


@dataclass
class Page:
    """One browser's page: what it knows, whichever connection it learnt it on."""

    seen: int | None = None
    retry: float = 3.0
    """Seconds; a browser's own until it is told another."""
    told: dict[str, float] = field(default_factory=dict)
    """When it first heard of each generation."""
    stream: asyncio.Transport | None = None

    async def open(self, port: int) -> None:
        """Connect, and wait until the server has said what was missed."""
        loop = asyncio.get_running_loop()
        _, listener = await loop.create_connection(lambda: _Listener(self), "127.0.0.1", port)
        async with asyncio.timeout(PATIENCE):
            await listener.opened

    def hang_up(self) -> None:
        """Cut the connection."""
        if self.stream is not None:
            self.stream.abort()

    async def come_back(self, port: int) -> None:
        """As a browser does after a lost connection: again and again, with its pause in between."""
        async with asyncio.timeout(PATIENCE):
            while True:
                await asyncio.sleep(self.retry)
                with contextlib.suppress(ConnectionError):
                    return await self.open(port)


class _Listener(asyncio.Protocol):
    """One connection of a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._first = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.page.stream = cast(asyncio.Transport, transport)
        self.page.stream.write(get("/api/events", token(HOT), last_event_id=self.page.seen))

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self._first += data
            if b"\r\n\r\n" not in self._first or b"retry: " not in self._first:
                return
            if not self._first.startswith(b"HTTP/1.1 200"):
                self.opened.set_exception(ConnectionError(f"the stream was refused: {self._first[:80]!r}"))
                return
            data = self._first
            self.opened.set_result(None)
        now, page = time.perf_counter(), self.page
        for generation in _TOLD.findall(data):
            page.told.setdefault(generation.decode(), now)
        for value in _ID.findall(data):
            page.seen = int(value)
        for value in _RETRY.findall(data):
            page.retry = int(value) / 1000

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"the stream was not opened: {self._first[:80]!r}"))


async def streams(house: House, port: int, pid: int, *, count: int) -> list[Row]:
    """Open `count` streams of one workspace, let things happen in it while others generate, then cut all streams."""
    before = memory_mb(pid)
    pages = [Page() for _ in range(count)]
    begun = time.perf_counter()
    for first in range(0, count, OPENED_AT_ONCE):
        await asyncio.gather(*(page.open(port) for page in pages[first : first + OPENED_AT_ONCE]))
    took = time.perf_counter() - begun
    await asyncio.sleep(1)
    each = (memory_mb(pid) - before) * 1024 / count
    spreads = []
    async with others_at_work(port):
        for _ in range(EVENTS):
            await asyncio.sleep(PAUSE)
            spreads.append(await _one_event(pages, port))
        rows = await _storm(pages, port, pid)
    for page in pages:
        page.hang_up()
    await asyncio.sleep(1)
    await house.clear_queue()
    return [
        Row("open event streams on one web process", count, "", 10_000, 10_000, note=f"opened in {took:.0f} s"),
        Row("memory of one stream", each, " kB", 60, 35, True, "growth of the web process's resident memory"),
        Row(
            "one event to all streams", statistics.median(spreads), " s", 1, 0.5, True,
            f"from the submit's answer to the last one, median of {EVENTS}, slowest {max(spreads):.2f} s; "
            f"others ask for {OTHERS_A_SECOND:.0f} generations a second",
        ),
        *rows,
    ]  # fmt: skip


@contextlib.asynccontextmanager
async def others_at_work(port: int) -> AsyncIterator[Load]:
    """A steady load of generations by other people for as long as the block lasts; what it saw is complete after it."""
    load, refused = Load(), {**REQUEST, "prompt": "sandbox:422 a lighthouse at dusk"}
    numbers = iter(range(10**9))

    async def run() -> None:
        while True:
            one = await paced(
                port, lambda: post(SUBMIT, token(next(numbers) % PEOPLE + 1), refused, str(uuid4())),
                a_second=OTHERS_A_SECOND, seconds=1, lines=8,
            )  # fmt: skip
            load.statuses.update(one.statuses)
            load.latencies += one.latencies

    task = asyncio.create_task(run())
    try:
        yield load
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _submit(port: int) -> str:
    """Ask for a picture in the workspace of the streams; its id."""
    async with Line.opened(port) as line:
        reply = await line.send(post(SUBMIT, token(HOT), REQUEST, str(uuid4())))
    if reply.status != 202:
        raise RuntimeError(f"the submit was answered {reply.status}: {reply.body[:200]!r}")
    return str(json.loads(reply.body)["id"])


async def _one_event(pages: list[Page], port: int) -> float:
    """Seconds from a submit's answer until the last page has heard of it."""
    generation = await _submit(port)
    said = time.perf_counter()
    await _all_know(pages, [generation])
    return max(max(page.told[generation] for page in pages) - said, 0.0)


async def _all_know(pages: list[Page], generations: list[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not all(page.told.keys() >= set(generations) for page in pages):
            await asyncio.sleep(0.05)


async def _storm(pages: list[Page], port: int, pid: int) -> list[Row]:
    """Cut all streams at once; each page comes back by itself, when it was told to. Meanwhile the site is in use."""
    begun = time.perf_counter()
    for page in pages:
        page.hang_up()
    back = asyncio.gather(*(page.come_back(port) for page in pages))
    usual, submits = Load(), Load()

    async def look() -> None:
        async with Line.opened(port) as line:
            while not back.done():
                reply = await line.send(get("/create", token(1), gzip=True))
                usual.statuses[reply.status] += 1
                usual.latencies.append(reply.first_byte)
                await asyncio.sleep(0.05)

    async def ask() -> None:
        async with Line.opened(port) as line:
            while not back.done():
                reply = await line.send(by_anyone())
                submits.statuses[reply.status] += 1
                submits.latencies.append(reply.whole)
                await asyncio.sleep(0.05)

    async def happen() -> list[str]:
        happened = []
        for _ in range(GAP_EVENTS):
            happened.append(await _submit(port))
            await asyncio.sleep(1)
        return happened

    await asyncio.sleep(0)
    happening, visiting = asyncio.create_task(happen()), asyncio.gather(look(), ask())
    await back
    took = time.perf_counter() - begun
    await visiting
    await _all_know(pages, await happening)
    right = set(usual.statuses) <= {200} and set(submits.statuses) <= {202}
    page_ms, submit_ms = (percentile(load.latencies, 0.99) * 1000 for load in (usual, submits))
    return [
        Row(
            "all streams cut at once: all back after", took, " s", right=right,
            note=f"each when it was told to, within {max(page.retry for page in pages):.0f} s; "
            f"none missed any of {GAP_EVENTS} events",
        ),
        Row(
            "meanwhile: /create, time to first byte, p99", page_ms, " ms", right=right,
            note=f"{len(usual.latencies)} requests; a submit {submit_ms:.0f} ms; the web process holds "
            f"{memory_mb(pid):.0f} MB afterwards",
        ),
    ]  # fmt: skip
