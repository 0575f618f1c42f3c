"""What a workspace used in a period: whole days from their sums (`rollup`), the last ones from their own rows.

`only_user` leaves out what other members did; None counts everybody's. It stands in a statement only when it is
given: with a condition for both cases, PostgreSQL would in time settle on a plan that suits neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from gesso.analytics.facts import CAPTURES, FIGURES, GENERATIONS, PROMPTS, SUMS, first_id, start_of
from gesso.analytics.periods import Period
from gesso.db import WorkspaceSession

_PAID = "c.workspace_id = $1 AND c.id >= $6 AND c.created_at >= $7 AND c.created_at < $8 {paid_of}"
_ZONE = "$9"
_FACTS = f"""
    SELECT u.workspace_id, u.day::timestamp AT TIME ZONE {_ZONE} AS at, u.user_id, u.kind, u.model_key, u.model_name,
           {", ".join(f"u.{name}" for name in FIGURES)}
    FROM usage_day u WHERE u.workspace_id = $1 AND u.day >= $2 AND u.day < $3 {{rolled_of}}
    UNION ALL {GENERATIONS} WHERE g.workspace_id = $1 AND g.id >= $4 AND g.id < $5 {{made_of}}
    UNION ALL {PROMPTS} WHERE p.workspace_id = $1 AND p.id >= $4 AND p.id < $5 {{asked_of}}
    UNION ALL {CAPTURES.format(where=_PAID, zone=_ZONE)}
"""
_USED = f"""
SELECT at >= $10 AS within, CASE WHEN at >= $10 THEN greatest(date_trunc($11, at, {_ZONE}), $10) END AS start,
       kind, model_key, user_id, max(model_name) AS model_name, {SUMS}, GROUPING(kind, model_key, user_id) AS of
FROM ({_FACTS}) facts GROUP BY GROUPING SETS ((1, 2, kind), (1, model_key), (1, user_id))
"""
_BY_KIND, _BY_MODEL, _BY_USER = 0b011, 0b101, 0b110
"""What GROUPING says of a line: the columns it is a sum over."""

_DAYS = f"""
SELECT (at AT TIME ZONE {_ZONE})::date AS day, kind, model_key, max(model_name) AS model_name, user_id, {SUMS}
FROM ({_FACTS}) facts GROUP BY 1, kind, model_key, user_id ORDER BY 1, kind, model_key, user_id
"""

_MOVED = """
SELECT kind, unit, sum(amount)::bigint AS amount FROM credit_journal
WHERE workspace_id = $1 AND kind IN ('grant', 'expire', 'refund', 'repay') AND created_at >= $2
GROUP BY kind, unit
UNION ALL
SELECT 'month', unit, sum(amount)::bigint FROM credit_lot
WHERE workspace_id = $1 AND source = 'plan' AND expires_at > $3 GROUP BY unit
"""

_NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Figures:
    """What can be added up.

    `seconds` is the running time of the `succeeded` ones together; `delivered` and `missed` count outputs; `spent` is
    in microcredits; `uses` counts what allowances paid for.
    """

    requests: int = 0
    succeeded: int = 0
    failed: int = 0
    seconds: float = 0.0
    delivered: int = 0
    missed: int = 0
    spent: int = 0
    uses: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    @property
    def success(self) -> float | None:
        """The share of those that ended that succeeded, 0–1; what was cancelled counts for neither. None: none."""
        ended = self.succeeded + self.failed
        return self.succeeded / ended if ended else None

    @property
    def mean_seconds(self) -> float | None:
        """The mean running time of what succeeded; None without any."""
        return self.seconds / self.succeeded if self.succeeded else None


@dataclass(frozen=True, slots=True)
class Model:
    """A model's share of a period. `name` is the key where only the catalogue knows it."""

    key: str
    name: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Usage:
    """A period: by start of the step and kind, by model and by member (the most spent first), and what was before."""

    steps: Mapping[tuple[datetime, str], Figures] = field(default_factory=dict)
    models: tuple[Model, ...] = ()
    members: tuple[tuple[UUID, Figures], ...] = ()
    before: Figures = Figures()

    @property
    def total(self) -> Figures:
        """All of the period."""
        return sum(self.steps.values(), Figures())

    def by_kind(self) -> dict[str, Figures]:
        """Sums of each kind there is."""
        found: dict[str, Figures] = {}
        for (_, kind), figures in self.steps.items():
            found[kind] = found.get(kind, Figures()) + figures
        return found


