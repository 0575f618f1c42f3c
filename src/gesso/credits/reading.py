"""What a workspace has and had. Reads only; each figure comes from one statement, so it agrees with itself."""

from datetime import datetime
from uuid import UUID

import asyncpg

from gesso.core.errors import InvalidInput
from gesso.credits.types import CREDIT, Balances, HistoryItem, LotView, MemberTotals, Totals, UnitTotals
from gesso.db import WorkspaceSession
from gesso.db.paging import decode_cursor, encode_cursor

# Lots past their expiry do not count, swept or not.
_BALANCES = """
    SELECT b.unit, b.held AS unit_held, b.debt AS unit_debt,
           l.id, l.source, l.scope, l.amount, l.remaining - l.held AS free, l.expires_at, l.created_at
    FROM credit_balance b
    LEFT JOIN credit_lot l ON l.workspace_id = b.workspace_id AND l.unit = b.unit
        AND l.closed_at IS NULL AND l.remaining > l.held
        AND (l.expires_at IS NULL OR l.expires_at > coalesce($2, now()))
    WHERE b.workspace_id = $1
    ORDER BY l.scope IS NULL, l.expires_at NULLS LAST, l.created_at, l.id
"""

# A hold's captures make one line, placed where the first of them stands, so that lines never move. Grants and
# captures are found each along an index of their own: among everybody's holds and captures one member's may be rare.
_HISTORY = """
    WITH lines AS (
        (SELECT j.* FROM credit_journal j
         WHERE j.workspace_id = $1 AND j.id < $2 AND j.kind IN ('grant', 'expire', 'refund', 'repay')
         ORDER BY j.id DESC LIMIT $3)
        UNION ALL
        (SELECT j.* FROM credit_journal j
         WHERE j.workspace_id = $1 AND j.id < $2 AND j.kind = 'capture' {only}
             AND NOT EXISTS (SELECT FROM credit_journal e
                             WHERE e.hold_id = j.hold_id AND e.kind = 'capture' AND e.id < j.id)
         ORDER BY j.id DESC LIMIT $3)
    )
    SELECT j.id, j.kind, j.unit, j.amount, l.source, j.reason, h.subject_id, j.user_id, j.created_at,
           s.amounts AS spent, s.outputs
    FROM (SELECT * FROM lines ORDER BY id DESC LIMIT $3) j
    JOIN credit_lot l ON l.id = j.lot_id
    LEFT JOIN credit_hold h ON h.id = j.hold_id
    LEFT JOIN LATERAL (
        SELECT jsonb_object_agg(c.unit, c.amount) AS amounts, sum(c.outputs)::int AS outputs
        FROM (SELECT unit, sum(amount) AS amount, count(DISTINCT output_index) AS outputs
              FROM credit_journal WHERE hold_id = j.hold_id AND kind = 'capture' GROUP BY unit) c
    ) s ON j.kind = 'capture'
    ORDER BY j.id DESC
"""

_UNIT_TOTALS = "SELECT unit, issued, spent, held, expired FROM credit_balance WHERE workspace_id = $1 ORDER BY unit"

_MEMBER_TOTALS = """
    SELECT user_id, unit,
           coalesce(sum(amount) FILTER (WHERE kind = 'grant'), 0)::bigint AS earned,
           coalesce(sum(amount) FILTER (WHERE kind = 'capture'), 0)::bigint AS spent,
           coalesce(sum(CASE kind WHEN 'hold' THEN amount WHEN 'grant' THEN 0 ELSE -amount END), 0)::bigint AS held
    FROM credit_journal
    WHERE workspace_id = $1 AND kind IN ('grant', 'hold', 'capture', 'release')
    GROUP BY user_id, unit ORDER BY user_id, unit
"""

_NEWEST = 2**63 - 1


async def balances(tx: WorkspaceSession, *, now: datetime | None = None) -> Balances:
    """What can be spent, is held, and is owed; zeros for a workspace that was never granted anything."""
    free: dict[str, int] = {}
    held: dict[str, int] = {}
    debt: dict[str, int] = {}
    lots: list[LotView] = []
    for row in await tx.fetch(_BALANCES, tx.workspace_id, now):
        unit = row["unit"]
        held[unit], debt[unit] = row["unit_held"], row["unit_debt"]
        if row["id"] is not None:
            free[unit] = free.get(unit, 0) + row["free"]
            lots.append(
                LotView(
                    row["id"], unit, row["source"], row["scope"], row["amount"], row["free"],
                    row["expires_at"], row["created_at"],
                )
            )  # fmt: skip
    return Balances(
        balance=free.pop(CREDIT, 0),
        held=held.pop(CREDIT, 0),
        debt=debt.get(CREDIT, 0),
        allowances=free,
        allowances_held={unit: amount for unit, amount in held.items() if amount},
        lots=tuple(lots),
    )


async def history(
    tx: WorkspaceSession, *, cursor: str | None = None, limit: int = 50, only_user: UUID | None = None
) -> tuple[tuple[HistoryItem, ...], str | None]:
    """Statement lines, newest first, and the cursor of the next page (None at the end).

    `only_user` leaves out what others spent. Raises InvalidInput on `cursor`.
    """
    before = _NEWEST
    if cursor is not None:
        (before,) = decode_cursor(cursor, 1)
        if not isinstance(before, int) or not 0 < before <= _NEWEST:
            raise InvalidInput("This cursor is not one of ours.", fields={"cursor": "Leave it out."})
    only = "AND j.user_id = $4" if only_user else ""
    rows = await tx.fetch(
        _HISTORY.format(only=only), tx.workspace_id, before, limit + 1, *([only_user] if only_user else [])
    )
    items = tuple(_item(row) for row in rows[:limit])
    return items, encode_cursor(items[-1].id) if len(rows) > limit else None


def _item(row: asyncpg.Record) -> HistoryItem:
    kind = row["kind"]
    sign = 1 if kind == "grant" else -1
    amounts: dict[str, int] = row["spent"] if kind == "capture" else {row["unit"]: row["amount"]}
    signed = {unit: sign * amount for unit, amount in amounts.items()}
    return HistoryItem(
        id=row["id"],
        kind="spend" if kind == "capture" else kind,
        credits=signed.pop(CREDIT, 0),
        allowances=signed,
        source=None if kind == "capture" else row["source"],
        reason=row["reason"],
        subject_id=row["subject_id"],
        user_id=row["user_id"],
        outputs=row["outputs"] or 0,
        created_at=row["created_at"],
    )


async def totals(tx: WorkspaceSession) -> Totals:
    """Lifetime totals of the workspace and of each of its members."""
    units = {
        row["unit"]: UnitTotals(row["issued"], row["spent"], row["held"], row["expired"])
        for row in await tx.fetch(_UNIT_TOTALS, tx.workspace_id)
    }
    members = tuple(MemberTotals(**row) for row in await tx.fetch(_MEMBER_TOTALS, tx.workspace_id))
    return Totals(units, members)
