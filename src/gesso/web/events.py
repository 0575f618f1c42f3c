"""Events to browsers: one listener per process, a channel per workspace, one ticker for all streams."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from gesso.db import Listener

CHANNEL = "gesso_events"
KEEP_ALIVE_SECONDS = 20.0
MAX_WAITING = 256
"""Events a slow reader may fall behind before its stream is ended; it reconnects and catches up from the rows."""

COME_BACK_MS = (100, 1000)
"""When a stream was ended by a server that stops, browsers open the next one so much later: soon, not all at once."""

_TICK = b": keep-alive\n\n"
_END = b""


class Stream:
    """One open event stream. Iterate over it for the bytes to send."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)

    def put(self, chunk: bytes) -> None:
        """Queue a chunk; a reader that is too slow is ended instead of remembered."""
        try:
            self._queue.put_nowait(chunk)
        except asyncio.QueueFull:
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(_END)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._queue.get()) != _END:
            yield chunk


class EventHub:
    """Hands NOTIFY payloads `{"workspace", "type", "id"}` to the streams of that workspace.

    A payload may carry "event_id" (int): it becomes the SSE id, which a browser sends back as Last-Event-ID.
    """

    def __init__(self, listener: Listener) -> None:
        self._streams: dict[str, set[Stream]] = {}
        self._ticker: asyncio.Task[None] | None = None
        self._ended = False
        listener.on(CHANNEL, self._deliver)
        listener.on_reconnect(self._resync)

    async def start(self) -> None:
        """Begin to tick."""
        self._ticker = asyncio.create_task(self._tick())

    def end(self) -> None:
        """End all streams, and each that begins from now on, so that a stopping server does not wait for them."""
        self._ended = True
        for stream in self._all():
            _send_away(stream)

    async def close(self) -> None:
        """Stop."""
        self.end()
        if self._ticker is not None:
            self._ticker.cancel()

    @contextlib.contextmanager
    def stream(self, workspace_id: UUID) -> Any:
        """A stream of one workspace's events, for as long as the block lasts."""
        key, stream = str(workspace_id), Stream()
        self._streams.setdefault(key, set()).add(stream)
        if self._ended:
            _send_away(stream)
        try:
            yield stream
        finally:
            self._streams[key].discard(stream)
            if not self._streams[key]:
                del self._streams[key]

    def count(self) -> int:
        """How many streams are open."""
        return sum(len(streams) for streams in self._streams.values())

    def _all(self) -> list[Stream]:
        return [stream for streams in self._streams.values() for stream in streams]

    async def _deliver(self, payload: dict[str, Any]) -> None:
        streams = self._streams.get(payload["workspace"])
        if streams:
            chunk = format_event(payload["type"], {"id": payload["id"]}, payload.get("event_id"))
            for stream in list(streams):
                stream.put(chunk)

    async def _resync(self) -> None:
        """Notifications were lost: let every page look at the rows."""
        chunk = format_event("resync", {})
        for stream in self._all():
            stream.put(chunk)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            for stream in self._all():
                stream.put(_TICK)


def _send_away(stream: Stream) -> None:
    stream.put(f"retry: {random.randint(*COME_BACK_MS)}\n\n".encode())  # noqa: S311 — it only spreads them
    stream.put(_END)


def format_event(name: str, data: dict[str, Any], event_id: int | None = None) -> bytes:
    """One server-sent event (HTML standard, section 9.2)."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