@dataclass(frozen=True, slots=True)
class DayLine:
    """What one member did with one model on one day of the site's."""

    day: date
    kind: str
    model_key: str
    model_name: str
    user_id: UUID
    figures: Figures


@dataclass(frozen=True, slots=True)
class Rolled:
    """How far the sums reach: days of `zone` before `until`. No later movement of the ledger has an id below
    `movement`."""

    until: datetime
    movement: int
    zone: ZoneInfo


async def rolled(tx: WorkspaceSession, zone: ZoneInfo) -> Rolled:
    """How far the sums reach now; nowhere, where they are of another time zone's days."""
    row = await tx.fetchrow("SELECT until, movement, zone FROM usage_rolled")
    assert row is not None
    if row["zone"] != zone.key:
        return Rolled(_NEVER, 0, zone)
    return Rolled(start_of(row["until"], zone), row["movement"], zone)


async def used(tx: WorkspaceSession, period: Period, only_user: UUID | None, reach: Rolled) -> Usage:
    """The figures of a period and of the one before it."""
    sql, args = _asked(_USED, tx, period.before, period.end, reach, only_user, period.start, period.step)
    steps: dict[tuple[datetime, str], Figures] = {}
    models: list[Model] = []
    members: list[tuple[UUID, Figures]] = []
    before = Figures()
    for row in await tx.fetch(sql, *args):
        figures = _figures(row)
        if row["of"] == _BY_KIND and row["within"]:
            steps[row["start"].astimezone(reach.zone), row["kind"]] = figures
        elif row["of"] == _BY_KIND:
            before += figures
        elif row["within"] and row["of"] == _BY_MODEL:
            models.append(Model(row["model_key"], row["model_name"], figures))
        elif row["within"]:
            members.append((row["user_id"], figures))
    models.sort(key=lambda model: (*_most(model.figures), model.key))
    members.sort(key=lambda member: (*_most(member[1]), member[0]))
    return Usage(steps, tuple(models), tuple(members), before)


async def days(
    tx: WorkspaceSession, start: datetime, end: datetime, only_user: UUID | None, reach: Rolled
) -> list[DayLine]:
    """Line by line what `used` adds up, oldest first. Both ends are midnights of the site's."""
    sql, args = _asked(_DAYS, tx, start, end, reach, only_user)
    return [
        DayLine(row["day"], row["kind"], row["model_key"], row["model_name"], row["user_id"], _figures(row))
        for row in await tx.fetch(sql, *args)
    ]


async def moved(tx: WorkspaceSession, start: datetime, now: datetime) -> dict[tuple[str, str], int]:
    """What came and went besides spending since `start`: by kind (grant, expire, refund, repay) and unit; and as
    `month` what the plan gave for the month that runs `now`, used or not."""
    rows = await tx.fetch(_MOVED, tx.workspace_id, start, now)
    return {(row["kind"], row["unit"]): row["amount"] for row in rows}


async def names(tx: WorkspaceSession) -> dict[UUID, str]:
    """The workspace's members by id: their names, or addresses where they gave none."""
    rows = await tx.fetch(
        "SELECT u.id, coalesce(nullif(u.name, ''), u.email::text) AS name FROM membership m"
        " JOIN app_user u ON u.id = m.user_id WHERE m.workspace_id = $1",
        tx.workspace_id,
    )
    return {row["id"]: row["name"] for row in rows}


def _asked(
    sql: str, tx: WorkspaceSession, start: datetime, end: datetime, reach: Rolled, only_user: UUID | None, *more: Any
) -> tuple[str, list[Any]]:
    """The statement for one member or for all, and its values."""
    own = f"${10 + len(more)}"
    live = max(start, min(reach.until, start_of(end.astimezone(reach.zone).date(), reach.zone)))
    values = [
        tx.workspace_id, start.date(), live.date(), first_id(live), first_id(end), reach.movement, live, end,
        reach.zone.key, *more,
    ]  # fmt: skip
    of = {"rolled_of": "u", "made_of": "g", "asked_of": "p", "paid_of": "c"}
    text = sql.format(**{name: f"AND {table}.user_id = {own}" if only_user else "" for name, table in of.items()})
    return text, [*values, only_user] if only_user else values


def _figures(row: Mapping[str, Any]) -> Figures:
    return Figures(*(row[name] for name in FIGURES))


def _most(figures: Figures) -> tuple[int, int, int]:
    return -figures.spent, -figures.uses, -figures.requests
