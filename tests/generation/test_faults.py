"""What can go wrong at a provider: what the user is told, what is recorded, and that it costs nothing.

What is asked of every adapter (keys, credit, limits, refusals, lost answers, results that are gone) is in the battery.
"""

import pytest

from tests.generation.house import House

NO_FALLBACK = "flux-ultra"

# fault → (code, states of the attempts, kind of the last)
FAILURES = {
    "500": ("unavailable", ["failed"] * 3, "unavailable"),
    "hang=1": ("uncertain", ["uncertain"], "outcome_unknown"),
    "422-late": ("rejected_input", ["failed"], "rejected_input"),
    "fail=client_cancelled": ("rejected_cancelled", ["failed"], "rejected_cancelled"),
    "timeout": ("rejected_deadline", ["failed"], "rejected_deadline"),
    "flagged": ("flagged", ["succeeded"], None),
    "fewer": ("rejected_failed", ["failed"], "rejected_failed"),
    "truncated": ("bad_file", ["succeeded"], None),
    "huge": ("result_too_large", ["succeeded"], None),
    "bomb": ("bad_file", ["succeeded"], None),
    "private-redirect": ("result_refused", ["succeeded"], None),
    "private-url": ("result_refused", ["succeeded"], None),
}
HELPED = ["429*1=1", "500*2", "500@status*3", "429@status*1=1", "500@result*1", "500@file*1", "drop@file*1", "no-flag",
          "queue=3"]  # fmt: skip


@pytest.mark.parametrize("fault", FAILURES)
async def test_a_failure_is_named_recorded_and_free(house: House, fault: str) -> None:
    code, states, kind = FAILURES[fault]
    ada = await house.person()
    status = await ada.made(f"a quiet harbour sandbox:{fault}", model=NO_FALLBACK)
    assert (status["status"], status["error"]["code"]) == ("failed", code)
    assert status["error"]["message"].endswith("Nothing was charged.")
    assert "fal" not in status["error"]["message"] and "sandbox" not in status["error"]["message"]
    attempts = await house.attempts(status["id"])
    assert [attempt["state"] for attempt in attempts] == states
    assert attempts[-1]["error_kind"] == kind
    assert await ada.wallet() == ("100", "0")
    assert status["charged"]["credits"] == "0" and status["assets"] == []
    assert await house.wrong() == ()


@pytest.mark.parametrize("fault", HELPED)
async def test_a_passing_trouble_is_survived(house: House, fault: str) -> None:
    ada = await house.person()
    status = await ada.made(f"a quiet harbour sandbox:{fault}")
    assert status["status"] == "succeeded", status["error"]
    assert len(status["assets"]) == 1 and await ada.wallet() == ("99", "0")
    states = [attempt["state"] for attempt in await house.attempts(status["id"])]
    assert states[-1] == "succeeded" and set(states[:-1]) <= {"failed"}


async def test_one_flagged_picture_of_four_is_neither_delivered_nor_charged(house: House) -> None:
    ada = await house.person()
    status = await ada.made("a harbour sandbox:flagged*1", count=4)
    assert status["status"] == "succeeded" and len(status["assets"]) == 3
    assert status["charged"]["credits"] == "3" and status["price"]["credits"] == "4"
    assert [output["error"]["code"] for output in status["outputs"] if output["error"]] == ["flagged"]
    assert status["warnings"][-1].startswith("3 of 4 arrived.")
    assert await ada.wallet() == ("97", "0")


@pytest.mark.parametrize(("fault", "tries"), [("fail*1", 1), ("500*3", 3)])
async def test_a_fallback_model_steps_in_at_the_held_price(house: House, fault: str, tries: int) -> None:
    ada = await house.person()
    status = await ada.made(f"a harbour that another model paints sandbox:{fault}")
    assert status["status"] == "succeeded", status["error"]
    models = [attempt["model_key"] for attempt in await house.attempts(status["id"])]
    assert models == ["juggernaut-lightning"] * tries + ["flux-schnell"]
    assert status["charged"] == status["price"] and await ada.wallet() == ("99", "0")
    assert any("was used instead" in warning for warning in status["warnings"])


async def test_an_empty_account_pauses_its_connection_for_everyone(house: House) -> None:
    ada, ben = await house.person(), await house.person("Ben")
    await ada.made("a harbour sandbox:no-credit", model=NO_FALLBACK)
    status = await ben.made("a harbour", model=NO_FALLBACK)
    assert (status["status"], status["error"]["code"]) == ("failed", "misconfigured_credit")
    assert await house.attempts(status["id"]) == []
    health = (await house.rows("SELECT reason, paused_until > now() AS paused FROM connection_health"))[0]
    assert health == {"reason": "credit", "paused": True}
