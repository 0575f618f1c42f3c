"""Workers killed at every step of a film: nothing is lost that could be had, nothing is paid or sent twice."""

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from gesso.media.storage import Storage
from gesso.media.video import sniff
from tests.generation.house import House, Person
from tests.generation.test_crash import POINTS, check_books, explain_the_bill
from tests.generation.workers import worker_process
from tests.media.pictures import picture

pytestmark = pytest.mark.crash
PRICE = 5
THE_PROVIDERS = POINTS[: POINTS.index("result.fetched")]
"""What comes after a file was fetched is the same whoever made it."""


async def asked_for_film(person: Person, model: str, prompt: str) -> UUID:
    body = {"model": model, "prompt": prompt, "duration": 4}
    if model == "stable-video":  # works from a picture alone
        files = {"file": ("start.png", picture(256, 256), "image/png")}
        answer = await person.http.post("/api/media/uploads", files=files)
        assert answer.status_code == 201, answer.text
        body["references"] = [answer.json()["id"]]
    answer = await person.http.post("/api/generate/video", json=body)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"])


@pytest.mark.parametrize(("model", "points"), [("kling", POINTS), ("stable-video", THE_PROVIDERS)])
async def test_a_worker_killed_at_any_step_of_a_film_loses_and_doubles_nothing(
    idle: House, model: str, points: Sequence[str]
) -> None:
    asked: dict[str, tuple[Person, object]] = {}
    billed_before = set(await idle.bill())
    for point in points:
        ada = await idle.person()
        asked[point] = ada, await asked_for_film(ada, model, f"slow waves, {point} sandbox:small")
        async with worker_process(idle, point) as worker:
            assert await asyncio.wait_for(worker.wait(), 90) == -signal.SIGKILL, point
        await idle.park()  # or the next worker would be killed in this one's calls, and leave its own anywhere
    await idle.release()
    ends: dict[str, Counter[str]] = {}
    async with worker_process(idle):
        for point, (person, generation_id) in asked.items():
            status = await person.ended(generation_id, 90)  # type: ignore[arg-type]
            async with asyncio.timeout(30):
                while any(one["finished_at"] is None for one in await idle.attempts(generation_id)):  # type: ignore[arg-type]
                    await asyncio.sleep(0.1)
            ends[point] = await check_books(idle, person, generation_id, PRICE)
            for film in status["assets"]:
                assert (film["kind"], film["media_type"]) == ("video", "video/mp4")
                assert 3900 < film["duration_ms"] < 4300
    assert await idle.wrong() == ()
    for point in points[2:]:
        assert ends[point] == Counter(delivered=1), (point, ends[point])
    assert ends["attempt.started"] == ends["attempt.answered"] == Counter(uncertain=1)
    await explain_the_bill(idle, asked, billed_before)


async def test_a_film_whose_marking_is_killed_is_marked_by_the_next_worker_and_paid_for_once(idle: House) -> None:
    ada = await idle.person()
    generation_id = await asked_for_film(ada, "kling", "slow waves, marked")
    await idle.rows("UPDATE generation SET watermark = true WHERE id = $1 RETURNING id", generation_id)
    async with worker_process(idle, "film.marking") as worker:
        assert await asyncio.wait_for(worker.wait(), 90) == -signal.SIGKILL
    left = programs_that_mark()
    async with asyncio.timeout(60):
        while left & programs_that_mark():
            await asyncio.sleep(0.05)  # a worker's death is theirs
    async with worker_process(idle):
        await ada.ended(generation_id, 90)
    assert await check_books(idle, ada, generation_id, PRICE) == Counter(delivered=1)
    (film,) = await idle.rows("SELECT storage_key, clean FROM asset WHERE generation_id = $1", generation_id)
    files = Storage.from_url(idle.settings.storage_url)
    marked, clean = await files.get(film["storage_key"]), await files.get(film["clean"]["key"])
    assert sniff(marked) == sniff(clean) == "video/mp4" and marked != clean
    assert len(await idle.attempts(generation_id)) == 1 and await idle.wrong() == ()


def programs_that_mark() -> set[int]:
    """The processes that mark films, whoever's they are."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"gesso.media.marked_film" in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
    return found
