"""What workers do for this room: forget old lines."""

from datetime import timedelta
from typing import Protocol

import structlog

from gesso.core.clock import Clock
from gesso.db import Database
from gesso.jobs import Tasks
from gesso.safety import lines

log = structlog.get_logger()

KEPT = timedelta(days=180)
"""Long enough for a complaint and its answer; what waits for the operator is kept until it is decided."""


class Context(Protocol):
    """What these tasks need of the worker."""

    @property
    def db(self) -> Database: ...

    @property
    def clock(self) -> Clock: ...


def register(tasks: Tasks, ctx: Context) -> None:
    """Add the schedule."""

    async def forget() -> None:
        async with ctx.db.elevated("safety: forget old lines") as tx:
            gone = await lines.forget(tx, ctx.clock.now() - KEPT)
        if gone:
            log.info("moderation.forgotten", lines=gone)

    tasks.every("moderation.forget", "50 * * * *", forget)
