"""Events to browsers: one listener per process, a channel per workspace, one ticker for all streams.

Ten thousand streams on a process have to be small. So a stream's request goes through all layers of the application
until its head is sent (`EventAnswer`), and is then kept by the outermost one alone (`StreamsMiddleware`): the others
have returned, and what they held is free.
"""

import asyncio
import json
import random
import time
from typing import Any
from uuid import UUID

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gesso.db import Listener

CHANNEL = "gesso_events"
KEEP_ALIVE_SECONDS = 20.0
LIFETIME_SECONDS = 900.0
"""A stream ends after this long, so that a session that was revoked does not listen for ever; browsers reconnect."""
MAX_WAITING = 256
"""Events a slow reader may fall behind before its stream is ended; it reconnects and catches up from the rows."""

OPENED_AT_ONCE = 4
"""Streams that are let in at the same time. When thousands come back at once, pages still find a connection to the
database, and are not behind all of them in the event loop."""
RETRY_SECONDS = 2.0
RETURNS_A_SECOND = 500
"""Browsers come back after `RETRY_SECONDS`, give or take; after longer when there are so many streams that more than
this many a second would come."""
COME_BACK_MS = (100, 1000)
"""When a stream was ended by a server that stops, browsers open the next one so much later: soon, not all at once.
Of thousands, the last ones later."""

_END = b""


class Stream:
    """One open event stream."""

    __slots__ = ("_chunks", "_hub", "_wake", "ends_at", "key")

    def __init__(self, hub: "EventHub", key: str) -> None:
        self.key = key
        self.ends_at = time.monotonic() + LIFETIME_SECONDS
        self._hub = hub
        self._chunks: list[bytes] = []
        self._wake: asyncio.Future[None] | None = None

    def put(self, chunk: bytes) -> None:
        """Queue a chunk; a reader that is too slow is ended instead of remembered."""
        if len(self._chunks) >= MAX_WAITING:
            self._chunks.clear()
            chunk = _END
        self._chunks.append(chunk)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def end(self) -> None:
        """Let it end after what is queued."""
        self.put(_END)

    def close(self) -> None:
        """Stop listening. Closing again changes nothing."""
        self._hub.forget(self)

    async def pass_on(self, receive: Receive, send: Send) -> None:
        """Send what is queued, as it comes, until the end or until the browser goes away."""
        gone = asyncio.create_task(_gone(receive))
        gone.add_done_callback(lambda _: self.end())
        try:
            while _END not in self._chunks:
                if self._chunks:
                    body = b"".join(self._chunks)
                    self._chunks.clear()
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                else:
                    self._wake = asyncio.get_running_loop().create_future()
                    await self._wake
            rest = b"".join(self._chunks[: self._chunks.index(_END)])
            await send({"type": "http.response.body", "body": rest, "more_body": False})
        finally:
            gone.cancel()
            self.close()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventAnswer(Response):
    """The head of a stream, and `first` of what it says; `StreamsMiddleware` sends the rest."""

    media_type = "text/event-stream"

    def __init__(self, stream: Stream, first: bytes) -> None:
        # a proxy that kept the connection after the stream could use it just when a stopping server closes it
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Connection": "close"}
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._stream, self._first = stream, first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
        except BaseException:
            self._stream.close()
            raise
        scope["state"]["stream"] = self._stream


class StreamsMiddleware:
    """The outermost layer: stays with a stream whose head has been sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
        if scope["type"] == "http" and (stream := scope.get("state", {}).pop("stream", None)):
            await stream.pass_on(receive, send)


class EventHub:
    """Hands NOTIFY payloads `{"workspace", "type", "id"}` to the streams of that workspace.

    A payload may carry "event_id" (int): it becomes the SSE id, which a browser sends back as Last-Event-ID.
    """

    def __init__(self, listener: Listener) -> None:
        self.turn = asyncio.Semaphore(OPENED_AT_ONCE)
        """Held by whoever opens a stream, from before the browser is known until it is told what it missed."""
        self._streams: dict[str, set[Stream]] = {}
        self._count = 0
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
            self._send_away(stream)

    async def close(self) -> None:
        """Stop."""
        self.end()
        if self._ticker is not None:
            self._ticker.cancel()

    def open(self, workspace_id: UUID) -> Stream:
        """A new stream of one workspace's events. Whoever opens it closes it, or hands it to an `EventAnswer`."""
        stream = Stream(self, str(workspace_id))
        self._streams.setdefault(stream.key, set()).add(stream)
        self._count += 1
        if self._ended:
            self._send_away(stream)
        return stream

    def forget(self, stream: Stream) -> None:
        """Send nothing to it any more."""
        streams = self._streams.get(stream.key, set())
        if stream in streams:
            streams.remove(stream)
            self._count -= 1
            if not streams:
                del self._streams[stream.key]

    def retry(self) -> bytes:
        """When to come back after a lost connection: another moment for each browser."""
        longest = max(RETRY_SECONDS, self.count() / RETURNS_A_SECOND)
        return _retry(RETRY_SECONDS / 2, RETRY_SECONDS / 2 + longest)

    def count(self) -> int:
        """How many streams are open."""
        return self._count

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
            now = time.monotonic()
            for stream in self._all():
                stream.put(self.retry())  # any line keeps proxies from closing it
                if stream.ends_at <= now:
                    stream.end()

    def _send_away(self, stream: Stream) -> None:
        soon, late = COME_BACK_MS
        stream.put(_retry(soon / 1000, max(late / 1000, self.count() / RETURNS_A_SECOND)))
        stream.end()


def _retry(least: float, most: float) -> bytes:
    return f"retry: {round(random.uniform(least, most) * 1000)}\n\n".encode()  # noqa: S311 — it only spreads them


def format_event(name: str, data: dict[str, Any], event_id: int | None = None) -> bytes:
    """One server-sent event (HTML standard, section 9.2)."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
