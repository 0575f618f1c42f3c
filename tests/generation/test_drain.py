"""A worker that is asked to stop while a provider makes a picture it will put into its answer.

Nobody could ask for that answer again, so it is brought home first; all else is handed over meanwhile.
"""

import asyncio
import signal
import time
from uuid import UUID

import pytest

from tests.generation.house import House
from tests.generation.workers import worker_process

pytestmark = pytest.mark.crash


async def until_begun(house: House, generation_id: UUID, state: str) -> None:
    async with asyncio.timeout(30):
        while [one["state"] for one in await house.attempts(generation_id)] != [state]:
            await asyncio.sleep(0.02)


async def test_a_stopping_worker_waits_for_the_answer_only_it_can_get(idle: House) -> None:
    ada, ben = await idle.person(), await idle.person("Ben")
    polled = await ben.asked("a harbour sandbox:slow=60")
    async with worker_process(idle, GESSO_WORKER_GRACE_SECONDS="60") as worker:
        await until_begun(idle, polled, "submitted")
        # the last, so that as much as can be of their time is left when the worker is stopped
        refused = await ada.asked("dunes sandbox:slow=3 sandbox:fewer", model="gpt-image", quality="low")
        at_once = await ada.asked("a harbour sandbox:slow=10", model="gpt-image", quality="low")
        await until_begun(idle, at_once, "started")
        async with asyncio.timeout(30):
            while not await idle.attempts(refused):
                await asyncio.sleep(0.02)
        worker.send_signal(signal.SIGTERM)
        async with asyncio.timeout(9):  # what can be asked for again does not wait for what cannot
            while (await idle.rows("SELECT driver FROM generation WHERE id = $1", polled))[0]["driver"] is not None:
                await asyncio.sleep(0.05)
        assert worker.returncode is None and (await idle.attempts(at_once))[0]["state"] == "started"
        async with asyncio.timeout(60):
            assert await worker.wait() == 0
    assert (await ada.status(at_once))["status"] == "succeeded", "brought to its end, not only brought home"
    assert [one["state"] for one in await idle.attempts(at_once)] == ["succeeded"]
    assert [one["error_kind"] for one in await idle.attempts(refused)] == ["rejected_failed"], "as it was answered"
    assert (await ada.status(refused))["status"] == "failed"
    assert await ada.wallet() == ("99", "0") and await idle.wrong() == ()
    assert (await ben.status(polled))["status"] == "running"


async def test_a_second_signal_does_not_wait(idle: House) -> None:
    ada = await idle.person()
    generation_id = await ada.asked("a harbour sandbox:slow=60", model="gpt-image", quality="low")
    async with worker_process(idle, GESSO_WORKER_GRACE_SECONDS="60") as worker:
        await until_begun(idle, generation_id, "started")
        worker.send_signal(signal.SIGTERM)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(worker.wait(), 1)
        asked = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        async with asyncio.timeout(45):
            assert await worker.wait() == 128 + signal.SIGTERM
        assert time.monotonic() - asked < 40


async def test_the_wait_is_bounded_and_what_is_cut_off_is_not_sent_again(idle: House) -> None:
    ada = await idle.person()
    generation_id = await ada.asked("a harbour sandbox:slow=60", model="gpt-image", quality="low")
    async with worker_process(idle, GESSO_WORKER_GRACE_SECONDS="0.5") as worker:
        await until_begun(idle, generation_id, "started")
        worker.send_signal(signal.SIGTERM)
        async with asyncio.timeout(45):
            assert await worker.wait() == 0
    async with worker_process(idle):
        assert (await ada.ended(generation_id))["status"] == "failed"
    assert [one["state"] for one in await idle.attempts(generation_id)] == ["uncertain"]
    assert await ada.wallet() == ("100", "0") and await idle.wrong() == ()
