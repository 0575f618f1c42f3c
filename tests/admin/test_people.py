"""Operators and people: found among many, helped in, locked out; nobody locks out the last operator."""

import asyncio
import re

import asyncpg

from gesso.accounts.access import Actor
from gesso.core.ids import new_id
from tests.admin.conftest import Office
from tests.cast import PASSWORD

API = "/api/admin/users"
ASKED = {"model": "juggernaut-lightning", "prompt": "a pier", "count": 2}


async def test_people_are_found_sorted_and_paged(office: Office) -> None:
    _, http = await office.operator()
    mark = f"q{new_id().hex[-8:]}"
    names = [f"{mark} {letter}" for letter in "dbaec"]
    people = [await office.person(name) for name in names]

    async def all_pages(**query: str) -> list[str]:
        found, cursor = [], None
        while True:
            answer = await http.get(
                API, params={"q": mark, "limit": 2, **query, **({"cursor": cursor} if cursor else {})}
            )
            assert answer.status_code == 200, answer.text
            found += [item["name"] for item in answer.json()["items"]]
            if (cursor := answer.json()["next"]) is None:
                return found

    assert await all_pages() == names[::-1]
    assert await all_pages(sort="name") == sorted(names)
    assert await all_pages(sort="email") == [one.name for one in sorted(people, key=lambda one: one.email)]
    assert await all_pages(only="operators") == [] and len(await all_pages(only="unconfirmed")) == 5
    by_id = (await http.get(API, params={"q": str(people[2].user_id)})).json()["items"]
    by_address = (await http.get(API, params={"q": people[2].email[1:]})).json()["items"]
    assert [item["email"] for item in by_id] == [item["email"] for item in by_address] == [people[2].email]
    assert (await http.get(API, params={"q": "100%_"})).json()["items"] == []
    for wrong in ("x", "WyJhIiwgImIiXQ", "WzEsMl0"):
        for sort in ("newest", "name"):
            assert (await http.get(API, params={"cursor": wrong, "sort": sort})).status_code == 422
    page = (await http.get("/admin/users", params={"q": mark, "sort": "name"})).text
    assert re.findall(rf">({mark} \w)</a>", page) == sorted(names)


async def test_nothing_secret_is_shown(office: Office) -> None:
    _, http = await office.operator()
    ada = await office.person()
    async with office.db.workspace(ada.workspace_id, ada.user_id) as tx:
        secret = await tx.fetchval("SELECT auth_own_password()")
    for path in ("/admin/users", f"/admin/users/{ada.user_id}", API, f"{API}/{ada.user_id}"):
        text = (await http.get(path, params={"q": str(ada.user_id)} if path.endswith("users") else {})).text
        assert ada.email in text and secret not in text
        assert not re.search(r"argon2|hash|token_", text), path


async def test_locking_somebody_out_ends_sessions_and_gives_back_what_is_queued(office: Office) -> None:
    olga, http = await office.operator()
    ada = await office.person(credits_=50)
    browser = await office.client(ada)
    assert (await browser.post("/api/generate/image", json=ASKED)).status_code == 202
    wallet = (await browser.get("/api/credits")).json()
    assert wallet["held"] == "2" and wallet["balance"] == "48"
    where = f"/admin/users/{ada.user_id}"
    assert (await http.post(f"{where}/disabled", data={"disabled": "true"})).status_code == 303
    assert (await browser.get("/api/auth/me")).status_code == 401
    log_in = {"email": ada.email, "password": PASSWORD}
    assert (await browser.post("/api/auth/login", json=log_in)).status_code == 401
    detail = (await http.get(f"/api/admin/workspaces/{ada.workspace_id}")).json()
    assert detail["credits"]["balance"] == "50" and detail["credits"]["held"] == "0"
    assert (await http.post(f"{API}/{ada.user_id}/reset-password")).status_code == 409
    (noted,) = await office.noted(olga, "user.disabled")
    assert noted["user"] == str(ada.user_id) and noted["ip"] == "192.0.2.9"
    assert (noted["before"], noted["after"]) == ({"disabled": False}, {"disabled": True})
    answer = await http.put(f"{API}/{ada.user_id}/disabled", json={"disabled": False})
    assert answer.status_code == 200 and answer.json()["disabled"] is False
    assert (await browser.post("/api/auth/login", json=log_in)).status_code == 200


