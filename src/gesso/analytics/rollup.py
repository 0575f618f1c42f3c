"""Sums of days that are over, so that a year of a busy workspace is a few hundred rows and not half a million.

A generation ends within a day or so of being asked for, and a late picture comes within hours. Days are therefore
summed up once they lie two days back, and not looked at again; what is younger is read from its own rows.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

import structlog

from gesso.analytics.repository import MADE, SUMS, first_id
from gesso.core.clock import Clock
from gesso.db import Database
from gesso.jobs import Tasks

log = structlog.get_logger()

FINAL_AFTER = timedelta(days=2)
AT_ONCE = timedelta(days=31)
"""Days in one transaction when there are many to catch up with."""

# The day is the id's, as everywhere; a workspace after the other, along the primary key.
_ROLL = f"""
INSERT INTO usage_day AS u (workspace_id, day, user_id, model_key, model_name, requests, succeeded, seconds, spent,
    delivered, missed)
SELECT w.id, d.day, d.user_id, d.model_key, d.model_name, d.requests, d.succeeded, d.seconds, d.spent, d.delivered,
    d.missed
FROM workspace w CROSS JOIN LATERAL (
    SELECT day, user_id, model_key, max(model_name) AS model_name, {SUMS}
    FROM ({
    MADE.format(
        columns='''g.user_id, (to_timestamp((('x' || left(replace(g.id::text, '-', ''), 12))::bit(48)
        ::bigint) / 1000.0) AT TIME ZONE 'UTC')::date AS day'''
    )
}
        WHERE g.workspace_id = w.id AND g.id >= $1 AND g.id < $2) made
    GROUP BY day, user_id, model_key) d
ON CONFLICT (workspace_id, day, user_id, model_key) DO UPDATE SET
    model_name = excluded.model_name, requests = excluded.requests, succeeded = excluded.succeeded,
    seconds = excluded.seconds, spent = excluded.spent, delivered = excluded.delivered, missed = excluded.missed
"""


class Context(Protocol):
    """What these tasks need of the worker."""

    @property
    def db(self) -> Database: ...

    @property
    def clock(self) -> Clock: ...


def register(tasks: Tasks, ctx: Context) -> None:
    """Add the schedule."""

    async def roll() -> None:
        lines = await roll_up(ctx.db, ctx.clock)
        log.info("analytics.rolled_up", lines=lines)

    tasks.every("analytics.roll_up", "17 * * * *", roll)


async def roll_up(db: Database, clock: Clock) -> int:
    """Sum up every day that has become final since the last time. Returns how many lines that were."""
    final, lines = (clock.now().astimezone(UTC) - FINAL_AFTER).date(), 0
    while True:
        async with db.elevated("sum up what was used") as tx:
            start: date = await tx.fetchval("SELECT until FROM usage_rolled FOR UPDATE")
            end = min(final, start + AT_ONCE)
            if end <= start:
                return lines
            lines += await tx.execute_raw(_ROLL, first_id(_start_of(start)), first_id(_start_of(end)))
            await tx.execute_raw("UPDATE usage_rolled SET until = $1", end)


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
