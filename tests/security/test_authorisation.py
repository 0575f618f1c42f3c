"""Who may do what: every route there is, asked by everybody. A route without an entry here fails the test."""

import csv
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from gesso.accounts.access import Actor
from gesso.core.ids import new_id
from gesso.core.sealed import hash_token
from tests.cast import PASSWORD, add_member, make_user, session_token
from tests.media.pictures import keep
from tests.security.rules import API, PICTURE, RULES, Access, filled
from tests.security.site import Cast, Site, routes_of

ENDING = {"POST /api/auth/logout", "POST /logout", "POST /settings/sessions/others/end"}
"""These end sessions: they are asked for with a session of their own."""


class Things:
    """Makes things of Ada's."""

    def __init__(self, site: Site, ada: Actor, browser: httpx2.AsyncClient) -> None:
        self.site, self.ada, self.browser = site, ada, browser

    async def new(self, path: str) -> str:
        """An id of the kind that this path asks for, "" when it asks for none."""
        makers: dict[str, Callable[[], Awaitable[str]]] = {
            "generation_id": self.generation, "asset_id": self.asset, "verb": self.asset,
            "session_id": self.session, "moment": self.moment, "workspace_id": self.workspace,
        }  # fmt: skip
        if path == "/api/prompts/describe":  # the picture's id is in its body
            return await self.asset()
        if path.startswith(("/admin/users/", "/api/admin/users/")):  # somebody else, who may be locked out
            return await self.person()
        for name, make in makers.items():
            if f"{{{name}}}" in path:
                return await make()
        return ""

    async def person(self) -> str:
        return str((await make_user(self.site.db, "Dora")).user_id)

    async def workspace(self) -> str:
        return str(self.ada.workspace_id)

    async def generation(self) -> str:
        answer = await self.browser.post("/api/generate/image", json=API)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def asset(self) -> str:
        async with self.site.db.workspace(self.ada.workspace_id, self.ada.user_id) as tx:
            return str((await keep(tx, self.site.app.state.storage, PICTURE)).id)

    async def session(self) -> str:
        key = hash_token(await session_token(self.site.db, self.ada))
        row = await self.site.db.look_up("SELECT session_id FROM auth_session($1, $2)", key, datetime.now(UTC))
        assert row is not None
        return str(row["session_id"])

    async def moment(self) -> str:
        answer = await self.browser.post(f"/gallery/{await self.asset()}/delete", headers={"HX-Request": "true"})
        undo: str = json.loads(answer.headers["HX-Trigger"])["gesso:toast"]["undo"]
        return undo.rpartition("/")[2]


@dataclass
class Room:
    """Everybody's open browser, and Ada's things."""

    site: Site
    cast: Cast
    browsers: dict[str, httpx2.AsyncClient]
    things: Things

    async def sign_in_again(self) -> None:
        """New sessions for all, after one of theirs ended the others."""
        for who, actor in vars(self.cast).items():
            self.browsers[who].headers["Cookie"] = f"{self.site.cookie}={await session_token(self.site.db, actor)}"


@pytest.fixture(scope="module")
async def room(site: Site, cast: Cast) -> AsyncIterator[Room]:
    async with AsyncExitStack() as stack:
        browsers = {who: await stack.enter_async_context(site.visitor(actor)) for who, actor in vars(cast).items()}
        browsers["nobody"] = await stack.enter_async_context(site.visitor())
        yield Room(site, cast, browsers, Things(site, cast.ada, browsers["ada"]))


async def status_of(browser: httpx2.AsyncClient, method: str, url: str, sent: dict[str, Any]) -> tuple[int, str]:
    """Status and where it leads; streams are not waited for."""
    async with browser.stream(method, url, **sent) as answer:
        return answer.status_code, answer.headers.get("location", "")


def test_every_route_has_a_rule(site: Site) -> None:
    found = {f"{method} {path}" for method, path in routes_of(site.app)}
    assert found - RULES.keys() == set(), "say in RULES who may ask for these"
    assert RULES.keys() - found == set(), "these routes are gone"


