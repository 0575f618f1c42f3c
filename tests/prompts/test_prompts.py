"""Improve and describe: what is held, shown, charged, given back, done once; whatever the model does."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from gesso.core.clock import FixedClock
from gesso.core.ids import new_id
from gesso.credits import service as credits
from gesso.prompts.tasks import sweep
from gesso.prompts.wording import tidy
from tests.generation.house import House, Person
from tests.media.pictures import picture

EVENTS = {"Accept": "text/event-stream"}
FIFTH = {"credits": "0.2", "allowances": {}, "outputs": [{"credits": "0.2"}]}


async def improve(ada: Person, prompt: str, **headers: str) -> httpx2.Response:
    return await ada.http.post("/api/prompts/improve", json={"prompt": prompt}, headers=headers)


async def records(ada: Person) -> list[dict[str, Any]]:
    return await ada.house.rows(
        "SELECT * FROM prompt_record WHERE workspace_id = $1 ORDER BY id", ada.actor.workspace_id
    )


async def events(ada: Person, prompt: str) -> list[tuple[str, Any]]:
    async with ada.http.stream("POST", "/api/prompts/improve", json={"prompt": prompt}, headers=EVENTS) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        text = "".join([part async for part in answer.aiter_text()])
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((lines["event"], json.loads(lines["data"])))
    return found


async def uploaded(ada: Person) -> UUID:
    answer = await ada.http.post("/api/media/uploads", files={"file": ("a.png", picture(), "image/png")})
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["id"])


async def test_an_improved_prompt_is_paid_when_it_is_there(ada: Person) -> None:
    assert (await ada.http.get("/api/prompts/prices")).json() == {"improve": FIFTH, "describe": FIFTH}
    answer = await improve(ada, "a lighthouse at dusk")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"id", "text", "model", "price", "charged", "tokens"}
    assert "lighthouse" in body["text"] and len(body["text"]) > 40 and body["model"] == "gpt-mini"
    assert body["price"] == body["charged"] == FIFTH
    assert body["tokens"]["input"] > 0 and body["tokens"]["output"] > 0
    assert await ada.wallet() == ("99.8", "0")
    (record,) = await records(ada)
    assert (record["state"], record["input_text"], record["output_text"]) == (
        "done", "a lighthouse at dusk", body["text"],
    )  # fmt: skip
    (call,) = await ada.house.rows("SELECT * FROM attempt WHERE id = $1", record["attempt_id"])
    assert (call["purpose"], call["state"], call["user_id"]) == ("improve", "succeeded", ada.actor.user_id)
    history = (await ada.http.get("/api/credits/history")).json()["items"][0]
    assert (history["credits"], history["subject_id"]) == ("-0.2", body["id"])
    assert await ada.house.wrong() == ()


async def test_it_streams_what_will_be_charged(ada: Person) -> None:
    found = await events(ada, "a lighthouse at dusk")
    names = [name for name, _ in found]
    assert names[0] == "started" and names[-1] == "done" and names.count("piece") >= 1
    assert found[0][1]["price"] == FIFTH
    assert tidy("".join(data["text"] for name, data in found if name == "piece")) == found[-1][1]["text"]


async def test_an_allowance_pays_first(ada: Person) -> None:
    async with ada.house.db.workspace(ada.actor.workspace_id, ada.actor.user_id) as tx:
        await credits.grant(tx, ada.actor.workspace_id, unit="prompt", amount=1, source="plan", key=f"{new_id()}")
    assert (await ada.http.get("/api/prompts/prices")).json()["improve"]["allowances"] == {"prompt": 1}
    assert (await improve(ada, "a boat")).json()["charged"]["allowances"] == {"prompt": 1}
    assert (await improve(ada, "a boat")).json()["charged"] == FIFTH
    assert await ada.wallet() == ("99.8", "0")


async def test_a_picture_is_described_as_it_is(ada: Person) -> None:
    asset_id = await uploaded(ada)
    answer = await ada.http.post("/api/prompts/describe", json={"asset_id": str(asset_id)})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["text"]) > 30
    (record,) = await records(ada)
    assert (record["kind"], record["asset_id"]) == ("describe", asset_id)
    (used,) = await ada.house.rows("SELECT used_at FROM asset WHERE id = $1", asset_id)
    assert used["used_at"] is not None  # so that clean-up leaves it
    for unknown in (new_id(), await uploaded(await ada.house.person("Ben"))):
        assert (await ada.http.post("/api/prompts/describe", json={"asset_id": str(unknown)})).status_code == 404


@pytest.mark.parametrize(
    ("prompt", "status", "code"),
    [
        ("sandbox:500*9 a boat", 503, "not_written"), ("sandbox:safety a boat", 422, "content_policy"),
        ("sandbox:cut a boat", 503, "not_written"), ("sandbox:no-credit a boat", 503, "not_written"),
        ("a naked teenager", 422, "content_policy"), ("", 422, "invalid_input"), ("   ", 422, "invalid_input"),
        ("x" * 5000, 422, "invalid_input"), ("a\0b", 422, "invalid_input"),
    ],
)  # fmt: skip
async def test_without_a_text_nothing_is_charged(ada: Person, prompt: str, status: int, code: str) -> None:
    answer = await improve(ada, prompt)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await ada.wallet() == ("100", "0")
    assert all(record["state"] == "failed" and record["error_message"] for record in await records(ada))
    assert await ada.house.wrong() == ()


async def test_a_stream_that_breaks_says_so_and_charges_nothing(ada: Person) -> None:
    found = await events(ada, "sandbox:cut a boat in the evening light, far out on a calm sea")
    assert found[-1][0] == "failed" and found[-1][1]["code"] == "not_written" and "broke off" in found[-1][1]["detail"]
    assert await ada.wallet() == ("100", "0")


async def test_the_same_request_is_done_once(ada: Person) -> None:
    key = {"Idempotency-Key": f"key {new_id()}"}
    first = await improve(ada, "a boat", **key)
    assert (await improve(ada, "a boat", **key)).json() == first.json()
    assert len(await records(ada)) == 1 and await ada.wallet() == ("99.8", "0")
    other = await improve(ada, "another boat", **key)
    assert other.status_code == 422 and other.json()["errors"][0]["field"] == "Idempotency-Key"

    slow = {"Idempotency-Key": f"key {new_id()}"}
    running = asyncio.create_task(improve(ada, "sandbox:slow=4 a boat", **slow))
    async with asyncio.timeout(25):
        while len(await records(ada)) < 2:
            await asyncio.sleep(0.02)
    assert (await improve(ada, "sandbox:slow=4 a boat", **slow)).status_code == 409
    assert (await running).status_code == 200

    failing = {"Idempotency-Key": f"key {new_id()}"}
    assert (await improve(ada, "sandbox:cut a boat", **failing)).status_code == 503
    assert (await improve(ada, "sandbox:cut a boat", **failing)).status_code == 503
    assert [record["state"] for record in await records(ada)] == ["done", "done", "failed", "failed"]


async def test_many_at_once_are_asked_to_wait_and_one_needs_credits(ada: Person) -> None:
    slow = [asyncio.create_task(improve(ada, f"sandbox:slow=2 number {n}")) for n in range(6)]
    statuses = sorted([(await task).status_code for task in slow])
    assert statuses.count(429) >= 1 and statuses.count(200) >= 3 and set(statuses) == {200, 429}
    poor = await ada.house.person("Ben", credits_=0)
    answer = await improve(poor, "a boat")
    assert answer.status_code == 402 and answer.json()["missing"] == "0.2"


async def test_a_text_nobody_waits_for_is_finished_and_kept(ada: Person) -> None:
    async with ada.http.stream(
        "POST", "/api/prompts/improve", json={"prompt": "sandbox:slow=1 a boat"}, headers=EVENTS
    ) as answer:
        assert answer.status_code == 200  # and the browser goes away
    async with asyncio.timeout(25):
        while (await records(ada))[0]["state"] == "writing":
            await asyncio.sleep(0.05)
    assert (await records(ada))[0]["state"] == "done" and await ada.wallet() == ("99.8", "0")


async def test_a_text_whose_process_died_is_ended_and_given_back(house: House, ada: Person) -> None:
    running = asyncio.create_task(improve(ada, "sandbox:slow=20 a boat"))
    async with asyncio.timeout(25):
        while not await records(ada):
            await asyncio.sleep(0.02)
    assert await ada.wallet() == ("99.8", "0.2")
    assert await sweep(house.db, FixedClock(datetime.now(UTC))) == 0
    assert await sweep(house.db, FixedClock(datetime.now(UTC) + timedelta(minutes=3))) == 1
    (record,) = await records(ada)
    assert record["state"] == "failed" and "Nothing was charged" in record["error_message"]
    assert await ada.wallet() == ("100", "0") and await house.wrong() == ()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_another_workspace_sees_nothing_of_it(ada: Person) -> None:
    await improve(ada, "a boat")
    ben = await ada.house.person("Ben")
    async with ada.house.db.workspace(ben.actor.workspace_id, ben.actor.user_id) as tx:
        assert await tx.fetch("SELECT * FROM prompt_record") == []


@pytest.mark.parametrize(
    ("answer", "prompt"),
    [
        ('"A red boat."', "A red boat."), ("Prompt: a boat", "a boat"), ("“A boat”", "A boat"),
        ("Here is an improved prompt:\n\nA boat at sea", "A boat at sea"), ('"Red" and "blue"', '"Red" and "blue"'),
        ("  a boat \n", "a boat"), ('""', '""'),
    ],
)  # fmt: skip
def test_the_prompt_is_taken_out_of_its_wrapping(answer: str, prompt: str) -> None:
    assert tidy(answer) == prompt


async def test_without_credits_a_text_is_written_on_the_persons_own_key(house: House) -> None:
    ada = await house.person(credits_=0)
    await house.rows("UPDATE plan SET own_keys = true WHERE key = 'free'")
    async with house.db.elevated("test: a plan with own keys") as tx:
        tx.notify_after_commit("gesso_catalog", {})
    async with asyncio.timeout(30):
        while (answer := await ada.http.put("/api/provider-keys", json={"use": True})).status_code != 200:
            await asyncio.sleep(0.02)
    refused = await improve(ada, "a lighthouse")
    assert refused.status_code == 402 and "own_key" in [one["way"] for one in refused.json()["ways"]]
    (openai,) = [one["provider"] for one in answer.json()["items"] if one["provider"] == "openai"]
    key = {"api_key": "sk-ada-of-her-own-ADAX"}
    assert (await ada.http.put(f"/api/provider-keys/{openai}", json=key)).json()["ok"]
    written = await improve(ada, "a lighthouse")
    assert written.status_code == 200 and written.json()["charged"]["credits"] == "0", written.text
    (record,) = await records(ada)
    (attempt,) = await house.rows("SELECT * FROM attempt WHERE id = $1", record["attempt_id"])
    (kept,) = await house.rows("SELECT * FROM own_key WHERE user_id = $1", ada.actor.user_id)
    assert record["own_key"] and attempt["own_key"] and attempt["connection_id"] == kept["id"]
    assert "own key" in (await ada.http.get("/dashboard/history.csv")).text

    sealed = house.settings.sealer.seal(b"wrong", f"own_key:{kept['id']}")
    await house.rows("UPDATE own_key SET sealed_key = $2 WHERE id = $1", kept["id"], sealed)
    failed = await improve(ada, "a lighthouse")
    assert failed.status_code == 503 and "Your own key was refused" in failed.json()["detail"]
    assert (await house.rows("SELECT refused FROM own_key WHERE id = $1", kept["id"]))[0]["refused"] == "key"
    assert (await improve(ada, "a lighthouse")).status_code == 402
    assert await ada.wallet() == ("0", "0") and await house.wrong() == ()
    assert (await improve(await house.person("Ben"), "a hill")).status_code == 200, "others are not touched"
