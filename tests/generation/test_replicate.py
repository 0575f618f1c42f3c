"""A second provider through the whole product: nothing of a generation belongs to one provider alone."""

from tests.generation.house import House


async def test_two_pictures_of_replicate_with_what_they_really_cost(house: House) -> None:
    ada = await house.person()
    done = await ada.made("paper hills", model="sdxl", count=2, seed=40, negative_prompt="fog", size="1280x720")
    assert (done["status"], done["error"]) == ("succeeded", None)
    assert sorted(asset["seed"] for asset in done["assets"]) == [40, 41]
    assert [(asset["width"], asset["height"]) for asset in done["assets"]] == [(1280, 720)] * 2
    attempts, bill = await house.attempts(done["id"]), await house.bill()
    for attempt in attempts:
        line = bill[attempt["operation"]["id"]]
        assert (line["provider"], line["status"]) == ("replicate", "done")
        assert (attempt["provider_cost_micro_usd"], attempt["cost_state"]) == (line["cost_micro_usd"], "actual")
    assert len(attempts) == 2 and await house.wrong() == ()


async def test_what_replicate_refuses_is_not_charged(house: House) -> None:
    ada = await house.person()
    done = await ada.made("dunes sandbox:safety", model="flux-schnell-wide", aspect_ratio="21:9")
    assert done["status"] == "failed" and done["charged"]["credits"] == "0"
    assert "content check" in str(done["error"])
    assert await ada.wallet() == ("100", "0") and await house.wrong() == ()
