"""What workers do for this room: sum up finished hours, forget old exchanges, end text calls of processes that died."""

from datetime import timedelta

import structlog

from gesso.calls import attempts, history, record
from gesso.jobs import Tasks, WorkerContext

log = structlog.get_logger()

TEXT_CALL_AT_MOST = timedelta(minutes=12)
"""No text is waited for as long as this; a call that is still open then was cut off with its process."""


def register(tasks: Tasks, ctx: WorkerContext) -> None:
    """Add the schedule."""

    async def roll_up() -> None:
        more = True
        while more and not tasks.stopping.is_set():
            async with ctx.db.elevated("calls: sum up hours") as tx:
                more = await history.roll_up(tx, ctx.clock.now())

    async def forget() -> None:
        gone = 1
        while gone and not tasks.stopping.is_set():
            async with ctx.db.elevated("calls: forget old exchanges") as tx:
                gone = await record.forget(tx, ctx.clock.now() - record.KEPT)

    async def end_abandoned() -> None:
        async with ctx.db.elevated("calls: end calls of dead processes") as tx:
            ended = await attempts.end_abandoned(tx, ctx.clock.now() - TEXT_CALL_AT_MOST)
        if ended:
            log.warning("calls.abandoned", count=ended)

    tasks.every("calls.roll_up", "2 * * * *", roll_up)
    tasks.every("calls.forget_exchanges", "47 * * * *", forget)
    tasks.every("calls.end_abandoned", "* * * * *", end_abandoned)
