"""The whole product on loopback, inside the test process: sandbox, web, worker, real database, real files."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from pydantic import SecretStr

from gesso.app import create_app
from gesso.catalog.editions import load_edition
from gesso.catalog.service import seed
from gesso.core.ids import new_id
from gesso.core.settings import DatabaseSettings, Settings, SiteSettings, StorageSettings
from gesso.db import Database
from gesso.jobs import Tasks
from gesso.runtime import open_database
from gesso.worker import run_worker
from tests.conftest import SECRET


@dataclass
class Product:
    """A running product. `client()` is a stranger with their own cookies."""

    url: str
    sandbox_url: str
    settings: Settings
    db: Database

    def client(self, **options: Any) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, timeout=60, **options)

    @contextlib.asynccontextmanager
    async def person(self, name: str = "Ada") -> AsyncIterator[httpx2.AsyncClient]:
        """Someone who has just signed up through the API; their cookie is in the client."""
        async with self.client() as client:
            email = f"{name.lower()}.{new_id().hex}@example.test"
            body = {"email": email, "name": name, "password": "violet ridges, first light"}
            answer = await client.post("/api/auth/signup", json=body)
            assert answer.status_code == 201, answer.text
            yield client


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """An ASGI application on a free port of loopback; gives its address."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="on", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]  # the runner keeps its own
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            task.result()
            raise RuntimeError("the server did not start")
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def settings_for(database_url: str, folder: Path, sandbox_url: str, **site: Any) -> Settings:
    """Settings of a product under test."""
    return Settings(
        site=SiteSettings(env="test", secret_key=SecretStr(SECRET), data_dir=folder, sandbox_url=sandbox_url, **site),
        database=DatabaseSettings().model_copy(update={"url": SecretStr(database_url)}),
        storage=StorageSettings(url=(folder / "files").as_uri()),
    )


async def seeded(settings: Settings) -> None:
    """Apply the edition and the connections, as a start does."""
    db = open_database(settings)
    async with db.elevated("test: seed") as tx:
        await seed(tx, settings, load_edition(settings.site.edition))
    await db.close()


@contextlib.asynccontextmanager
async def running_worker(settings: Settings) -> AsyncIterator[None]:
    """A worker in this process, for as long as the block lasts."""
    tasks = Tasks()
    worker = asyncio.create_task(run_worker(settings, tasks=tasks))
    try:
        yield
    finally:
        tasks.stopping.set()
        await asyncio.wait_for(worker, 90)


@contextlib.asynccontextmanager
async def running(settings: Settings, *, worker: bool = True) -> AsyncIterator[Product]:
    """The product on a free port. `settings.site.sandbox_url` must be running."""
    await seeded(settings)
    db = open_database(settings)
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(served(create_app(settings)))
        if worker:
            await stack.enter_async_context(running_worker(settings))
        yield Product(url, settings.site.sandbox_url or "", settings, db)
    await db.close()
