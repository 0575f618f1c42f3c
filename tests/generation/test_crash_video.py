"""Workers killed at every step of a film: nothing is lost that could be had, nothing is paid or sent twice."""

import asyncio
import signal
from collections import Counter
from uuid import UUID

import pytest

from tests.generation.house import House, Person
from tests.generation.test_crash import POINTS, check_books, explain_the_bill, worker_process

pytestmark = pytest.mark.crash
PRICE = 5


async def asked_for_film(person: Person, prompt: str) -> UUID:
    answer = await person.http.post("/api/generate/video", json={"model": "kling", "prompt": prompt, "duration": 4})
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"])


async def test_a_worker_killed_at_any_step_of_a_film_loses_and_doubles_nothing(idle: House) -> None:
    asked: dict[str, tuple[Person, object]] = {}
    billed_before = set(await idle.bill())
    for point in POINTS:
        ada = await idle.person()
        asked[point] = ada, await asked_for_film(ada, f"slow waves, {point}")
        async with worker_process(idle, point) as worker:
            assert await asyncio.wait_for(worker.wait(), 90) == -signal.SIGKILL, point
    ends: dict[str, Counter[str]] = {}
    async with worker_process(idle):
        for point, (person, generation_id) in asked.items():
            status = await person.ended(generation_id, 90)  # type: ignore[arg-type]
            async with asyncio.timeout(30):
                while any(one["finished_at"] is None for one in await idle.attempts(generation_id)):  # type: ignore[arg-type]
                    await asyncio.sleep(0.1)
            ends[point] = await check_books(idle, person, generation_id, PRICE)
            for film in status["assets"]:
                assert (film["kind"], film["media_type"], film["duration_ms"]) == ("video", "video/mp4", 4000)
    assert await idle.wrong() == ()
    for point in POINTS[2:]:
        assert ends[point] == Counter(delivered=1), (point, ends[point])
    assert ends["attempt.started"] == ends["attempt.answered"] == Counter(uncertain=1)
    await explain_the_bill(idle, asked, billed_before)
