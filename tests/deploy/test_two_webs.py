"""What must hold whichever of two web servers is asked, and what a client may say of its own address."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from gesso.db import Database
from tests.cast import PASSWORD, make_user
from tests.deploy.webs import Web, listening, serving, somebody, until_up, wish
from tests.product import seeded, settings_for

PER_ADDRESS = 4
"""Wrong passwords from one network address before a pause."""


@pytest.fixture(scope="module")
async def webs(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Web, Web]]:
    """One that believes a proxy on this machine, one whose proxy is elsewhere."""
    folder: Path = tmp_path_factory.mktemp("webs")
    await seeded(settings_for(database_url, folder, "http://127.0.0.1:1"))
    limits = {"GESSO_LIMIT_LOGIN_ATTEMPTS_PER_ADDRESS": str(PER_ADDRESS)}
    with (
        serving(database_url, folder, **limits) as first,
        serving(database_url, folder, GESSO_WEB_TRUSTED_PROXIES="192.0.2.1,10.0.0.0/8", **limits) as second,
    ):
        await until_up(first, second)
        yield first, second


async def test_what_happens_at_one_is_told_at_the_other(webs: tuple[Web, Web], db: Database) -> None:
    first, second = webs
    token = await somebody(db)
    async with listening(second, token) as lines, first.client(token) as http:
        asked = await http.post("/api/generate/image", json=wish())
        assert asked.status_code == 202, asked.text
        async with asyncio.timeout(60):
            async for line in lines:
                if line.startswith("data: ") and asked.json()["id"] in line:
                    return
    raise AssertionError("the stream ended")


async def test_one_key_at_both_is_one_generation(webs: tuple[Web, Web], db: Database) -> None:
    token, key = await somebody(db), {"Idempotency-Key": str(uuid4())}
    async with webs[0].client(token) as one, webs[1].client(token) as other:
        both = [client.post("/api/generate/image", json=wish(), headers=key) for client in (one, other) * 4]
        answers = await asyncio.gather(*both)
        done = [answer.json()["id"] for answer in answers if answer.status_code == 202]
        assert {answer.status_code for answer in answers} <= {202, 409} and len(set(done)) == 1
        again = await other.post("/api/generate/image", json=wish(), headers=key)
        assert (again.status_code, again.json()["id"]) == (202, done[0])
        assert len((await one.get("/api/generate")).json()["items"]) == 1


async def test_wrong_passwords_count_at_both(webs: tuple[Web, Web], db: Database) -> None:
    email = f"nobody.{uuid4().hex}@example.test"
    async with webs[0].client(**forwarded("203.0.113.50")) as one, webs[1].client() as other:
        answers = [
            await client.post("/api/auth/login", json={"email": email, "password": "wrong, of course"})
            for client in (one, other, one, other, one, one, other)
        ]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2


async def test_who_is_no_trusted_proxy_cannot_claim_another_address(webs: tuple[Web, Web]) -> None:
    """Each try claims to come from elsewhere, and for another person: it is one address all the same."""
    statuses = [await wrong_password(webs[1], f"198.51.100.{number}") for number in range(PER_ADDRESS + 2)]
    assert statuses[0] == 401 and statuses[-1] == 429


async def test_behind_a_trusted_proxy_the_address_it_saw_counts(webs: tuple[Web, Web]) -> None:
    """What the client put in front of it is the client's claim."""
    claims = [f"198.51.100.{number}, 203.0.113.9" for number in range(PER_ADDRESS + 1)]
    statuses = [await wrong_password(webs[0], claim) for claim in claims]
    assert statuses == [401] * PER_ADDRESS + [429]
    assert await wrong_password(webs[0], "203.0.113.9, 203.0.113.10") == 401, "another client of the proxy is free"


async def test_the_real_address_is_what_is_remembered(webs: tuple[Web, Web], db: Database, database_url: str) -> None:
    actor = await make_user(db, "Ben")
    connection = await asyncpg.connect(database_url)
    email = await connection.fetchval("SELECT email FROM app_user WHERE id = $1", actor.user_id)
    async with webs[0].client(**forwarded("192.0.2.66, 203.0.113.77")) as http:
        answer = await http.post("/api/auth/login", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
    newest = "SELECT host(ip) FROM login_session WHERE user_id = $1 ORDER BY created_at DESC LIMIT 1"
    assert await connection.fetchval(newest, actor.user_id) == "203.0.113.77"
    await connection.close()


async def wrong_password(web: Web, claim: str) -> int:
    body = {"email": f"nobody.{uuid4().hex}@example.test", "password": "wrong, of course"}
    async with web.client(**forwarded(claim)) as http:
        return (await http.post("/api/auth/login", json=body)).status_code


def forwarded(claim: str) -> dict[str, str]:
    return {"X-Forwarded-For": claim}
