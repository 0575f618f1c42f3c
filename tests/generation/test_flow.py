"""Whole stories: HTTP in, a worker, the sandbox's wire, pictures and charges out."""

from tests.generation.house import House


async def test_four_pictures_arrive_and_are_charged_once(house: House) -> None:
    ada = await house.person()
    answer = await ada.submit("four lighthouses", count=4)
    assert answer.status_code == 202
    body = answer.json()
    assert body["status"] == "queued" and len(body["price"]["outputs"]) == 4
    done = await ada.ended(body["id"])
    assert done["status"] == "succeeded" and done["progress"] == 1 and done["error"] is None
    assert done["charged"] == done["price"] == body["price"]
    assert len({asset["id"] for asset in done["assets"]}) == 4
    assert len({asset["seed"] for asset in done["assets"]}) == 4
    assert all(asset["width"] == 1024 and asset["kind"] == "image" for asset in done["assets"])
    balance, held = await ada.wallet()
    assert held == "0" and float(balance) == 100 - float(done["price"]["credits"])
    assert await house.wrong() == ()
