"""The ledger's own clockwork: expiry every minute, verification every hour."""

import structlog

from gesso.core.clock import Clock
from gesso.credits import service
from gesso.db import Database, facts
from gesso.jobs import Tasks, WorkerContext

log = structlog.get_logger()

FACT = "ledger"
"""Under this name the last verification is noted for all processes (`db.facts`): `mismatches`, a number."""
LOGGED_MISMATCHES = 20
"""So many are written out; the log says how many there were."""


def register(tasks: Tasks, ctx: WorkerContext) -> None:
    """Add the schedules."""

    async def expire() -> None:
        await sweep(ctx.db, ctx.clock)

    async def check() -> None:
        await verify_ledger(ctx.db)

    tasks.every("credits.expire", "* * * * *", expire)
    tasks.every("credits.verify", "7 * * * *", check)


async def sweep(db: Database, clock: Clock) -> None:
    """End everything that is due, a bounded number of wallets per transaction. Again changes nothing."""
    while True:
        async with db.elevated("credits: expiry sweep") as tx:
            swept = await service.expire_due(tx, clock.now())
        if swept.workspaces:
            log.info("ledger.expired", holds=swept.holds, lots=swept.lots, skipped=swept.skipped)
        for workspace_id in swept.failed:
            log.error("ledger.expire_failed", workspace_id=str(workspace_id))
        if swept.workspaces == 0 or swept.seen < service.SWEEP_WALLETS:
            return


async def verify_ledger(db: Database) -> None:
    """Recompute the ledger; an operator is alerted through the log."""
    async with db.elevated("credits: verify the ledger") as tx:
        mismatches = await service.verify(tx)
        await facts.note(tx, FACT, {"mismatches": len(mismatches)})
    for mismatch in mismatches[:LOGGED_MISMATCHES]:
        log.error(
            "ledger.mismatch",
            total=len(mismatches),
            workspace_id=str(mismatch.workspace_id),
            account=mismatch.account,
            expected=mismatch.expected,
            found=mismatch.found,
        )
