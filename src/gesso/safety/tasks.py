"""What workers do for this room: forget old lines."""

from datetime import timedelta

import structlog

from gesso.jobs import Tasks, WorkerContext
from gesso.safety import lines

log = structlog.get_logger()

KEPT = timedelta(days=180)
"""Long enough for a complaint and its answer; what waits for the operator is kept until it is decided."""


def register(tasks: Tasks, ctx: WorkerContext) -> None:
    """Add the schedule."""

    async def forget() -> None:
        async with ctx.db.elevated("safety: forget old lines") as tx:
            gone = await lines.forget(tx, ctx.clock.now() - KEPT)
        if gone:
            log.info("moderation.forgotten", lines=gone)

    tasks.every("moderation.forget", "50 * * * *", forget)
