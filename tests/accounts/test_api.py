"""Accounts through `/api/auth`: whole flows, and everything that must not work."""

import asyncio
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI

from gesso.accounts.access import COOKIE, VerifiedActor
from gesso.core.clock import FixedClock
from gesso.core.settings import LimitSettings, MailSettings, Settings
from gesso.db import Database
from tests.cast import PASSWORD, make_user, sign_in

Outbox = Callable[[str], Awaitable[list[str]]]
NewClient = Callable[[], httpx2.AsyncClient]


def address(name: str = "ada") -> str:
    return f"{name}.{secrets.token_hex(4)}@example.test"


async def sign_up(client: httpx2.AsyncClient, email: str, **more: object) -> httpx2.Response:
    body = {"email": email, "password": PASSWORD, "name": "Ada Keller", **more}
    # escaped by the standard library, which lets lone surrogates through as an attacker would
    headers = {"Content-Type": "application/json"}
    return await client.post("/api/auth/signup", content=json.dumps(body), headers=headers)


async def test_sign_up_makes_a_person_a_workspace_and_a_session(
    client: httpx2.AsyncClient, signed_up: list[UUID]
) -> None:
    email = address()
    answer = await sign_up(client, email)
    assert answer.status_code == 201
    body = answer.json()
    assert body["user"]["email"] == email
    assert body["user"]["is_operator"] is False
    assert body["workspace"]["name"] == "Ada’s workspace"
    assert body["workspace"]["plan"] == "free"
    assert body["role"] == "admin"
    assert signed_up == [UUID(body["workspace"]["id"])]
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie
    assert "Secure" not in cookie  # the site is plain http here
    assert "Max-Age" not in cookie  # gone when the browser closes
    assert (await client.get("/api/auth/me")).json() == body


async def test_stay_signed_in_keeps_the_cookie_for_thirty_days(client: httpx2.AsyncClient) -> None:
    answer = await sign_up(client, address(), stay_signed_in=True)
    assert "Max-Age=2592000" in answer.headers["set-cookie"]


async def test_a_failing_hook_leaves_nothing_behind(app: FastAPI, client: httpx2.AsyncClient, db: Database) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("the grant failed")

    app.state.account_hooks.on_sign_up.append(fail)
    email = address()
    assert (await sign_up(client, email)).status_code == 500
    async with db.elevated("test") as tx:
        assert await tx.fetchval("SELECT count(*) FROM app_user WHERE email = $1", email) == 0


async def test_a_taken_address_is_refused_whatever_its_spelling(client: httpx2.AsyncClient) -> None:
    email = address()
    await sign_up(client, email)
    answer = await sign_up(client, f"  {email.upper()} ")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"] == [{"field": "email", "message": "This address already has an account."}]
    assert answer.json()["code"] == "email_taken"


async def test_two_sign_ups_at_once_make_one_account(new_client: NewClient) -> None:
    email = address()
    async with new_client() as one, new_client() as two:
        answers = await asyncio.gather(sign_up(one, email), sign_up(two, email))
    assert sorted(answer.status_code for answer in answers) == [201, 409]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "ada@"), ("email", "ada"), ("email", ""), ("email", "a\x00b@example.test"), ("email", "x" * 400),
        ("email", "ada@example.test\nBcc: ben@example.test"),
        ("password", "short"), ("password", "x" * 201), ("password", "Password-123"), ("password", "aaaaaaaaaaaa"),
        ("password", "\ud800" * 12), ("name", ""), ("name", "   "), ("name", "x" * 81), ("name", "a\x00b"),
        ("email", None), ("password", 12345678901), ("name", ["Ada"]),
    ],
)  # fmt: skip
async def test_bad_input_names_its_field(client: httpx2.AsyncClient, field: str, value: object) -> None:
    answer = await sign_up(client, **{"email": address(), field: value})  # type: ignore[arg-type]
    assert answer.status_code == 422, answer.text
    assert [problem["field"] for problem in answer.json()["errors"]] == [field]
    assert COOKIE not in answer.headers.get("set-cookie", "")


