"""The pages as a browser without script uses them: forms, redirects, errors that keep what was typed."""

import html
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx2
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gesso.accounts.access import COOKIE
from gesso.accounts.mail import Mailer
from gesso.accounts.pages import destination
from gesso.accounts.views import device
from gesso.core.clock import FixedClock
from gesso.core.settings import MailSettings, Settings
from gesso.db import Database
from tests.accounts.test_api import address
from tests.cast import PASSWORD, make_user, sign_in

Outbox = Callable[[str], Awaitable[list[str]]]
NewClient = Callable[[], httpx2.AsyncClient]


async def test_a_stranger_signs_up_and_takes_the_prompt_along(client: httpx2.AsyncClient) -> None:
    prompt = "a kettle & two cups, 50 % steam"
    page = await client.get("/signup", params={"prompt": prompt})
    assert page.status_code == 200
    assert f'name="prompt" value="{html.escape(prompt)}"' in page.text
    login_link = html.unescape(re.search(r'href="(/login[^"]*)"', page.text).group(1))  # type: ignore[union-attr]
    assert httpx2.URL(login_link).params["prompt"] == prompt

    answer = await client.post(
        "/signup", data={"name": "Ada", "email": address(), "password": PASSWORD, "prompt": prompt}
    )
    assert answer.status_code == 303
    assert httpx2.URL(answer.headers["location"]).path == "/create"
    assert httpx2.URL(answer.headers["location"]).params["prompt"] == prompt
    assert "Max-Age=2592000" in answer.headers["set-cookie"]
    assert (await client.get("/settings")).status_code == 200


async def test_a_wrong_form_comes_back_with_what_was_typed(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/signup", data={"name": "Ada <b>", "email": "ada@", "password": "secretly"})
    assert answer.status_code == 422
    text = answer.text
    assert 'value="Ada &lt;b&gt;"' in text and 'value="ada@"' in text
    assert "secretly" not in text
    assert 'id="email-error"' in text and 'aria-describedby="email-error"' in text
    assert "2 things need fixing" in text
    assert COOKIE not in answer.headers.get("set-cookie", "")


async def test_a_taken_address_points_to_signing_in(client: httpx2.AsyncClient, db: Database) -> None:
    ada = await make_user(db)
    answer = await client.post("/signup", data={"name": "Ada", "email": ada.email, "password": PASSWORD})
    assert answer.status_code == 409
    assert "This address already has an account." in answer.text


async def test_signing_in_leads_back_where_one_wanted_to_be(client: httpx2.AsyncClient, db: Database) -> None:
    ada = await make_user(db)
    answer = await client.get("/settings/sessions")
    assert answer.headers["location"] == "/login?next=%2Fsettings%2Fsessions"
    page = await client.get(answer.headers["location"])
    assert 'name="next" value="/settings/sessions"' in page.text
    form = {"email": ada.email, "password": PASSWORD, "next": "/settings/sessions"}
    answer = await client.post("/login", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/sessions")
    assert "Max-Age" not in answer.headers["set-cookie"]
    assert (await client.get("/login")).headers["location"] == "/create"
    assert (await client.get("/signup")).headers["location"] == "/create"


async def test_a_wrong_password_says_how_many_tries_are_left(client: httpx2.AsyncClient, db: Database) -> None:
    ada = await make_user(db)
    answer = await client.post("/login", data={"email": ada.email, "password": "not it at all"})
    assert answer.status_code == 401
    assert "That e-mail and password do not match." in answer.text
    assert "Does not match. 4 tries left." in answer.text
    assert f'value="{ada.email}"' in answer.text
    for _ in range(5):
        answer = await client.post("/login", data={"email": ada.email, "password": "not it at all"})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "Too many wrong passwords" in answer.text


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.test/", "//evil.test", "/\\evil.test", "\\\\evil.test", "javascript:alert(1)",
        "/a\nSet-Cookie: x=1", "/login", "/login?next=/x", "/logout", "evil", "", " /create", "/\t/evil.test",
    ],
)  # fmt: skip
async def test_next_never_leads_off_the_site(client: httpx2.AsyncClient, db: Database, wanted: str) -> None:
    ada = await make_user(db)
    form = {"email": ada.email, "password": PASSWORD, "next": wanted}
    assert (await client.post("/login", data=form)).headers["location"] == "/create"


@given(st.text(), st.text())
def test_wherever_one_goes_it_is_a_path_of_this_site(next_path: str, prompt: str) -> None:
    url = destination(next_path, prompt)
    seen = httpx2.URL("http://gesso.test/login").join(url) if url.isascii() else None
    assert re.fullmatch(r"/(?![/\\])[^\s\\]*", url)
    assert seen is None or seen.host == "gesso.test"


async def test_signing_out(client: httpx2.AsyncClient, db: Database) -> None:
    ada = await make_user(db)
    await sign_in(client, db, ada)
    answer = await client.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert COOKIE not in client.cookies
    assert (await client.get("/settings")).headers["location"].startswith("/login")


