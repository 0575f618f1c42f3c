"""Takes jobs from the queue until asked to stop; survives a database that goes away for a while."""

import asyncio
import contextlib
import json
import socket
import time
from datetime import timedelta
from typing import Any

import asyncpg
import structlog
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.core.qm import QueueManager
from pgqueuer.core.sm import SchedulerManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job, Schedule
from pgqueuer.queries import Queries

from gesso.core.ids import new_id
from gesso.core.telemetry import metrics
from gesso.db import Database
from gesso.jobs.queue import HEARTBEAT_TIMEOUT, take_up_held
from gesso.jobs.tasks import HandOver, Later, Scheduled, Task, Tasks

log = structlog.get_logger()

POLL_SECONDS = 1.0
"""Wake-ups may be lost; then work is found this much later at worst."""
SEEN_SECONDS = 10.0
RETRY_AFTER_ERROR = timedelta(seconds=5)
RECONNECT_SECONDS = 0.5


class Worker:
    """One worker process's loop over queue and schedules."""

    def __init__(self, database: Database, tasks: Tasks, *, concurrency: int = 32) -> None:
        self._database = database
        self._tasks = tasks
        self._concurrency = max(concurrency, 2)
        self._id = new_id()

    async def run(self) -> None:
        """Work until `stop`; then return once every task has ended or handed over."""
        seen = asyncio.create_task(self._keep_seen())
        try:
            while not self._tasks.stopping.is_set():
                try:
                    await self._work()
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    log.warning("worker.lost_database", error=type(error).__name__)
                except ExceptionGroup as group:
                    log.warning("worker.lost_database", errors=[type(one).__name__ for one in group.exceptions])
                if not self._tasks.stopping.is_set():
                    await asyncio.sleep(RECONNECT_SECONDS)
        finally:
            seen.cancel()
            await asyncio.gather(seen, return_exceptions=True)
            with contextlib.suppress(Exception):
                async with self._database.public() as tx:
                    await tx.execute_raw("DELETE FROM worker_seen WHERE worker_id = $1", self._id)

    def stop(self) -> None:
        """Ask to stop: no new jobs, running tasks finish their step and hand over."""
        self._tasks.stopping.set()

    async def _work(self) -> None:
        jobs = await self._database.dedicated()
        schedules = await self._database.dedicated()
        try:
            queue = QueueManager(Queries(AsyncpgDriver(jobs)))
            scheduler = SchedulerManager(Queries(AsyncpgDriver(schedules)))
            for name, task in self._tasks.by_name.items():
                queue.entrypoint(name, on_failure="hold")(_entrypoint(name, task))
            for name, (cron, scheduled) in self._tasks.schedules.items():
                scheduler.schedule(name, cron)(_scheduled(name, scheduled))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._shut_down_when_asked(queue, scheduler))
                group.create_task(scheduler.run())
                group.create_task(
                    queue.run(
                        dequeue_timeout=timedelta(seconds=POLL_SECONDS),
                        batch_size=max(1, min(10, self._concurrency // 2)),
                        max_concurrent_tasks=self._concurrency,
                        heartbeat_timeout=HEARTBEAT_TIMEOUT,
                    )
                )
        finally:
            for connection in (jobs, schedules):
                with contextlib.suppress(Exception):
                    await connection.close(timeout=2)

    async def _shut_down_when_asked(self, *managers: QueueManager | SchedulerManager) -> None:
        await self._tasks.stopping.wait()
        for manager in managers:
            manager.shutdown.set()

    async def _keep_seen(self) -> None:
        """Tell the others that this worker lives (`/readyz` looks at it), and see to what the queue holds back."""
        while True:
            try:
                async with self._database.public() as tx:
                    await tx.execute_raw(
                        "INSERT INTO worker_seen (worker_id, host) VALUES ($1, $2) "
                        "ON CONFLICT (worker_id) DO UPDATE SET seen_at = now()",
                        self._id, socket.gethostname(),
                    )  # fmt: skip
                    held = await take_up_held(tx)
                if held:
                    log.warning("job.taken_up_again", count=held)
            except Exception as error:  # noqa: BLE001 — the database is away; the loop goes on
                log.warning("worker.unseen", error=type(error).__name__)
            await asyncio.sleep(SEEN_SECONDS)


def _entrypoint(name: str, task: Task) -> Any:
    async def run(job: Job) -> None:
        with structlog.contextvars.bound_contextvars(job=name, job_id=int(job.id)):
            begun = time.perf_counter()
            try:
                await task(json.loads(job.payload or b"{}"))
            except HandOver:
                metrics.JOBS.labels(name, "handed_over").inc()
                raise RetryRequested(timedelta(0), "handed over") from None
            except Later as later:
                metrics.JOBS.labels(name, "deferred").inc()
                raise RetryRequested(timedelta(seconds=later.after_seconds), "nothing to do yet") from None
            except Exception:
                metrics.JOBS.labels(name, "retried").inc()
                log.exception("job.failed")
                raise RetryRequested(RETRY_AFTER_ERROR, "failed") from None
            metrics.JOBS.labels(name, "done").inc()
            metrics.JOB_SECONDS.labels(name).observe(time.perf_counter() - begun)

    return run


def _scheduled(name: str, task: Scheduled) -> Any:
    async def run(_: Schedule) -> None:
        with structlog.contextvars.bound_contextvars(schedule=name):
            try:
                await task()
                metrics.SCHEDULED.labels(name, "done").inc()
            except Exception:
                metrics.SCHEDULED.labels(name, "failed").inc()
                log.exception("schedule.failed")

    return run