async def test_every_wrong_field_is_named_at_once(client: httpx2.AsyncClient) -> None:
    answer = await sign_up(client, "nowhere", password="short", name=" ")
    assert {problem["field"] for problem in answer.json()["errors"]} == {"email", "password", "name"}


async def test_the_address_is_no_password(client: httpx2.AsyncClient) -> None:
    email = address("a.rather.long.name")
    answer = await sign_up(client, email, password=email.upper())
    assert answer.json()["errors"][0]["field"] == "password"


async def test_signing_in_and_out(client: httpx2.AsyncClient, db: Database) -> None:
    ada = await make_user(db, "Ada")
    answer = await client.post("/api/auth/login", json={"email": ada.email.upper(), "password": PASSWORD})
    assert answer.status_code == 200
    token = client.cookies[COOKIE]
    assert (await client.get("/api/auth/me")).json()["user"]["id"] == str(ada.user_id)
    assert (await client.post("/api/auth/logout")).status_code == 204
    assert COOKIE not in client.cookies
    client.cookies.set(COOKIE, token, domain="gesso.test", path="/")
    assert (await client.get("/api/auth/me")).status_code == 401
    assert (await client.post("/api/auth/logout")).status_code == 204


async def test_signing_in_again_replaces_the_token(client: httpx2.AsyncClient, db: Database) -> None:
    ada = await make_user(db)
    await sign_in(client, db, ada)
    before = client.cookies[COOKIE]
    await client.post("/api/auth/login", json={"email": ada.email, "password": PASSWORD})
    assert client.cookies[COOKIE] != before
    assert (await client.get("/api/auth/me")).status_code == 200
    client.cookies.set(COOKIE, before, domain="gesso.test", path="/")
    assert (await client.get("/api/auth/me")).status_code == 401


async def test_a_cookie_planted_by_an_attacker_is_never_taken_up(client: httpx2.AsyncClient, db: Database) -> None:
    planted = secrets.token_urlsafe(32)
    client.cookies.set(COOKIE, planted, domain="gesso.test", path="/")
    ada = await make_user(db)
    await client.post("/api/auth/login", json={"email": ada.email, "password": PASSWORD})
    assert client.cookies[COOKIE] != planted


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "\udc80", "é" * 43, "../../etc/passwd", "x" * 5000])
async def test_forged_cookies_are_nobody(client: httpx2.AsyncClient, token: str) -> None:
    cookie = f"{COOKIE}=".encode() + token.encode(errors="surrogateescape")
    answer = await client.get("/api/auth/me", headers={b"Cookie": cookie})
    assert answer.status_code == 401
    assert answer.json()["code"] == "not_signed_in"


async def test_sessions_end_by_the_clock(client: httpx2.AsyncClient, db: Database, clock: FixedClock) -> None:
    ada = await make_user(db)
    await client.post("/api/auth/login", json={"email": ada.email, "password": PASSWORD})
    clock.advance(timedelta(hours=23))
    assert (await client.get("/api/auth/me")).status_code == 200
    clock.advance(timedelta(hours=2))
    assert (await client.get("/api/auth/me")).status_code == 401


async def test_a_disabled_or_removed_person_is_out_at_once(client: httpx2.AsyncClient, db: Database) -> None:
    ada = await make_user(db)
    await sign_in(client, db, ada)
    async with db.elevated("test") as tx:
        await tx.execute_raw("UPDATE app_user SET disabled_at = now() WHERE id = $1", ada.user_id)
    assert (await client.get("/api/auth/me")).status_code == 401
    answer = await client.post("/api/auth/login", json={"email": ada.email, "password": PASSWORD})
    assert answer.status_code == 401

    ben = await make_user(db, "Ben")
    await sign_in(client, db, ben)
    async with db.workspace(ben.workspace_id, ben.user_id) as own:
        await own.execute_raw("DELETE FROM membership WHERE user_id = $1", ben.user_id)
    assert (await client.get("/api/auth/me")).status_code == 401


