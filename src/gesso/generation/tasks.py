"""What workers do for this room: drive generations, keep late results, and sweep up after accidents."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import structlog

from gesso import jobs
from gesso.calls.judging import Judges
from gesso.calls.pool import ProviderPool
from gesso.calls.shares import Shares
from gesso.calls.waker import Waker
from gesso.catalog.registry import Catalog
from gesso.core import crashpoints
from gesso.core.clock import Clock
from gesso.core.settings import Settings
from gesso.credits import service as credits
from gesso.db import Database, Listener, facts
from gesso.generation import books, late, policy, repository, settlement, turns
from gesso.generation.execution import Executor
from gesso.generation.late import LateResults
from gesso.generation.lease import Keeper
from gesso.generation.tools import Tools
from gesso.jobs import Tasks
from gesso.media.service import Ingest
from gesso.media.storage import Storage
from gesso.safety.moderation import Moderation

log = structlog.get_logger()

EVENTS_KEPT = timedelta(days=2)


class Runtime(Protocol):
    """What this room needs of the worker's process."""

    @property
    def settings(self) -> Settings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def db(self) -> Database: ...
    @property
    def listener(self) -> Listener: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def storage(self) -> Storage: ...
    @property
    def ingest(self) -> Ingest: ...


@asynccontextmanager
async def registered(tasks: Tasks, runtime: Runtime) -> AsyncIterator[None]:
    """Register the room's tasks for as long as the block lasts. Enter before the listener starts."""
    pool = ProviderPool(runtime.settings.sealer, runtime.settings.site.sandbox_url)
    waker = Waker(runtime.listener)
    tools = Tools(
        db=runtime.db, settings=runtime.settings, clock=runtime.clock, catalog=runtime.catalog.adults,
        storage=runtime.storage, ingest=runtime.ingest, pool=pool, waker=waker, keeper=Keeper(runtime.db, waker),
        shares=Shares(runtime.settings.worker.concurrency),
        moderation=Moderation(
            runtime.db, Judges(runtime.db, runtime.catalog, pool), runtime.settings.safety, runtime.clock
        ),
        stopping=tasks.stopping,
    )  # fmt: skip
    sweeps = Sweeps(runtime.db, runtime.clock)
    tasks.add(settlement.TASK, Executor(tools).run_job)
    tasks.add(late.TASK, LateResults(tools).run_job)
    tasks.every("generation.pick_up", "* * * * * */10", sweeps.pick_up)
    tasks.every("generation.queue_deadline", "* * * * *", sweeps.end_overdue)
    tasks.every("generation.check_books", "37 * * * *", sweeps.check_books)
    tasks.every("generation.forget_events", "20 * * * *", sweeps.forget_events)
    try:
        yield
    finally:
        await pool.aclose()


class Sweeps:
    """What accidents leave behind is found by looking; running any of these twice changes nothing."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def pick_up(self) -> None:
        """Queue again what nobody drives, and hand on places that nobody handed on."""
        async with self._db.elevated("generation: find what nobody drives") as tx:
            stuck = await turns.stuck(tx)
            idle = await turns.waiting_workspaces(tx)
            for workspace_id, generation_id, priority in stuck:
                await jobs.enqueue(
                    tx, settlement.TASK, settlement.job_of(workspace_id, generation_id), priority=priority,
                    dedupe_key=settlement.job_key(generation_id),
                )  # fmt: skip
            crashpoints.reach("sweep.queueing")
        if stuck:
            log.info("generation.picked_up", count=len(stuck))
        for workspace_id in idle:
            with _apart(workspace_id):
                async with self._db.workspace(workspace_id) as work:
                    await credits.lock(work)
                    await settlement.hand_on(work, self._clock.now())

    async def end_overdue(self) -> None:
        """Fail what has waited for a day without its turn; its hold is given back."""
        now = self._clock.now()
        async with self._db.elevated("generation: find what waited too long") as tx:
            overdue = await turns.overdue_in_queue(tx, now)
        for workspace_id, generation_id in overdue:
            with _apart(workspace_id):
                async with self._db.workspace(workspace_id) as work:
                    generation = await repository.get(work, generation_id)
                    if generation is not None and generation.state == "queued":
                        await settlement.finish(work, generation, now=now, because=policy.QUEUE_DEADLINE)

    async def check_books(self) -> None:
        """Compare all charges with all pictures; an operator is alerted through the log and the metrics."""
        async with self._db.elevated("generation: compare charges and deliveries") as tx:
            found = await books.check(tx)
            await facts.note(tx, books.FACT, found.to_json())
        if found.charges or found.deliveries:
            log.error("books.unmatched", charges=found.charges, deliveries=found.deliveries)

    async def forget_events(self) -> None:
        """Events serve pages that reconnect; old ones have done so."""
        async with self._db.elevated("generation: forget old events") as tx:
            await repository.forget_events(tx, self._clock.now() - EVENTS_KEPT)


@contextmanager
def _apart(workspace_id: UUID) -> Iterator[None]:
    """What fails in one workspace is logged and keeps no other one waiting; the next round tries it again."""
    try:
        yield
    except Exception:
        log.exception("generation.sweep_failed", workspace_id=str(workspace_id))
