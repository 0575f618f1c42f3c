"""Billing's clockwork: monthly grants, ends of grace, notices that are to be tried again, or that never came."""

from contextlib import suppress
from typing import Protocol

import structlog

from gesso.billing import inbox, repository
from gesso.billing.port import Payments
from gesso.billing.renewal import renew_due
from gesso.catalog.registry import Catalog
from gesso.core.clock import Clock
from gesso.core.errors import Unavailable
from gesso.db import Database
from gesso.jobs import Tasks

log = structlog.get_logger()

BATCH = 100


class Context(Protocol):
    """What these tasks need of the worker."""

    @property
    def db(self) -> Database: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def payments(self) -> Payments: ...


def register(tasks: Tasks, ctx: Context) -> None:
    """Add the schedule."""

    async def renew() -> None:
        await renew_due(ctx.db, ctx.clock, ctx.catalog)

    async def end_graces() -> None:
        await end_overdue(ctx)

    async def try_notices() -> None:
        await try_again(ctx)

    async def look_again() -> None:
        with suppress(Unavailable):  # which has been logged; the next time finds as much
            await ctx.payments.look_again()

    async def fetch_missed() -> None:
        with suppress(Unavailable):  # which has been logged; the next time finds as much
            await ctx.payments.fetch_missed()

    async def forget_notices() -> None:
        async with ctx.db.elevated("billing: forget old notices") as tx:
            await inbox.forget(tx, ctx.clock.now())

    tasks.every("billing.renew", "* * * * *", renew)
    tasks.every("billing.grace", "*/10 * * * *", end_graces)
    tasks.every("billing.notices", "* * * * * */15", try_notices)
    tasks.every("billing.look", "*/15 * * * *", look_again)
    tasks.every("billing.missed", "41 * * * *", fetch_missed)
    tasks.every("billing.forget", "17 4 * * *", forget_notices)


async def end_overdue(ctx: Context) -> int:
    """End the subscriptions whose grace is over; how many were looked at. One that fails is looked at next time."""
    async with ctx.db.elevated("billing: find graces that are over") as tx:
        over = await repository.grace_over(tx, ctx.clock.now(), BATCH)
    for subscription_id in over:
        try:
            await ctx.payments.give_up(subscription_id)
        except Exception:
            log.exception("billing.grace_failed", subscription_id=str(subscription_id))
    return len(over)


async def try_again(ctx: Context) -> int:
    """Take up the notices that failed and are due; how many. What fails again waits longer."""
    if not ctx.payments.sells:  # they came while something was sold: whoever sells again finds them
        return 0
    async with ctx.db.elevated("billing: find notices to try again") as tx:
        due = await inbox.due(tx, ctx.clock.now())
    for event_id in due:
        await ctx.payments.take_up(event_id)
    return len(due)