async def test_sessions_are_ended_one_by_one_and_all(office: Office) -> None:
    _, http = await office.operator()
    ada, stranger = await office.person(), await office.person("Cleo")
    one, two = await office.client(ada), await office.client(ada)
    sessions = (await http.get(f"{API}/{ada.user_id}")).json()["sessions"]
    assert {item["ip"] for item in sessions} == {"192.0.2.7"} and len(sessions) == 3
    newest = max(sessions, key=lambda item: item["id"])["id"]
    assert (await http.delete(f"{API}/{stranger.user_id}/sessions/{newest}")).status_code == 404, "hers, not theirs"
    assert (await http.post(f"/admin/users/{ada.user_id}/sessions/{newest}/end")).status_code == 303
    assert ((await one.get("/api/auth/me")).status_code, (await two.get("/api/auth/me")).status_code) == (200, 401)
    assert (await http.delete(f"{API}/{ada.user_id}/sessions")).json() == {"ended": 2}
    assert (await one.get("/api/auth/me")).status_code == 401


async def test_a_reset_goes_to_its_owner_only_and_an_address_is_confirmed_by_hand(office: Office) -> None:
    _, http = await office.operator()
    ada = await office.person()
    sent = await http.post(f"/admin/users/{ada.user_id}/reset")
    assert sent.status_code == 303 and "/reset/" not in sent.text + str(sent.headers)
    await office.app.state.mailer.drain(60)
    async with office.db.elevated("test: outbox") as tx:
        bodies = [
            row["body_text"] for row in await tx.fetch("SELECT * FROM outbox_mail WHERE recipient = $1", ada.email)
        ]
    assert len(bodies) == 1 and "/reset/" in bodies[0]
    answer = await http.post(f"{API}/{ada.user_id}/confirm-email")
    assert answer.status_code == 200 and answer.json()["email_verified"] is True


async def old_session(office: Office, who: Actor) -> None:
    """As if everybody's sessions of theirs had been opened an hour ago."""
    async with office.db.elevated("test: time passes") as tx:
        rows = await tx.fetch("SELECT id FROM login_session WHERE user_id = $1", who.user_id)
    owner = await asyncpg.connect(office.app.state.settings.database.url.get_secret_value())
    await owner.execute(
        "UPDATE login_session SET created_at = created_at - interval '1 hour' WHERE id = ANY($1::uuid[])",
        [row["id"] for row in rows],
    )
    await owner.close()


async def test_power_is_given_by_whoever_proves_who_they_are(office: Office) -> None:
    olga, http = await office.operator()
    ada = await office.person()
    where = f"{API}/{ada.user_id}/operator"
    await old_session(office, olga)
    for body in ({"operator": True}, {"operator": True, "current_password": "not the password"}):
        refused = await http.put(where, json=body)
        assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "current_password"
    page = await http.post(f"/admin/users/{ada.user_id}/operator", data={"operator": "true"})
    assert page.status_code == 422 and 'name="current_password"' in page.text
    assert (await http.get(f"{API}/{ada.user_id}")).json()["is_operator"] is False
    made = await http.put(where, json={"operator": True, "current_password": PASSWORD})
    assert made.status_code == 200 and made.json()["is_operator"] is True
    (noted,) = await office.noted(olga, "user.made_operator")
    assert noted["after"] == {"operator": True} and PASSWORD not in str(noted)
    fresh = await office.client(olga)
    assert (await fresh.put(where, json={"operator": False})).json()["is_operator"] is False


async def test_the_last_operator_stays_whoever_asks_at_once(office: Office) -> None:
    async with office.db.elevated("test: nobody else") as tx:
        others = [row["id"] for row in await tx.fetch("SELECT id FROM app_user WHERE is_operator")]
        await tx.execute_raw("UPDATE app_user SET is_operator = false WHERE is_operator")
    try:
        (olga, one), (otto, two) = await office.operator(), await office.operator()
        answers = await asyncio.gather(
            one.put(f"{API}/{otto.user_id}/operator", json={"operator": False}),
            two.put(f"{API}/{olga.user_id}/operator", json={"operator": False}),
            one.put(f"{API}/{otto.user_id}/disabled", json={"disabled": True}),
            two.put(f"{API}/{olga.user_id}/disabled", json={"disabled": True}),
        )
        assert sum(answer.status_code == 200 for answer in answers) <= 2, "one person's power and account at most"
        async with office.db.elevated("test: who is left") as tx:
            left = await tx.fetch("SELECT id FROM app_user WHERE is_operator AND disabled_at IS NULL")
        assert len(left) == 1
        last, http = (olga, one) if left[0]["id"] == olga.user_id else (otto, two)
        refused = await http.put(f"{API}/{last.user_id}/operator", json={"operator": False})
        assert refused.status_code == 409 and "Nobody else runs this site" in refused.json()["detail"]
        assert (await http.put(f"{API}/{last.user_id}/disabled", json={"disabled": True})).status_code == 409
    finally:
        async with office.db.elevated("test: as it was") as tx:
            await tx.execute_raw("UPDATE app_user SET is_operator = true WHERE id = ANY($1::uuid[])", others)
