"""What a workspace used: SQL over its generations and their outputs.

Rows are found by id: ids are time-ordered (UUIDv7), so a period is one range of the primary key. `only_user`
leaves out what other members asked for; None counts everybody's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gesso.db import WorkspaceSession

_MICRO = "sum(((g.charged->>'credits')::numeric * 1000000)::bigint) FILTER (WHERE g.charged IS NOT NULL)"

_TOTALS = f"""
SELECT coalesce({_MICRO}, 0)::bigint AS spent,
       coalesce(sum(o.delivered), 0)::bigint AS delivered, coalesce(sum(o.missed), 0)::bigint AS missed
FROM generation g CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'delivered') AS delivered, count(*) FILTER (WHERE state = 'failed') AS missed
    FROM output WHERE workspace_id = g.workspace_id AND generation_id = g.id) o
WHERE g.id >= $1 AND g.id < $2 AND ($3::uuid IS NULL OR g.user_id = $3)
"""

_BY_STEP = f"""
SELECT date_trunc($4, g.created_at, 'UTC') AS start, coalesce({_MICRO}, 0)::bigint AS spent
FROM generation g WHERE g.id >= $1 AND g.id < $2 AND ($3::uuid IS NULL OR g.user_id = $3) GROUP BY 1
"""

_BY_MODEL = f"""
SELECT g.model_key AS key, max(g.model_name) AS name, coalesce({_MICRO}, 0)::bigint AS spent, count(*) AS requests,
       avg(extract(epoch FROM g.finished_at - g.started_at)) FILTER (WHERE g.state = 'succeeded') AS seconds
FROM generation g WHERE g.id >= $1 AND g.id < $2 AND ($3::uuid IS NULL OR g.user_id = $3)
GROUP BY 1 ORDER BY 3 DESC, 4 DESC LIMIT 8
"""

_HISTORY = """
SELECT g.id, g.prompt, g.model_name, g.state, g.count, g.price, g.charged, g.error_code, g.error_message,
       g.created_at, extract(epoch FROM g.finished_at - g.created_at) AS seconds,
       (SELECT count(*) FROM output o WHERE o.workspace_id = g.workspace_id AND o.generation_id = g.id
        AND o.state = 'delivered') AS delivered,
       (SELECT o.asset_id FROM output o JOIN asset a ON a.id = o.asset_id AND a.deleted_at IS NULL
        WHERE o.workspace_id = g.workspace_id AND o.generation_id = g.id AND o.state = 'delivered'
        ORDER BY o.index LIMIT 1) AS asset_id
FROM generation g WHERE ($1::uuid IS NULL OR g.id < $1) AND ($2::uuid IS NULL OR g.id >= $2)
    AND ($3::uuid IS NULL OR g.user_id = $3)
ORDER BY g.id DESC LIMIT $4
"""


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


async def totals(tx: WorkspaceSession, start: datetime, end: datetime, only_user: UUID | None) -> Totals:
    """Sums of what was asked for from `start` (included) to `end` (not included)."""
    row = await tx.fetchrow(_TOTALS, first_id(start), first_id(end), only_user)
    assert row is not None
    return Totals(**row)


async def spent_by_step(
    tx: WorkspaceSession, start: datetime, end: datetime, step: str, only_user: UUID | None
) -> dict[datetime, int]:
    """Microcredits by the start of each "day" or "month" (UTC); steps without any are left out."""
    rows = await tx.fetch(_BY_STEP, first_id(start), first_id(end), only_user, step)
    return {row["start"]: row["spent"] for row in rows}


async def by_model(tx: WorkspaceSession, start: datetime, end: datetime, only_user: UUID | None) -> list[ModelUse]:
    """The eight models that cost most."""
    return [
        ModelUse(**{**row, "seconds": float(row["seconds"]) if row["seconds"] is not None else None})
        for row in await tx.fetch(_BY_MODEL, first_id(start), first_id(end), only_user)
    ]


async def history(
    tx: WorkspaceSession,
    only_user: UUID | None,
    *,
    before: UUID | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[HistoryRow]:
    """Generations, newest first, older than `before` and not older than `since`."""
    rows = await tx.fetch(_HISTORY, before, first_id(since) if since else None, only_user, limit)
    return [
        HistoryRow(**{**row, "seconds": float(row["seconds"]) if row["seconds"] is not None else None}) for row in rows
    ]
