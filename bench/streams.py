"""Many open event streams on one web process: what each costs, and how soon an event is with all of them."""

import asyncio
import time
from typing import cast
from uuid import uuid4

from bench.house import HOT, memory_mb, token
from bench.load import Line, get, post
from bench.report import Row
from bench.statements import REQUEST, SUBMIT

OPENED_AT_ONCE = 50


class Listener(asyncio.Protocol):
    """One browser's stream. It only notes when it is open and when it was told of a generation."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.told_at = 0.0
        self._first = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(get("/api/events", token(HOT)))

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self._first += data
            if b"\r\n\r\n" in self._first and b"id: " in self._first:
                self.opened.set_result(None)
        elif not self.told_at and b"event: generation" in data:
            self.told_at = time.perf_counter()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"the stream was not opened: {self._first[:80]!r}"))


async def streams(port: int, pid: int, *, count: int) -> list[Row]:
    """Open `count` streams of one workspace, then let something happen in it."""
    loop, before = asyncio.get_running_loop(), memory_mb(pid)
    listeners: list[Listener] = []
    begun = time.perf_counter()
    while len(listeners) < count:
        batch = [loop.create_connection(Listener, "127.0.0.1", port) for _ in range(min(OPENED_AT_ONCE, count))]
        opened = [listener for _, listener in await asyncio.gather(*batch)]
        async with asyncio.timeout(30):
            await asyncio.gather(*(listener.opened for listener in opened))
        listeners += opened
    took = time.perf_counter() - begun
    await asyncio.sleep(1)
    each = (memory_mb(pid) - before) * 1024 / len(listeners)
    async with Line.opened(port) as line:
        if (await line.send(post(SUBMIT, token(HOT), REQUEST, str(uuid4())))).status != 202:
            raise RuntimeError("the submit was refused")
    said = time.perf_counter()
    async with asyncio.timeout(30):
        while not all(listener.told_at for listener in listeners):
            await asyncio.sleep(0.01)
    slowest = max(listener.told_at for listener in listeners) - said
    for listener in listeners:
        listener.transport.abort()
    await asyncio.sleep(1)
    return [
        Row(
            "open event streams on one web process", len(listeners), "", 10_000, 10_000, note=f"opened in {took:.0f} s"
        ),
        Row("memory of one stream", each, " kB", 60, 35, True, "growth of the web process's resident memory"),
        Row(
            "one event to all streams",
            max(slowest, 0.0),
            " s",
            1,
            0.5,
            True,
            "from the submit's answer to the last one",
        ),
    ]
