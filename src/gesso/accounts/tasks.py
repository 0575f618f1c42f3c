"""House-keeping of accounts, by the clock."""

from datetime import timedelta
from typing import Protocol

import structlog

from gesso.accounts import repository
from gesso.core.clock import Clock
from gesso.db import Database
from gesso.jobs import Tasks

log = structlog.get_logger()

KEPT_AFTER_END = timedelta(days=30)
"""How long ended sessions, spent tokens and outbox mails stay, for looking into what happened."""


class Context(Protocol):
    """What these tasks need of the worker."""

    @property
    def db(self) -> Database: ...

    @property
    def clock(self) -> Clock: ...


def register(tasks: Tasks, ctx: Context) -> None:
    """Sessions and tokens that ended long ago go every night."""

    async def tidy() -> None:
        async with ctx.db.elevated("accounts: remove what ended long ago") as tx:
            removed = await repository.delete_stale(tx, ctx.clock.now() - KEPT_AFTER_END)
        log.info("accounts.tidied", **removed)

    tasks.every("accounts.tidy", "20 3 * * *", tidy)
