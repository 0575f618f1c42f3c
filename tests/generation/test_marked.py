"""A plan's mark from the request to the file: made by a worker, kept from whoever works from it, gone with the plan."""

import asyncio
from uuid import UUID

import pytest

from gesso.app import create_app
from gesso.catalog.registry import CHANNEL
from gesso.core.ids import new_id
from gesso.generation.policy import INPUT_GONE
from gesso.generation.repository import assets_in_use
from gesso.media.storage import Storage
from tests.generation.house import House, Person
from tests.security.site import routes_of

SHOWN = {"/media/{asset_id}/{variant}", "/api/media/{asset_id}", "/gallery/{asset_id}"}
"""Routes that name a picture; tests/media/test_marked.py asks every one of them."""


@pytest.fixture(scope="module")
async def plan(house: House) -> str:
    """A plan like the free one that marks pictures."""
    async with house.db.elevated("test") as tx:
        await tx.execute_raw(
            "INSERT INTO plan SELECT (jsonb_populate_record(p, jsonb_build_object('id', $1::text, 'key', 'marked', "
            "'watermark', true, 'applied', NULL))).* FROM plan p WHERE p.key = 'free'",
            str(new_id()),
        )
        tx.notify_after_commit(CHANNEL, {})
    return "marked"


async def on(person: Person, plan: str) -> None:
    sql = "UPDATE workspace SET plan_key = $2 WHERE id = $1 RETURNING id"
    await person.house.rows(sql, person.actor.workspace_id, plan)


async def row(house: House, asset_id: str) -> dict[str, object]:
    (found,) = await house.rows("SELECT * FROM asset WHERE id = $1", UUID(asset_id))
    return found


def test_every_route_that_names_a_picture_is_asked(house: House) -> None:
    routes = (path for method, path in routes_of(create_app(house.settings)) if method == "GET")
    assert {path for path in routes if "{asset" in path and not path.startswith("/admin/")} == SHOWN


async def test_made_marked_used_marked_and_clean_after_an_upgrade(house: House, plan: str) -> None:
    storage, ada = Storage.from_url(house.settings.storage_url), await house.person()
    await on(ada, plan)
    done = await ada.made("a quiet harbour")
    asset = done["assets"][0]
    found = await row(house, asset["id"])
    clean = found["clean"]
    assert isinstance(clean, dict) and clean["key"] != found["storage_key"]
    delivered = (await ada.http.get(f"/media/{asset['id']}/original")).content
    original = await storage.get(clean["key"])
    assert (delivered, original != delivered) == (await storage.get(str(found["storage_key"])), True)

    # on this plan one works from the marked file, and from nothing else
    await storage.delete([str(found["storage_key"])])
    body = {"model": "gemini-flash-image", "quality": "512", "references": [asset["id"]]}
    refused = await ada.made("at night", **body)
    assert refused["status"] == "failed" and INPUT_GONE[1] in str(refused["error"])
    await storage.put(str(found["storage_key"]), delivered)
    assert (await ada.made("at night", **body))["status"] == "succeeded"

    await on(ada, "free")
    assert (await ada.http.get(f"/media/{asset['id']}/320")).content == original
    async with asyncio.timeout(30):  # a worker makes its thumbnails and opens the row
        while (await row(house, asset["id"]))["clean"] is not None:
            await asyncio.sleep(0.05)
    small = await ada.http.get(f"/media/{asset['id']}/320")
    assert small.headers["content-type"] == "image/webp" and len(small.content) < len(original)
    assert (await ada.http.get(f"/media/{asset['id']}/original")).content == original
    assert (await ada.made("at night", **body))["status"] == "succeeded"
    assert (await row(house, (await ada.made("and again"))["assets"][0]["id"]))["clean"] is None
    assert await house.wrong() == ()


async def test_what_waits_keeps_the_mark_of_the_plan_it_was_asked_for_under(idle: House) -> None:
    ada = await idle.person()
    await idle.rows("UPDATE plan SET watermark = true WHERE key = 'free' RETURNING id")
    async with idle.db.elevated("test") as tx:
        tx.notify_after_commit(CHANNEL, {})
    try:
        async with asyncio.timeout(20):
            while True:
                asked = await ada.asked("a lighthouse")
                if (await idle.rows("SELECT watermark FROM generation WHERE id = $1", asked))[0]["watermark"]:
                    break
                await asyncio.sleep(0.05)
    finally:
        await idle.rows("UPDATE plan SET watermark = false WHERE key = 'free' RETURNING id")
        async with idle.db.elevated("test") as tx:
            tx.notify_after_commit(CHANNEL, {})


async def test_inputs_of_what_has_not_ended_are_in_use(idle: House) -> None:
    ada = await idle.person()
    used, other = new_id(), new_id()
    asked = await ada.asked("a lighthouse")
    await idle.rows("UPDATE generation SET inputs = ARRAY[$2::uuid] WHERE id = $1 RETURNING id", asked, used)
    async with idle.db.elevated("test") as tx:
        assert await assets_in_use(tx, [used, other]) == {used}
    await ada.http.post(f"/api/generate/{asked}/cancel")
    await idle.rows("UPDATE generation SET state = 'cancelled', finished_at = now() WHERE id = $1 RETURNING id", asked)
    async with idle.db.elevated("test") as tx:
        assert await assets_in_use(tx, [used, other]) == set()
