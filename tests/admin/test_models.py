"""Models in the panel and its API: prices that make no sense are refused, mistakes are told by line."""

import asyncio
import json
from typing import Any

import pytest

from gesso.admin.typed import at_lines, lines_of
from gesso.catalog.edits.models import credit_value
from gesso.catalog.items import Pack
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from tests.admin.conftest import Panel

CAPABILITIES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string", "maxLength": 500},
        "size": {"type": "string", "oneOf": [{"const": "1024x1024"}, {"const": "2048x2048"}], "default": "1024x1024"},
        "count": {"type": "integer", "minimum": 1, "maximum": 4, "default": 1},
    },
    "required": ["prompt"],
    "additionalProperties": False,
}


def a_form(**more: str) -> dict[str, str]:
    return {
        "key": f"m{new_id().hex[-10:]}", "kind": "image", "name": "Fresh", "connection": "fal",
        "upstream": "fal-ai/flux/schnell", "capabilities": json.dumps(CAPABILITIES, indent=2), "price_amount": "2",
        "typical_seconds": "4", "enabled": "true",
    } | more  # fmt: skip


async def save(panel: Panel, **more: str) -> tuple[str, int, str]:
    form = a_form(**more)
    answer = await panel.operator.post("/admin/models/new", data=form)
    return form["key"], answer.status_code, answer.text


