"""`gesso serve`: the web server, and how it leaves without dropping anybody.

On SIGTERM, in this order:

1. Drain. `/readyz` answers 503, so that a balancer which asks looks elsewhere; everything is still served. Each
   answer now says `Connection: close`, so that the proxy lets go of its kept connections by itself: a server that
   closes an idle one may cross a request already on its way, and a proxy must not send a POST twice.
2. Close the door (`closing.py`). A proxy that does not ask `/readyz` finds it closed and goes to the next server.
3. End the event streams, with a hint that makes browsers come back within a second, to another server.
4. Let requests under way end, within `GESSO_WEB_FINISH_SECONDS`; cut off the rest.

SIGINT, a person at a terminal, leaves out the first two. A second signal of either kind ends the process at once,
which is safe: a kill never costs more than time.
"""

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from gesso.app import create_app
from gesso.cli.closing import refuse_newcomers
from gesso.core.settings import Settings
from gesso.web.connections import Watch, watched

log = structlog.get_logger()

SETTLE_SECONDS = 0.2
"""Longer than a handshake takes between machines that stand beside each other."""
FIRST_BYTE_SECONDS = 1.0
"""How long a connection made at the last moment may take to say what it wants."""
GC_THRESHOLDS = (10_000, 20, 20)
"""New objects before a look at the youngest, such looks before one at the middle-aged, and so on; Python's are 700,
10 and 10."""
_LOOK_SECONDS = 0.05
_STARTUP_FAILED = 3


def serve(settings: Settings) -> None:
    """Serve until a signal; `settings` must hold the address of a migrated database."""
    server = server_of(settings, create_app(settings))
    server.run()
    if not server.started:
        raise SystemExit(_STARTUP_FAILED)


def server_of(settings: Settings, app: FastAPI, **changes: Any) -> "DrainingServer":
    """The server with the product's own configuration; `changes` are uvicorn's, such as another port."""
    web = settings.web
    options: dict[str, Any] = {
        "host": settings.site.host,
        "port": settings.site.port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": True,
        "forwarded_allow_ips": web.proxies,
        "timeout_keep_alive": web.keep_alive_seconds,
        "timeout_graceful_shutdown": web.finish_seconds,
        "http": watched(Watch(web.head_seconds, web.stall_seconds, web.connections_per_address, web.proxies)),
        "ws": "none",
    }
    return DrainingServer(uvicorn.Config(app, **options | changes), app, drain_seconds=settings.drain_seconds)


class DrainingServer(uvicorn.Server):
    """uvicorn's server with a polite end. `app.state` holds `draining` and the `events` to be ended."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, *, drain_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds
        self._drains = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal asks to stop, the second one does not ask."""
        if self.should_exit:
            log.warning("web.killed", signal=signal.Signals(sig).name)
            os._exit(128 + sig)
        self._drains = sig == signal.SIGTERM and self._drain_seconds > 0
        self.should_exit = True

    async def main_loop(self) -> None:
        """Serve until asked to stop, then up to the point where only requests under way are left."""
        _spare_the_collector()
        await super().main_loop()
        if self._drains:
            await self._drain()
            await self._close_the_door()
        self._app.state.events.end()

    async def _drain(self) -> None:
        log.info("web.draining", seconds=self._drain_seconds)
        self._app.state.draining = True
        self.config.encoded_headers.append((b"connection", b"close"))
        await self.on_tick(0)  # hands the new header to requests that come from now on
        for connection in self.server_state.connections:
            if _at_work(connection):
                connection.shutdown()  # only marks it: it closes after the answer
        begun = second = time.monotonic()
        while (now := time.monotonic()) < begun + self._drain_seconds:
            await asyncio.sleep(_LOOK_SECONDS)
            if now > second + 1:
                second = now
                await self.on_tick(0)  # keeps the Date header true

    async def _close_the_door(self) -> None:
        doors = [socket.fileno() for server in self.servers for socket in server.sockets]
        if all(refuse_newcomers(door) for door in doors):
            await asyncio.sleep(SETTLE_SECONDS)
        for server in self.servers:
            server.close()
        await _until(lambda: not any(map(_silent, self.server_state.connections)), FIRST_BYTE_SECONDS)


def _spare_the_collector() -> None:
    """What is here once the server has started stays until it ends: the collector need not look at it again and again.

    Nor at short intervals: requests leave few cycles behind, and with ten thousand open streams each full look takes a
    tenth of a second in which nobody is served.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _at_work(connection: Any) -> bool:
    """Whether an HTTP connection of uvicorn's is answering something (a WebSocket's, of which we have none, is not)."""
    cycle = getattr(connection, "cycle", None)
    return cycle is not None and not cycle.response_complete


def _silent(connection: Any) -> bool:
    """Whether it was made and has not asked for anything yet."""
    return getattr(connection, "cycle", None) is None


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return
        await asyncio.sleep(_LOOK_SECONDS)
