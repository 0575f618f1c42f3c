"""What workers do for this room: end texts whose process died while they were written."""

import structlog

from gesso.core.clock import Clock
from gesso.core.errors import Unavailable
from gesso.db import Database
from gesso.jobs import Tasks, WorkerContext
from gesso.prompts import repository, service

log = structlog.get_logger()


def register(tasks: Tasks, ctx: WorkerContext) -> None:
    """Add the schedule."""

    async def end_abandoned() -> None:
        await sweep(ctx.db, ctx.clock)

    tasks.every("prompts.end_abandoned", "* * * * *", end_abandoned)


async def sweep(db: Database, clock: Clock) -> int:
    """End what nobody writes any more, its hold given back. How many. Again changes nothing."""
    now = clock.now()
    async with db.elevated("prompts: find what nobody writes") as tx:
        found = await repository.abandoned(tx, now)
    error = Unavailable("It was cut off in the middle. Nothing was charged; please ask again.")
    for workspace_id, record_id, hold_id in found:
        try:
            async with db.workspace(workspace_id) as work:
                await service.give_up(work, record_id, hold_id, error, now=now)
        except Exception:
            log.exception("prompts.sweep_failed", workspace_id=str(workspace_id))
    if found:
        log.warning("prompts.abandoned", count=len(found))
    return len(found)
