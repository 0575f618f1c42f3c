"""Sums of days that are over, so that a year of a busy workspace is a few hundred rows and not half a million.

A generation ends within a day or so of being asked for, and a late picture comes within hours. Days are therefore
summed up once they lie two days back, and not looked at again; what is younger is read from its own rows.
"""

import asyncio
import time
from datetime import date, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from gesso.analytics.facts import CAPTURES, FIGURES, GENERATIONS, PROMPTS, SUMS, first_id, start_of
from gesso.core.clock import Clock
from gesso.core.settings import Settings
from gesso.db import Database
from gesso.jobs import Tasks

log = structlog.get_logger()

FINAL_AFTER = timedelta(days=2)
REST = 0.5
"""Of the time a day took, this share passes before the next when there are many to catch up with: others want the
database, too."""

# Requests along the primary key, a workspace after the other; movements along their block ranges.
_ROLL = f"""
INSERT INTO usage_day (workspace_id, day, user_id, kind, model_key, model_name, {", ".join(FIGURES)})
SELECT workspace_id, $1, user_id, kind, model_key, max(model_name), {SUMS}
FROM (
    SELECT made.* FROM workspace w CROSS JOIN LATERAL (
        {GENERATIONS} WHERE g.workspace_id = w.id AND g.id >= $2 AND g.id < $3
        UNION ALL {PROMPTS} WHERE p.workspace_id = w.id AND p.id >= $2 AND p.id < $3) made
    UNION ALL {CAPTURES.format(where="c.created_at >= $4 AND c.created_at < $5 AND c.id >= $6", zone="$7")}
) facts
GROUP BY workspace_id, user_id, kind, model_key
ON CONFLICT (workspace_id, day, user_id, kind, model_key) DO UPDATE SET model_name = excluded.model_name, {
    ", ".join(f"{name} = excluded.{name}" for name in FIGURES)
}
"""
# Where nothing has moved since, the former place is still right.
_NEXT = """
UPDATE usage_rolled SET until = $1, movement = greatest(movement,
    (SELECT min(id) FROM credit_journal WHERE created_at >= $2 AND id >= movement))
"""


# Days of another time zone are no days of this one: everything from the first on.
_AGAIN = """
UPDATE usage_rolled SET zone = $1, movement = 0,
    until = (SELECT least(min(created_at), $2)::date - 1 FROM workspace)
"""


class Context(Protocol):
    """What these tasks need of the worker."""

    @property
    def db(self) -> Database: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def settings(self) -> Settings: ...


def register(tasks: Tasks, ctx: Context) -> None:
    """Add the schedule."""

    async def roll() -> None:
        lines = await roll_up(ctx.db, ctx.clock, ctx.settings.site.zone)
        log.info("analytics.rolled_up", lines=lines)

    tasks.every("analytics.roll_up", "17 * * * *", roll)


async def roll_up(db: Database, clock: Clock, zone: ZoneInfo) -> int:
    """Sum up every day (of `zone`) that has become final since the last time, each in a transaction of its own.

    Returns how many lines that were. Stopped halfway, it goes on where it was; twice at once, one waits for the other.
    """
    final, lines = (clock.now().astimezone(zone) - FINAL_AFTER).date(), 0
    while True:
        begun = time.monotonic()
        async with db.elevated("sum up what was used") as tx:
            row = await tx.fetchrow("SELECT until, movement, zone FROM usage_rolled FOR UPDATE")
            assert row is not None
            if row["zone"] != zone.key:
                await tx.execute_raw("DELETE FROM usage_day")
                await tx.execute_raw(_AGAIN, zone.key, start_of(final, zone))
                continue
            day: date = row["until"]
            if day >= final:
                return lines
            start, end = start_of(day, zone), start_of(day + timedelta(days=1), zone)
            lines += await tx.execute_raw(
                _ROLL, day, first_id(start), first_id(end), start, end, row["movement"], zone.key
            )
            await tx.execute_raw(_NEXT, end.date(), end)
        await asyncio.sleep(REST * (time.monotonic() - begun))
