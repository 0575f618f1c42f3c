"""Who may do what: every route there is, asked by everybody. A route without an entry here fails the test."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import httpx2
import pytest

from gesso.accounts.access import Actor
from gesso.core.ids import new_id
from gesso.core.sealed import hash_token
from tests.cast import PASSWORD, add_member, make_user, session_token
from tests.media.pictures import keep, picture
from tests.security.site import Cast, Site, routes_of

Access = Literal["public", "stranger", "session", "owned", "made", "personal", "operator", "signature"]
"""public: anybody · stranger: who is not signed in; others are led on · session: whoever is signed in · owned: an id of
the workspace, for its members · made: an id of what one member made, for that one and the workspace's admins ·
personal: an id of one person · operator: who runs the site · signature: who proves themselves by what they send."""

API = {"model": "juggernaut-lightning", "prompt": "a lighthouse", "count": 1}
FORM = {"model": "juggernaut-lightning", "prompt": "a lighthouse", "count": "1"}
MAIL = "nobody.at.all@example.test"


@dataclass(frozen=True)
class Rule:
    """`ok`: the status for who may. `sent`: what goes along. `values`: for the names in the path."""

    access: Access
    ok: int = 200
    sent: dict[str, Any] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)


PICTURE = picture(48, 48)
ID = "{id}"
RULES: dict[str, Rule] = {
    "GET /api/openapi.json": Rule("public"),
    "GET /healthz": Rule("public"),
    "GET /readyz": Rule("public", 503),  # no worker here
    "GET /api/docs": Rule("public"),
    "GET /": Rule("public"),
    "GET /start": Rule("public", 303),
    "GET /brand.css": Rule("public"),
    "GET /static": Rule("public", values={"": "/favicon.svg"}),
    "GET /.well-known/security.txt": Rule("public", 404),  # no contact set here
    # --- becoming somebody ---
    "POST /api/auth/signup": Rule("public", 422, {"json": {}}),
    "POST /api/auth/login": Rule("public", 401, {"json": {"email": MAIL, "password": "no such password"}}),
    "POST /api/auth/logout": Rule("public", 204),
    "POST /api/auth/reset-password": Rule("public", 422, {"json": {"email": "x"}}),
    "POST /api/auth/reset-password/confirm": Rule("public", 422, {"json": {"token": "x" * 43, "password": PASSWORD}}),
    "GET /signup": Rule("stranger", 200),
    "GET /login": Rule("stranger", 200),
    "POST /signup": Rule("public", 422),
    "POST /login": Rule("public", 422),
    "POST /logout": Rule("public", 303),
    "GET /reset": Rule("public"),
    "POST /reset": Rule("public", 422),
    "GET /reset/{token}": Rule("public", 410, values={"token": "x" * 43}),
    "POST /reset/{token}": Rule("public", 410, {"data": {"password": PASSWORD}}, {"token": "x" * 43}),
    "GET /confirm-email/{token}": Rule("public", values={"token": "x" * 43}),
    "POST /confirm-email/{token}": Rule("public", 410, values={"token": "x" * 43}),
    "POST /api/webhooks/{connection_key}": Rule("signature", values={"connection_key": "fal"}),
    # --- for whoever is signed in, about themselves ---
    "GET /api/auth/me": Rule("session"),
    "GET /api/models": Rule("session"),
    "GET /api/credits": Rule("session"),
    "GET /api/credits/history": Rule("session"),
    "GET /api/events": Rule("session"),
    "GET /api/generate": Rule("session"),
    "POST /api/generate/estimate": Rule("session", 200, {"json": {"kind": "image", **API}}),
    "POST /api/generate/image": Rule("session", 202, {"json": API}),
    "GET /api/media": Rule("session"),
    "GET /api/media/by/month": Rule("session"),
    "GET /styles": Rule("session"),  # in development only
    "POST /api/media/uploads": Rule("session", 201, {"files": {"file": ("a.png", PICTURE, "image/png")}}),
    "GET /shell/credits": Rule("session"),
    "GET /create": Rule("session"),
    "GET /create/composer": Rule("session", 303),
    "GET /create/runs": Rule("session"),
    "POST /create/controls": Rule("session", 200, {"data": FORM}),
    "POST /create/estimate": Rule("session", 200, {"data": FORM}),
    "POST /create": Rule("session", 303, {"data": FORM}),
    "GET /gallery": Rule("session"),
    "GET /dashboard": Rule("session"),
    "GET /dashboard/history": Rule("session", 200, {"params": {"before": str(new_id())}}),
    "GET /dashboard/history.csv": Rule("session"),
    "GET /settings": Rule("session"),
    "POST /settings/name": Rule("session", 303, {"data": {"name": "A Name"}}),
    "POST /settings/email": Rule("session", 422, {"data": {"email": MAIL, "current_password": "not the password"}}),
    "POST /settings/confirm-email": Rule("session", 303),
    "GET /settings/password": Rule("session"),
    "POST /settings/password": Rule(
        "session", 422, {"data": {"current_password": "not the password", "password": PASSWORD}}
    ),
    "GET /settings/sessions": Rule("session"),
    "POST /settings/sessions/others/end": Rule("session", 303),
    # --- with an id of something ---
    "GET /api/generate/status/{generation_id}": Rule("made", values={"generation_id": ID}),
    "POST /api/generate/{generation_id}/cancel": Rule("made", values={"generation_id": ID}),
    "POST /api/generate/{generation_id}/rerun": Rule("made", 202, {"json": {}}, {"generation_id": ID}),
    "GET /generations/{generation_id}/card": Rule("made", values={"generation_id": ID}),
    "POST /generations/{generation_id}/cancel": Rule("made", 303, values={"generation_id": ID}),
    "POST /generations/{generation_id}/rerun": Rule("made", 303, {"data": {}}, {"generation_id": ID}),
    "GET /api/media/{asset_id}": Rule("owned", values={"asset_id": ID}),
    "DELETE /api/media/{asset_id}": Rule("owned", 204, values={"asset_id": ID}),
    "POST /api/media/{asset_id}/restore": Rule("owned", values={"asset_id": ID}),
    "PUT /api/media/{asset_id}/favourite": Rule("owned", values={"asset_id": ID}),
    "DELETE /api/media/{asset_id}/favourite": Rule("owned", values={"asset_id": ID}),
    "GET /media/{asset_id}/{variant}": Rule("owned", values={"asset_id": ID, "variant": "original"}),
    "GET /gallery/{asset_id}": Rule("owned", values={"asset_id": ID}),
    "POST /gallery/{asset_id}/favourite": Rule("owned", 303, values={"asset_id": ID}),
    "POST /gallery/{asset_id}/delete": Rule("owned", 303, values={"asset_id": ID}),
    "POST /gallery/selection/{verb}": Rule("owned", 303, {"data": {"pick": ID}}, {"verb": "download"}),
    "POST /gallery/restore/{moment}": Rule("owned", 303, values={"moment": ID}),
    "POST /settings/sessions/{session_id}/end": Rule("personal", 303, values={"session_id": ID}),
    # --- for those who run the site ---
    "GET /admin/outbox": Rule("operator"),
}


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
            "session_id": self.session, "moment": self.moment,
        }  # fmt: skip
        for name, make in makers.items():
            if f"{{{name}}}" in path:
                return await make()
        return ""

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


def filled(rule: Rule, path: str, identity: str) -> tuple[str, dict[str, Any]]:
    """The address, and what is sent."""
    for name, value in rule.values.items():
        path = path + value if name == "" else path.replace(f"{{{name}}}", value)
    if "data" not in rule.sent:
        return path.replace(ID, identity), rule.sent
    data = {name: value.replace(ID, identity) for name, value in rule.sent["data"].items()}
    return path.replace(ID, identity), {**rule.sent, "data": data}


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
    "session": {"ada", "ben", "cleo", "olga"}, "owned": {"ada", "ben"}, "made": {"ada"}, "personal": {"ada"},
    "operator": {"olga"}, "signature": set(),
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

    refused = {"stranger": 303, "signature": 403}.get(rule.access, 404)
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
