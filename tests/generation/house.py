"""The product's JSON side and a worker around a real sandbox, in this process, with people who have credits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

import gesso.accounts.routes
import gesso.credits.routes
import gesso.generation.events
import gesso.generation.routes
import gesso.generation.webhooks
import gesso.media.routes
from gesso.accounts.access import COOKIE, Actor
from gesso.catalog.editions import load_edition
from gesso.catalog.service import seed
from gesso.core.clock import SystemClock
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.core.settings import DatabaseSettings, Settings, SiteSettings, StorageSettings
from gesso.credits import service as credits
from gesso.credits.types import Mismatch
from gesso.db import Database
from gesso.jobs import Tasks
from gesso.runtime import open_database, open_runtime
from gesso.web import errors
from gesso.web.events import EventHub
from gesso.worker import run_worker
from tests.cast import make_user, session_token
from tests.conftest import SECRET

FAST = "juggernaut-lightning"


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """An ASGI application on a free port of loopback; gives its address."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="on", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
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


def json_app(settings: Settings) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_runtime(settings, SystemClock()) as runtime:
            state = app.state
            state.db, state.clock, state.catalog, state.settings = runtime.db, runtime.clock, runtime.catalog, settings
            state.storage, state.ingest = runtime.storage, runtime.ingest
            state.mailer, state.account_hooks = runtime.mailer, runtime.hooks
            state.events = EventHub(runtime.listener)
            await runtime.listener.start()
            await state.events.start()
            yield
            await state.events.close()

    app = FastAPI(lifespan=lifespan)
    app.state.settings = settings
    for router in (
        gesso.accounts.routes.router, gesso.credits.routes.router, gesso.generation.routes.router,
        gesso.generation.events.router, gesso.generation.webhooks.router, gesso.media.routes.router,
    ):  # fmt: skip
        app.include_router(router)

    async def page(*_: Any) -> Any:
        raise AssertionError("no pages here")

    errors.install(app, page)
    return app


def settings_for(database_url: str, folder: Path, sandbox_url: str, **site: Any) -> Settings:
    return Settings(
        site=SiteSettings(env="test", secret_key=SecretStr(SECRET), data_dir=folder, sandbox_url=sandbox_url, **site),
        database=DatabaseSettings().model_copy(update={"url": SecretStr(database_url), "pool_size": 20}),
        storage=StorageSettings(url=(folder / "files").as_uri()),
    )


async def seed_catalogue(settings: Settings) -> None:
    db = open_database(settings)
    async with db.elevated("test: seed") as tx:
        await seed(tx, settings, load_edition(settings.site.edition))
    await db.close()


@contextlib.asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    """A worker in this process, for as long as the block lasts."""
    tasks = Tasks()
    worker = asyncio.create_task(run_worker(settings, tasks=tasks))
    try:
        yield
    finally:
        tasks.stopping.set()
        await asyncio.wait_for(worker, 20)


@dataclass
class Person:
    """Somebody signed in, with their client."""

    house: "House"
    actor: Actor
    http: httpx2.AsyncClient

    async def submit(
        self, prompt: str = "a lighthouse at dusk", *, key: str | None = None, **body: Any
    ) -> httpx2.Response:
        headers = {"Idempotency-Key": key} if key else {}
        given = {"model": FAST, "prompt": prompt, "count": 1, **body}
        return await self.http.post("/api/generate/image", json=given, headers=headers)

    async def asked(self, prompt: str = "a lighthouse at dusk", **body: Any) -> UUID:
        answer = await self.submit(prompt, **body)
        assert answer.status_code == 202, answer.text
        return UUID(answer.json()["id"])

    async def status(self, generation_id: UUID) -> dict[str, Any]:
        answer = await self.http.get(f"/api/generate/status/{generation_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, generation_id: UUID, condition: Any, seconds: float = 30) -> dict[str, Any]:
        """The status as soon as `condition(status)` holds."""
        async with asyncio.timeout(seconds):
            while True:
                status = await self.status(generation_id)
                if condition(status):
                    return status
                await asyncio.sleep(0.05)

    async def ended(self, generation_id: UUID, seconds: float = 40) -> dict[str, Any]:
        return await self.until(
            generation_id, lambda status: status["status"] in ("succeeded", "failed", "cancelled"), seconds
        )

    async def made(self, prompt: str = "a lighthouse at dusk", **body: Any) -> dict[str, Any]:
        """Ask, and wait for the end."""
        return await self.ended(await self.asked(prompt, **body))

    async def wallet(self) -> tuple[str, str]:
        """(balance, held) as the API says."""
        answer = (await self.http.get("/api/credits")).json()
        return answer["balance"], answer["held"]


@dataclass
class House:
    """Everything that runs, and how to look behind it."""

    settings: Settings
    db: Database
    url: str
    sandbox_url: str
    clients: list[httpx2.AsyncClient] = field(default_factory=list)

    async def person(self, name: str = "Ada", *, credits_: int = 100) -> Person:
        actor = await make_user(self.db, name)
        if credits_:
            async with self.db.workspace(actor.workspace_id, actor.user_id) as tx:
                await credits.grant(
                    tx, actor.workspace_id, unit="credit", amount=credits_ * MICRO, source="operator",
                    key=f"test:{new_id()}", reason="for the test",
                )  # fmt: skip
        client = httpx2.AsyncClient(base_url=self.url, timeout=60)
        client.cookies.set(COOKIE, await session_token(self.db, actor))
        self.clients.append(client)
        return Person(self, actor, client)

    async def rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows as an operator would see them."""
        async with self.db.elevated("test: look behind") as tx:
            return [dict(row) for row in await tx.fetch(sql, *args)]

    async def attempts(self, generation_id: UUID) -> list[dict[str, Any]]:
        return await self.rows("SELECT * FROM attempt WHERE generation_id = $1 ORDER BY id", generation_id)

    async def wrong(self) -> tuple[Mismatch, ...]:
        """What is wrong with the ledger; empty when nothing is."""
        async with self.db.elevated("test: verify") as tx:
            return await credits.verify(tx)

    async def open_holds(self) -> int:
        return int((await self.rows("SELECT count(*) AS n FROM credit_hold WHERE state = 'open'"))[0]["n"])

    async def bill(self) -> dict[str, dict[str, Any]]:
        """The sandbox's own bill, by request id."""
        async with httpx2.AsyncClient() as client:
            answer = (await client.get(f"{self.sandbox_url}/_bill")).json()
        return {line["request_id"]: line for line in answer["jobs"]}


@contextlib.asynccontextmanager
async def opened(settings: Settings, *, worker: bool = True) -> AsyncIterator[House]:
    """The house on free ports. The sandbox of `settings` must be running."""
    await seed_catalogue(settings)
    db = open_database(settings)
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(served(json_app(settings)))
        if worker:
            await stack.enter_async_context(working(settings))
        house = House(settings, db, url, settings.site.sandbox_url or "")
        yield house
        for client in house.clients:
            await client.aclose()
    await db.close()
