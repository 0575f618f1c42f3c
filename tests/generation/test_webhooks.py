"""Providers' knocks: verified, believed for one thing only, and the way back for calls that were lost."""

import asyncio
import json
import time
from typing import Any

import httpx2

from gesso.core.ids import new_id
from gesso.sandbox.fal.signing import CURRENT, FOREIGN, Signer
from tests.generation.house import House, Person, working
from tests.generation.workers import worker_process


async def knock(house: House, request_id: str, *, call: Any = None, signer: Signer = CURRENT, age: int = 0,
                body: bytes | None = None, connection: str = "fal") -> httpx2.Response:  # fmt: skip
    """fal's notice, as its fact sheet has it."""
    data = body or json.dumps({"request_id": request_id, "gateway_request_id": request_id, "status": "OK",
                               "payload": {"images": [{"url": "http://169.254.169.254/"}]}}).encode()  # fmt: skip
    headers = {**signer.headers(request_id, int(time.time()) - age, data), "Content-Type": "application/json"}
    async with httpx2.AsyncClient(base_url=house.url) as client:
        params = {"call": str(call)} if call else {}
        return await client.post(f"/api/webhooks/{connection}", params=params, content=data, headers=headers)


async def test_only_a_verified_notice_is_taken(house: House) -> None:
    assert (await knock(house, "req-1")).status_code == 202
    assert (await knock(house, "req-1", signer=FOREIGN)).status_code == 403
    assert (await knock(house, "req-1", age=600)).status_code == 403
    other = json.dumps({"request_id": "req-2"}).encode()
    assert (await knock(house, "req-1", body=other)).status_code == 403
    assert (await knock(house, "req-1", connection="nobody")).status_code == 404
    async with httpx2.AsyncClient(base_url=house.url) as client:
        bare = await client.post("/api/webhooks/fal", json={"request_id": "req-1", "status": "OK"})
        assert bare.status_code == 403 and bare.json()["code"] == "forbidden"
        assert (await client.post("/api/webhooks/fal", content=b"x" * (5 * 2**20))).status_code == 413


async def test_duplicates_early_and_unknown_notices_change_nothing(house: House) -> None:
    ada = await house.person()
    generation_id = await ada.asked("a harbour sandbox:slow=3")
    while not (attempts := await house.attempts(generation_id)) or not attempts[0]["operation"]:
        await asyncio.sleep(0.02)
    request_id, call = attempts[0]["operation"]["id"], attempts[0]["client_key"]
    for _ in range(3):
        assert (await knock(house, request_id, call=call)).status_code == 202
        assert (await knock(house, str(new_id()), call=call)).status_code == 202
        assert (await knock(house, request_id, call=new_id())).status_code == 202
    assert (await house.attempts(generation_id))[0]["operation"]["id"] == request_id
    done = await ada.ended(generation_id)
    assert done["status"] == "succeeded" and len(done["assets"]) == 1
    assert (await knock(house, request_id, call=call)).status_code == 202
    assert await ada.status(generation_id) == done
    assert len(await house.attempts(generation_id)) == 1


async def lost_call(house: House, person: Person, prompt: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """A call whose answer was lost though the job runs: (status, attempt, the provider's request id)."""
    before = set(await house.bill())
    status = await person.made(prompt)
    (attempt,) = await house.attempts(status["id"])
    (request_id,) = set(await house.bill()) - before
    return status, attempt, request_id


async def test_a_late_result_is_kept_and_free(house: House) -> None:
    ada = await house.person()
    status, attempt, request_id = await lost_call(house, ada, "a harbour sandbox:drop@submit*1")
    assert (status["status"], status["error"]["code"]) == ("failed", "uncertain")
    assert attempt["state"] == "uncertain" and attempt["provider_cost_micro_usd"] > 0
    assert (await knock(house, request_id, call=attempt["client_key"])).status_code == 202
    late = await ada.until(status["id"], lambda status: status["assets"])
    assert late["status"] == "failed" and len(late["assets"]) == 1
    assert late["charged"]["credits"] == "0" and await ada.wallet() == ("100", "0")
    assert any("free of charge" in warning for warning in late["warnings"])
    async with asyncio.timeout(25):
        while (await house.attempts(status["id"]))[0]["state"] != "succeeded":
            await asyncio.sleep(0.05)
    await knock(house, request_id, call=attempt["client_key"])  # once more: nothing new
    await asyncio.sleep(0.5)
    assert len((await ada.status(status["id"]))["assets"]) == 1
    assert await house.wrong() == ()


async def test_a_notice_finds_the_job_a_killed_worker_had_just_asked_for(idle: House) -> None:
    ada = await idle.person()
    before = set(await idle.bill())
    generation_id = await ada.asked("a harbour, asked for in vain")
    async with worker_process(idle, "attempt.answered") as worker:
        await asyncio.wait_for(worker.wait(), 30)
    (attempt,) = await idle.attempts(generation_id)
    assert attempt["state"] == "started" and attempt["operation"] is None
    (request_id,) = set(await idle.bill()) - before
    assert (await knock(idle, request_id, call=attempt["client_key"])).status_code == 202
    async with working(idle.settings):
        done = await ada.ended(generation_id)
    assert done["status"] == "succeeded" and await ada.wallet() == ("99", "0")
    (attempt,) = await idle.attempts(generation_id)
    assert attempt["operation"]["id"] == request_id
