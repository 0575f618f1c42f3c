"""What a workspace used: whole days from their sums (`rollup`), the last ones from generations and outputs.

Rows are found by id: ids are time-ordered (UUIDv7), so a period is one range of a key. `only_user` leaves out what
other members asked for; None counts everybody's. It stands in the statement only when it is given: with a condition
for both cases, PostgreSQL would in time settle on a plan that suits neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from gesso.db import WorkspaceSession

MADE = """
SELECT {columns}, g.model_key, g.model_name, 1 AS requests, (g.state = 'succeeded')::int AS succeeded,
       CASE g.state WHEN 'succeeded' THEN extract(epoch FROM g.finished_at - g.started_at)::float8 ELSE 0 END
           AS seconds,
       coalesce(((g.charged->>'credits')::numeric * 1000000)::bigint, 0) AS spent, o.delivered, o.missed
FROM generation g CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'delivered') AS delivered, count(*) FILTER (WHERE state = 'failed') AS missed
    FROM output WHERE workspace_id = g.workspace_id AND generation_id = g.id) o
"""
"""One generation in the shape of a line of `usage_day`; `columns` say whose and when."""

SUMS = (
    "sum(requests) AS requests, sum(succeeded) AS succeeded, sum(seconds) AS seconds, sum(spent)::bigint AS spent, "
    "sum(delivered)::bigint AS delivered, sum(missed)::bigint AS missed"
)

_LIVE = MADE.format(columns="g.created_at AS at")
_USED = """
SELECT date_trunc($7, at, 'UTC') AS start, model_key, max(model_name) AS model_name, {sums} FROM (
    SELECT u.day::timestamp AT TIME ZONE 'UTC' AS at, u.model_key, u.model_name, u.requests, u.succeeded, u.seconds,
           u.spent, u.delivered, u.missed
    FROM usage_day u WHERE u.day >= $1 AND u.day < $2 {rolled_of}
    UNION ALL {live} WHERE g.id >= $3 AND g.id < $4 {made_of}
    UNION ALL {live} WHERE g.id >= $5 AND g.id < $6 {made_of}
) used GROUP BY 1, 2
"""

_HISTORY = """
SELECT g.id, g.prompt, g.model_name, g.state, g.count, g.price, g.charged, g.error_code, g.error_message,
       g.created_at, extract(epoch FROM g.finished_at - g.created_at) AS seconds,
       (SELECT count(*) FROM output o WHERE o.workspace_id = g.workspace_id AND o.generation_id = g.id
        AND o.state = 'delivered') AS delivered,
       (SELECT o.asset_id FROM output o JOIN asset a ON a.id = o.asset_id AND a.deleted_at IS NULL
        WHERE o.workspace_id = g.workspace_id AND o.generation_id = g.id AND o.state = 'delivered'
        ORDER BY o.index LIMIT 1) AS asset_id
FROM generation g WHERE g.workspace_id = $1 AND g.id < $2 AND g.id >= $3 {made_of} ORDER BY g.id DESC LIMIT $4
"""
_LOWEST, _HIGHEST = UUID(int=0), UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True)
class Used:
    """What one model did in one step of a period.

    `spent` in microcredits; `seconds` the running time of the `succeeded` ones together; `delivered` and `missed`
    count outputs.
    """

    start: datetime
    model_key: str
    model_name: str
    requests: int
    succeeded: int
    seconds: float
    spent: int
    delivered: int
    missed: int


@dataclass(frozen=True, slots=True)
class Totals:
    """A period's sums: microcredits, delivered outputs, outputs that failed."""

    spent: int
    delivered: int
    missed: int


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A model's share of a period. `seconds` is the mean running time of what succeeded, None without any."""

    key: str
    name: str
    spent: int
    requests: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One generation. `price` and `charged` in their JSON shape; `asset_id` of the first picture still there."""

    id: UUID
    prompt: str
    model_name: str
    state: str
    count: int
    price: Mapping[str, Any]
    charged: Mapping[str, Any] | None
    error_code: str | None
    error_message: str | None
    created_at: datetime
    seconds: float | None
    delivered: int
    asset_id: UUID | None


def first_id(moment: datetime) -> UUID:
    """The lowest UUIDv7 of a moment."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


async def final_until(tx: WorkspaceSession) -> datetime:
    """The moment before which days are summed up."""
    day: date = await tx.fetchval("SELECT until FROM usage_rolled")
    return datetime.combine(day, time(), UTC)


async def used(
    tx: WorkspaceSession, start: datetime, end: datetime, step: str, only_user: UUID | None, final: datetime
) -> list[Used]:
    """What was asked for from `start` (included) to `end` (not), by "day" or "month" (UTC) and model.

    `final`: see `final_until`.
    """
    first = _midnight(start)
    if first < start:
        first += timedelta(days=1)
    last = max(first, min(_midnight(end), final))
    live = (start, min(first, end), last, max(last, end))
    rows = await tx.fetch(
        _USED.format(
            sums=SUMS, live=_LIVE,
            rolled_of="AND u.user_id = $8" if only_user else "", made_of="AND g.user_id = $8" if only_user else "",
        ),
        first.date(), last.date(), *map(first_id, live), step, *([only_user] if only_user else []),
    )  # fmt: skip
    return [Used(**row) for row in rows]


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def totals(lines: list[Used]) -> Totals:
    """The sums of all lines."""
    return Totals(
        sum(line.spent for line in lines), sum(line.delivered for line in lines), sum(line.missed for line in lines)
    )


def spent_by_step(lines: list[Used]) -> dict[datetime, int]:
    """Microcredits by the start of each step; steps without any request are left out."""
    spent: dict[datetime, int] = {}
    for line in lines:
        spent[line.start] = spent.get(line.start, 0) + line.spent
    return spent


def by_model(lines: list[Used]) -> list[ModelUse]:
    """The eight models that cost most."""
    models: dict[str, list[Used]] = {}
    for line in lines:
        models.setdefault(line.model_key, []).append(line)
    found = [_model_use(key, parts) for key, parts in models.items()]
    return sorted(found, key=lambda model: (-model.spent, -model.requests, model.key))[:8]


def _model_use(key: str, lines: list[Used]) -> ModelUse:
    succeeded = sum(line.succeeded for line in lines)
    return ModelUse(
        key, max(line.model_name for line in lines), sum(line.spent for line in lines),
        sum(line.requests for line in lines),
        sum(line.seconds for line in lines) / succeeded if succeeded else None,
    )  # fmt: skip


async def history(
    tx: WorkspaceSession,
    only_user: UUID | None,
    *,
    before: UUID | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[HistoryRow]:
    """Generations, newest first, older than `before` and not older than `since`."""
    rows = await tx.fetch(
        _HISTORY.format(made_of="AND g.user_id = $5" if only_user else ""),
        tx.workspace_id, before or _HIGHEST, first_id(since) if since else _LOWEST, limit,
        *([only_user] if only_user else []),
    )  # fmt: skip
    return [
        HistoryRow(**{**row, "seconds": float(row["seconds"]) if row["seconds"] is not None else None}) for row in rows
    ]
