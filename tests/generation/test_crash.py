"""Workers killed at every step: whatever happens, each generation ends truly and nothing is sold twice."""

import asyncio
import signal
from collections import Counter

import pytest

from tests.generation.house import House, Person, working
from tests.generation.workers import worker_process

pytestmark = pytest.mark.crash

POINTS = [
    "attempt.started", "attempt.answered", "attempt.submitted", "result.known", "result.fetched", "result.stored",
    "output.settled", "generation.finishing", "generation.finished",
]  # fmt: skip


async def check_books(house: House, person: Person, generation_id: object, price: int = 1) -> Counter[str]:
    """What must hold after any accident, where one output costs `price` credits. How the outputs ended."""
    status = await person.status(generation_id)  # type: ignore[arg-type]
    outputs = await house.rows("SELECT state, error_code, late FROM output WHERE generation_id = $1", generation_id)
    assert not [output for output in outputs if output["state"] == "pending"]
    delivered = sum(output["state"] == "delivered" for output in outputs)
    assert len(status["assets"]) == delivered
    assert (status["status"] == "succeeded") == (delivered > 0)
    balance, held = await person.wallet()
    assert held == "0" and 100 - int(balance) == price * delivered == int(status["charged"]["credits"])
    for asset in status["assets"]:
        rows = await house.rows("SELECT storage_key, size_bytes FROM asset WHERE id::text = $1", asset["id"])
        path = house.settings.site.data_dir / "files" / rows[0]["storage_key"]
        assert path.stat().st_size == rows[0]["size_bytes"]
    attempts = await house.attempts(generation_id)  # type: ignore[arg-type]
    assert not [attempt for attempt in attempts if attempt["finished_at"] is None]
    tried = Counter(index for attempt in attempts for index in attempt["output_indexes"])
    assert set(tried.values()) <= {1}, "nothing was sent twice"
    return Counter(output["error_code"] or output["state"] for output in outputs)


async def test_a_worker_killed_at_any_step_loses_and_doubles_nothing(idle: House) -> None:
    asked: dict[str, tuple[Person, object]] = {}
    billed_before = set(await idle.bill())
    for point in POINTS:
        ada = await idle.person()
        asked[point] = ada, await ada.asked(f"a harbour, {point} sandbox:small", count=3)
        async with worker_process(idle, point) as worker:
            assert await asyncio.wait_for(worker.wait(), 60) == -signal.SIGKILL, point
        await idle.park()  # or the next worker would be killed in this one's calls, and leave its own anywhere
    await idle.release()
    ends: dict[str, Counter[str]] = {}
    async with worker_process(idle):
        for point, (person, generation_id) in asked.items():
            await person.ended(generation_id, 90)  # type: ignore[arg-type]
            async with asyncio.timeout(30):
                while any(one["finished_at"] is None for one in await idle.attempts(generation_id)):  # type: ignore[arg-type]
                    await asyncio.sleep(0.1)
            ends[point] = await check_books(idle, person, generation_id)
    assert await idle.wrong() == ()
    # Only a call whose answer nobody could note is given up; from then on everything is found again.
    for point in POINTS[2:]:
        assert ends[point]["delivered"] >= 1, (point, ends[point])
    assert ends["attempt.started"]["uncertain"] >= 1 and ends["attempt.answered"]["uncertain"] >= 1
    await explain_the_bill(idle, asked, billed_before)


async def explain_the_bill(house: House, asked: dict[str, tuple[Person, object]], before: set[str]) -> None:
    """Every job the provider took belongs to a call of ours, or to one that we know to be uncertain."""
    attempts = [one for _, generation_id in asked.values() for one in await house.attempts(generation_id)]  # type: ignore[arg-type]
    known = {one["operation"]["id"] for one in attempts if one["operation"]}
    unexplained = set(await house.bill()) - before - known
    uncertain = [one for one in attempts if one["state"] == "uncertain"]
    assert len(unexplained) <= len(uncertain)
    assert all(one["provider_cost_micro_usd"] is not None for one in uncertain), "with its possible cost"


async def test_a_stopping_worker_hands_over_within_seconds(idle: House) -> None:
    ada = await idle.person()
    generation_id = await ada.asked("a harbour sandbox:slow=8", count=2)
    async with worker_process(idle) as first:
        async with asyncio.timeout(30):
            while [one["state"] for one in await idle.attempts(generation_id)] != ["submitted"] * 2:
                await asyncio.sleep(0.05)
        first.send_signal(signal.SIGTERM)
        async with asyncio.timeout(8):
            assert await first.wait() == 0
    handed = await idle.rows("SELECT state, driver FROM generation WHERE id = $1", generation_id)
    assert handed == [{"state": "running", "driver": None}]
    async with worker_process(idle):
        status = await ada.ended(generation_id, 30)
    assert status["status"] == "succeeded" and len(status["assets"]) == 2
    assert len(await idle.attempts(generation_id)) == 2
    assert await ada.wallet() == ("98", "0") and await idle.wrong() == ()


async def test_two_workers_and_doubled_jobs_drive_a_generation_once(idle: House) -> None:
    ada = await idle.person()
    ids = [await ada.asked(f"a harbour {number}", count=2) for number in range(2)]
    await idle.rows(
        """INSERT INTO pgqueuer (priority, status, entrypoint, payload)
           SELECT priority, status, entrypoint, payload FROM pgqueuer, generate_series(1, 5)
           WHERE entrypoint = 'generation.run'"""
    )
    async with working(idle.settings), working(idle.settings):
        for generation_id in ids:
            assert (await ada.ended(generation_id))["status"] == "succeeded"
    for generation_id in ids:
        assert len(await idle.attempts(generation_id)) == 2
    assert await ada.wallet() == ("96", "0") and await idle.wrong() == ()


async def test_a_worker_that_lost_its_lease_leaves_the_generation_alone(idle: House) -> None:
    ada = await idle.person()
    generation_id = await ada.asked("a harbour sandbox:slow=4")
    async with working(idle.settings):
        async with asyncio.timeout(20):
            while [one["state"] for one in await idle.attempts(generation_id)] != ["submitted"]:
                await asyncio.sleep(0.05)
        taken = """UPDATE generation SET driver = gen_random_uuid(), driven_until = now() + interval '1 hour'
                   WHERE id = $1 RETURNING driver"""
        other = (await idle.rows(taken, generation_id))[0]["driver"]
        job = (await idle.attempts(generation_id))[0]["operation"]["id"]
        async with asyncio.timeout(60):
            while (await idle.bill())[job]["status"] in ("queued", "running"):
                await asyncio.sleep(0.1)
        await asyncio.sleep(2)  # the picture is ready by now, and not ours to deliver
        rows = await idle.rows("SELECT driver, state FROM generation WHERE id = $1", generation_id)
        assert rows == [{"driver": other, "state": "running"}]
        await idle.rows("UPDATE generation SET driven_until = now() WHERE id = $1", generation_id)
        status = await ada.ended(generation_id, 90)  # nobody renewed that lease, so the sweep finds it
    assert status["status"] == "succeeded" and len(await idle.attempts(generation_id)) == 1
    assert await ada.wallet() == ("99", "0")
