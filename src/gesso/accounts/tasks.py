"""House-keeping of accounts, by the clock."""

from datetime import timedelta

import structlog

from gesso.accounts import repository
from gesso.jobs import Tasks, WorkerContext

log = structlog.get_logger()

KEPT_AFTER_END = timedelta(days=30)
"""How long ended sessions, spent tokens and outbox mails stay, for looking into what happened."""


def register(tasks: Tasks, ctx: WorkerContext) -> None:
    """Sessions and tokens that ended long ago go every night."""

    async def tidy() -> None:
        async with ctx.db.elevated("accounts: remove what ended long ago") as tx:
            removed = await repository.delete_stale(tx, ctx.clock.now() - KEPT_AFTER_END)
        log.info("accounts.tidied", **removed)

    tasks.every("accounts.tidy", "20 3 * * *", tidy)
