"""Connections in the panel and its API: what is saved, what is refused and why, and what never comes back."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from gesso.admin.standing import Recent, health_of
from gesso.calls.history import Standing
from gesso.catalog.items import Connection
from gesso.core.ids import new_id
from tests.admin.conftest import Panel

KEY = "panel-key-0123456789-abcdWXYZ"


def a_name() -> str:
    return f"c{new_id().hex[-10:]}"


async def add(panel: Panel, **more: Any) -> str:
    """A connection of the sandbox's, through the API."""
    name = a_name()
    body = {"key": name, "adapter": "fal", "name": "Spare", "sandbox": True, **more}
    answer = await panel.operator.post("/api/admin/connections", json=body)
    assert answer.status_code == 201, answer.text
    return name


async def test_a_form_adds_a_connection_and_its_key_never_comes_back(panel: Panel) -> None:
    name = a_name()
    form = {"key": name, "adapter": "fal", "name": "My fal", "api_key": KEY, "concurrency": "7", "options": ""}
    made = await panel.operator.post("/admin/connections/new", data=form)
    assert (made.status_code, made.headers["location"]) == (303, f"/admin/connections/{name}")
    for address in (f"/admin/connections/{name}", "/admin/connections", f"/api/admin/connections/{name}"):
        text = (await panel.operator.get(address)).text
        assert KEY not in text
    shown = (await panel.operator.get(f"/api/admin/connections/{name}")).json()
    assert (shown["has_key"], shown["key_hint"], shown["enabled"]) == (True, "WXYZ", True)
    assert shown["limits"] == {"concurrency": 7, "requests_per_minute": None}
    (noted,) = [one for one in await panel.audited("connection.added") if one["connection"] == name]
    assert noted["who"] == panel.olga.user_id and KEY not in str(noted)


async def test_a_wrong_form_keeps_what_was_typed_but_the_key(panel: Panel) -> None:
    form = {"key": "No Good", "adapter": "fal", "name": "Kept name", "api_key": KEY, "options": '{\n "a": 1,\n}'}
    answer = await panel.operator.post("/admin/connections/new", data=form)
    assert answer.status_code == 422
    assert "Kept name" in answer.text and KEY not in answer.text and "Line 3" in answer.text
    wrong = await panel.operator.post("/admin/connections/new", data={**form, "options": ""})
    assert wrong.status_code == 422 and "Use lower-case letters" in wrong.text and KEY not in wrong.text


async def test_another_address_needs_the_key_again(panel: Panel) -> None:
    name = await add(panel, sandbox=False, api_key=KEY)
    body = {"name": "Spare", "base_url": "https://elsewhere.example.com"}
    refused = await panel.operator.put(f"/api/admin/connections/{name}", json=body)
    assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "api_key"
    assert (await panel.operator.get(f"/api/admin/connections/{name}")).json()["base_url"] is None
    given = await panel.operator.put(f"/api/admin/connections/{name}", json={**body, "api_key": KEY + "2"})
    assert given.status_code == 200 and given.json()["base_url"] == body["base_url"]
    assert (await panel.audited("connection.changed"))[0]["changed"] == ["base_url", "api_key"]


async def test_one_that_models_use_stays(panel: Panel) -> None:
    api = await panel.operator.delete("/api/admin/connections/fal")
    assert api.status_code == 409 and "Juggernaut Lightning" in api.json()["detail"]
    page = await panel.operator.post("/admin/connections/fal/delete")
    assert page.status_code == 409 and "Point them at another connection first" in page.text
    name = await add(panel)
    assert (await panel.operator.delete(f"/api/admin/connections/{name}")).status_code == 204
    assert (await panel.operator.get(f"/api/admin/connections/{name}")).status_code == 404
    assert (await panel.audited("connection.removed"))[0]["connection"] == name


async def test_order_by_steps_and_by_dragging(panel: Panel) -> None:
    async def keys() -> list[str]:
        return [item["key"] for item in (await panel.operator.get("/api/admin/connections")).json()["items"]]

    name = await add(panel)
    before = await keys()
    assert before[-1] == name
    moved = await panel.operator.post("/admin/connections/order", data={"up": name})
    assert moved.status_code == 303
    assert await keys() == [*before[:-2], name, before[-2]]
    dragged = await panel.operator.post("/admin/connections/order", data={"keys": f"{name},fal"})
    assert dragged.status_code == 303 and (await keys())[:2] == [name, "fal"]
    unknown = await panel.operator.put("/api/admin/connections/order", json={"keys": ["nothing-here"]})
    assert unknown.status_code == 422


async def test_a_test_says_what_the_provider_said(panel: Panel) -> None:
    good = await panel.operator.post("/admin/connections/fal/test")
    assert good.status_code == 200 and "It works" in good.text and "Reachable" in good.text
    name = await add(panel, sandbox=True, api_key="wrong")
    bad = (await panel.operator.post(f"/api/admin/connections/{name}/test")).json()
    assert (bad["ok"], bad["reachable"], bad["key_accepted"]) == (False, True, False)
    assert bad["sentences"] and "wrong" not in bad["sentences"][0].lower().split()


async def test_a_pause_is_shown_and_ends_when_it_is_resumed(panel: Panel) -> None:
    name = await add(panel)
    async with panel.product.db.elevated("test: pause") as tx:
        await tx.execute_raw(
            "INSERT INTO connection_health (connection_id, paused_until, reason, detail, failures)"
            " SELECT id, now() + interval '1 hour', 'credit', 'The account has $0 left.', 1 FROM connection"
            " WHERE key = $1",
            name,
        )
    overview = (await panel.operator.get("/admin")).text
    assert "Account is empty" in overview and "The account has $0 left." in overview
    assert "Resume" in (await panel.operator.get(f"/admin/connections/{name}")).text
    assert (await panel.operator.post(f"/admin/connections/{name}/resume")).status_code == 303
    health = (await panel.operator.get(f"/api/admin/connections/{name}")).json()["health"]
    assert not health["paused"] and health["kind"] != "bad"


async def test_switching_off_takes_its_models_along(panel: Panel) -> None:
    async def offered() -> set[str]:
        return {item["key"] for item in (await panel.user.get("/api/models")).json()["items"]}

    assert "juggernaut-lightning" in await offered()
    await panel.operator.post("/admin/connections/fal/enabled", data={"enabled": "false"})
    async with asyncio.timeout(25):
        while "juggernaut-lightning" in await offered():
            await asyncio.sleep(0.05)
    await panel.operator.post("/admin/connections/fal/enabled", data={"enabled": "true"})
    async with asyncio.timeout(25):
        while "juggernaut-lightning" not in await offered():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("failed", "succeeded", "said"),
    [(1, 2, "12 of 19 in the last hour; it has worked since."), (2, 1, "12 of 19 in the last hour."),
     (None, None, "12 of 19 in the last hour.")],
)  # fmt: skip
def test_an_ill_connection_says_that_it_has_worked_since_only_when_it_has(
    failed: int | None, succeeded: int | None, said: str
) -> None:
    def at(minute: int | None) -> datetime | None:
        return None if minute is None else datetime(2026, 5, 1, 12, minute, tzinfo=UTC)

    connection = Connection(new_id(), "fal", "fal", "fal", sandbox=True)
    standing = Standing(connection.id, None, None, None, 0, at(succeeded), at(failed), 0, False)
    found = health_of(connection, standing, Recent(19, 5, 13, 12), datetime(2026, 5, 1, 13, tzinfo=UTC))
    assert (found.label, found.said) == ("Some calls fail", said)
