"""The line between an adapter and the sandbox, which can be cut, stopped, garbled and flooded at a chosen call."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

Head = dict[str, str]
_LINGER_NOT = struct.pack("ii", 1, 0)
_ENDLESS = 10**12


@dataclass(frozen=True)
class Request:
    """A request as it arrived; header names in lower case. `call` is "METHOD /path"."""

    call: str
    head: Head
    raw: bytes
    caller: asyncio.StreamReader

    async def gone(self) -> None:
        """Until whoever asked has given up."""
        await self.caller.read()


@dataclass(frozen=True)
class Reply:
    """An answer of the sandbox. `head` ends with an empty line."""

    status: int
    head: bytes
    body: bytes

    @property
    def is_events(self) -> bool:
        return b"text/event-stream" in self.head.lower()


Spoil = Callable[["Line", Request, asyncio.StreamWriter], Awaitable[None]]


class Line:
    """A running line. `heard` holds every call; `strikes` says what happens to those that fit, and how often."""

    def __init__(self, origin: str) -> None:
        self._sandbox = urlsplit(origin)
        self.heard: list[str] = []
        self.port = 0
        self._spoil: Spoil | None = None
        self._at: re.Pattern[str] | None = None
        self._times = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def clear(self) -> None:
        """A sound line that has heard nothing."""
        self.heard, self._spoil, self._times = [], None, 0

    def strike(self, spoil: Spoil, at: str, times: int = 1000) -> None:
        """Do `spoil` to the next `times` calls that fit `at`."""
        self._spoil, self._at, self._times = spoil, re.compile(at), times

    def count(self, pattern: str) -> int:
        """How many calls fit `pattern`."""
        return sum(bool(re.search(pattern, call)) for call in self.heard)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            request = await _read(reader)
            self.heard.append(request.call)
            if self._spoil is not None and self._times and self._at is not None and self._at.search(request.call):
                self._times -= 1
                await self._spoil(self, request, writer)
            else:
                await self._pass_on(request, writer)
            await writer.drain()
        writer.close()

    async def _pass_on(self, request: Request, writer: asyncio.StreamWriter) -> None:
        reader, upstream = await asyncio.open_connection(self._sandbox.hostname, self._sandbox.port)
        upstream.write(request.raw)
        try:
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        finally:
            upstream.close()

    async def asked(self, request: Request) -> Reply:
        """What the sandbox answers: the request is carried out."""
        reader, upstream = await asyncio.open_connection(self._sandbox.hostname, self._sandbox.port)
        upstream.write(request.raw)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            return Reply(int(head.split(b" ", 2)[1]), head, await reader.read())
        finally:
            upstream.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    named = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
    body = await reader.readexactly(int(named.get("content-length", "0")))
    kept = [f"{name}: {value}" for name, value in named.items() if name != "connection"]
    sent = "\r\n".join([head[0], *kept, "connection: close", "", ""]).encode("latin-1")
    return Request(f"{method} {target}", named, sent + body, reader)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side sees a reset, not an end."""
    found = writer.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()


def _answer(status: int, media_type: str, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = [f"HTTP/1.1 {status} X", f"Content-Type: {media_type}", f"Content-Length: {size}", "Connection: close"]
    return "\r\n".join([*head, "", ""]).encode() + body


async def reset(line: Line, request: Request, writer: asyncio.StreamWriter) -> None:
    """Reset once the request was read; the sandbox never hears of it."""
    _reset(writer)


async def torn(line: Line, request: Request, writer: asyncio.StreamWriter) -> None:
    """The request is carried out; of the answer the first half comes through, then a reset."""
    reply = await line.asked(request)
    writer.write(reply.head + reply.body[: len(reply.body) // 2])
    await writer.drain()
    await asyncio.sleep(0.05)  # a reset throws away what the other side has not read yet
    _reset(writer)


async def garbled(line: Line, request: Request, writer: asyncio.StreamWriter) -> None:
    """The request is carried out, its answer is broken JSON."""
    reply = await line.asked(request)
    if reply.is_events:
        writer.write(_answer(reply.status, "text/event-stream", b'data: {"id": "1", "cho\n\n'))
    else:
        writer.write(_answer(reply.status, "application/json", b'{"id": "1", "stat'))


async def swollen(line: Line, request: Request, writer: asyncio.StreamWriter) -> None:
    """The request is carried out, its answer says that it is a terabyte long, and does not get on."""
    reply = await line.asked(request)
    media_type = "text/event-stream" if reply.is_events else "application/json"
    writer.write(_answer(reply.status, media_type, b'{"id": "', _ENDLESS))
    await request.gone()


async def silent(line: Line, request: Request, writer: asyncio.StreamWriter) -> None:
    """No answer at all until the caller gives up."""
    await request.gone()


async def gateway(line: Line, request: Request, writer: asyncio.StreamWriter) -> None:
    """A proxy's page: it lost the server behind it."""
    writer.write(_answer(502, "text/html", b"<html><center><h1>502 Bad Gateway</h1></center>nginx</html>"))


async def echo(line: Line, request: Request, writer: asyncio.StreamWriter) -> None:
    """An error that repeats every header of the request, and so our key, wherever errors may carry words."""
    said = " ".join(request.head.values()).replace('"', "").replace("\\", "")
    words = f'"{said}"'
    error = f'{{"message": {words}, "type": {words}, "code": {words}, "status": {words}, "param": {words}}}'
    body = f'{{"error": {error}, "detail": {words}, "title": {words}, "message": {words}, "msg": {words}}}'
    writer.write(_answer(400, "application/json", body.encode("latin-1")))


@asynccontextmanager
async def line_to(origin: str) -> AsyncIterator[Line]:
    """A line to the sandbox at `origin`, on a free port."""
    line = Line(origin)
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await line.serve(reader, writer)
        finally:
            running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**26)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