ALLOWED: dict[Access, set[str]] = {
    "public": {"ada", "ben", "cleo", "olga", "nobody"}, "stranger": {"nobody"},
    "session": {"ada", "ben", "cleo", "olga"}, "admin": {"ada", "cleo", "olga"}, "owned": {"ada", "ben"},
    "made": {"ada"}, "personal": {"ada"}, "operator": {"olga"}, "signature": set(),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
async def test_who_may(room: Room, name: str) -> None:
    rule = RULES[name]
    method, _, path = name.partition(" ")
    # one thing for all who are refused, which must leave it as it was for those who are not
    theirs = await room.things.new(path)
    found: dict[str, int] = {}
    leads_to: dict[str, str] = {}
    for who in ("nobody", "cleo", "olga", "ben", "ada"):
        if who == "ada" and "ben" in ALLOWED[rule.access]:
            theirs = await room.things.new(path)
        url, sent = filled(rule, path, theirs)
        if name in ENDING and who != "nobody":
            async with room.site.visitor(getattr(room.cast, who)) as browser:
                found[who], leads_to[who] = await status_of(browser, method, url, sent)
        else:
            found[who], leads_to[who] = await status_of(room.browsers[who], method, url, sent)
    if name in ENDING:
        await room.sign_in_again()

    refused = {"stranger": 303, "signature": 403, "admin": 403}.get(rule.access, 404)
    expected = {who: rule.ok if who in ALLOWED[rule.access] else refused for who in found}
    if rule.access not in ("public", "stranger", "signature"):
        expected["nobody"] = 401 if path.startswith("/api/") else 303
        assert path.startswith("/api/") or leads_to["nobody"].startswith("/login")
    assert found == expected


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.access in ("owned", "made", "personal")])
async def test_somebody_elses_looks_like_nobodys(room: Room, name: str) -> None:
    """The answer about a stranger's id and about an id that never was is the same, word for word."""
    method, _, path = name.partition(" ")
    theirs = await room.things.new(path)
    never = str(int(theirs) - 1) if theirs.isdigit() else str(new_id())
    answers = []
    for identity in (theirs, never):
        url, sent = filled(RULES[name], path, identity)
        headers = {"Accept": "application/json"}
        answers.append(await room.browsers["cleo"].request(method, url, headers=headers, **sent))
    assert answers[0].status_code == answers[1].status_code == 404
    assert answers[0].json() == answers[1].json()


async def test_ids_in_bodies_are_checked_like_ids_in_addresses(room: Room) -> None:
    ada, cleo = room.browsers["ada"], room.browsers["cleo"]
    asset = await room.things.asset()
    for verb in ("favourite", "delete"):
        await cleo.post(f"/gallery/selection/{verb}", data={"pick": asset})
    asked = {"model": "seedream-edit", "prompt": "x", "references": [asset]}
    assert (await cleo.post("/api/generate/image", json=asked)).status_code == 422
    assert (await cleo.post("/create", data=asked)).status_code == 422
    shown = await cleo.get("/create", params={"model": "seedream-edit", "reference": asset, "references": asset})
    assert f"/media/{asset}" not in shown.text
    after = await ada.get(f"/api/media/{asset}")
    assert after.status_code == 200 and after.json()["favourite"] is False


async def test_a_member_sees_what_they_made_and_an_admin_everything(room: Room) -> None:
    ada, ben = room.browsers["ada"], room.browsers["ben"]
    adas = await room.things.generation()
    bens = (await ben.post("/api/generate/image", json=API)).json()["id"]
    for generation, seen_by_ben in ((adas, 404), (bens, 200)):
        url = f"/api/generate/status/{generation}"
        assert ((await ada.get(url)).status_code, (await ben.get(url)).status_code) == (200, seen_by_ben)
    assert adas not in (await ben.get("/api/generate")).text
    export = [(await browser.get("/dashboard/history.csv")).text for browser in (ada, ben)]
    assert adas in export[0] and bens in export[0]
    assert adas not in export[1] and bens in export[1]


async def test_whoever_is_in_two_workspaces_can_end_all_their_sessions(room: Room) -> None:
    """Ben has a workspace of his own too: a new password must end the sessions there as well."""
    ben = await make_user(room.site.db, "Ben")
    there = await add_member(room.site.db, room.cast.ada, ben)
    async with room.site.visitor(ben) as own, room.site.visitor(there) as shared:
        answer = await shared.post(
            "/settings/password", data={"current_password": PASSWORD, "password": "a quite different password"}
        )
        assert answer.status_code == 303, answer.text
        assert (await own.get("/api/auth/me")).status_code == 401


async def test_an_exported_table_runs_nothing(room: Room) -> None:
    """A member's prompt is opened in an admin's spreadsheet."""
    ben, ada = room.browsers["ben"], room.browsers["ada"]
    for start in ("=", "+", "-", "@"):
        made = await ben.post("/api/generate/image", json={**API, "prompt": f'{start}HYPERLINK("https://elsewhere")'})
        assert made.status_code == 202, made.text
    rows = list(csv.reader((await ada.get("/dashboard/history.csv")).text.splitlines()))
    prompts = [cell for row in rows for cell in row if "HYPERLINK" in cell]
    assert len(prompts) == 4 and all(prompt.startswith("'") for prompt in prompts)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
