"""GET /api/models: everything a client needs, nothing about who is behind it."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI, Request, Response

from gesso.catalog.capabilities import check
from gesso.catalog.registry import Catalog
from gesso.catalog.routes import router
from gesso.core.clock import SystemClock
from gesso.core.money import Price
from gesso.db import Database
from gesso.web import errors
from tests.cast import make_user, sign_in
from tests.catalog.helpers import settings, studio_catalog


@pytest.fixture
async def catalog(fresh_db: Database) -> Catalog:
    return await studio_catalog(fresh_db)


@pytest.fixture
async def client(fresh_db: Database, catalog: Catalog) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser in front of this one route."""
    app = FastAPI()
    app.include_router(router)

    async def no_page(_: Request, status: int, __: errors.Problem) -> Response:
        return Response(status_code=status)

    errors.install(app, no_page)
    app.state.db, app.state.clock, app.state.catalog, app.state.settings = fresh_db, SystemClock(), catalog, settings()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as client:
        yield client


async def test_models_are_for_people_who_are_signed_in(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/models")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


async def test_models_say_what_they_accept_and_cost(
    client: httpx2.AsyncClient, fresh_db: Database, catalog: Catalog
) -> None:
    await sign_in(client, fresh_db, await make_user(fresh_db))
    answer = await client.get("/api/models")
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert [item["key"] for item in items] == [model.key for model in catalog.models()]
    first = items[0]
    assert set(first) == {
        "key", "kind", "name", "description", "capabilities", "price", "typical_seconds", "tags", "sample_url",
        "locked_by",
    }  # fmt: skip
    assert first["price"] == {"credits": "1", "allowances": {}, "outputs": [{"credits": "1"}]}
    assert Price.from_json(first["price"]).credits == 1_000_000
    assert list(first["capabilities"]["properties"])[:3] == ["prompt", "negative_prompt", "size"]
    check(
        catalog.model(first["key"]),
        {"prompt": "a lake", "size": first["capabilities"]["properties"]["size"]["default"]},
    )


async def test_nothing_tells_who_is_behind_a_model(
    client: httpx2.AsyncClient, fresh_db: Database, catalog: Catalog
) -> None:
    await sign_in(client, fresh_db, await make_user(fresh_db))
    text = (await client.get("/api/models")).text
    shown = " ".join(model.key for model in catalog.models())
    for model in catalog.models():
        connection = catalog.connection(model.connection_id)
        family = model.upstream.split("/")[0]
        owner = [] if family in shown else [family]  # some put a model's public name first: seedream/4.5-edit
        for word in (model.upstream, *owner, str(model.id), str(connection.id), f'"{connection.key}"', "wire", "0.045"):
            assert word not in text
