"""Wakes waiting coroutines of any process by name. A lost wake-up costs only time: everyone also polls."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from gesso.db.listen import Listener

CHANNEL = "gesso_wake"


class Waker:
    """Names → events in this process, set when somebody notifies `CHANNEL` with {"name": …}."""

    def __init__(self, listener: Listener) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        listener.on(CHANNEL, self._knock)
        listener.on_reconnect(self._knock_all)

    @contextlib.contextmanager
    def expecting(self, name: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever `name` is called."""
        event = asyncio.Event()
        self._waiting.setdefault(name, set()).add(event)
        try:
            yield event
        finally:
            events = self._waiting[name]
            events.discard(event)
            if not events:
                del self._waiting[name]

    async def _knock(self, payload: dict[str, Any]) -> None:
        for event in self._waiting.get(str(payload.get("name")), ()):
            event.set()

    async def _knock_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()


def operation_name(connection_id: object, request_id: str) -> str:
    """The name of a provider's job."""
    return f"operation/{connection_id}/{request_id}"


def generation_name(generation_id: object) -> str:
    """The name of a generation, for whoever drives it."""
    return f"generation/{generation_id}"