async def test_the_whole_way_back_after_a_lost_password(
    client: httpx2.AsyncClient, db: Database, outbox: Outbox
) -> None:
    ada = await make_user(db)
    known = await client.post("/reset", data={"email": ada.email})
    unknown_address = address("nobody")
    unknown = await client.post("/reset", data={"email": unknown_address})
    assert known.status_code == unknown.status_code == 200
    assert known.text.replace(ada.email, "…") == unknown.text.replace(unknown_address, "…")

    url = re.search(r"http://gesso\.test(/reset/\S+)", (await outbox(ada.email))[0]).group(1)  # type: ignore[union-attr]
    form_page = await client.get(url)
    assert form_page.status_code == 200
    assert form_page.headers["referrer-policy"] == "no-referrer"
    assert (await client.post(url, data={"password": "short"})).status_code == 422
    answer = await client.post(url, data={"password": "an entirely new one"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/create")
    assert (await client.get("/settings")).status_code == 200
    assert (await client.get(url)).status_code == 410
    assert (await client.post(url, data={"password": "an entirely new one"})).status_code == 410
    assert (await client.post("/reset", data={"email": "ada@"})).status_code == 422


async def test_changing_name_and_address(client: httpx2.AsyncClient, db: Database, outbox: Outbox) -> None:
    ada, ben = await make_user(db), await make_user(db, "Ben")
    await sign_in(client, db, ada)
    assert (await client.post("/settings/name", data={"name": "  Ada   Lovelace "})).status_code == 303
    assert "Ada Lovelace" in (await client.get("/settings")).text
    assert (await client.post("/settings/name", data={"name": " "})).status_code == 422

    new = address("lovelace")
    wrong = await client.post("/settings/email", data={"email": new, "current_password": "not my password"})
    assert wrong.status_code == 422 and "This is not your password." in wrong.text and new in wrong.text
    taken = await client.post("/settings/email", data={"email": ben.email, "current_password": PASSWORD})
    assert taken.status_code == 409
    done = await client.post("/settings/email", data={"email": new.upper(), "current_password": PASSWORD})
    assert done.status_code == 303
    assert (await client.get("/api/auth/me")).json()["user"]["email"] == new
    assert "e-mail address of your account was changed" in (await outbox(ada.email))[0]


async def test_changing_the_password_ends_the_other_sessions(
    client: httpx2.AsyncClient, new_client: NewClient, db: Database
) -> None:
    ada = await make_user(db)
    await sign_in(client, db, ada)
    async with new_client() as elsewhere:
        await sign_in(elsewhere, db, ada)
        wrong = await client.post("/settings/password", data={"current_password": "no", "password": "a new one here"})
        assert wrong.status_code == 422
        weak = await client.post("/settings/password", data={"current_password": PASSWORD, "password": "1234567890"})
        assert weak.status_code == 422 and "first passwords anybody would try" in weak.text
        assert (await elsewhere.get("/api/auth/me")).status_code == 200
        done = await client.post(
            "/settings/password", data={"current_password": PASSWORD, "password": "a new one here"}
        )
        assert done.status_code == 303
        assert (await client.get("/api/auth/me")).status_code == 200
        assert (await elsewhere.get("/api/auth/me")).status_code == 401


async def test_guessing_the_current_password_is_stopped(client: httpx2.AsyncClient, db: Database) -> None:
    ada = await make_user(db)
    await sign_in(client, db, ada)
    form = {"current_password": "a wrong one", "password": "a new one here"}
    statuses = [(await client.post("/settings/password", data=form)).status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]


async def test_sessions_are_listed_and_end_at_once(
    client: httpx2.AsyncClient, new_client: NewClient, db: Database
) -> None:
    ada, ben = await make_user(db), await make_user(db, "Ben")
    await client.post("/login", data={"email": ada.email, "password": PASSWORD})
    async with new_client() as phone, new_client() as stranger:
        await phone.post("/login", data={"email": ada.email, "password": PASSWORD})
        await sign_in(stranger, db, ben)
        page = (await client.get("/settings/sessions")).text
        assert len(re.findall(r">Firefox on Linux\b", page)) == 2
        assert "198.51." in page and "This one" in page
        ids = re.findall(r"/settings/sessions/([0-9a-f-]{36})/end", page)
        assert len(ids) == 2  # the phone's and the one the cast opened
        for session_id in ids:
            assert (await stranger.post(f"/settings/sessions/{session_id}/end")).status_code == 404
        assert (await phone.get("/settings")).status_code == 200
        for session_id in ids:
            assert (await client.post(f"/settings/sessions/{session_id}/end")).status_code == 303
        assert (await phone.get("/settings")).status_code == 303
        assert (await client.get("/settings")).status_code == 200
        assert (await client.post(f"/settings/sessions/{ids[0]}/end")).status_code == 404

        await phone.post("/login", data={"email": ada.email, "password": PASSWORD})
        assert (await client.post("/settings/sessions/others/end")).status_code == 303
        assert (await phone.get("/settings")).status_code == 303
        assert (await client.get("/settings")).status_code == 200
        assert (await stranger.get("/settings")).status_code == 200


async def test_every_act_is_in_the_audit_log(client: httpx2.AsyncClient, db: Database, clock: FixedClock) -> None:
    ada = await make_user(db, at=clock.now() - timedelta(days=1))
    await client.post("/login", data={"email": ada.email, "password": PASSWORD})
    form = {"current_password": PASSWORD, "password": "a new one here"}
    await client.post("/settings/password", data=form)
    await client.post("/logout")
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        rows = await tx.fetch("SELECT action, host(ip) AS ip, detail::text FROM audit_event ORDER BY created_at, id")
    actions = [row["action"] for row in rows]
    assert actions == ["account.signed_up", "session.opened", "account.password_changed", "session.ended"]
    assert rows[1]["ip"].startswith("198.51.")
    assert not any(PASSWORD in row["detail"] for row in rows)


class TestWithConfirmation:
    """Where the site asks for a confirmed address."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return Settings(site=settings.site, mail=MailSettings(verification=True))

    async def test_a_new_address_is_confirmed_by_a_press(
        self, client: httpx2.AsyncClient, db: Database, outbox: Outbox, clock: FixedClock
    ) -> None:
        email = address()
        await client.post("/signup", data={"name": "Ada", "email": email, "password": PASSWORD})
        assert (await client.get("/api/auth/me")).json()["user"]["email_verified"] is False
        assert "Send the link again" in (await client.get("/settings")).text
        await client.post("/settings/confirm-email")
        first, second = [
            re.search(r"(/confirm-email/\S+)", mail).group(1)  # type: ignore[union-attr]
            for mail in await outbox(email)
        ]
        assert (await client.post(first)).status_code == 410  # a newer one was sent
        assert (await client.get(second)).status_code == 200
        assert (await client.get("/api/auth/me")).json()["user"]["email_verified"] is False
        assert (await client.post(second)).headers["location"] == "/create"
        assert (await client.get("/api/auth/me")).json()["user"]["email_verified"] is True
        assert (await client.post(second)).status_code == 410

    async def test_a_changed_address_counts_once_it_is_confirmed(
        self, client: httpx2.AsyncClient, db: Database, outbox: Outbox, clock: FixedClock
    ) -> None:
        ada, new = await make_user(db), address("new")
        await sign_in(client, db, ada)
        await client.post("/settings/email", data={"email": new, "current_password": PASSWORD})
        assert (await client.get("/api/auth/me")).json()["user"]["email"] == ada.email
        url = re.search(r"(/confirm-email/\S+)", (await outbox(new))[0]).group(1)  # type: ignore[union-attr]
        assert (await client.post(url)).status_code == 303
        me = (await client.get("/api/auth/me")).json()["user"]
        assert (me["email"], me["email_verified"]) == (new, True)
        assert "was changed" in (await outbox(ada.email))[0]

    async def test_the_link_dies_after_a_day(
        self, client: httpx2.AsyncClient, outbox: Outbox, clock: FixedClock
    ) -> None:
        email = address()
        await client.post("/signup", data={"name": "Ada", "email": email, "password": PASSWORD})
        url = re.search(r"(/confirm-email/\S+)", (await outbox(email))[0]).group(1)  # type: ignore[union-attr]
        clock.advance(timedelta(hours=24))
        assert (await client.post(url)).status_code == 410


async def test_the_outbox_is_for_operators_and_only_without_smtp(
    app: FastAPI, client: httpx2.AsyncClient, db: Database, outbox: Outbox
) -> None:
    ada, olga = await make_user(db), await make_user(db, "Olga", operator=True)
    await client.post("/reset", data={"email": ada.email})
    await outbox(ada.email)
    assert (await client.get("/admin/outbox")).headers["location"].startswith("/login")
    await sign_in(client, db, ada)
    assert (await client.get("/admin/outbox")).status_code == 404
    await sign_in(client, db, olga)
    page = await client.get("/admin/outbox")
    assert page.status_code == 200
    assert ada.email in page.text and 'href="http://gesso.test/reset/' in page.text
    app.state.mailer = Mailer(MailSettings(smtp_url=SecretStr("smtp://mail.test")), db, brand=lambda: "x", outbox=True)
    assert (await client.get("/admin/outbox")).status_code == 404


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/18.0 Mobile/15E148 Safari/604.1",
            "Safari on iPhone",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
            "Edge on Windows",
        ),
        ("python-httpx2/2.16.2", "python-httpx2"),
        ("", "Unknown device"),
        ("<script>", "Unknown device"),
    ],
)
def test_devices_have_names_people_know(agent: str, words: str) -> None:
    assert device(agent) == words
