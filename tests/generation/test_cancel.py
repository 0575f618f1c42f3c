"""Cancel at every stage: what has arrived stays and is paid for, the rest is given back at once."""

import asyncio
from uuid import uuid4

import pytest

from gesso.core.ids import new_id
from tests.generation.house import House, working
from tests.generation.test_crash_video import asked_for_film


async def test_cancel_while_waiting_for_a_place(idle: House) -> None:
    ada = await idle.person()
    first, second, third = [await ada.asked(f"harbour {number}") for number in range(3)]
    status = await ada.status(third)
    assert status["status"] == "queued" and status["queue_position"] == 3 and status["eta_seconds"] >= 1
    answer = await ada.http.post(f"/api/generate/{third}/cancel")
    assert answer.json()["status"] == "cancelled" and answer.json()["queue_position"] is None
    assert await ada.wallet() == ("98", "2")
    await ada.http.post(f"/api/generate/{first}/cancel")
    await ada.http.post(f"/api/generate/{second}/cancel")
    assert await ada.wallet() == ("100", "0")
    assert await idle.wrong() == ()


async def test_cancel_of_a_dispatched_one_hands_its_place_on(idle: House) -> None:
    ada = await idle.person()
    ids = [await ada.asked(f"harbour {number}") for number in range(3)]
    dispatched = "SELECT dispatched_at IS NOT NULL AS sent FROM generation WHERE id = $1"
    assert [(await idle.rows(dispatched, one))[0]["sent"] for one in ids] == [True, True, False]
    await ada.http.post(f"/api/generate/{ids[0]}/cancel")
    assert (await idle.rows(dispatched, ids[2]))[0]["sent"]
    async with working(idle.settings):  # its job is still queued, and finds nothing to do
        assert [(await ada.ended(one))["status"] for one in ids] == ["cancelled", "succeeded", "succeeded"]
    assert await idle.attempts(ids[0]) == [] and await ada.wallet() == ("98", "0")


@pytest.mark.parametrize("kind", ["image", "video"])
async def test_cancel_while_the_provider_works_reaches_the_provider(house: House, kind: str) -> None:
    ada = await house.person()
    prompt = "harbour sandbox:slow=20"
    generation_id = await (asked_for_film(ada, "kling", prompt) if kind == "video" else ada.asked(prompt))
    await ada.until(generation_id, lambda status: status["status"] == "running")
    while not (attempts := await house.attempts(generation_id)) or attempts[0]["state"] != "submitted":
        await asyncio.sleep(0.02)
    answer = await ada.http.post(f"/api/generate/{generation_id}/cancel")
    assert answer.status_code == 200 and answer.json()["status"] == "cancelled"
    assert await ada.wallet() == ("100", "0")
    async with asyncio.timeout(15):  # long before the provider would be done
        while (attempt := (await house.attempts(generation_id))[0])["state"] != "cancelled":
            await asyncio.sleep(0.05)
    assert attempt["cost_state"] == "unknown" and attempt["provider_cost_micro_usd"] is None
    assert (await house.bill())[attempt["operation"]["id"]]["status"] == "cancelled"


async def test_cancel_after_some_arrived_keeps_them(house: House) -> None:
    ada = await house.person()
    generation_id = await ada.asked("harbour sandbox:slow*1=20", count=3)
    await ada.until(generation_id, lambda status: len(status["assets"]) == 2)
    status = (await ada.http.post(f"/api/generate/{generation_id}/cancel")).json()
    assert status["status"] == "cancelled" and len(status["assets"]) == 2
    assert status["charged"]["credits"] == "2" and await ada.wallet() == ("98", "0")
    assert [output["status"] for output in status["outputs"]].count("cancelled") == 1
    assert await house.wrong() == ()


async def test_cancel_during_the_handing_over_leaves_no_call_open(house: House) -> None:
    ada = await house.person()
    generation_id = await ada.asked("harbour sandbox:hang=2")
    await ada.until(generation_id, lambda status: status["status"] == "running")
    while not await house.attempts(generation_id):
        await asyncio.sleep(0.02)
    await ada.http.post(f"/api/generate/{generation_id}/cancel")
    assert await ada.wallet() == ("100", "0")
    async with asyncio.timeout(25):
        while (attempt := (await house.attempts(generation_id))[0])["finished_at"] is None:
            await asyncio.sleep(0.05)
    assert attempt["state"] == "uncertain"


async def test_cancel_twice_or_after_the_end_changes_nothing(house: House) -> None:
    ada = await house.person()
    done = await ada.made("harbour")
    again = (await ada.http.post(f"/api/generate/{done['id']}/cancel")).json()
    assert again["status"] == "succeeded" and again["charged"] == done["charged"]
    assert await ada.wallet() == ("99", "0")


async def test_strangers_find_nothing(house: House) -> None:
    ada, cleo = await house.person(), await house.person("Cleo")
    theirs = (await ada.made("harbour"))["id"]
    for unknown in (theirs, new_id(), uuid4()):
        assert (await cleo.http.get(f"/api/generate/status/{unknown}")).status_code == 404
        assert (await cleo.http.post(f"/api/generate/{unknown}/cancel")).status_code == 404
        assert (await cleo.http.post(f"/api/generate/{unknown}/rerun")).status_code == 404
    assert (await cleo.http.get("/api/generate")).json()["items"] == []
    assert (await cleo.http.get("/api/generate/status/nonsense")).status_code == 422
