"""A connection that cannot be used: people learn it before they ask, the operator learns what to do."""

from typing import Any

from gesso.core.ids import new_id
from tests.admin.conftest import Panel
from tests.admin.test_removal import add, known

NAME = "Quiet supplier"


async def connect(panel: Panel, api_key: str) -> tuple[str, dict[str, Any]]:
    key = f"c{new_id().hex[-10:]}"
    body = {"name": NAME, "sandbox": True, "api_key": api_key}
    made = await panel.operator.post("/api/admin/connections", json={**body, "key": key, "adapter": "fal"})
    assert made.status_code == 201, made.text
    return key, body


async def test_a_refused_key_is_told_before_anything_is_asked(panel: Panel) -> None:
    key, body = await connect(panel, "wrong")
    lonely = await add(panel, connection=key)
    covered = await add(panel, connection=key, fallbacks=["flux-schnell"])

    async def live() -> bool:
        return await known(panel, covered)

    await panel.until(live)

    async def page(model: str) -> str:
        return (await panel.user.get("/create", params={"model": model, "all": "1"})).text

    assert "not available at the moment" not in await page(lonely)
    asked = await panel.user.post("/api/generate/image", json={"model": lonely, "prompt": "a pier"})
    at = f"/api/generate/status/{asked.json()['id']}"

    async def failed() -> bool:
        return bool((await panel.user.get(at)).json()["status"] == "failed")

    await panel.until(failed)
    told = await page(lonely)
    assert f"Model {lonely} is not available at the moment. Choose another model" in told
    assert "Not available now" in told and NAME not in told and key not in told
    told = await page(covered)
    assert f"Model {covered} is not available at the moment. FLUX Schnell stands in for it" in told
    assert "not available at the moment" not in await page("flux-schnell")

    overview = (await panel.operator.get("/admin")).text
    assert f"{NAME}: Key refused" in overview and "Give it a key that works" in overview
    drawer = (await panel.operator.get(f"/admin/connections/{key}")).text
    assert "Give it a key that works" in drawer
    mended = await panel.operator.put(
        f"/api/admin/connections/{key}", json={**body, "api_key": "good-id:key-9876543210"}
    )
    assert mended.status_code == 200
    assert "not available at the moment" not in await page(lonely)
    assert f"{NAME}: Key refused" not in (await panel.operator.get("/admin")).text
