"""A change is live in every process without a restart: two webs and two workers.

One web and one worker run in this process, each with parts of its own, the others as processes of their own.
`python -m bench.live` measures how soon, with four processes.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gesso.db import Database
from gesso.db.embedded import EmbeddedPostgres
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.cast import make_user, sign_in
from tests.conftest import SECRET, create_database
from tests.deploy.webs import MODEL, serving, somebody, until_up, wish
from tests.product import running, running_worker, served, settings_for

GOOD = "good-id:key-0123456789"
SOON = 25.0
"""Seconds. Without the notice a process would find out by itself only after 30 (catalog.registry.POLL_SECONDS)."""


@dataclass
class Cluster:
    """Two webs and two workers on one database, an operator at this process' web and a user at the other.

    `apart` is the worker that is a process of its own; `here` ends the one of this process.
    """

    db: Database
    apart: subprocess.Popen[bytes]
    here: contextlib.AsyncExitStack
    operator: httpx2.AsyncClient
    user: httpx2.AsyncClient

    async def change(self, **new: Any) -> None:
        """Change the model at the first web."""
        at = f"/api/admin/models/{MODEL}"
        old = (await self.operator.get(at)).json()
        body = {name: value for name, value in old.items() if name not in ("key", "kind")}
        answer = await self.operator.put(at, json={**body, **new})
        assert answer.status_code == 200, answer.text


@contextlib.contextmanager
def working(database_url: str, folder: Path, sandbox: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker as a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not re.match("GESSO_|DATABASE_URL|FAL_|PYTEST_", name)}
    ours = {
        "DATABASE_URL": database_url, "GESSO_SECRET_KEY": SECRET, "GESSO_ENV": "test", "GESSO_DATA_DIR": str(folder),
        "GESSO_SANDBOX_URL": sandbox,
    }  # fmt: skip
    with (folder / f"worker-{uuid.uuid4().hex[:6]}.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "gesso", "work"], env=kept | ours, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
async def cluster(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    url = await create_database(postgres, f"gesso_live_{uuid.uuid4().hex[:12]}", template)
    folder = Path(tmp_path_factory.mktemp("live"))
    async with served(create_sandbox(pace=Pace(0.05, 0.1, 0.2), workers=1)) as sandbox:
        settings = settings_for(url, folder, sandbox)
        async with running(settings, worker=False) as product:
            with (
                serving(url, folder, GESSO_SANDBOX_URL=sandbox) as other,
                working(url, folder, sandbox) as apart,
            ):
                async with contextlib.AsyncExitStack() as here:
                    await here.enter_async_context(running_worker(settings))
                    await until_up(other)
                    operator = await make_user(product.db, "Olga", operator=True)
                    async with product.client() as olga, other.client(await somebody(product.db, plan="pro")) as ada:
                        await sign_in(olga, product.db, operator)
                        async with asyncio.timeout(60):
                            while await seen_workers(product.db) < 2:
                                await asyncio.sleep(0.1)
                        yield Cluster(product.db, apart, here, olga, ada)


@contextlib.contextmanager
def stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A process that does nothing for as long as the block lasts."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


async def seen_workers(db: Database) -> int:
    async with db.elevated("test: workers") as tx:
        return int(await tx.fetchval("SELECT count(*) FROM worker_seen"))


async def connection_used(cluster: Cluster) -> str:
    """Through which connection a picture that is asked for now is made."""
    asked = await cluster.user.post("/api/generate/image", json=wish())
    assert asked.status_code == 202, asked.text
    async with asyncio.timeout(30):
        while True:
            async with cluster.db.elevated("test: calls") as tx:
                found = await tx.fetchval(
                    "SELECT c.key FROM attempt a JOIN connection c ON c.id = a.connection_id"
                    " WHERE a.generation_id = $1::uuid ORDER BY a.id LIMIT 1",
                    asked.json()["id"],
                )
            if found is not None:
                return str(found)
            await asyncio.sleep(0.02)


async def test_prices_order_and_switches_at_the_other_web(cluster: Cluster) -> None:
    async def price() -> str:
        told = await cluster.user.post("/api/generate/estimate", json={"kind": "image", **wish()})
        return str(told.json()["price"]["credits"]) if told.status_code == 200 else "off"

    async def first() -> str:
        return str((await cluster.user.get("/api/models")).json()["items"][0]["key"])

    async with asyncio.timeout(SOON):
        await cluster.change(price={"credits": "1.25"})
        while await price() != "1.25":
            await asyncio.sleep(0.02)
    async with asyncio.timeout(SOON):
        await cluster.operator.put(f"/api/admin/models/{MODEL}/enabled", json={"enabled": False})
        while await price() != "off":
            await asyncio.sleep(0.02)
    async with asyncio.timeout(SOON):
        await cluster.operator.put(f"/api/admin/models/{MODEL}/enabled", json={"enabled": True})
        await cluster.operator.put("/api/admin/models/order", json={"keys": ["flux-schnell"]})
        while await price() != "1.25" or await first() != "flux-schnell":
            await asyncio.sleep(0.02)


async def test_each_worker_follows_another_connection_and_another_key(cluster: Cluster) -> None:
    spare = {"key": "spare", "adapter": "fal", "name": "Spare", "sandbox": True}
    keyed = {"key": "keyed", "adapter": "fal", "name": "Keyed", "sandbox": True, "api_key": GOOD}
    for body in (spare, keyed):
        assert (await cluster.operator.post("/api/admin/connections", json=body)).status_code == 201
    assert await connection_used(cluster) == "fal"
    with stopped(cluster.apart):
        await the_only_worker_follows(cluster)
    await cluster.change(connection="fal")
    await cluster.here.aclose()
    await the_only_worker_follows(cluster)


async def the_only_worker_follows(cluster: Cluster) -> None:
    """The one that works uses the connection a model was moved to, and the key the connection was given."""
    async with asyncio.timeout(SOON):
        await cluster.change(connection="spare")
        while await connection_used(cluster) != "spare":
            await asyncio.sleep(0.02)
    async with asyncio.timeout(SOON):
        await cluster.change(connection="keyed")
        while await connection_used(cluster) != "keyed":
            await asyncio.sleep(0.02)
    for api_key, state in (("wrong", "failed"), (f"{GOOD}-again", "succeeded")):
        given = await cluster.operator.put(
            "/api/admin/connections/keyed", json={"name": "Keyed", "sandbox": True, "api_key": api_key}
        )
        assert given.status_code == 200 and given.json()["sandbox"] is True
        async with asyncio.timeout(SOON + 20):
            while (await outcome(cluster))[0] != state:
                await cluster.operator.post("/api/admin/connections/keyed/resume")


async def outcome(cluster: Cluster) -> tuple[str, str | None]:
    """How the first call of a picture that is asked for now ends: its state and what was wrong."""
    asked = await cluster.user.post("/api/generate/image", json=wish())
    assert asked.status_code == 202, asked.text
    async with asyncio.timeout(30):
        while True:
            async with cluster.db.elevated("test: calls") as tx:
                row = await tx.fetchrow(
                    "SELECT state, error_kind FROM attempt WHERE generation_id = $1::uuid AND finished_at IS NOT NULL"
                    " ORDER BY id LIMIT 1",
                    asked.json()["id"],
                )
            if row is not None:
                return row["state"], row["error_kind"]
            await asyncio.sleep(0.02)