async def test_last_seen_is_written_every_five_minutes_at_most(
    client: httpx2.AsyncClient, db: Database, clock: FixedClock
) -> None:
    ada = await make_user(db, at=clock.now())
    client.cookies.clear()
    await client.post("/api/auth/login", json={"email": ada.email, "password": PASSWORD})
    start = clock.now()

    async def last_seen() -> object:
        async with db.workspace(ada.workspace_id, ada.user_id) as tx:
            return await tx.fetchval("SELECT max(last_seen_at) FROM login_session")

    clock.advance(timedelta(minutes=4))
    await client.get("/api/auth/me")
    assert await last_seen() == start
    clock.advance(timedelta(minutes=1))
    await client.get("/api/auth/me")
    assert await last_seen() == clock.now()


async def test_unknown_addresses_and_wrong_passwords_look_the_same(client: httpx2.AsyncClient, db: Database) -> None:
    ada = await make_user(db)
    wrong = await client.post("/api/auth/login", json={"email": ada.email, "password": "not the password"})
    unknown = await client.post("/api/auth/login", json={"email": address(), "password": "not the password"})
    nonsense = await client.post("/api/auth/login", json={"email": "\x00", "password": "\x00"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["errors"] == [{"field": "password", "message": "Does not match. 4 tries left."}]
    assert nonsense.status_code == 401


async def test_guessing_is_stopped_and_a_success_forgives(client: httpx2.AsyncClient, db: Database) -> None:
    ada = await make_user(db)

    async def try_in(password: str) -> httpx2.Response:
        return await client.post("/api/auth/login", json={"email": ada.email, "password": password})

    assert [(await try_in("wrong wrong")).status_code for _ in range(4)] == [401] * 4
    assert (await try_in(PASSWORD)).status_code == 200
    answers = [await try_in("wrong wrong") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert answers[4].json()["tries_left"] == 0
    assert int(answers[5].headers["retry-after"]) > 0
    assert (await try_in(PASSWORD)).status_code == 429


async def test_guessing_at_once_gets_no_further_than_in_a_row(client: httpx2.AsyncClient, db: Database) -> None:
    ada = await make_user(db)
    answers = await asyncio.gather(
        *(
            client.post("/api/auth/login", json={"email": ada.email, "password": f"guess number {number}"})
            for number in range(12)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 7


async def test_resetting_a_password(
    client: httpx2.AsyncClient, new_client: NewClient, db: Database, outbox: Outbox
) -> None:
    ada = await make_user(db)
    async with new_client() as elsewhere:
        await sign_in(elsewhere, db, ada)
        answer = await client.post("/api/auth/reset-password", json={"email": ada.email})
        assert answer.status_code == 202
        [mail] = await outbox(ada.email)
        token = re.search(r"http://gesso\.test/reset/(\S+)", mail).group(1)  # type: ignore[union-attr]

        weak = await client.post("/api/auth/reset-password/confirm", json={"token": token, "password": "short"})
        assert (weak.status_code, weak.json()["errors"][0]["field"]) == (422, "password")

        body = {"token": token, "password": "a different password"}
        answer = await client.post("/api/auth/reset-password/confirm", json=body)
        assert answer.status_code == 200
        assert answer.json()["user"]["email_verified"] is True  # they read the mail
        assert (await client.get("/api/auth/me")).status_code == 200
        assert (await elsewhere.get("/api/auth/me")).status_code == 401

        again = await elsewhere.post("/api/auth/reset-password/confirm", json=body)
        assert (again.status_code, again.json()["code"]) == (422, "link_gone")
        old = await elsewhere.post("/api/auth/login", json={"email": ada.email, "password": PASSWORD})
        new = await elsewhere.post("/api/auth/login", json={"email": ada.email, "password": body["password"]})
        assert (old.status_code, new.status_code) == (401, 200)
    assert "password of your account was changed" in (await outbox(ada.email))[-1]


async def test_a_reset_link_lives_thirty_minutes(
    client: httpx2.AsyncClient, db: Database, outbox: Outbox, clock: FixedClock
) -> None:
    ada = await make_user(db)
    await client.post("/api/auth/reset-password", json={"email": ada.email})
    token = re.search(r"/reset/(\S+)", (await outbox(ada.email))[0]).group(1)  # type: ignore[union-attr]
    clock.advance(timedelta(minutes=30))
    answer = await client.post(
        "/api/auth/reset-password/confirm", json={"token": token, "password": "a different password"}
    )
    assert answer.json()["code"] == "link_gone"


async def test_a_reset_token_counts_once_even_at_once(
    client: httpx2.AsyncClient, new_client: NewClient, db: Database, outbox: Outbox
) -> None:
    ada = await make_user(db)
    await client.post("/api/auth/reset-password", json={"email": ada.email})
    token = re.search(r"/reset/(\S+)", (await outbox(ada.email))[0]).group(1)  # type: ignore[union-attr]
    async with new_client() as other:
        answers = await asyncio.gather(
            *(
                browser.post(
                    "/api/auth/reset-password/confirm", json={"token": token, "password": f"password of {name}"}
                )
                for browser, name in ((client, "the first"), (other, "the second"))
            )
        )
    assert sorted(answer.status_code for answer in answers) == [200, 422]


async def test_asking_for_a_reset_tells_nothing(client: httpx2.AsyncClient, db: Database, outbox: Outbox) -> None:
    ada, nobody = await make_user(db), address("nobody")
    known = await client.post("/api/auth/reset-password", json={"email": ada.email})
    unknown = await client.post("/api/auth/reset-password", json={"email": nobody})
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    assert await outbox(nobody) == []
    for email in (ada.email, nobody):
        for _ in range(4):
            await client.post("/api/auth/reset-password", json={"email": email})
        assert (await client.post("/api/auth/reset-password", json={"email": email})).status_code == 429


async def test_no_answer_ever_holds_a_hash_or_a_token(client: httpx2.AsyncClient, outbox: Outbox) -> None:
    email = address()
    answers = [await sign_up(client, email), await client.get("/api/auth/me")]
    answers.append(await client.post("/api/auth/reset-password", json={"email": email}))
    token = re.search(r"/reset/(\S+)", (await outbox(email))[0]).group(1)  # type: ignore[union-attr]
    for answer in answers:
        assert "argon2" not in answer.text and token not in answer.text
        assert client.cookies[COOKIE] not in answer.text


class TestLimits:
    """Small limits, so that reaching them takes a few requests."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        limits = LimitSettings(signups_per_hour=2, login_attempts_per_address=3)
        return Settings(site=settings.site, limits=limits)

    async def test_one_address_cannot_make_accounts_without_end(
        self, client: httpx2.AsyncClient, new_client: NewClient
    ) -> None:
        assert [(await sign_up(client, address())).status_code for _ in range(3)] == [201, 201, 429]
        async with new_client() as elsewhere:
            assert (await sign_up(elsewhere, address())).status_code == 201

    async def test_one_network_address_cannot_try_many_accounts(
        self, client: httpx2.AsyncClient, new_client: NewClient, db: Database
    ) -> None:
        ada = await make_user(db)
        body = {"email": ada.email, "password": PASSWORD}
        for _ in range(3):
            wrong = {"email": address(), "password": "a common guess"}
            assert (await client.post("/api/auth/login", json=wrong)).status_code == 401
        assert (await client.post("/api/auth/login", json=body)).status_code == 429
        async with new_client() as elsewhere:
            assert (await elsewhere.post("/api/auth/login", json=body)).status_code == 200


async def test_where_addresses_are_to_be_confirmed_work_waits_for_it(
    app: FastAPI, client: httpx2.AsyncClient, db: Database
) -> None:
    @app.get("/api/work")
    async def work(actor: VerifiedActor) -> str:
        return actor.name

    ada = await make_user(db)
    assert (await client.get("/api/work")).status_code == 401
    await sign_in(client, db, ada)
    assert (await client.get("/api/work")).status_code == 200
    app.state.settings = Settings(site=app.state.settings.site, mail=MailSettings(verification=True))
    refused = await client.get("/api/work")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await tx.execute_raw("UPDATE app_user SET email_verified_at = now() WHERE id = $1", ada.user_id)
    assert (await client.get("/api/work")).status_code == 200
