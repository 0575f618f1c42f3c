"""The product's own server on a free port, asked by sockets, and the people of Ada's workspace around it."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI
from uvicorn.server import ServerState

from gesso.accounts.access import Actor, cookie_name
from gesso.app import create_app
from gesso.cli.serve import server_of
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.core.settings import Settings, WebSettings
from gesso.credits import service as credits
from gesso.db import Database
from gesso.runtime import open_database
from tests.cast import add_member, make_user, session_token
from tests.product import seeded, settings_for

HTTPS = "https://art.example.com"


@dataclass
class Site:
    """A running web server. Without a worker: what is asked for stays queued."""

    port: int
    settings: Settings
    app: FastAPI
    db: Database
    server_state: ServerState

    @property
    def host(self) -> str:
        """The Host header that the site answers to."""
        return self.settings.site.host_name if self.settings.site.secure_cookies else f"127.0.0.1:{self.port}"

    @property
    def cookie(self) -> str:
        return cookie_name(secure=self.settings.site.secure_cookies)

    @contextlib.asynccontextmanager
    async def visitor(self, actor: Actor | None = None, **headers: str) -> AsyncIterator[httpx2.AsyncClient]:
        """Somebody's browser, without following redirects; signed in as `actor`, by a session of its own."""
        named = {"Host": self.host, **headers}
        if actor is not None:
            named["Cookie"] = f"{self.cookie}={await session_token(self.db, actor)}"
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=named, timeout=30) as client:
            yield client

    async def ask(self, request: bytes, *, source: str = "127.0.0.1", patience: float = 10) -> bytes:
        """Send bytes, end nothing, and read until the server closes; what it said. Raises TimeoutError."""
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))
            try:
                writer.write(request)
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                    return await reader.read()
                return b""
            finally:
                writer.close()


@contextlib.asynccontextmanager
async def open_site(
    database_url: str, folder: Path, *, web: WebSettings | None = None, **site: Any
) -> AsyncIterator[Site]:
    """Serve the product as `gesso serve` does, on a migrated database. `site` are SiteSettings."""
    settings = settings_for(database_url, folder, "http://127.0.0.1:9", **site)
    settings = replace(settings, web=web or WebSettings())
    await seeded(settings)
    db = open_database(settings)
    app = create_app(settings)
    server = server_of(settings, app, host="127.0.0.1", port=0, timeout_graceful_shutdown=1)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]  # the runner's own stay
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if task.done():
                task.result()
                raise RuntimeError("the server did not start")
            await asyncio.sleep(0.01)
        yield Site(server.servers[0].sockets[0].getsockname()[1], settings, app, db, server.server_state)
    finally:
        server.should_exit = True
        await task
        await db.close()


@dataclass(frozen=True)
class Cast:
    """Ada owns a workspace, Ben is a member of it, Cleo has one of her own, Olga runs the site."""

    ada: Actor
    ben: Actor
    cleo: Actor
    olga: Actor


async def people(db: Database) -> Cast:
    """The cast, each with credits in their workspace."""
    ada, cleo = await make_user(db, "Ada"), await make_user(db, "Cleo")
    olga = await make_user(db, "Olga", operator=True)
    ben = await add_member(db, ada, await make_user(db, "Ben"))
    for person in (ada, cleo, olga):
        async with db.workspace(person.workspace_id, person.user_id) as tx:
            await credits.grant(
                tx, person.workspace_id, unit="credit", amount=1000 * MICRO, source="operator",
                key=f"test:{new_id()}", reason="for the test",
            )  # fmt: skip
    return Cast(ada, ben, cleo, olga)


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """(method, path) of every route there is, mounts as GET; what the framework adds by itself (HEAD) left out."""

    def walk(routes: Any) -> Iterator[tuple[str, str]]:
        for route in routes:
            if hasattr(route, "effective_candidates"):
                yield from walk(route.effective_candidates())
            else:
                for method in sorted(getattr(route, "methods", None) or {"GET"}):
                    if method != "HEAD":
                        yield method, route.path

    yield from walk(app.routes)


def parts_of(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers (names in lower case) of a raw answer."""
    lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    match = re.match(r"HTTP/1\.1 (\d+)", lines[0])
    assert match, lines[0]
    named = (line.partition(": ") for line in lines[1:])
    return int(match[1]), {name.lower(): value for name, _, value in named}
