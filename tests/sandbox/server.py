"""A sandbox over real HTTP, in the test's own event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from gesso.sandbox.app import create_app
from gesso.sandbox.pace import Pace


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serves `app` on a free loopback port; yields its origin."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=1, ws="none")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve([listener]))
        while not server.started:
            await asyncio.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def running_sandbox(pace: Pace | None = None) -> AsyncIterator[str]:
    """A sandbox without waiting times (unless `pace` says otherwise); yields its origin."""
    async with serving(create_app(pace=pace or Pace.instant(), workers=2)) as origin:
        yield origin
