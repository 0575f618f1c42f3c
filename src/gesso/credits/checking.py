"""Recompute every figure of the ledger from the journal, and say what differs."""

from gesso.credits.types import Mismatch
from gesso.db import ElevatedSession

# One statement, so that it sees one moment of a ledger in use. `expected` is what the journal (or, for lots
# and holds among themselves, the rows below) says, `found` what stands in the row. NULL: no such row.
_MISMATCHES = """
WITH account AS (  -- balance = Σ legs
    SELECT workspace_id, unit, account, sum(amount)::bigint AS amount
    FROM credit_leg GROUP BY workspace_id, unit, account
), cached AS (
    SELECT b.workspace_id, b.unit, c.account, c.amount
    FROM credit_balance b CROSS JOIN LATERAL (VALUES
        ('available', available), ('held', held), ('spent', spent), ('expired', expired),
        ('issued', -issued), ('debt', -debt)) AS c (account, amount)
), lots AS (  -- balance = Σ lots' remainder − Σ holds' use of them
    SELECT workspace_id, unit, sum(remaining - held)::bigint AS available, sum(held)::bigint AS held
    FROM credit_lot GROUP BY workspace_id, unit
), lot_journal AS (
    SELECT workspace_id, unit, lot_id,
           sum(CASE kind WHEN 'grant' THEN amount WHEN 'capture' THEN -amount WHEN 'expire' THEN -amount
               WHEN 'refund' THEN -amount WHEN 'repay' THEN -amount ELSE 0 END)::bigint AS remaining,
           sum(CASE kind WHEN 'hold' THEN amount WHEN 'capture' THEN -amount WHEN 'release' THEN -amount
               ELSE 0 END)::bigint AS held,
           sum(CASE kind WHEN 'grant' THEN amount ELSE 0 END)::bigint AS amount,
           sum(CASE kind WHEN 'refund' THEN amount WHEN 'debt' THEN amount ELSE 0 END)::bigint AS refunded
    FROM credit_journal GROUP BY workspace_id, unit, lot_id
), lot_parts AS (
    SELECT workspace_id, unit, lot_id, sum(amount)::bigint AS held
    FROM credit_hold_part WHERE state = 'held' AND lot_id IS NOT NULL GROUP BY workspace_id, unit, lot_id
), hold_journal AS (
    SELECT workspace_id, hold_id, lot_id,
           coalesce(sum(amount) FILTER (WHERE kind = 'hold'), 0)::bigint AS held,
           coalesce(sum(amount) FILTER (WHERE kind = 'capture'), 0)::bigint AS captured,
           coalesce(sum(amount) FILTER (WHERE kind = 'release'), 0)::bigint AS released
    FROM credit_journal WHERE hold_id IS NOT NULL GROUP BY workspace_id, hold_id, lot_id
), hold_parts AS (
    SELECT workspace_id, hold_id, lot_id, sum(amount)::bigint AS held,
           coalesce(sum(amount) FILTER (WHERE state = 'captured'), 0)::bigint AS captured,
           coalesce(sum(amount) FILTER (WHERE state IN ('released', 'expired')), 0)::bigint AS released
    FROM credit_hold_part WHERE lot_id IS NOT NULL GROUP BY workspace_id, hold_id, lot_id
), captures AS (
    SELECT workspace_id, hold_id, output_index, lot_id, amount FROM credit_journal WHERE kind = 'capture'
), captured_parts AS (
    SELECT workspace_id, hold_id, output_index, lot_id, amount
    FROM credit_hold_part WHERE state = 'captured' AND lot_id IS NOT NULL
), open_parts AS (
    SELECT hold_id, count(*) AS parts FROM credit_hold_part WHERE state = 'held' GROUP BY hold_id
), compared (workspace_id, account, expected, found) AS (
    SELECT workspace_id, unit || '/' || account, coalesce(a.amount, 0), c.amount
    FROM account a FULL JOIN cached c USING (workspace_id, unit, account)
    UNION ALL
    SELECT b.workspace_id, b.unit || '/' || v.name, v.lots, v.balance
    FROM credit_balance b LEFT JOIN lots l USING (workspace_id, unit)
    CROSS JOIN LATERAL (VALUES
        ('available in lots', coalesce(l.available, 0), b.available),
        ('held in lots', coalesce(l.held, 0), b.held)) AS v (name, lots, balance)
    UNION ALL
    SELECT coalesce(j.workspace_id, l.workspace_id), 'lot ' || coalesce(j.lot_id, l.id) || ' ' || v.name,
           v.journal, v.lot
    FROM lot_journal j
    FULL JOIN credit_lot l ON l.id = j.lot_id AND l.workspace_id = j.workspace_id AND l.unit = j.unit
    CROSS JOIN LATERAL (VALUES
        ('amount', j.amount, l.amount), ('remaining', j.remaining, l.remaining),
        ('held', j.held, l.held), ('refunded', j.refunded, l.refunded)) AS v (name, journal, lot)
    UNION ALL
    SELECT coalesce(p.workspace_id, l.workspace_id), 'lot ' || coalesce(p.lot_id, l.id) || ' held by holds',
           coalesce(p.held, 0), l.held
    FROM lot_parts p
    FULL JOIN credit_lot l ON l.id = p.lot_id AND l.workspace_id = p.workspace_id AND l.unit = p.unit
    UNION ALL
    SELECT workspace_id, 'hold ' || hold_id || ' lot ' || lot_id || ' ' || v.name, v.journal, v.parts
    FROM hold_journal j FULL JOIN hold_parts p USING (workspace_id, hold_id, lot_id)
    CROSS JOIN LATERAL (VALUES
        ('held', j.held, p.held), ('captured', j.captured, p.captured),
        ('released', j.released, p.released)) AS v (name, journal, parts)
    UNION ALL
    SELECT workspace_id, 'hold ' || hold_id || ' output ' || output_index || ' lot ' || lot_id, j.amount, p.amount
    FROM captures j FULL JOIN captured_parts p USING (workspace_id, hold_id, output_index, lot_id)
    UNION ALL  -- a hold is open exactly while something is held in it
    SELECT h.workspace_id, 'hold ' || h.id || ' is open', (coalesce(o.parts, 0) > 0)::int, (h.state = 'open')::int
    FROM credit_hold h LEFT JOIN open_parts o ON o.hold_id = h.id
)
SELECT workspace_id, account, expected::bigint AS expected, found::bigint AS found
FROM compared WHERE expected IS DISTINCT FROM found
ORDER BY workspace_id, account
"""


async def verify(tx: ElevatedSession) -> tuple[Mismatch, ...]:
    """Every figure of every workspace that is not what the journal says; empty when all is well.

    Reads each table of the ledger a few times and locks nothing.
    """
    return tuple(Mismatch(**row) for row in await tx.fetch(_MISMATCHES))
