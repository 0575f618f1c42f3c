"""Corrections by hand: what an operator gives, and takes back of what is free. Never below zero, never a debt."""

from datetime import datetime
from uuid import UUID

from gesso.core.errors import Conflict, InvalidInput
from gesso.credits import service
from gesso.credits.types import MAX_AMOUNT, UNITS, format_amount
from gesso.db import ElevatedSession

# What was given by hand goes first, the newest of it first; what was bought goes last.
_FREE = """
SELECT id, remaining - held AS free FROM credit_lot
WHERE workspace_id = $1 AND unit = $2 AND scope IS NULL AND closed_at IS NULL AND remaining > held
    AND (expires_at IS NULL OR expires_at > $3)
ORDER BY array_position(ARRAY['operator', 'admin', 'sign_up', 'plan', 'pack'], source), id DESC
"""


async def give(
    tx: ElevatedSession,
    workspace_id: UUID,
    *,
    unit: str,
    amount: int,
    key: str,
    reason: str,
    expires_at: datetime | None = None,
    now: datetime,
) -> bool:
    """Top a workspace up; False when `key` was used before. Raises as `service.grant`."""
    lot = await service.grant(
        tx, workspace_id, unit=unit, amount=amount, source="operator", key=f"adjust:{key}", reason=reason,
        expires_at=expires_at, now=now,
    )  # fmt: skip
    return lot is not None


async def take_back(
    tx: ElevatedSession, workspace_id: UUID, *, unit: str, amount: int, key: str, reason: str, now: datetime
) -> bool:
    """Take `amount` of `unit` (microcredits, or uses) out of what nobody reserved; False when `key` was used before.

    Raises InvalidInput for an amount outside 1 … 10^15 or an unknown unit; Conflict when less is free.
    """
    if unit not in UNITS or not 1 <= amount <= MAX_AMOUNT:
        raise InvalidInput("This cannot be taken back.", fields={"amount": f"Between 1 and {MAX_AMOUNT}."})
    await tx.fetchval("SELECT ledger_lock($1)", workspace_id)
    if await tx.fetchval(
        "SELECT EXISTS (SELECT FROM credit_journal WHERE workspace_id = $1 AND idempotency_key = $2)",
        workspace_id, f"refund:adjust:{key}:0",
    ):  # fmt: skip
        return False
    lots = await tx.fetch(_FREE, workspace_id, unit, now)
    free = sum(lot["free"] for lot in lots)
    if amount > free:
        there = f"{format_amount(unit, free)} can be taken back; the rest is spent or reserved."
        raise Conflict(f"Only {there}" if free else "Nothing can be taken back.", fields={"amount": f"At most {there}"})
    for number, lot in enumerate(lots):
        part = min(amount, lot["free"])
        if part == 0:
            break
        await service.refund(
            tx, workspace_id, lot["id"], amount=part, key=f"adjust:{key}:{number}", reason=reason, now=now
        )
        amount -= part
    return True
