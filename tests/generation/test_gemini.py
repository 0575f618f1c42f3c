"""Gemini's pictures through the whole product, and the operator's look at its account."""

import asyncio
from pathlib import Path

from tests.cli.homes import Home, said
from tests.conftest import SECRET
from tests.generation.house import House
from tests.media.pictures import picture


async def test_two_pictures_in_the_size_and_shape_asked_for(house: House) -> None:
    ada = await house.person()
    before = set(await house.bill())
    done = await ada.made("paper hills", model="gemini-flash-image", count=2, quality="512", aspect_ratio="16:9")
    assert (done["status"], done["error"]) == ("succeeded", None)
    assert [(asset["width"], asset["height"]) for asset in done["assets"]] == [(672, 384)] * 2
    assert done["charged"]["credits"] == "3"
    lines = [line for name, line in (await house.bill()).items() if name not in before]
    assert [(line["provider"], line["endpoint"], line["status"]) for line in lines] == [
        ("gemini", "gemini-3.1-flash-image", "done")
    ] * 2
    attempts = await house.attempts(done["id"])
    assert [attempt["state"] for attempt in attempts] == ["succeeded"] * 2
    for attempt, line in zip(attempts, lines, strict=True):  # the estimate: prices of its words are not known
        assert abs(attempt["provider_cost_micro_usd"] - line["cost_micro_usd"]) < 100
    assert await house.wrong() == ()


async def test_an_edit_of_ones_own_picture(house: House) -> None:
    ada = await house.person()
    uploaded = await ada.http.post("/api/media/uploads", files={"file": ("a.png", picture(), "image/png")})
    assert uploaded.status_code in (200, 201), uploaded.text
    references = [uploaded.json()["id"]]
    done = await ada.made("at night", model="gemini-flash-image", quality="512", references=references)
    assert (done["status"], len(done["assets"])) == ("succeeded", 1)
    assert await ada.wallet() == ("98.5", "0") and await house.wrong() == ()


async def test_words_instead_of_a_picture_are_not_paid(house: House) -> None:
    ada = await house.person()
    done = await ada.made("dunes sandbox:text-only", model="gemini-flash-image", quality="512")
    assert (done["status"], done["error"]["code"]) == ("failed", "rejected_failed")
    assert await ada.wallet() == ("100", "0") and await house.wrong() == ()


async def test_the_operator_tries_the_account(house: House, tmp_path: Path) -> None:
    address = house.settings.database.url
    assert address is not None
    told = await asyncio.to_thread(
        Home(tmp_path).typed, "connection", "test", "gemini", DATABASE_URL=address.get_secret_value(),
        GESSO_SECRET_KEY=SECRET, GESSO_SANDBOX_URL=house.sandbox_url, GESSO_ENV="test",
    )  # fmt: skip
    said(told, 0, "An answer came in", "The key is accepted.")
