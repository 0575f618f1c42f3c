"""The queue: together with its transaction or not at all, retried, handed over, scheduled."""

import asyncio
from typing import Any

import pytest
from pgqueuer.domain.settings import DBSettings

from gesso.db import Database
from gesso.jobs import HandOver, Tasks, enqueue, forget_log
from gesso.jobs.queue import WAKE_CHANNEL
from gesso.jobs.worker import Worker

PATIENCE = 60.0


class Running:
    """A worker in this process, for the length of a test."""

    def __init__(self, db: Database, tasks: Tasks) -> None:
        self.worker = Worker(db, tasks)

    async def __aenter__(self) -> "Running":
        self.task = asyncio.create_task(self.worker.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.worker.stop()
        await asyncio.wait_for(self.task, PATIENCE)


async def test_a_job_runs_after_its_commit(db: Database) -> None:
    seen: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    tasks = Tasks()
    tasks.add("test.echo", seen.put)
    async with Running(db, tasks):
        await asyncio.sleep(0.5)
        async with db.public() as tx:
            await enqueue(tx, "test.echo", {"n": 1})
            await asyncio.sleep(0.1)
            assert seen.empty()
        assert await asyncio.wait_for(seen.get(), PATIENCE) == {"n": 1}


async def test_a_rolled_back_job_never_runs(db: Database) -> None:
    with pytest.raises(RuntimeError):
        async with db.public() as tx:
            await enqueue(tx, "test.rolled_back", {})
            raise RuntimeError
    async with db.public() as tx:
        assert await tx.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = 'test.rolled_back'") == 0


async def test_a_dedupe_key_lets_one_in(db: Database) -> None:
    async with db.public() as tx:
        assert await enqueue(tx, "test.nobody", {}, dedupe_key="one")
        assert not await enqueue(tx, "test.nobody", {}, dedupe_key="one")


async def test_a_stopping_worker_hands_its_job_to_the_next(db: Database) -> None:
    started, finished = asyncio.Event(), asyncio.Event()
    first = Tasks()

    async def long(_: dict[str, Any]) -> None:
        started.set()
        await first.stopping.wait()
        raise HandOver

    first.add("test.long", long)
    async with Running(db, first):
        async with db.public() as tx:
            await enqueue(tx, "test.long", {})
        await asyncio.wait_for(started.wait(), PATIENCE)
    second = Tasks()

    async def finish(_: dict[str, Any]) -> None:
        finished.set()

    second.add("test.long", finish)
    async with Running(db, second):
        await asyncio.wait_for(finished.wait(), PATIENCE)


async def test_schedules_run(db: Database) -> None:
    ran = asyncio.Event()
    tasks = Tasks()

    async def tick() -> None:
        ran.set()

    tasks.every("test.tick", "* * * * * *", tick)
    async with Running(db, tasks):
        await asyncio.wait_for(ran.wait(), PATIENCE)


async def test_the_log_of_old_jobs_goes_and_a_waiting_job_stays(db: Database) -> None:
    async with db.elevated("test: two jobs, one of them long ago") as tx:
        await enqueue(tx, "test.old", {})
        await tx.execute_raw(
            "UPDATE pgqueuer_log SET created = now() - interval '8 days' WHERE entrypoint = 'test.old'"
        )
        await enqueue(tx, "test.new", {})
        assert await forget_log(tx) >= 1
        kept = await tx.fetch(
            "SELECT DISTINCT entrypoint FROM pgqueuer_log WHERE entrypoint IN ('test.old', 'test.new')"
        )
        assert [row["entrypoint"] for row in kept] == ["test.new"]
        assert await tx.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = 'test.old'") == 1
        await tx.execute_raw("DELETE FROM pgqueuer WHERE entrypoint IN ('test.old', 'test.new')")


def test_wake_ups_go_where_the_queue_listens() -> None:
    assert DBSettings().channel == WAKE_CHANNEL
