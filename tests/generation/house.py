"""The product and a worker around a real sandbox, in this process, with people who have credits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from chaos.nursery import Nursery

from gesso.accounts.access import COOKIE, Actor
from gesso.app import create_app
from gesso.catalog.registry import CHANNEL
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.core.settings import Settings
from gesso.credits import service as credits
from gesso.credits.types import Mismatch
from gesso.db import Database
from gesso.runtime import open_database
from tests import product
from tests.cast import make_user, session_token
from tests.product import running_worker as working
from tests.product import served

__all__ = ["FAST", "House", "Person", "opened", "served", "settings_for", "working"]

FAST = "juggernaut-lightning"


def settings_for(database_url: str, folder: Path, sandbox_url: str) -> Settings:
    """Settings with a pool that many requests at once can share."""
    settings = product.settings_for(database_url, folder, sandbox_url)
    return replace(settings, database=settings.database.model_copy(update={"pool_size": 20}))


@dataclass
class Person:
    """Somebody signed in, with their client."""

    house: "House"
    actor: Actor
    http: httpx2.AsyncClient

    async def submit(
        self, prompt: str = "a lighthouse at dusk sandbox:small", *, key: str | None = None, **body: Any
    ) -> httpx2.Response:
        headers = {"Idempotency-Key": key} if key else {}
        given = {"model": FAST, "prompt": prompt, "count": 1, **body}
        return await self.http.post("/api/generate/image", json=given, headers=headers)

    async def asked(self, prompt: str = "a lighthouse at dusk sandbox:small", **body: Any) -> UUID:
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
                await asyncio.sleep(0.1)

    async def ended(self, generation_id: UUID, seconds: float = 40) -> dict[str, Any]:
        return await self.until(
            generation_id, lambda status: status["status"] in ("succeeded", "failed", "cancelled"), seconds
        )

    async def made(self, prompt: str = "a lighthouse at dusk sandbox:small", **body: Any) -> dict[str, Any]:
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
    app: Any
    stack: contextlib.AsyncExitStack
    clients: list[httpx2.AsyncClient] = field(default_factory=list)
    _nursery: Nursery | None = None

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

    async def nursery(self) -> Nursery:
        """What this house's worker processes are forked from; it lives as long as the house."""
        if self._nursery is None:
            log = self.settings.site.data_dir / "workers.log"
            self._nursery = await self.stack.enter_async_context(Nursery.opened(log))
        return self._nursery

    async def rows(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows as an operator would see them."""
        async with self.db.elevated("test: look behind") as tx:
            return [dict(row) for row in await tx.fetch(sql, *args)]

    async def park(self) -> None:
        """Keep what a killed worker left from the next ones, as if its lease held, until `release`."""
        await self.rows(
            """UPDATE generation SET driver = gen_random_uuid(), driven_until = now() + interval '1 hour'
               WHERE dispatched_at IS NOT NULL"""
        )

    async def release(self) -> None:
        """Let the next worker take up everything parked, at once: nobody waits for a lease to lapse."""
        await self.rows("UPDATE generation SET driver = NULL, driven_until = NULL WHERE driver IS NOT NULL")
        await self.rows("UPDATE pgqueuer SET execute_after = now() WHERE execute_after > now()")

    async def limit_connection(self, limits: str) -> None:
        """Set the limits of the sandbox's connection, as an operator would."""
        async with self.db.elevated("test: set limits") as tx:
            await tx.execute_raw("UPDATE connection SET limits = $1::text::jsonb WHERE key = 'fal'", limits)
            tx.notify_after_commit(CHANNEL, {})

    async def attempts(self, generation_id: UUID) -> list[dict[str, Any]]:
        return await self.rows("SELECT * FROM attempt WHERE generation_id = $1 ORDER BY id", generation_id)

    async def wrong(self) -> tuple[Mismatch, ...]:
        """What is wrong with the ledger; empty when nothing is."""
        async with self.db.elevated("test: verify") as tx:
            return await credits.verify(tx)

    async def bill(self) -> dict[str, dict[str, Any]]:
        """The sandbox's own bill, by request id."""
        async with httpx2.AsyncClient() as client:
            answer = (await client.get(f"{self.sandbox_url}/_bill")).json()
        return {line["request_id"]: line for line in answer["jobs"]}


@contextlib.asynccontextmanager
async def opened(settings: Settings, *, worker: bool = True) -> AsyncIterator[House]:
    """The house on free ports. The sandbox of `settings` must be running."""
    await product.seeded(settings)
    db = open_database(settings)
    async with db.elevated("test: an operator opens the free plan") as tx:
        await tx.execute_raw(
            "UPDATE plan SET parallel = 2, limits = '{}', advanced = true, watermark = false WHERE key = 'free'"
        )
    async with contextlib.AsyncExitStack() as stack:
        app = create_app(settings)
        url = await stack.enter_async_context(served(app))
        if worker:
            await stack.enter_async_context(working(settings))
        house = House(settings, db, url, settings.site.sandbox_url or "", app, stack)
        yield house
        for client in house.clients:
            await client.aclose()
    await db.close()
