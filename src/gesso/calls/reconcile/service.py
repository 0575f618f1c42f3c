"""Comparing the calls of some connections with one bill, and keeping what was found for the operator's panel."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from gesso.calls.reconcile.bills import Biller
from gesso.calls.reconcile.matching import Call, Day, Drift, Line, Matching, Missing, Phantom, Priced
from gesso.catalog.items import Connection
from gesso.db import Database, ElevatedSession, facts

FACT = "bills.compared"
"""Under this name the last comparison is kept."""
KEPT_FINDINGS = 100
AT_ONCE = 5000
AROUND = timedelta(days=1)
"""So far beyond the time that is looked at lines and calls may belong to those inside."""

_CALLS = """
SELECT id, operation->>'id' AS reference, client_key, created_at, upstream, provider_cost_micro_usd, cost_state, state
FROM attempt
WHERE connection_id = $1 AND created_at < $2 AND (created_at, id) > ($3, $4)
ORDER BY created_at, id LIMIT $5
"""


@dataclass(frozen=True)
class Period:
    """What is looked at: from `since` up to, not including, `until`."""

    since: datetime
    until: datetime

    def holds(self, at: datetime) -> bool:
        return self.since <= at < self.until


@dataclass(frozen=True)
class Comparison:
    """What came of it. `days` by connection and day; what nobody here asked for stands under the connection ""."""

    connections: tuple[str, ...]
    period: Period | None
    findings: tuple[Drift, ...]
    days: dict[tuple[str, date], Day]

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        kinds = {"missing": Missing, "phantom": Phantom, "priced": Priced}
        return {name: sum(isinstance(one, kind) for one in self.findings) for name, kind in kinds.items()}

    def to_json(self, at_most: int | None = None) -> dict[str, Any]:
        """The whole as JSON; amounts in micro-dollars, times in ISO 8601."""
        return {
            "connections": list(self.connections),
            "since": self.period.since.isoformat() if self.period else None,
            "until": self.period.until.isoformat() if self.period else None,
            "drift": bool(self.findings),
            "counts": self.counts,
            "days": [
                {
                    "connection": connection or None, "day": day.isoformat(), "calls": sums.calls, "lines": sums.lines,
                    "ours_micro_usd": sums.ours_micro_usd, "theirs_micro_usd": sums.theirs_micro_usd,
                    "unknown": sums.unknown,
                }
                for (connection, day), sums in sorted(self.days.items(), key=lambda one: (one[0][1], one[0][0]))
            ],
            "findings": [told(one) for one in self.findings[:at_most]],
        }  # fmt: skip


async def compare(
    db: Database,
    connections: Sequence[Connection],
    bill: Biller,
    *,
    now: datetime,
    period: Period | None = None,
    tolerance: float = 0.0,
) -> Comparison:
    """Compare all calls of these connections with the bill they share. No transaction is open while it is read.

    Without `period`: the days (UTC) from the bill's first line to its last. Raises as the bill does.
    """
    matching, lines = Matching(tolerance), [line async for line in bill.lines()]
    period = period or _days_of(lines, now)
    names = tuple(connection.key for connection in connections)
    if period is None:
        return Comparison(names, None, (), {})
    for line in lines:
        if period.since - AROUND <= line.at < period.until + AROUND:
            matching.line(replace(line, listed=period.holds(line.at)))
    del lines
    findings: list[Drift] = []
    for connection in connections:
        async for call in _calls(db, connection, period):
            wrong = matching.call(call)
            if wrong is not None:
                findings.append(wrong)
    findings += matching.end()
    return Comparison(names, period, tuple(findings), dict(matching.days))


def _days_of(lines: Sequence[Line], now: datetime) -> Period | None:
    if not lines:
        return None
    first, last = min(line.at for line in lines), max(line.at for line in lines)
    begin = datetime.combine(first.date(), time(), UTC)
    return Period(begin, min(now, datetime.combine(last.date(), time(), UTC) + timedelta(days=1)))


async def _calls(db: Database, connection: Connection, period: Period) -> AsyncIterator[Call]:
    """The calls of a connection, some thousands at a time, each in a short transaction of its own."""
    after, after_id = period.since - AROUND, UUID(int=0)
    while True:
        async with db.elevated("reconcile: calls of a connection") as tx:
            rows = await tx.fetch(_CALLS, connection.id, period.until + AROUND, after, after_id, AT_ONCE)
        for row in rows:
            cost, failed = row["provider_cost_micro_usd"], row["state"] in ("failed", "cancelled")
            certain = row["state"] == "succeeded" or (failed and row["cost_state"] == "actual")
            yield Call(
                id=row["id"], connection=connection.key, reference=row["reference"],
                client_key=str(row["client_key"]), at=row["created_at"], model=row["upstream"], cost_micro_usd=cost,
                cost_state=row["cost_state"], due=certain and cost != 0, failed=failed,
                listed=period.holds(row["created_at"]),
            )  # fmt: skip
        if len(rows) < AT_ONCE:
            return
        after, after_id = rows[-1]["created_at"], rows[-1]["id"]


async def keep(db: Database, comparisons: Sequence[Comparison], now: datetime) -> None:
    """Note what was found last for each group of connections, for the panel."""
    async with db.elevated("reconcile: keep what was found") as tx:
        await tx.execute_raw("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", FACT)
        kept = await kept_of(tx)
        for one in comparisons:
            names = set(one.connections)
            kept = [other for other in kept if not names & set(other["connections"])]
            kept.append({"at": now.isoformat(), **one.to_json(KEPT_FINDINGS)})
        await facts.note(tx, FACT, kept)


async def kept_of(tx: ElevatedSession) -> list[dict[str, Any]]:
    """The last comparison of each group of connections, as `Comparison.to_json` with the moment it was made (`at`);
    with the first findings only."""
    fact = await facts.read(tx, FACT)
    return list(fact.value) if fact is not None else []


def told(drift: Drift) -> dict[str, Any]:
    """One finding as JSON."""
    call = None if isinstance(drift, Phantom) else drift.call
    line = None if isinstance(drift, Missing) else drift.line
    return {
        "kind": type(drift).__name__.lower(),
        "why": drift.why if isinstance(drift, Phantom) else None,
        "attempt": str(call.id) if call else None,
        "connection": call.connection if call else None,
        "reference": (line.reference if line else None) or (call.reference if call else None),
        "model": call.model if call else line.model if line else None,
        "at": (drift.line if isinstance(drift, Phantom) else drift.call).at.isoformat(),
        "ours_micro_usd": call.cost_micro_usd if call else None,
        "ours": call.cost_state if call else None,
        "theirs_micro_usd": line.cost_micro_usd if line else None,
    }
