"""A provider that answers at once, with the files inside, through the whole product."""

from tests.generation.house import House


async def test_two_pictures_in_the_answer_itself_with_what_they_really_cost(house: House) -> None:
    ada = await house.person()
    before = set(await house.bill())
    done = await ada.made("paper hills", model="gpt-image", count=2, quality="low", size="1280x720")
    assert (done["status"], done["error"]) == ("succeeded", None)
    assert [(asset["width"], asset["height"]) for asset in done["assets"]] == [(1280, 720)] * 2
    assert done["charged"]["credits"] == "2"
    lines = [line for name, line in (await house.bill()).items() if name not in before]
    attempts = await house.attempts(done["id"])
    assert sorted(attempt["provider_cost_micro_usd"] for attempt in attempts) == sorted(
        line["cost_micro_usd"] for line in lines
    )
    assert {line["provider"] for line in lines} == {"openai"}
    assert {attempt["cost_state"] for attempt in attempts} == {"actual"}
    assert len(attempts) == 2 and await house.wrong() == ()


async def test_a_picture_whose_answer_is_lost_is_not_made_twice_nor_charged(house: House) -> None:
    ada = await house.person()
    before = set(await house.bill())
    done = await ada.made("dunes sandbox:drop", model="gpt-image", quality="low")
    assert done["status"] == "failed" and done["charged"]["credits"] == "0"
    assert len(set(await house.bill()) - before) == 1
    (attempt,) = await house.attempts(done["id"])
    assert attempt["provider_cost_micro_usd"] > 0, "it may have been billed, so its estimate stays in the books"
    assert await ada.wallet() == ("100", "0") and await house.wrong() == ()
