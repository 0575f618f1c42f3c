"""One connection that listens, for everything in this process that wants to be told."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from gesso.db.database import Database

log = structlog.get_logger()
Callback = Callable[[dict[str, Any]], Awaitable[None]]

SCHEMA_CHANNEL = "gesso_schema"
"""Told by each migration as it commits (migrations/env.py)."""
RECONNECT_SECONDS = 0.5
CHECK_SECONDS = 15.0


class Listener:
    """Delivers NOTIFY payloads (JSON objects) to callbacks by channel.

    After a lost connection it reconnects and calls `on_reconnect` callbacks, since notifications sent
    meanwhile are gone: who cares looks at the rows.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._callbacks: dict[str, list[Callback]] = {}
        self._reconnected: list[Callable[[], Awaitable[None]]] = []
        self._queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._ready = asyncio.Event()
        self.on(SCHEMA_CHANNEL, self._schema_changed)
        self.on_reconnect(database.forget_statements)

    async def _schema_changed(self, _: dict[str, Any]) -> None:
        """A table may have other columns now, and what was prepared before fails inside a transaction."""
        await self._database.forget_statements()

    def on(self, channel: str, callback: Callback) -> None:
        """Call `callback` for each payload on `channel`. Register before `start`."""
        self._callbacks.setdefault(channel, []).append(callback)

    def on_reconnect(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Call `callback` after the connection was lost and is back."""
        self._reconnected.append(callback)

    async def start(self) -> None:
        """Connect and begin; returns once listening."""
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._deliver())]
        await self._ready.wait()

    async def close(self) -> None:
        """Stop listening."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                await self._hold_connection()
            except Exception as error:  # noqa: BLE001 — whatever it was, a process that stops listening is deaf for good
                log.warning("listener.lost", error=type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _hold_connection(self) -> None:
        connection = await self._database.dedicated()
        closed = asyncio.Event()
        connection.add_termination_listener(lambda _: closed.set())
        try:
            for channel in self._callbacks:
                await connection.add_listener(channel, self._received)
            if self._ready.is_set():
                await self._catch_up()
            self._ready.set()
            while not closed.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(closed.wait(), CHECK_SECONDS)
                    return
                await connection.fetchval("SELECT 1", timeout=5)  # finds a silent half-open connection
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)

    async def _catch_up(self) -> None:
        """Tell those who care that notifications were lost; one that fails keeps nobody else from hearing."""
        for callback in self._reconnected:
            try:
                await callback()
            except Exception:
                log.exception("listener.catch_up_failed")

    def _received(self, _: Any, __: int, channel: str, payload: str) -> None:
        self._queue.put_nowait((channel, payload))

    async def _deliver(self) -> None:
        while True:
            channel, payload = await self._queue.get()
            for callback in self._callbacks.get(channel, ()):
                try:
                    await callback(json.loads(payload))
                except Exception:
                    log.exception("listener.callback_failed", channel=channel)
