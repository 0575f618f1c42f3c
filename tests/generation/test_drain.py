"""A provider that answers at once, and a worker that is asked to stop meanwhile: the picture is brought home first."""

import asyncio
import signal

import pytest

from tests.generation.house import House
from tests.generation.test_crash import worker_process

pytestmark = pytest.mark.crash


async def test_a_stopping_worker_brings_home_what_is_answered_at_once(idle: House) -> None:
    ada = await idle.person()
    generation_id = await ada.asked("a harbour sandbox:slow=2", model="gpt-image", quality="low")
    async with worker_process(idle) as worker:
        async with asyncio.timeout(30):
            while [one["state"] for one in await idle.attempts(generation_id)] != ["started"]:
                await asyncio.sleep(0.02)
        worker.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await worker.wait() == 0
    outputs = await idle.rows("SELECT state FROM output WHERE generation_id = $1", generation_id)
    assert outputs == [{"state": "delivered"}], "nobody could ask for it again"
    assert [one["state"] for one in await idle.attempts(generation_id)] == ["succeeded"]
    async with worker_process(idle):
        assert (await ada.ended(generation_id, 40))["status"] == "succeeded"
    assert (await ada.wallet())[1] == "0" and await idle.wrong() == ()
