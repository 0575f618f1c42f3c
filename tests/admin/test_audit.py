"""Every route of the panel that changes something leaves a row in the audit log. A new one needs a line here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2
import pytest

from gesso.accounts.access import Actor
from gesso.admin.models_form import filled
from gesso.catalog.items import Model
from gesso.core.ids import new_id
from gesso.generation import repository, settlement
from gesso.safety.lines import Finding
from gesso.safety.lines import write as write_line
from tests.admin.conftest import Office
from tests.admin.test_billing_rooms import DEEDS as AT_THE_TILL
from tests.media.pictures import picture
from tests.security.site import routes_of

CHANGES_NOTHING = {
    "POST /admin/models/example": "works out a price",
    "POST /admin/models/{key}/example": "works out a price",
}
"""Routes that are asked with POST, and why they leave nothing."""

MODEL, FILE = "juggernaut-lightning", {"files": {"file": ("a.png", picture(48, 48), "image/png")}}
STYLE = {"name": "Dusk", "prompt": "at dusk", "enabled": "true"}
PLAN = {"name": "Gold", "parallel": "2", "max_count": "4", "currency": "usd"}
PACK = {"name": "Big", "credits": "5", "price_cents": "9"}


@dataclass
class Stage:
    """What there is to be changed: made anew for each route."""

    office: Office
    http: httpx2.AsyncClient
    names: dict[str, str] = field(default_factory=dict)
    sent: dict[str, Any] = field(default_factory=dict)

    async def ada(self) -> Actor:
        who = await self.office.person(credits_=20)
        self.names |= {"user_id": str(who.user_id), "workspace_id": str(who.workspace_id)}
        return who

    async def session(self) -> None:
        await self.office.client(await self.ada())
        found = (await self.http.get(f"/api/admin/users/{self.names['user_id']}")).json()["sessions"]
        self.names["session_id"] = found[0]["id"]

    async def queued(self) -> Actor:
        who = await self.ada()
        http = await self.office.client(who)
        asked = await http.post("/api/generate/image", json={"model": MODEL, "prompt": "a pier", "count": 1})
        self.names["generation_id"] = asked.json()["id"]
        return who

    async def doubtful(self) -> None:
        """A judge was unsure about what somebody asked for."""
        who = await self.queued()
        asked = Finding("prompt", "image", "review", "general", "a pier", categories={"violence": 0.5})
        async with self.office.db.workspace(who.workspace_id, who.user_id) as work:
            now, generation = self.office.app.state.clock.now(), UUID(self.names["generation_id"])
            await write_line(work, asked, user_id=who.user_id, now=now, generation_id=generation)
            self.names["event_id"] = str(await work.fetchval("SELECT id FROM moderation_event"))

    async def decided(self) -> None:
        await self.doubtful()
        kept = await self.http.post(f"/api/admin/moderation/{self.names['event_id']}/keep")
        assert kept.status_code == 200, kept.text

    async def failed(self) -> None:
        who = await self.queued()
        async with self.office.db.workspace(who.workspace_id) as work:
            (row,) = await work.fetch("SELECT id FROM generation")
            generation = await repository.get(work, row["id"])
            assert generation is not None
            await settlement.finish(work, generation, now=self.office.app.state.clock.now())

    async def key(self, where: str, body: dict[str, Any]) -> None:
        self.names["key"] = f"k{new_id().hex[-8:]}"
        made = await self.http.post(f"/api/admin/{where}", json=body | {"key": self.names["key"]})
        assert made.status_code == 201, made.text

    async def connection(self) -> None:
        await self.key("connections", {"adapter": "fal", "name": "Spare", "sandbox": True})

    async def style(self) -> None:
        await self.key("styles", {"name": "Dusk", "prompt": "at dusk"})

    async def plan(self) -> None:
        await self.key("plans", {"name": "Gold"})

    async def pack(self) -> None:
        await self.key("packs", {"name": "Big", "credits": "5", "price_cents": 900})

    def stored(self, key: str = MODEL) -> Model:
        return self.office.app.state.catalog.model(key, enabled_only=False)  # type: ignore[no-any-return]

    async def model(self) -> None:
        """A copy of a model that nobody uses."""
        like = (await self.http.get(f"/api/admin/models/{MODEL}")).json()
        await self.key("models", {**like, "enabled": False, "fallbacks": []})

    async def model_form(self) -> None:
        await self.model()
        connection = self.office.app.state.catalog.connection(self.stored().connection_id)
        self.sent = {"data": {**filled(self.stored(), connection).typed, "name": "Another"}}

    async def new_model_form(self) -> None:
        await self.model_form()
        self.sent["data"] |= {"key": f"k{new_id().hex[-8:]}", "kind": "image"}

    async def model_body(self) -> None:
        await self.model()
        like = (await self.http.get(f"/api/admin/models/{MODEL}")).json()
        self.sent = {"json": {**like, "name": "Another", "enabled": False}}

    async def new_model_body(self) -> None:
        await self.model_body()
        self.sent["json"] |= {"key": f"k{new_id().hex[-8:]}"}

    async def chain(self) -> None:
        self.names["key"] = "text"
        model = next(one.key for one in self.office.app.state.catalog.models("chat", enabled_only=False))
        self.sent = {
            "data": {"model": model, "seconds": "9", "total_seconds": "20"},
            "json": {"links": [{"model": model, "seconds": 9}], "total_seconds": 20},
        }

    async def chain_form(self) -> None:
        await self.chain()
        del self.sent["json"]

    async def chain_body(self) -> None:
        await self.chain()
        del self.sent["data"]

    async def set_chain(self) -> None:
        await self.chain_body()
        assert (await self.http.put("/api/admin/chains/text", json=self.sent.pop("json"))).status_code == 200


@dataclass(frozen=True)
class Way:
    """How a route is asked so that it changes something. `before` makes what it is about; `key` for a new thing."""

    before: Callable[[Stage], Awaitable[object]] | None = None
    sent: dict[str, Any] = field(default_factory=dict)
    new: bool = False


def form(**data: Any) -> dict[str, Any]:
    return {"data": data}


def body(**data: Any) -> dict[str, Any]:
    return {"json": data}


GIVE = {"direction": "give", "unit": "credit", "amount": "5", "reason": "A present"}
ON, OFF = form(enabled="true"), form(enabled="false")
S = Stage
WAYS: dict[str, Way] = {
    "POST /admin/users/{user_id}/sessions/end": Way(S.session),
    "POST /admin/users/{user_id}/sessions/{session_id}/end": Way(S.session),
    "POST /admin/users/{user_id}/operator": Way(S.ada, form(operator="true")),
    "POST /admin/users/{user_id}/disabled": Way(S.ada, form(disabled="true")),
    "POST /admin/users/{user_id}/reset": Way(S.ada),
    "POST /admin/users/{user_id}/confirm": Way(S.ada),
    "DELETE /api/admin/users/{user_id}/sessions": Way(S.session),
    "DELETE /api/admin/users/{user_id}/sessions/{session_id}": Way(S.session),
    "PUT /api/admin/users/{user_id}/operator": Way(S.ada, body(operator=True)),
    "PUT /api/admin/users/{user_id}/disabled": Way(S.ada, body(disabled=True)),
    "POST /api/admin/users/{user_id}/reset-password": Way(S.ada),
    "POST /api/admin/users/{user_id}/confirm-email": Way(S.ada),
    "POST /admin/workspaces/{workspace_id}/credits": Way(S.ada, form(**GIVE, token=str(new_id()))),
    "POST /admin/workspaces/{workspace_id}/plan": Way(S.ada, form(plan="free", when="now")),
    "POST /api/admin/workspaces/{workspace_id}/credits": Way(S.ada, body(**GIVE)),
    "PUT /api/admin/workspaces/{workspace_id}/plan": Way(S.ada, body(plan="free")),
    "POST /admin/plans/new": Way(None, form(**PLAN), new=True),
    "POST /admin/plans/order": Way(None, form(up="free")),
    "POST /admin/plans/{key}": Way(S.plan, form(**PLAN)),
    "POST /admin/plans/{key}/offered": Way(S.plan, OFF),
    "POST /admin/plans/{key}/remove": Way(S.plan),
    "POST /api/admin/plans": Way(None, body(name="Gold"), new=True),
    "PUT /api/admin/plans/order": Way(None, body(keys=["free"])),
    "PUT /api/admin/plans/{key}": Way(S.plan, body(name="Silver")),
    "PUT /api/admin/plans/{key}/hidden": Way(S.plan, body(hidden=True)),
    "DELETE /api/admin/plans/{key}": Way(S.plan),
    "POST /admin/packs/new": Way(None, form(**PACK), new=True),
    "POST /admin/packs/order": Way(S.pack, form(up="{key}")),
    "POST /admin/packs/{key}": Way(S.pack, form(**PACK | {"name": "Bigger"})),
    "POST /admin/packs/{key}/offered": Way(S.pack, OFF),
    "POST /admin/packs/{key}/remove": Way(S.pack),
    "POST /api/admin/packs": Way(None, body(name="Big", credits="5", price_cents=9), new=True),
    "PUT /api/admin/packs/order": Way(S.pack, body(keys=["{key}"])),
    "PUT /api/admin/packs/{key}": Way(S.pack, body(name="Big", credits="6", price_cents=9)),
    "PUT /api/admin/packs/{key}/hidden": Way(S.pack, body(hidden=True)),
    "DELETE /api/admin/packs/{key}": Way(S.pack),
    "POST /admin/connections/new": Way(None, form(adapter="fal", name="Spare", answers="sandbox"), new=True),
    "POST /admin/connections/order": Way(None, form(up="fal")),
    "POST /admin/connections/test": Way(),
    "POST /admin/connections/{key}": Way(S.connection, form(name="Other", answers="sandbox")),
    "POST /admin/connections/{key}/enabled": Way(S.connection, OFF),
    "POST /admin/connections/{key}/test": Way(S.connection),
    "POST /admin/connections/{key}/resume": Way(S.connection),
    "POST /admin/connections/{key}/delete": Way(S.connection),
    "POST /api/admin/connections": Way(None, body(adapter="fal", name="Spare", sandbox=True), new=True),
    "PUT /api/admin/connections/order": Way(None, body(keys=["fal"])),
    "PUT /api/admin/connections/{key}": Way(S.connection, body(name="Other", sandbox=True)),
    "PUT /api/admin/connections/{key}/enabled": Way(S.connection, body(enabled=False)),
    "PUT /api/admin/connections/{key}/key": Way(S.connection, body(api_key="a-secret-of-the-provider")),
    "POST /api/admin/connections/{key}/test": Way(S.connection),
    "POST /api/admin/connections/{key}/resume": Way(S.connection),
    "DELETE /api/admin/connections/{key}": Way(S.connection),
    "POST /admin/models/new": Way(S.new_model_form),
    "POST /admin/models/order": Way(None, form(up=MODEL)),
    "POST /admin/models/{key}": Way(S.model_form),
    "POST /admin/models/{key}/enabled": Way(S.model, ON),
    "POST /admin/models/{key}/remove": Way(S.model),
    "POST /admin/models/{key}/sample": Way(S.model, FILE),
    "POST /admin/models/{key}/sample/remove": Way(S.model),
    "POST /api/admin/models": Way(S.new_model_body),
    "PUT /api/admin/models/order": Way(None, body(keys=[MODEL])),
    "PUT /api/admin/models/{key}": Way(S.model_body),
    "PUT /api/admin/models/{key}/enabled": Way(S.model, body(enabled=True)),
    "DELETE /api/admin/models/{key}": Way(S.model),
    "PUT /api/admin/models/{key}/sample": Way(S.model, FILE),
    "DELETE /api/admin/models/{key}/sample": Way(S.model),
    "POST /admin/styles/new": Way(None, form(**STYLE), new=True),
    "POST /admin/styles/order": Way(S.style, form(up="{key}")),
    "POST /admin/styles/{key}": Way(S.style, form(**STYLE | {"name": "Dawn"})),
    "POST /admin/styles/{key}/enabled": Way(S.style, OFF),
    "POST /admin/styles/{key}/remove": Way(S.style),
    "POST /admin/styles/{key}/sample": Way(S.style, FILE),
    "POST /admin/styles/{key}/sample/remove": Way(S.style),
    "POST /api/admin/styles": Way(None, body(name="Dusk", prompt="at dusk"), new=True),
    "PUT /api/admin/styles/order": Way(S.style, body(keys=["{key}"])),
    "PUT /api/admin/styles/{key}": Way(S.style, body(name="Dawn", prompt="at dawn")),
    "DELETE /api/admin/styles/{key}": Way(S.style),
    "PUT /api/admin/styles/{key}/sample": Way(S.style, FILE),
    "DELETE /api/admin/styles/{key}/sample": Way(S.style),
    "POST /admin/chains/{key}": Way(S.chain_form),
    "POST /admin/chains/{key}/forget": Way(S.set_chain),
    "PUT /api/admin/chains/{key}": Way(S.chain_body),
    "DELETE /api/admin/chains/{key}": Way(S.set_chain),
    "POST /admin/moderation/{event_id}/keep": Way(S.doubtful),
    "POST /admin/moderation/{event_id}/take-down": Way(S.doubtful, form(reason="A real person")),
    "POST /admin/moderation/{event_id}/undo": Way(S.decided),
    "POST /api/admin/moderation/{event_id}/keep": Way(S.doubtful),
    "POST /api/admin/moderation/{event_id}/take-down": Way(S.doubtful, body(reason="A real person")),
    "POST /api/admin/moderation/{event_id}/undo": Way(S.decided),
    "POST /admin/jobs/{generation_id}/cancel": Way(S.queued),
    "POST /admin/jobs/{generation_id}/retry": Way(S.failed),
    "POST /admin/jobs/{generation_id}/look": Way(S.queued),
    "POST /api/admin/jobs/{generation_id}/cancel": Way(S.queued),
    "POST /api/admin/jobs/{generation_id}/retry": Way(S.failed),
    "POST /api/admin/jobs/{generation_id}/look": Way(S.queued),
}


def test_every_route_that_changes_something_is_asked(office: Office) -> None:
    found = {
        f"{method} {path}"
        for method, path in routes_of(office.app)
        if method in ("POST", "PUT", "PATCH", "DELETE") and path.startswith(("/admin", "/api/admin"))
    }
    known = WAYS.keys() | CHANGES_NOTHING.keys() | AT_THE_TILL.keys()
    assert found - known == set(), "say in WAYS how these are asked"
    assert known - found == set(), "these routes are gone"


def _named(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str):
        return value.replace("{key}", names.get("key", "{key}"))
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    return {name: _named(one, names) for name, one in value.items()} if isinstance(value, dict) else value


@pytest.fixture(scope="module")
async def stagehand(office: Office) -> httpx2.AsyncClient:
    """An operator who makes what is needed, whose own traces do not count."""
    return (await office.operator())[1]


@pytest.mark.parametrize("name", WAYS)
async def test_it_leaves_its_trace(office: Office, stagehand: httpx2.AsyncClient, name: str) -> None:
    way = WAYS[name]
    stage = Stage(office, stagehand)
    if way.before is not None:
        await way.before(stage)
    olga, http = await office.operator()
    method, _, path = name.partition(" ")
    for word, value in stage.names.items():
        path = path.replace(f"{{{word}}}", value)
    sent = _named({**way.sent, **stage.sent}, stage.names)
    for kind in ("data", "json"):
        if way.new and kind in sent:
            sent[kind]["key"] = f"k{new_id().hex[-8:]}"
    answer = await http.request(method, path, **sent)
    assert answer.status_code < 400, (answer.status_code, answer.text[:500])
    noted = await office.noted(olga)
    assert noted, "nothing was written down"
    assert {one["ip"] for one in noted} == {"192.0.2.9"}
    assert "a-secret-of-the-provider" not in str(noted)
    if noted[0]["action"].endswith(".changed"):
        assert noted[0]["after"] and noted[0]["before"] != noted[0]["after"]
