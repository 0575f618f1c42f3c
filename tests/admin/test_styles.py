"""Styles in the panel and on Create: made, worn, ordered, removed; an edition does not bring them back."""

import asyncio
import re
from typing import Any

from gesso.catalog.editions import load_edition
from gesso.catalog.service import edition_apply, edition_diff
from gesso.core.ids import new_id
from tests.admin.conftest import Panel

MODEL = "juggernaut-lightning"


async def make(panel: Panel, **more: Any) -> str:
    form = {"key": f"s{new_id().hex[-10:]}", "name": "Dusk", "prompt": "at dusk", "enabled": "true"} | more
    answer = await panel.operator.post("/admin/styles/new", data=form)
    assert answer.status_code == 303, answer.text
    return str(form["key"])


async def ended(panel: Panel, **wish: Any) -> dict[str, Any]:
    asked = await panel.user.post("/api/generate/image", json={"model": MODEL, "prompt": "a pier", "count": 1, **wish})
    assert asked.status_code == 202, asked.text
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await panel.user.get(f"/api/generate/status/{asked.json()['id']}")).json()
            if found["status"] not in ("queued", "running"):
                return found
            await asyncio.sleep(0.05)


async def test_a_style_is_worn_and_its_words_reach_the_provider(panel: Panel) -> None:
    key = await make(panel, prompt="sandbox:fail at dusk", settings='{"size": "1280x720"}')

    async def named() -> bool:
        items = (await panel.user.get("/api/models")).json()["items"]
        styles = next(one for one in items if one["key"] == MODEL)["capabilities"]["properties"]["style"]["oneOf"]
        return {"const": key, "title": "Dusk"} in styles

    await panel.until(named)
    assert (await ended(panel))["status"] == "succeeded"
    worn = await ended(panel, style=key)
    assert worn["status"] == "failed" and worn["prompt"] == "a pier", (
        "the sandbox was told to fail by the style's words"
    )
    changed = {"name": "Dusk", "prompt": "at dusk", "settings": {"size": "1280x720"}}
    assert (await panel.operator.put(f"/api/admin/styles/{key}", json=changed)).status_code == 200

    async def mended() -> bool:
        return (await ended(panel, style=key))["status"] == "succeeded"

    await panel.until(mended)
    made = await ended(panel, style=key)
    assert (made["assets"][0]["width"], made["assets"][0]["height"]) == (1280, 720)
    assert (await ended(panel, style=key, size="1024x1024"))["assets"][0]["width"] == 1024
    off = await panel.operator.post(f"/admin/styles/{key}/enabled", data={"enabled": "false"})
    assert off.status_code == 303

    async def refused() -> bool:
        told = await panel.user.post("/api/generate/estimate", json={"kind": "image", "model": MODEL, "style": key})
        return told.status_code == 422 and told.json()["errors"][0]["field"] == "style"

    await panel.until(refused)


async def test_choosing_one_on_the_page_brings_its_settings_along_and_back(panel: Panel) -> None:
    key = await make(panel, settings='{"size": "1280x720"}')

    def size(page: str) -> str:
        found = re.search(r'name="size" value="([^"]+)"[^>]* checked', page)
        assert found
        return found[1]

    async def offered() -> bool:
        return f'name="style" value="{key}"' in (await panel.user.get("/create")).text

    await panel.until(offered)
    assert size((await panel.user.get("/create")).text) == "1024x1024"
    form = {"model": MODEL, "was": MODEL, "prompt": "a pier", "size": "1024x1024", "styled": ""}
    chosen = (await panel.user.post("/create/controls", data={**form, "style": key})).text
    assert size(chosen) == "1280x720" and f'name="styled" value="{key}"' in chosen and "a pier" in chosen
    undone = await panel.user.post("/create/controls", data={**form, "size": "1280x720", "styled": key, "style": ""})
    assert size(undone.text) == "1024x1024"
    by_hand = {**form, "size": "896x1120", "styled": key, "style": ""}
    assert size((await panel.user.post("/create/controls", data=by_hand)).text) == "896x1120"
    other = (await panel.user.post("/create/controls", data={**form, "model": "seedream-edit", "style": key})).text
    assert f'type="hidden" name="style" value="{key}"' in other, "kept for a model that takes it"


async def test_what_makes_no_sense_is_told_at_its_field(panel: Panel) -> None:
    form = {"key": "fresh", "name": "Fresh", "prompt": "x", "enabled": "true"}
    for wrong, said in (
        ({"key": "No Good"}, 'id="key-error"'),
        ({"prompt": ""}, "Say what it adds"),
        ({"settings": "{\n oops"}, "Line 2"),
        ({"settings": '{"sizes": "1:1"}'}, "No model of this site has a setting “sizes”"),
        ({"settings": '{"prompt": "x"}'}, "is not a style&#39;s to set"),
        ({"key": "noir"}, "already"),
    ):
        answer = await panel.operator.post("/admin/styles/new", data={**form, **wrong})
        assert answer.status_code in (409, 422) and said in answer.text, (wrong, answer.text)
        assert 'value="Fresh"' in answer.text


async def test_order_and_a_removal_that_an_edition_respects(panel: Panel) -> None:
    async def keys() -> list[str]:
        return [item["key"] for item in (await panel.operator.get("/api/admin/styles")).json()["items"]]

    before = await keys()
    assert (await panel.operator.post("/admin/styles/order", data={"down": before[0]})).status_code == 303
    assert (await keys())[:2] == [before[1], before[0]]
    assert (await panel.operator.post("/admin/styles/bauhaus/remove")).status_code == 303
    assert "bauhaus" not in await keys() and (await panel.audited("style.removed"))[0]["style"] == "bauhaus"
    edition = load_edition("studio")
    async with panel.product.db.elevated("test: apply") as tx:
        told = [change for change in await edition_diff(tx, edition) if change.key == "bauhaus"]
        assert [(change.verb, change.before) for change in told] == [("keep", None)]
        await edition_apply(tx, edition)
    assert "bauhaus" not in await keys()
    await make(panel, key="bauhaus", name="Bauhaus, ours")
    assert "bauhaus" in await keys()
