"""Deadlines, pauses, limits and what was lost on the way: nothing stays for ever, nothing is held for ever."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname
from uuid import UUID

import pytest

from gesso.core.clock import SystemClock
from gesso.generation import execution
from gesso.generation.tasks import Sweeps
from tests.generation.house import House, working


async def submitted(house: House, generation_id: UUID, count: int = 1) -> list[dict[str, Any]]:
    """The attempts as soon as the provider has taken all of them."""
    async with asyncio.timeout(20):
        while True:
            attempts = await house.attempts(generation_id)
            if len(attempts) == count and all(attempt["state"] == "submitted" for attempt in attempts):
                return attempts
            await asyncio.sleep(0.05)


async def test_a_day_in_the_queue_is_enough(idle: House) -> None:
    ada = await idle.person()
    ids = [await ada.asked(f"harbour {number}") for number in range(3)]
    await idle.rows("UPDATE generation SET queue_deadline_at = now() WHERE id = ANY ($1)", [ids[0], ids[2]])
    async with working(idle.settings):  # the first is found too late by a worker, the third by the sweep
        assert (await ada.ended(ids[0]))["error"]["code"] == "queue_deadline"
        assert (await ada.ended(ids[1]))["status"] == "succeeded"
    await Sweeps(idle.db, SystemClock()).end_overdue()
    third = await ada.status(ids[2])
    assert (third["status"], third["error"]["code"]) == ("failed", "queue_deadline")
    assert await ada.wallet() == ("99", "0") and await idle.wrong() == ()


async def test_past_its_deadline_the_provider_is_told_to_stop(idle: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "LAST_LOOK_SECONDS", 2.0)
    ada = await idle.person()
    generation_id = await ada.asked("harbour sandbox:slow=60")
    async with working(idle.settings):
        (attempt,) = await submitted(idle, generation_id)
    await idle.rows("UPDATE generation SET deadline_at = now() WHERE id = $1", generation_id)
    async with working(idle.settings):
        status = await ada.ended(generation_id)
    assert (status["status"], status["error"]["code"]) == ("failed", "deadline")
    assert (await idle.bill())[attempt["operation"]["id"]]["status"] == "cancelled"
    assert [one["state"] for one in await idle.attempts(generation_id)] == ["cancelled"]
    assert await ada.wallet() == ("100", "0")


async def test_what_fails_for_ever_ends_with_its_deadline(idle: House) -> None:
    ada = await idle.person()
    generation_id = await ada.asked("harbour sandbox:slow=1")
    async with working(idle.settings):
        await submitted(idle, generation_id)
    files = Path(url2pathname(urlsplit(idle.settings.storage_url).path))
    files.mkdir(parents=True, exist_ok=True)
    (files / str(ada.actor.workspace_id)).write_text("in the way: no picture of hers can be stored")
    await idle.rows("UPDATE generation SET deadline_at = now() - interval '1 hour' WHERE id = $1", generation_id)
    await asyncio.sleep(1)
    async with working(idle.settings):
        status = await ada.ended(generation_id)
    assert (status["status"], status["error"]["code"], status["charged"]["credits"]) == ("failed", "not_stored", "0")
    assert await ada.wallet() == ("100", "0") and await idle.wrong() == ()


async def test_what_is_ready_after_an_outage_is_still_delivered(idle: House) -> None:
    ada = await idle.person()
    generation_id = await ada.asked("harbour sandbox:slow=2")
    async with working(idle.settings):
        await submitted(idle, generation_id)
    await idle.rows("UPDATE generation SET deadline_at = now() - interval '1 hour' WHERE id = $1", generation_id)
    await asyncio.sleep(2)
    async with working(idle.settings):
        status = await ada.ended(generation_id)
    assert status["status"] == "succeeded" and await ada.wallet() == ("99", "0")


async def test_a_picture_that_outlived_its_hold_is_free(idle: House) -> None:
    ada = await idle.person()
    generation_id = await ada.asked("harbour sandbox:slow=3")
    async with working(idle.settings):
        await submitted(idle, generation_id)
        await idle.rows("UPDATE credit_hold SET expires_at = now() WHERE subject_id = $1", generation_id)
        status = await ada.ended(generation_id)
    assert status["status"] == "succeeded" and len(status["assets"]) == 1
    assert status["charged"]["credits"] == "0" and await ada.wallet() == ("100", "0")
    assert await idle.wrong() == ()


async def test_a_lost_job_is_found_by_looking(idle: House) -> None:
    ada = await idle.person()
    generation_id = await ada.asked("harbour")
    await idle.rows("DELETE FROM pgqueuer")
    waiting = [await ada.asked(f"hill {number}") for number in range(3)]
    # places that nobody handed on: what was dispatched before them is gone
    await idle.rows("DELETE FROM pgqueuer")
    await idle.rows("UPDATE generation SET dispatched_at = NULL WHERE id = ANY ($1)", waiting)
    await idle.rows("UPDATE generation SET dispatched_at = now() - interval '1 minute' WHERE id = $1", generation_id)
    async with working(idle.settings):
        for one in (generation_id, *waiting):
            assert (await ada.ended(one, 40))["status"] == "succeeded"
    assert await ada.wallet() == ("96", "0")


async def test_a_paused_connection_is_waited_for_without_holding_a_place(idle: House) -> None:
    ada = await idle.person()
    connection = (await idle.rows("SELECT id FROM connection WHERE key = 'fal'"))[0]["id"]
    await idle.rows(
        """INSERT INTO connection_health (connection_id, paused_until, reason)
           VALUES ($1, now() + interval '9 seconds', 'busy')""",
        connection,
    )
    generation_id = await ada.asked("harbour", model="flux-ultra")
    async with working(idle.settings):
        async with asyncio.timeout(15):
            deferred: list[dict[str, Any]] = []
            while not deferred:
                await asyncio.sleep(0.1)
                deferred = await idle.rows(
                    "SELECT g.id FROM generation g, pgqueuer q WHERE g.id = $1 AND g.state = 'running'"
                    " AND g.driven_until > now() AND q.status = 'queued'"
                    " AND q.entrypoint = 'generation.run' AND q.execute_after > now()",
                    generation_id,
                )
        assert len(deferred) == 1 and await idle.attempts(generation_id) == []
        assert (await ada.ended(generation_id, 40))["status"] == "succeeded"


async def test_a_connection_takes_so_many_calls_at_once(idle: House) -> None:
    ada, ben = await idle.person(), await idle.person("Ben")
    await idle.limit_connection('{"concurrency": 2}')
    try:
        async with working(idle.settings), working(idle.settings):  # two workers share one limit
            ids = [await ada.asked("harbour sandbox:slow=0.5", count=4), await ben.asked("hill", count=2)]
            assert (await ada.ended(ids[0]))["status"] == "succeeded"
            assert (await ben.ended(ids[1]))["status"] == "succeeded"
    finally:
        await idle.limit_connection('{"concurrency": 40}')
    most = await idle.rows(
        """SELECT max(n) AS n FROM (SELECT (SELECT count(*) FROM attempt b WHERE b.created_at <= a.created_at
           AND b.finished_at > a.created_at AND b.generation_id = ANY ($1)) AS n
           FROM attempt a WHERE a.generation_id = ANY ($1)) counted""",
        ids,
    )
    assert most[0]["n"] == 2


async def test_expected_time_comes_from_recent_runs(idle: House) -> None:
    ada = await idle.person()
    first = await ada.asked("harbour", model="juggernaut-pro")
    told = (await ada.http.post("/api/generate/estimate", json={"model": "juggernaut-pro"})).json()
    assert told["seconds"] == 10 and (await ada.status(first))["eta_seconds"] == 10
    async with working(idle.settings):
        await ada.ended(first)
    await idle.rows("UPDATE generation SET started_at = finished_at - interval '42 seconds' WHERE id = $1", first)
    told = (await ada.http.post("/api/generate/estimate", json={"model": "juggernaut-pro"})).json()
    assert told["seconds"] == 42
