"""Billing's clockwork: monthly grants, every minute."""

from typing import Protocol

from gesso.billing.renewal import renew_due
from gesso.catalog.registry import Catalog
from gesso.core.clock import Clock
from gesso.db import Database
from gesso.jobs import Tasks


class Context(Protocol):
    """What these tasks need of the worker."""

    @property
    def db(self) -> Database: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def catalog(self) -> Catalog: ...


def register(tasks: Tasks, ctx: Context) -> None:
    """Add the schedule."""

    async def renew() -> None:
        await renew_due(ctx.db, ctx.clock, ctx.catalog)

    tasks.every("billing.renew", "* * * * *", renew)
