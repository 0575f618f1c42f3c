"""Wakes waiting coroutines of any process by name. A lost wake-up costs only time: everyone also polls."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from gesso.db.listen import Listener

CHANNEL = "gesso_wake"


class Waker:
    """Names → callbacks in this process, run when anybody notifies `CHANNEL` with {"name": …}."""

    def __init__(self, listener: Listener) -> None:
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        listener.on(CHANNEL, self._knock)
        listener.on_reconnect(self._knock_all)

    @contextlib.contextmanager
    def expecting(self, name: str, called: Callable[[], None]) -> Iterator[None]:
        """Have `called` run, for as long as the block lasts, whenever somebody calls `name`."""
        self._waiting.setdefault(name, []).append(called)
        try:
            yield
        finally:
            waiting = self._waiting[name]
            waiting.remove(called)
            if not waiting:
                del self._waiting[name]

    async def _knock(self, payload: dict[str, Any]) -> None:
        for called in tuple(self._waiting.get(str(payload.get("name")), ())):
            called()

    async def _knock_all(self) -> None:
        for called in [called for waiting in self._waiting.values() for called in waiting]:
            called()


def operation_name(connection_id: object, request_id: str) -> str:
    """The name of a provider's job."""
    return f"operation/{connection_id}/{request_id}"


def generation_name(generation_id: object) -> str:
    """The name of a generation, for whoever drives it."""
    return f"generation/{generation_id}"
