"""How connections have fared, for the operator: calls, failures and latency by hour, and calls nobody knows the end of.

Hours that are over are summed up once, by a job, into one row per connection and hour; the running hour is read from
the attempts that ended in it, along an index. So a week's picture costs the same however many calls there were.
An attempt belongs to the hour in which it ended, as it ended then. Calls on people's own keys are not the operator's
and are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from gesso.db import ElevatedSession

HOUR = timedelta(hours=1)
KEPT = timedelta(days=90)
HOURS_AT_ONCE = 48
"""Hours that one transaction sums up, when there are many to catch up with."""

_SUMS = """
SELECT connection_id, date_trunc('hour', finished_at, 'UTC') AS hour, count(*) AS calls,
    count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
    coalesce((SELECT jsonb_object_agg(kind, number) FROM (
        SELECT kind, count(*) AS number FROM unnest(array_agg(error_kind) FILTER (
            WHERE state IN ('failed', 'uncertain'))) AS kind GROUP BY kind) kinds), '{}') AS failures,
    (percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at) * 1000)
        FILTER (WHERE state = 'succeeded'))::integer AS p50_ms,
    (percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at) * 1000)
        FILTER (WHERE state = 'succeeded'))::integer AS p95_ms,
    coalesce(sum(provider_cost_micro_usd), 0)::bigint AS cost_micro_usd
FROM attempt WHERE finished_at >= $1 AND finished_at < $2 AND NOT own_key GROUP BY 1, 2
"""
_ROLL = f"""
INSERT INTO connection_hour (connection_id, hour, calls, succeeded, failures, p50_ms, p95_ms, cost_micro_usd)
{_SUMS} ON CONFLICT (connection_id, hour) DO NOTHING
"""
_READ = f"""
SELECT * FROM connection_hour WHERE hour >= $3 AND hour < $1
UNION ALL {_SUMS}
ORDER BY connection_id, hour
"""
_UNCERTAIN = """
SELECT connection_id, count(*) AS calls, coalesce(sum(provider_cost_micro_usd), 0)::bigint AS cost_micro_usd,
    count(*) FILTER (WHERE provider_cost_micro_usd IS NULL) AS unpriced, min(created_at) AS oldest
FROM attempt WHERE state = 'uncertain' AND created_at >= $1 AND NOT own_key GROUP BY 1 ORDER BY 2 DESC
"""


@dataclass(frozen=True, slots=True)
class Hour:
    """What ended on a connection within one hour. `failures`: error kind → how many, uncertain ones among them.

    Latency is that of the calls that succeeded, from our row to the result; None without one.
    """

    connection_id: UUID
    hour: datetime
    calls: int
    succeeded: int
    failures: Mapping[str, int]
    p50_ms: int | None
    p95_ms: int | None
    cost_micro_usd: int


@dataclass(frozen=True, slots=True)
class Uncertain:
    """Calls through a connection that it may have taken, and may bill, though we never learned. `cost_micro_usd`:
    what they cost at most as far as estimated; `unpriced` of them have no estimate."""

    connection_id: UUID
    calls: int
    cost_micro_usd: int
    unpriced: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How a connection stands at this moment. `paused_until` in the past: one call at a time probes it (`probing`)."""

    connection_id: UUID
    paused_until: datetime | None
    reason: str | None
    detail: str | None
    failures: int
    last_success_at: datetime | None
    last_failure_at: datetime | None
    live: int
    probing: bool


async def hours(tx: ElevatedSession, since: datetime, now: datetime) -> tuple[Hour, ...]:
    """All connections' hours from `since` on, the running one included, by connection and hour. Empty hours have no
    row."""
    until = await _until(tx)
    rows = await tx.fetch(_READ, max(until, _hour(since)), now + HOUR, _hour(since))
    return tuple(_hour_of(row) for row in rows)


async def uncertain(tx: ElevatedSession, since: datetime) -> tuple[Uncertain, ...]:
    """Calls since then whose outcome nobody knows, by connection, most first (semantics: Lifecycle)."""
    return tuple(Uncertain(**row) for row in await tx.fetch(_UNCERTAIN, since))


async def standings(tx: ElevatedSession, open_after: int) -> dict[UUID, Standing]:
    """How connections that were ever called, or are being called, stand now."""
    rows = await tx.fetch(
        """SELECT coalesce(h.connection_id, l.connection_id) AS connection_id, h.paused_until, h.reason, h.detail,
                  coalesce(h.failures, 0) AS failures, h.last_success_at, h.last_failure_at,
                  coalesce(l.live, 0) AS live,
                  coalesce(h.failures >= $1 AND coalesce(h.paused_until <= now(), true), false) AS probing
           FROM connection_health h FULL JOIN (
               SELECT connection_id, count(*) AS live FROM attempt WHERE state IN ('started', 'submitted') GROUP BY 1
           ) l USING (connection_id)""",
        open_after,
    )
    return {row["connection_id"]: Standing(**row) for row in rows}


async def roll_up(tx: ElevatedSession, now: datetime) -> bool:
    """Sum up hours that are over, `HOURS_AT_ONCE` at most. True when more are waiting. Again changes nothing."""
    await tx.fetchval("SELECT until FROM connection_hours FOR UPDATE")
    until = await _until(tx)
    target = min(_hour(now), until + HOURS_AT_ONCE * HOUR)
    if target > until:
        await tx.execute_raw(_ROLL, until, target)
        await tx.execute_raw("UPDATE connection_hours SET until = $1", target)
    await tx.execute_raw("DELETE FROM connection_hour WHERE hour < $1", now - KEPT)
    return target < _hour(now)


async def _until(tx: ElevatedSession) -> datetime:
    until: datetime = await tx.fetchval("SELECT until FROM connection_hours")
    return until


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _hour_of(row: asyncpg.Record) -> Hour:
    return Hour(**row)
