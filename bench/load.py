"""A load generator that costs the machine little: prepared bytes over kept connections, in one event loop."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

Request = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, body, and seconds until its head had come and until all of it had."""

    status: int
    body: bytes
    first_byte: float
    whole: float


@dataclass
class Load:
    """What a run saw: how many answers of each status, their seconds, and how long the run took."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def rate(self, status: int) -> float:
        """Answers of this status a second. Raises RuntimeError when there was any other: errors are fast."""
        if set(self.statuses) != {status}:
            raise RuntimeError(f"expected only {status}, got {dict(self.statuses)}")
        return self.statuses[status] / self.seconds


class Line:
    """One kept HTTP/1.1 connection to a port of loopback."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, port: int) -> AsyncIterator["Line"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    async def send(self, request: bytes) -> Reply:
        """Send prepared bytes and read the whole answer."""
        begun = time.perf_counter()
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        first_byte = time.perf_counter() - begun
        lowered = head.lower()
        if b"transfer-encoding: chunked" in lowered:
            body = await self._chunks()
        else:
            _, _, rest = lowered.partition(b"content-length: ")
            length = int(rest.split(b"\r\n", 1)[0]) if rest else 0
            body = await self._reader.readexactly(length) if length else b""
        return Reply(int(head[9:12]), body, first_byte, time.perf_counter() - begun)

    async def _chunks(self) -> bytes:
        parts = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readuntil(b"\r\n")
        return b"".join(parts)


def get(path: str, token: str | None = None, *, gzip: bool = False, last_event_id: int | None = None) -> bytes:
    """The bytes of a GET; with `gzip` as a browser would send it."""
    cookie = f"Cookie: gesso_session={token}\r\n" if token else ""
    accept = "Accept-Encoding: gzip\r\n" if gzip else ""
    seen = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id is not None else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{accept}{seen}{cookie}\r\n".encode()


def post(path: str, token: str, body: object, key: str) -> bytes:
    """The bytes of a JSON POST with an Idempotency-Key."""
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        f"Cookie: gesso_session={token}\r\nIdempotency-Key: {key}\r\n\r\n"
    )
    return head.encode() + data


async def closed(
    port: int, make: Request, *, lines: int, seconds: float | None = None, count: int | None = None
) -> Load:
    """`lines` clients, each with its next request as soon as it has its answer, for `seconds` or `count` requests."""
    load = Load()
    left = count if count is not None else 10**9
    deadline = time.perf_counter() + (seconds if seconds is not None else 10**6)

    async def client() -> None:
        nonlocal left
        async with Line.opened(port) as line:
            gate.set()
            await start.wait()
            while left > 0 and time.perf_counter() < deadline:
                left -= 1
                reply = await line.send(make())
                load.statuses[reply.status] += 1
                load.latencies.append(reply.whole)

    gate, start = asyncio.Event(), asyncio.Event()
    clients = [asyncio.create_task(client()) for _ in range(lines)]
    await gate.wait()
    begun = time.perf_counter()
    start.set()
    await asyncio.gather(*clients)
    load.seconds = time.perf_counter() - begun
    return load


async def paced(port: int, make: Request, *, a_second: float, seconds: float, lines: int = 64) -> Load:
    """Requests at a fixed rate whatever the answers do; a latency counts from when the request was due."""
    load = Load()
    due: asyncio.Queue[float | None] = asyncio.Queue()

    async def client() -> None:
        async with Line.opened(port) as line:
            while (moment := await due.get()) is not None:
                reply = await line.send(make())
                load.statuses[reply.status] += 1
                load.latencies.append(time.perf_counter() - moment)

    async with asyncio.TaskGroup() as clients:
        for _ in range(lines):
            clients.create_task(client())
        await asyncio.sleep(0.2)
        begun = time.perf_counter()
        for number in range(int(a_second * seconds)):
            moment = begun + number / a_second
            await asyncio.sleep(max(0.0, moment - time.perf_counter()))
            due.put_nowait(moment)
        for _ in range(lines):
            due.put_nowait(None)
    load.seconds = time.perf_counter() - begun
    return load


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
