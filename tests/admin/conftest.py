"""The product with its sandbox on a database of its own, an operator and a user."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from gesso.accounts.access import Actor
from gesso.app import create_app
from gesso.core.clock import SystemClock
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.credits import service as credits
from gesso.db import Database
from gesso.db.embedded import EmbeddedPostgres
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.cast import make_user, sign_in
from tests.conftest import create_database
from tests.product import Product, running, seeded, served, settings_for


@dataclass(frozen=True)
class Panel:
    """The running product, a browserless operator and a user with credits."""

    product: Product
    operator: httpx2.AsyncClient
    user: httpx2.AsyncClient
    olga: Actor
    ada: Actor

    async def audited(self, action: str) -> list[dict[str, Any]]:
        """What was written down under this name, newest first."""
        async with self.product.db.elevated("test: audit") as tx:
            rows = await tx.fetch(
                "SELECT user_id, detail FROM audit_event WHERE action = $1 ORDER BY created_at DESC", action
            )
        return [{"who": row["user_id"], **row["detail"]} for row in rows]

    async def until(self, true: Callable[[], Awaitable[object]]) -> None:
        """Wait until it is so: a change is live in a process within a second."""
        async with asyncio.timeout(20):
            while not await true():
                await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
async def product(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Product]:
    """Web, worker and sandbox."""
    url = await create_database(postgres, f"gesso_panel_{uuid.uuid4().hex[:12]}", template)
    pace = Pace(queue_seconds=0.05, paint_min_seconds=0.1, paint_max_seconds=0.2)
    async with served(create_sandbox(pace=pace, workers=1)) as sandbox:
        async with running(settings_for(url, Path(tmp_path_factory.mktemp("panel")), sandbox)) as found:
            yield found


@pytest.fixture
async def panel(product: Product) -> AsyncIterator[Panel]:
    """A fresh operator and a fresh user."""
    olga, ada = await make_user(product.db, "Olga", operator=True), await make_user(product.db, "Ada")
    async with product.db.workspace(ada.workspace_id, ada.user_id) as tx:
        await credits.grant(
            tx, ada.workspace_id, unit="credit", amount=100 * MICRO, source="operator", key=f"test:{new_id()}",
            reason="for the test",
        )  # fmt: skip
    async with product.client() as operator, product.client() as user:
        await sign_in(operator, product.db, olga)
        await sign_in(user, product.db, ada)
        yield Panel(product, operator, user, olga, ada)


@dataclass
class Office:
    """The web process alone, in this process: what is asked for stays queued, and nothing is waited for."""

    app: FastAPI
    db: Database
    stack: AsyncExitStack

    async def client(self, who: Actor | None = None) -> httpx2.AsyncClient:
        """Somebody's browser, which may act on the site; closed with the office."""
        url = self.app.state.settings.site.url
        transport = httpx2.ASGITransport(app=self.app, client=("192.0.2.9", 4711))
        client = httpx2.AsyncClient(transport=transport, base_url=url, headers={"Origin": url}, timeout=30)
        await self.stack.enter_async_context(client)
        if who is not None:
            await sign_in(client, self.db, who)
        return client

    async def person(self, name: str = "Ada", *, credits_: int = 0, **how: Any) -> Actor:
        """Somebody new, with so many credits from an operator."""
        who = await make_user(self.db, name, **how)
        if credits_:
            async with self.db.workspace(who.workspace_id, who.user_id) as tx:
                await credits.grant(
                    tx, who.workspace_id, unit="credit", amount=credits_ * MICRO, source="operator",
                    key=f"test:{new_id()}", reason="for the test",
                )  # fmt: skip
        return who

    async def operator(self) -> tuple[Actor, httpx2.AsyncClient]:
        """A fresh operator and their browser."""
        who = await make_user(self.db, "Olga", operator=True)
        return who, await self.client(who)

    async def noted(self, who: Actor, action: str = "") -> list[dict[str, Any]]:
        """What this operator did, newest first: action, from where, and its detail."""
        async with self.db.elevated("test: audit") as tx:
            rows = await tx.fetch(
                "SELECT action, host(ip) AS ip, detail FROM audit_event WHERE user_id = $1 AND workspace_id IS NULL"
                " AND ($2 = '' OR action = $2) AND action <> 'account.made_operator' ORDER BY id DESC",
                who.user_id, action,
            )  # fmt: skip
        return [{"action": row["action"], "ip": row["ip"], **row["detail"]} for row in rows]


@pytest.fixture(scope="session")
async def office(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    """One for all tests of people, money and the log."""
    url = await create_database(postgres, f"gesso_office_{uuid.uuid4().hex[:12]}", template)
    settings = settings_for(url, Path(tmp_path_factory.mktemp("office")), "http://127.0.0.1:9")
    await seeded(settings)
    app = create_app(settings, SystemClock())
    async with app.router.lifespan_context(app), AsyncExitStack() as stack:
        yield Office(app, app.state.db, stack)
