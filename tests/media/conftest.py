"""The room's routers in an application of their own, on the real database and a store in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from gesso.accounts.access import Actor, find_actor
from gesso.catalog.editions.edition import Welcome
from gesso.core.clock import Clock, SystemClock
from gesso.core.settings import Settings, SiteSettings, StorageSettings
from gesso.db import Database
from gesso.media import files, pages, routes
from gesso.media.service import Ingest
from gesso.media.storage import Storage
from gesso.media.terms import Terms
from gesso.web import errors
from gesso.web.errors import Problem
from gesso.web.security import SecurityMiddleware
from gesso.web.shell import NavItem, Shell
from tests.bucket import Bucket, moto_server
from tests.cast import make_user, sign_in

PLANS = {
    "free": Terms(),
    "marked": Terms(marked=True),
    "month": Terms(days=30),
    "marked-month": Terms(marked=True, days=30),
    "year": Terms(days=365),
}.__getitem__
"""Terms of the plans in this room's tests."""

NewClient = Callable[[Actor | None], Awaitable[httpx2.AsyncClient]]


def media_app(db: Database, storage: Storage, ingest: Ingest, clock: Clock) -> FastAPI:
    """What the composer does, as far as this room needs it."""

    async def error_page(request: Request, status: int, problem: Problem) -> Response:
        return HTMLResponse(f"<!doctype html><h1>{problem.title}</h1><p>{problem.detail}</p>", status)

    async def shell(request: Request) -> Shell | None:
        actor = await find_actor(request)
        nav = (NavItem("Create", "/create", "sparkles"), NavItem("Gallery", "/gallery", "image"))
        return actor and Shell(actor.name, actor.email, actor.workspace_name, 1_284_000_000, False, False, nav)

    app = FastAPI()
    app.state.db, app.state.storage, app.state.ingest, app.state.clock = db, storage, ingest, clock
    app.state.shell = shell
    app.state.modules = lambda: ("image", "video", "gallery")
    app.state.welcome = Welcome
    app.state.terms = PLANS
    app.state.settings = Settings(
        site=SiteSettings(env="test", base_url="http://gesso.test"),
        storage=StorageSettings(max_upload_bytes=2**20),
    )
    for router in (routes.router, files.router, pages.router):
        app.include_router(router)
    errors.install(app, error_page)
    app.add_middleware(SecurityMiddleware, origin="http://gesso.test", secure=False, max_body_bytes=2**21)
    return app


@pytest.fixture
def storage() -> Storage:
    return Storage.from_url("memory://")


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def bucket(moto: str) -> Bucket:
    return Bucket(moto).make()


@pytest.fixture(scope="session")
def ingest() -> Iterator[Ingest]:
    pool = Ingest(2)
    yield pool
    pool.close()


@pytest.fixture
def app(db: Database, storage: Storage, ingest: Ingest) -> FastAPI:
    return media_app(db, storage, ingest, SystemClock())


@pytest.fixture
async def new_client(app: FastAPI, db: Database) -> AsyncIterator[NewClient]:
    """Browsers, signed in as someone or as nobody."""
    opened: list[httpx2.AsyncClient] = []

    async def make(actor: Actor | None) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        client = httpx2.AsyncClient(transport=transport, base_url="http://gesso.test")
        opened.append(client)
        if actor:
            await sign_in(client, db, actor)
        return client

    yield make
    for client in opened:
        await client.aclose()


@pytest.fixture
async def ada(db: Database) -> Actor:
    return await make_user(db, "Ada Kovac")


@pytest.fixture
async def client(new_client: NewClient, ada: Actor) -> httpx2.AsyncClient:
    """Ada's browser."""
    return await new_client(ada)
