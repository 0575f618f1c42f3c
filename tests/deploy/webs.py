"""`gesso serve` as a process of its own, beside others on the same database."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from gesso.accounts.access import COOKIE
from gesso.billing.renewal import sign_up_grants
from gesso.catalog.registry import Catalog
from gesso.core.clock import SystemClock
from gesso.db import Database
from tests.cast import make_user, session_token
from tests.conftest import SECRET

READY_SECONDS = 150.0
MODEL = "juggernaut-lightning"


@dataclass
class Web:
    """A running web server."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, token: str | None = None, **headers: str) -> httpx2.AsyncClient:
        """A client of this web, signed in with a session's token."""
        cookie = {"Cookie": f"{COOKIE}={token}"} if token else {}
        return httpx2.AsyncClient(base_url=self.url, headers=cookie | headers, timeout=60, trust_env=False)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, seconds: float = 90) -> int:
        """Its exit code."""
        return await asyncio.to_thread(self.process.wait, seconds)


@contextlib.contextmanager
def serving(database_url: str, folder: Path, **environment: str) -> Iterator[Web]:
    """A web server on a free port, ended with the block however that ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not re.match("GESSO_|DATABASE_URL|FAL_|PYTEST_", name)}
    ours = {
        "DATABASE_URL": database_url, "GESSO_SECRET_KEY": SECRET, "GESSO_ENV": "test", "GESSO_PORT": str(port),
        "GESSO_DATA_DIR": str(folder),
    }  # fmt: skip
    log = folder / f"web-{port}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "gesso", "serve"], env=kept | ours | environment, stdout=file, stderr=file
        )
    try:
        yield Web(process, port, log)
    finally:
        process.kill()
        process.wait()


async def until_up(*webs: Web) -> None:
    """Wait until they answer."""
    deadline = time.monotonic() + READY_SECONDS
    for web in webs:
        async with web.client() as http:
            while True:
                with contextlib.suppress(httpx2.HTTPError):
                    if (await http.get("/healthz")).status_code == 200:
                        break
                assert time.monotonic() < deadline and web.process.poll() is None, web.log.read_text()[-3000:]
                await asyncio.sleep(0.05)


async def somebody(db: Database, name: str = "Ada", *, plan: str = "free") -> str:
    """A new person with what the plan gives at the sign-up: a session's token."""
    catalog = await Catalog.load(db)
    actor = await make_user(db, name, plan=plan, on_sign_up=[sign_up_grants(catalog, SystemClock())])
    return await session_token(db, actor)


def wish(prompt: str = "a lighthouse at dusk") -> dict[str, Any]:
    """The body of a request for one picture."""
    return {"model": MODEL, "prompt": prompt, "count": 1}


@contextlib.asynccontextmanager
async def listening(web: Web, token: str) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of an event stream that has begun."""
    async with web.client(token) as http, http.stream("GET", "/api/events") as stream:
        assert stream.status_code == 200
        lines = stream.aiter_lines()
        async for line in lines:
            if line.startswith("id: "):
                break
        yield lines
