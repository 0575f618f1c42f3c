"""The database as a machine: schema, clock, connections; and whether the money in it is right."""

import time

from gesso.api.metrics import site
from gesso.cli.common import direct_url
from gesso.cli.doctor.findings import Finding, ago, graded, ill, look, well
from gesso.core.settings import Settings
from gesso.credits import service as credits
from gesso.credits.tasks import FACT as LEDGER
from gesso.db import Database, facts
from gesso.db.address import pools_transactions
from gesso.db.migrate import current_revision, newest_revision, schema_of
from gesso.generation import books

SKEW_SECONDS = (1.0, 5.0)
"""From here on worth a look; from here on ill: leases last ten seconds, and deadlines compare both clocks."""
VERIFIED_SECONDS = 2.5 * 3600
OWN_CONNECTIONS = 3
"""A worker's own, besides its pools: LISTEN, the queue, its schedules."""
MICRO_USD = 1_000_000


async def reach(settings: Settings) -> Finding:
    """How the database is reached: migrations, LISTEN and the queue need it past any pooler."""
    if await pools_transactions(direct_url(settings)):
        return ill(
            "database", "A pooler that pools by transaction stands before it",
            "Give the database's own address in GESSO_DATABASE_DIRECT_URL.",
        )  # fmt: skip
    separate = settings.database.direct_url is not None
    return well("database", "web and workers go through a pooler" if separate else "reached directly")


async def schema(settings: Settings) -> tuple[Finding, bool]:
    """The schema against this code's, and whether the rest can be looked at."""
    revision = await current_revision(direct_url(settings))
    state = schema_of(revision)
    if state == "current":
        return well("schema", f"revision {revision}"), True
    if state == "newer":
        return look("schema", f"revision {revision} is newer than {newest_revision()}", "Deploy that release."), True
    return ill("schema", "empty" if revision is None else f"revision {revision} is old", "Run: gesso migrate"), False


async def examine(db: Database, settings: Settings) -> list[Finding]:
    """Clock, connections, ledger, books, holds, uncertain calls."""
    async with db.elevated("doctor: the database and the money in it") as tx:
        begun = time.time()
        theirs = float(await tx.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8"))
        skew = theirs - (begun + time.time()) / 2
        figures = await site.look(tx)
        verified = await facts.read(tx, LEDGER)
        mismatches = await credits.verify(tx)
        unmatched = await books.check(tx)
        await facts.note(tx, LEDGER, {"mismatches": len(mismatches)})
        await facts.note(tx, books.FACT, unmatched.to_json())
    since = theirs - verified.noted_at.timestamp() if verified is not None else None
    return [
        _clock(skew),
        _connections(figures["server"]["connections"], figures["server"]["limit"], settings),
        graded(
            "ledger", "every balance is right" if not mismatches else f"{len(mismatches)} figures differ",
            "Run: gesso ledger verify. Let nobody spend from those workspaces until you know why.",
            ill_if=bool(mismatches),
        ),
        _hourly(since, figures["workers"]["seen"]),
        graded(
            "books",
            f"{unmatched.charges} charges without a picture, {unmatched.deliveries} pictures without a charge"
            if unmatched.charges or unmatched.deliveries else "each charge has its picture",
            "Compare credit_hold_part with output; report it as a fault of gesso.",
            ill_if=bool(unmatched.charges or unmatched.deliveries),
        ),
        graded(
            "holds", f"{figures['holds']['open']} open, {figures['holds']['overdue']} past their deadline",
            "A running worker ends them every minute; the log says ledger.expire_failed when it cannot.",
            ill_if=figures["holds"]["overdue"] > 0,
        ),
        _uncertain(figures["uncertain"]),
    ]  # fmt: skip


def _clock(skew: float) -> Finding:
    return graded(
        "clock", f"{abs(skew):.1f} s {'behind' if skew > 0 else 'ahead of'} the database's",
        "Keep both machines' clocks with NTP (chronyc tracking): leases and deadlines compare them.",
        ill_if=abs(skew) > SKEW_SECONDS[1], look_if=abs(skew) > SKEW_SECONDS[0],
    )  # fmt: skip


def _connections(used: int, limit: int, settings: Settings) -> Finding:
    each = settings.database.pool_size + settings.database.elevated_pool_size + OWN_CONNECTIONS
    fits = limit // each
    return graded(
        "connections", f"{used} of {limit} in use; a process opens up to {each}, so {fits} processes fit",
        "Raise max_connections, lower GESSO_DATABASE_POOL_SIZE, or put a pooler in between (docs/database.md).",
        ill_if=used > 0.9 * limit or fits < 2, look_if=used > 0.75 * limit,
    )  # fmt: skip


def _hourly(since: float | None, workers: int) -> Finding:
    if since is None:
        return graded("verification", "never run yet", "Workers do it hourly. Run: gesso work", ill_if=False)
    return graded(
        "verification", f"the ledger was verified {ago(since)} ago",
        "Workers do it hourly; the log says schedule.failed when they cannot.",
        ill_if=workers > 0 and since > VERIFIED_SECONDS * 10, look_if=since > VERIFIED_SECONDS,
    )  # fmt: skip


def _uncertain(found: dict[str, int]) -> Finding:
    cost = f"perhaps ${found['micro_usd'] / MICRO_USD:.2f}" + (
        f" and {found['unknown']} of unknown cost" if found["unknown"] else ""
    )
    return graded(
        "uncertain calls", f"{found['count']} in 24 h" + (f", {cost}" if found["count"] else ""),
        "The provider may have billed them, though nobody was charged: compare with its bill.",
        ill_if=False, look_if=found["count"] > 0,
    )  # fmt: skip
