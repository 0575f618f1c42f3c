"""The room's routers in an application of their own, on the real database, with a clock that can be moved."""

import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from gesso.accounts import pages, routes, settings_pages
from gesso.accounts.access import find_actor
from gesso.accounts.hooks import AccountHooks
from gesso.accounts.mail import Mailer
from gesso.admin import outbox as outbox_page
from gesso.core.clock import FixedClock
from gesso.core.settings import MailSettings, Settings, SiteSettings
from gesso.db import Database, WorkspaceSession
from gesso.web import errors
from gesso.web.errors import Problem
from gesso.web.shell import Shell

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_hosts = itertools.count(1)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime.now(UTC))


@pytest.fixture
def settings() -> Settings:
    """As in development: no SMTP, no verification."""
    return Settings(site=SiteSettings(env="test", base_url="http://gesso.test"), mail=MailSettings())


@pytest.fixture
def signed_up() -> list[UUID]:
    """Workspaces the sign-up hook was called for."""
    return []


@pytest.fixture
async def app(db: Database, clock: FixedClock, settings: Settings, signed_up: list[UUID]) -> AsyncIterator[FastAPI]:
    async def note(tx: WorkspaceSession, workspace_id: UUID, user_id: UUID) -> None:
        assert (tx.workspace_id, tx.user_id) == (workspace_id, user_id)
        signed_up.append(workspace_id)

    async def error_page(request: Request, status: int, problem: Problem) -> Response:
        return HTMLResponse(f"<h1>{problem.title}</h1><p>{problem.detail}</p>", status)

    async def shell(request: Request) -> Shell | None:
        actor = await find_actor(request)
        if actor is None:
            return None
        return Shell(actor.name, actor.email, actor.workspace_name, 0, False, actor.is_operator, ())

    app = FastAPI()
    app.state.db, app.state.clock, app.state.settings = db, clock, settings
    app.state.shell = shell
    app.state.adult = lambda: False
    app.state.own_keys = lambda: False
    app.state.account_hooks = AccountHooks(default_plan=lambda: "free", on_sign_up=[note])
    app.state.mailer = Mailer(settings.mail, db, brand=lambda: "gesso", outbox=True, retry_seconds=())
    for router in (routes.router, pages.router, settings_pages.router, outbox_page.router):
        app.include_router(router)
    errors.install(app, error_page)
    yield app
    await app.state.mailer.drain()


@pytest.fixture
def new_client(app: FastAPI) -> Callable[[], httpx2.AsyncClient]:
    """Makes browsers, each at a network address of its own."""

    def make() -> httpx2.AsyncClient:
        number = next(_hosts)
        address = f"198.51.{number // 250}.{number % 250 + 1}"
        transport = httpx2.ASGITransport(app=app, client=(address, 4711), raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://gesso.test", headers={"User-Agent": FIREFOX})

    return make


@pytest.fixture
async def client(new_client: Callable[[], httpx2.AsyncClient]) -> AsyncIterator[httpx2.AsyncClient]:
    async with new_client() as client:
        yield client


@pytest.fixture
def outbox(db: Database, app: FastAPI) -> Callable[[str], object]:
    """Mails to an address, oldest first, once all mail under way has left."""

    async def read(recipient: str) -> list[str]:
        await app.state.mailer.drain()
        async with db.elevated("test: read the outbox") as tx:
            rows = await tx.fetch(
                "SELECT body_text FROM outbox_mail WHERE recipient = $1 ORDER BY created_at, id", recipient
            )
        return [row["body_text"] for row in rows]

    return read
