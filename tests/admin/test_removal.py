"""Removing a model: what it touches is named and told, history keeps its name, an edition does not bring it back."""

import asyncio
import json
from functools import partial
from typing import Any

from gesso.catalog.editions import load_edition
from gesso.catalog.service import edition_apply
from gesso.core.ids import new_id
from tests.admin.conftest import Panel
from tests.admin.test_models import CAPABILITIES


async def add(panel: Panel, **more: Any) -> str:
    key = f"m{new_id().hex[-10:]}"
    body = {
        "key": key, "kind": "image", "name": f"Model {key}", "connection": "fal", "upstream": "fal-ai/flux/schnell",
        "capabilities": CAPABILITIES, "price": {"credits": "1"}, "enabled": True, **more,
    }  # fmt: skip
    answer = await panel.operator.post("/api/admin/models", json=body)
    assert answer.status_code == 201, answer.text
    return key


async def known(panel: Panel, key: str) -> bool:
    return key in [item["key"] for item in (await panel.user.get("/api/models")).json()["items"]]


async def status(panel: Panel, generation: str) -> dict[str, Any]:
    found: dict[str, Any] = (await panel.user.get(f"/api/generate/status/{generation}")).json()
    return found


async def test_what_it_touches_is_named_told_and_history_keeps_its_name(panel: Panel) -> None:
    doomed = await add(panel)
    other = await add(panel, fallbacks=[doomed, "flux-schnell"])
    await panel.until(partial(known, panel, other))
    asked = await panel.user.post("/api/generate/image", json={"model": doomed, "prompt": "sandbox:slow=30 a pier"})
    job = asked.json()["id"]

    async def running() -> bool:
        return (await status(panel, job))["status"] == "running"

    await panel.until(running)
    at = f"/admin/models/{doomed}/remove"
    page = (await panel.operator.get(at)).text
    assert f"Model {other}" in page and "1 generation is under way with it" in page and "Keep it" in page
    assert f">Remove Model {doomed}<" not in page
    refused = await panel.operator.post(at)
    assert refused.status_code == 409 and "Switch it off" in refused.text
    assert (await panel.operator.delete(f"/api/admin/models/{doomed}")).status_code == 409

    await panel.operator.post(f"/api/admin/jobs/{job}/cancel")
    async with asyncio.timeout(20):
        while (gone := await panel.operator.post(at)).status_code == 409:  # until the provider has been told
            await asyncio.sleep(0.1)
    assert gone.status_code == 303
    assert (await panel.operator.get(f"/admin/models/{doomed}")).status_code == 404
    told = (await panel.operator.get(f"/api/admin/models/{other}")).json()
    assert told["fallbacks"] == ["flux-schnell"]
    assert (await panel.audited("model.removed"))[0] == {
        "who": panel.olga.user_id, "model": doomed, "kind": "image", "fallbacks_of": [other], "chains": [],
    }  # fmt: skip
    assert (await status(panel, job))["model_name"] == f"Model {doomed}"
    assert f"Model {doomed}" in (await panel.user.get("/create")).text

    async def unknown() -> bool:
        return not await known(panel, doomed)

    await panel.until(unknown)


async def test_chains_are_told_and_an_empty_one_goes_back_to_the_models_own_order(panel: Panel) -> None:
    chat = json.loads(json.dumps(CAPABILITIES))
    del chat["properties"]["size"]
    one, two = [
        await add(panel, kind="chat", connection="openai", upstream="gpt-4o-mini", capabilities=chat) for _ in range(2)
    ]
    links = [{"model": one, "seconds": 9}, {"model": two, "seconds": 9}]
    put = await panel.operator.put("/api/admin/chains/text", json={"links": links, "total_seconds": 20})
    assert put.status_code == 200, put.text

    async def text() -> dict[str, Any]:
        items = (await panel.operator.get("/api/admin/chains")).json()["items"]
        return next(item for item in items if item["key"] == "text")

    assert "leaves the chain" in (await panel.operator.get(f"/admin/models/{one}/remove")).text
    assert (await panel.operator.delete(f"/api/admin/models/{one}")).status_code == 204
    assert [link["model"] for link in (await text())["links"]] == [two]
    assert "asked by their own order again" in (await panel.operator.get(f"/admin/models/{two}/remove")).text
    assert (await panel.operator.delete(f"/api/admin/models/{two}")).status_code == 204
    assert (await text())["set"] is False
    async with panel.product.db.elevated("test: apply") as tx:
        await edition_apply(tx, load_edition("studio"))
    assert (await text())["set"] is False, "the edition's chain was given up on purpose"


async def test_an_editions_model_stays_away(panel: Panel) -> None:
    key = "flux-ultra"
    assert (await panel.operator.delete(f"/api/admin/models/{key}")).status_code == 204
    async with panel.product.db.elevated("test: apply") as tx:
        await edition_apply(tx, load_edition("studio"))
    assert (await panel.operator.get(f"/api/admin/models/{key}")).status_code == 404