async def test_a_new_model_can_be_asked_for_at_its_price(panel: Panel) -> None:
    key, status, text = await save(panel, price_factors="size 2048x2048 = 2.5", tags="fast, photo")
    assert status == 303, text
    asked = {"kind": "image", "model": key, "count": 2, "size": "2048x2048"}
    async with asyncio.timeout(25):  # a change is live as soon as it has gone round
        while (told := await panel.user.post("/api/generate/estimate", json=asked)).status_code == 422:
            await asyncio.sleep(0.05)
    assert told.json()["price"]["credits"] == "10"
    stored = (await panel.operator.get(f"/api/admin/models/{key}")).json()
    assert stored["price"] == {"credits": "2", "size": {"2048x2048": "2.5"}} and stored["tags"] == ["fast", "photo"]
    assert (await panel.audited("model.added"))[0]["model"] == key
    again = await panel.operator.post("/admin/models/new", data=a_form(key=key))
    assert again.status_code == 409 and "already" in again.text and 'id="key-error"' in again.text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"price_amount": ""}, "without a price cannot be switched on"),
        ({"price_amount": "-1"}, "nothing or more"),
        ({"price_amount": "two"}, "Give a number"),
        ({"price_amount": "Infinity"}, "nothing or more"),
        ({"price_amount": "0"}, "Confirm that it is meant to be free"),
        ({"price_factors": "size 2048x2048 = 2\nsize 9x9 = 1"}, "not among the model"),
        ({"price_factors": "size 2048x2048 = 2\nnonsense"}, "Line 2"),
        ({"kind": "chat"}, "not chat"),
        ({"fallbacks": "no-such-model"}, "no image model of this site"),
        ({"capabilities": '{\n  "type": "object",\n}'}, "Line 3"),
        ({"wire": "[1]"}, "Line 1"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_what_was_typed_stays(
    panel: Panel, wrong: dict[str, str], said: str
) -> None:
    key, status, text = await save(panel, **wrong)
    assert status == 422 and said in text, text
    assert 'value="Fresh"' in text and "fal-ai/flux/schnell" in text
    assert (await panel.operator.get(f"/api/admin/models/{key}")).status_code == 404


async def test_a_capability_that_does_not_fit_is_found_by_its_line(panel: Panel) -> None:
    broken = json.loads(json.dumps(CAPABILITIES))
    broken["properties"]["count"] = {"type": "integer", "minimun": 1, "maximum": 4, "default": 1}
    text = json.dumps(broken, indent=2)
    line = next(number for number, one in enumerate(text.splitlines(), start=1) if "minimun" in one)
    _, status, page = await save(panel, capabilities=text)
    assert status == 422 and f"Line {line}: unknown keyword “minimun”; did you mean “minimum”?" in page


async def test_why_one_stays_off_is_said_over_the_list(panel: Panel) -> None:
    key, status, text = await save(panel, price_amount="", enabled="")
    assert status == 303, text
    at = f"/admin/models/{key}/enabled"
    plain = await panel.operator.post(at, data={"enabled": "true"})
    assert plain.status_code == 303 and "has no price yet" in (await panel.operator.get("/admin/models")).text
    by_script = await panel.operator.post(at, data={"enabled": "true"}, headers={"HX-Request": "true"})
    assert by_script.status_code == 200 and "has no price yet" in by_script.headers["hx-trigger"]
    assert (await panel.operator.post(at)).status_code == 422, "nothing is switched by an empty form"


async def test_free_is_meant_when_it_is_said(panel: Panel) -> None:
    key, status, _ = await save(panel, price_amount="0", free="true")
    assert status == 303
    switched = await panel.operator.put(f"/api/admin/models/{key}/enabled", json={"enabled": False})
    assert switched.status_code == 200 and switched.json()["enabled"] is False


async def test_below_cost_is_asked_about_once(panel: Panel) -> None:
    async with panel.product.db.elevated("test: sell a pack") as tx:
        await tx.execute_raw(
            "INSERT INTO pack (id, key, name, credits, price_cents, currency, origin)"
            " VALUES ($1, $2, 'Hundred', 100000000, 200, 'usd', 'operator')",
            new_id(), f"p{new_id().hex[-8:]}",
        )  # fmt: skip
    try:
        key, status, text = await save(panel, cost_amount="0.05")  # 2 credits bring in $0.04
        assert status == 422 and "brings in $0.0400 and costs $0.0500" in text and 'name="below_cost"' in text
        key, status, _ = await save(panel, cost_amount="0.05", below_cost="true")
        assert status == 303
        page = (await panel.operator.get(f"/admin/models/{key}")).text
        assert "$0.04" in page and "$0.05" in page
        key, status, _ = await save(panel, cost_amount="0.03")
        assert status == 303
    finally:
        async with panel.product.db.elevated("test: sell nothing") as tx:
            await tx.execute_raw("DELETE FROM pack")


async def test_the_live_example_follows_what_is_typed(panel: Panel) -> None:
    form = a_form(
        price_amount="1.5", price_factors="size 2048x2048 = 3", example_size="2048x2048", example_count="4",
    )  # fmt: skip
    answer = await panel.operator.post("/admin/models/example", data=form, headers={"HX-Request": "true"})
    assert "18 credits" in answer.text and "<html" not in answer.text
    half = await panel.operator.post(
        "/admin/models/example", data={**form, "price_amount": "1x"}, headers={"HX-Request": "true"}
    )
    assert "No price yet" in half.text


async def test_order_within_a_kind(panel: Panel) -> None:
    async def images() -> list[str]:
        items = (await panel.operator.get("/api/admin/models")).json()["items"]
        return [item["key"] for item in items if item["kind"] == "image"]

    before = await images()
    moved = await panel.operator.post("/admin/models/order", data={"down": before[0]})
    assert moved.status_code == 303
    assert await images() == [before[1], before[0], *before[2:]]


async def test_the_api_asks_for_what_the_page_asks(panel: Panel) -> None:
    key = f"m{new_id().hex[-10:]}"
    body = {
        "key": key, "kind": "image", "name": "By API", "connection": "fal", "upstream": "fal-ai/flux/schnell",
        "capabilities": CAPABILITIES, "price": {"credits": "0"}, "enabled": True,
    }  # fmt: skip
    refused = await panel.operator.post("/api/admin/models", json=body)
    assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "free"
    made = await panel.operator.post("/api/admin/models", json={**body, "free": True})
    assert made.status_code == 201 and made.json()["capabilities"] == CAPABILITIES
    changed = {name: value for name, value in body.items() if name not in ("key", "kind")}
    priced = await panel.operator.put(f"/api/admin/models/{key}", json={**changed, "price": {"credits": "3"}})
    assert priced.json()["price"] == {"credits": "3"}


def test_lines_of_a_document() -> None:
    text = '{\n "a": [1,\n  {"b": "}\\""}],\n "c": {\n  "d": null}}'
    assert lines_of(text) == {(): 1, ("a",): 2, ("a", 0): 2, ("a", 1): 3, ("a", 1, "b"): 3, ("c",): 4, ("c", "d"): 5}
    assert at_lines(text, [(("c", "e"), "is odd"), ((), "is all wrong")]) == "Line 4: is odd.\nLine 1: is all wrong."


def test_a_credit_is_worth_what_the_cheapest_pack_brings_in() -> None:
    def pack(credits: int, cents: int, currency: str = "usd") -> Pack:
        return Pack(new_id(), f"p{credits}", "Pack", credits * MICRO, cents, currency)

    assert credit_value([pack(100, 500), pack(1000, 4000), pack(10, 0), pack(9, 1, "eur")]) == 40_000
    assert credit_value([pack(10, 0)]) is None
