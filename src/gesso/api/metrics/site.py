"""What is true of the whole site, from one statement, looked up by one process for all.

Every process is asked every few seconds. The first one that finds the noted figures too old looks again and notes
them for the others (`db.facts`), which read one row; within a process even that row is kept for a while.
"""

import asyncio
import time
from typing import Any

import structlog

from gesso.calls.gate import OPEN_AFTER
from gesso.credits.tasks import FACT as LEDGER
from gesso.db import Database, ElevatedSession, facts
from gesso.generation.books import FACT as BOOKS
from gesso.jobs.queue import HEARTBEAT_TIMEOUT

log = structlog.get_logger()

FACT = "site"
FRESH_SECONDS = 10.0
PATIENCE_SECONDS = 4.0
"""A scrape does not wait longer for a database in trouble; it goes without these figures, and says so."""
UNCERTAIN_HOURS = 24
SEEN_SECONDS = 60
OVERDUE_SECONDS = 300

_FIGURES = """
SELECT jsonb_build_object(
  'holds', (SELECT to_jsonb(h) FROM (
      SELECT count(*) AS open, coalesce(extract(epoch FROM now() - min(created_at)), 0) AS oldest,
             count(*) FILTER (WHERE expires_at < now() - make_interval(secs => $3)) AS overdue
      FROM credit_hold WHERE state = 'open') h),
  'generations', (SELECT coalesce(jsonb_agg(g), '[]') FROM (
      SELECT state, priority, count(*) AS count, extract(epoch FROM now() - min(dispatched_at)) AS oldest
      FROM generation WHERE dispatched_at IS NOT NULL AND state IN ('queued', 'running') GROUP BY 1, 2
      UNION ALL
      SELECT 'waiting', priority, count(*), extract(epoch FROM now() - min(created_at))
      FROM generation WHERE dispatched_at IS NULL AND state = 'queued' GROUP BY 2) g),
  'jobs', (SELECT coalesce(jsonb_agg(j), '[]') FROM (
      SELECT entrypoint AS task, count(*) FILTER (WHERE status = 'queued') AS queued,
             count(*) FILTER (WHERE status = 'picked') AS running,
             count(*) FILTER (WHERE status = 'picked' AND heartbeat < now() - make_interval(secs => $5)) AS abandoned,
             coalesce(extract(epoch FROM now() - min(execute_after)
                 FILTER (WHERE status = 'queued' AND execute_after <= now())), 0) AS oldest
      FROM pgqueuer GROUP BY 1) j),
  'workers', (SELECT to_jsonb(w) FROM (
      SELECT count(*) FILTER (WHERE seen_at > now() - make_interval(secs => $2)) AS seen,
             extract(epoch FROM now() - max(seen_at)) AS last FROM worker_seen) w),
  'uncertain', (SELECT to_jsonb(u) FROM (
      SELECT count(*) AS count, count(*) FILTER (WHERE provider_cost_micro_usd IS NULL) AS unknown,
             coalesce(sum(provider_cost_micro_usd), 0) AS micro_usd
      FROM attempt WHERE state = 'uncertain' AND NOT own_key AND created_at > now() - make_interval(hours => $1)) u),
  'connections', (SELECT coalesce(jsonb_agg(c), '[]') FROM (
      SELECT c.key, c.adapter, h.failures >= $4 AS open, coalesce(h.failures, 0) AS failures,
             CASE WHEN h.paused_until > now() THEN h.reason END AS paused,
             extract(epoch FROM now() - h.last_success_at) AS success
      FROM connection c LEFT JOIN connection_health h ON h.connection_id = c.id WHERE c.enabled) c),
  'server', jsonb_build_object(
      'connections', (SELECT sum(numbackends) FROM pg_stat_database),
      'limit', current_setting('max_connections')::int),
  'facts', (SELECT coalesce(jsonb_object_agg(name, value || jsonb_build_object('at', extract(epoch FROM noted_at))),
                            '{}') FROM site_fact WHERE name = ANY ($6))
) AS figures
"""


class SiteFigures:
    """The newest figures this process knows, looked up when they are asked for and too old."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._figures: dict[str, Any] | None = None
        self._until = 0.0
        self._looking = asyncio.Lock()

    async def get(self) -> dict[str, Any] | None:
        """The figures, at most a few seconds old; None when the database does not tell."""
        async with self._looking:
            if time.monotonic() >= self._until:
                try:
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        self._figures = await self._read_or_look()
                except Exception as error:  # noqa: BLE001 - whatever it is, the process's own metrics are shown
                    log.warning("metrics.no_figures", error=type(error).__name__)
                    self._figures = None
                self._until = time.monotonic() + FRESH_SECONDS / 2
            return self._figures

    async def _read_or_look(self) -> dict[str, Any]:
        async with self._db.elevated("metrics: figures of the site") as tx:
            row = await tx.fetchrow(
                """SELECT value, extract(epoch FROM clock_timestamp() - noted_at)::float8 AS age,
                          extract(epoch FROM noted_at)::float8 AS at FROM site_fact WHERE name = $1""",
                FACT,
            )  # fmt: skip
            if row is not None and row["age"] < FRESH_SECONDS:
                return {**row["value"], "at": row["at"]}
            mine = await tx.fetchval("SELECT pg_try_advisory_xact_lock(hashtextextended('gesso/metrics', 0))")
            if not mine and row is not None:
                return {**row["value"], "at": row["at"]}
            figures = await look(tx)
            await facts.note(tx, FACT, figures)
            return {**figures, "at": time.time()}


async def look(tx: ElevatedSession) -> dict[str, Any]:
    """Look at everything now."""
    begun = time.perf_counter()
    figures: dict[str, Any] = await tx.fetchval(
        _FIGURES, UNCERTAIN_HOURS, SEEN_SECONDS, OVERDUE_SECONDS, OPEN_AFTER, HEARTBEAT_TIMEOUT.total_seconds() * 3,
        [LEDGER, BOOKS],
    )  # fmt: skip
    return {**figures, "took": time.perf_counter() - begun}
