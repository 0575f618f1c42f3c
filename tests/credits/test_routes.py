"""The JSON answers."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI, Request, Response

from gesso.core.clock import SystemClock
from gesso.core.ids import new_id
from gesso.core.money import MICRO, OutputAsk
from gesso.core.settings import Settings
from gesso.credits import routes, service
from gesso.db import Database
from gesso.web.errors import Problem, install
from tests.cast import add_member, make_user, sign_in
from tests.credits.conftest import Wallet


async def _page(request: Request, status: int, problem: Problem) -> Response:
    return Response(problem.detail, status)


@pytest.fixture
async def client(db: Database) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI()
    app.state.db, app.state.clock, app.state.settings = db, SystemClock(), Settings()
    app.include_router(routes.router)
    install(app, _page)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://gesso.test") as client:
        yield client


async def _spend(wallet: Wallet) -> str:
    """Two credits, one of them captured, by the real clock."""
    hold_id, subject_id = new_id(), new_id()
    async with wallet.db.workspace(wallet.workspace_id, wallet.owner.user_id) as tx:
        at = await tx.fetchval("SELECT now() + interval '1 hour'")
        await service.hold(
            tx, hold_id=hold_id, subject_id=subject_id, asks=[OutputAsk(MICRO), OutputAsk(MICRO)], expires_at=at
        )
        await service.capture(tx, hold_id, 0)
    return str(subject_id)


async def _grant(wallet: Wallet, unit: str, amount: int) -> None:
    async with wallet.db.workspace(wallet.workspace_id) as tx:
        await service.grant(
            tx, wallet.workspace_id, unit=unit, amount=amount, source="sign_up", key=unit, reason="Welcome"
        )


async def test_credits(client: httpx2.AsyncClient, wallet: Wallet) -> None:
    await _grant(wallet, "credit", 25 * MICRO)
    await _grant(wallet, "image", 3)
    await _spend(wallet)
    await sign_in(client, wallet.db, wallet.owner)
    answer = (await client.get("/api/credits")).json()
    lots = answer.pop("lots")
    assert answer == {"balance": "23", "held": "1", "allowances": {"image": 3}}
    assert [(lot["unit"], lot["remaining"], lot["amount"], lot["source"], lot["expires_at"]) for lot in lots] == [
        ("credit", "23", "25", "sign_up", None),
        ("image", "3", "3", "sign_up", None),
    ]


async def test_history(client: httpx2.AsyncClient, wallet: Wallet) -> None:
    await _grant(wallet, "credit", 2_500_000)
    subject = await _spend(wallet)
    await sign_in(client, wallet.db, wallet.owner)
    first = (await client.get("/api/credits/history", params={"limit": 1})).json()
    (spend,) = first["items"]
    assert (spend["kind"], spend["credits"], spend["subject_id"], spend["outputs"]) == ("spend", "-1", subject, 1)
    second = (await client.get("/api/credits/history", params={"cursor": first["next"]})).json()
    (grant,) = second["items"]
    assert (grant["kind"], grant["credits"], grant["reason"], second["next"]) == ("grant", "2.5", "Welcome", None)


async def test_a_member_sees_own_spending_and_an_admin_all(client: httpx2.AsyncClient, wallet: Wallet) -> None:
    await _grant(wallet, "credit", 25 * MICRO)
    await _spend(wallet)
    ben = await add_member(wallet.db, wallet.owner, await make_user(wallet.db, "Ben"))
    await sign_in(client, wallet.db, ben)
    seen = (await client.get("/api/credits/history")).json()["items"]
    assert [item["kind"] for item in seen] == ["grant"]


async def test_strangers_and_nonsense(client: httpx2.AsyncClient, wallet: Wallet) -> None:
    for path in ("/api/credits", "/api/credits/history"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
        assert answer.headers["content-type"] == "application/problem+json"
    await sign_in(client, wallet.db, wallet.owner)
    for params in ({"limit": "0"}, {"limit": "1000"}, {"limit": "many"}, {"cursor": "x" * 300}, {"cursor": "%00"}):
        answer = await client.get("/api/credits/history", params=params)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input"), params
