"""Move credits: grant, hold, capture, release, extend, refund, expire. Each is one call of one SQL function.

The functions (migration 0003) decide and record under the workspace's lock; this module speaks Python.
Every one of them holds that lock until the transaction ends: call them late, and never do anything slow after.
All take the moment as `now`; left out, it is the database's clock.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from gesso.core.errors import Conflict, Frozen, InvalidInput, NotFound, OutOfCredits
from gesso.core.ids import new_id
from gesso.core.money import MICRO, OutputAsk, OutputPrice, Price, format_credits
from gesso.core.telemetry import metrics
from gesso.credits.checking import verify
from gesso.credits.reading import balances, history, totals
from gesso.credits.types import CREDIT, MAX_AMOUNT, SOURCES, UNITS, Refunded, Swept
from gesso.db import ElevatedSession, WorkspaceSession
from gesso.web.render import credits_words

__all__ = [
    "balances", "capture", "end_at", "estimate", "expire_due", "extend", "grant", "history", "hold", "lock", "refund",
    "release", "totals", "verify",
]  # fmt: skip

SWEEP_WALLETS = 100
"""How many wallets one sweep transaction locks at most."""


async def hold(
    tx: WorkspaceSession,
    *,
    hold_id: UUID,
    subject_id: UUID,
    asks: Sequence[OutputAsk],
    expires_at: datetime,
    scopes: frozenset[str] = frozenset(),
    now: datetime | None = None,
) -> Price:
    """Reserve the price of every output until `expires_at`; the price is fixed from here on.

    `subject_id` is what will be delivered (a generation). `scopes` names the scoped lots that may pay.
    Raises OutOfCredits (facts: missing, price, balance) and then changes nothing; Conflict when the hold exists;
    Frozen (see `freezing`), after which the transaction has to be given up.
    """
    try:
        row = await tx.fetchrow(
            "SELECT units, amounts, missing, balance,"
            " (SELECT reason FROM credit_freeze WHERE workspace_id = $1) AS frozen"
            " FROM ledger_hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            tx.workspace_id, hold_id, subject_id, tx.user_id, *_columns(asks), expires_at, sorted(scopes), now,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise Conflict("This was reserved before.") from None
    assert row is not None
    if row["frozen"] is not None:
        raise Frozen(row["frozen"])
    price = _price(row)
    if row["missing"]:
        raise OutOfCredits(
            f"This costs {credits_words(price.credits)}, and {format_credits(row['balance'])} can be spent: "
            f"{format_credits(row['missing'])} more would do.",
            missing=format_credits(row["missing"]),
            price=price.to_json(),
            balance=format_credits(row["balance"]),
        )
    _announce(tx, tx.workspace_id)
    return price


async def estimate(
    tx: WorkspaceSession,
    asks: Sequence[OutputAsk],
    *,
    scopes: frozenset[str] = frozenset(),
    now: datetime | None = None,
) -> tuple[Price, bool]:
    """What `hold` would reserve at this moment, and whether there is enough. Locks nothing."""
    row = await tx.fetchrow(
        "SELECT units, amounts, missing FROM ledger_quote($1, $2, $3, $4, $5, $6)",
        tx.workspace_id, *_columns(asks), sorted(scopes), now,
    )  # fmt: skip
    assert row is not None
    return _price(row), row["missing"] == 0


async def capture(
    tx: WorkspaceSession,
    hold_id: UUID,
    output_index: int,
    *,
    price: OutputPrice | None = None,
    now: datetime | None = None,
) -> OutputPrice:
    """Charge a delivered output what its hold says, or `price` where that is lower; returns what was charged.

    What is left of its part of the hold goes back at once. `price` is in the unit the hold says: credits, or uses of
    its allowance. Once only: again returns the same.

    Raises Conflict when it was released or the hold's deadline has passed, NotFound for an unknown output.
    """
    row = await tx.fetchrow(
        "SELECT outcome, unit, amount FROM ledger_capture($1, $2, $3, $4, $5)",
        tx.workspace_id, hold_id, output_index, now, _amount(price),
    )  # fmt: skip
    assert row is not None
    if row["outcome"] == "absent":
        raise NotFound("There is no such reservation.")
    if row["outcome"] != "captured":
        raise Conflict("The reservation has ended; nothing is charged.", outcome=row["outcome"])
    _announce(tx, tx.workspace_id)
    return _output_price(row["unit"], row["amount"])


async def release(
    tx: WorkspaceSession,
    hold_id: UUID,
    output_indexes: Sequence[int] | None = None,
    *,
    now: datetime | None = None,
) -> None:
    """Give back what is still held for these outputs (None: for all). What has ended already stays as it is.

    The hold closes when nothing is left in it. Raises NotFound for an unknown hold.
    """
    count = await tx.fetchval(
        "SELECT ledger_release($1, $2, $3, $4)",
        tx.workspace_id, hold_id, None if output_indexes is None else list(output_indexes), now,
    )  # fmt: skip
    if count is None:
        raise NotFound("There is no such reservation.")
    if count:
        _announce(tx, tx.workspace_id)


async def extend(tx: WorkspaceSession, hold_id: UUID, expires_at: datetime, *, now: datetime | None = None) -> None:
    """Set the deadline of an open hold. Raises Conflict when it has ended: its credits may be spent by now."""
    if not await tx.fetchval("SELECT ledger_extend($1, $2, $3, $4)", tx.workspace_id, hold_id, expires_at, now):
        raise Conflict("The reservation has ended.")


async def lock(tx: WorkspaceSession) -> None:
    """Take the workspace's lock without moving anything, for what must be counted exactly beside the ledger."""
    await tx.fetchval("SELECT ledger_lock($1)", tx.workspace_id)


async def grant(
    tx: WorkspaceSession | ElevatedSession,
    workspace_id: UUID,
    *,
    unit: str,
    amount: int,
    source: str,
    key: str,
    expires_at: datetime | None = None,
    reason: str | None = None,
    scope: str | None = None,
    user_id: UUID | None = None,
    now: datetime | None = None,
) -> UUID | None:
    """Put `amount` of `unit` into a new lot; returns its id, or None when `key` was used before.

    `key` names the occasion within the workspace ("plan:free:2026-11"), so that it is granted once.
    `user_id` is who brought it in; a workspace session's user unless given.
    Raises InvalidInput for an amount outside 1 … 10^15, an unknown unit or source, an expiry in the past;
    NotFound for an unknown workspace.
    """
    wrong: dict[str, str] = {}
    if not 1 <= amount <= MAX_AMOUNT:
        wrong["amount"] = f"Between 1 and {MAX_AMOUNT}."
    if unit not in UNITS:
        wrong["unit"] = f"One of {', '.join(UNITS)}."
    if source not in SOURCES:
        wrong["source"] = f"One of {', '.join(SOURCES)}."
    if expires_at is not None and expires_at <= (now or datetime.now(UTC)):
        wrong["expires_at"] = "Choose a moment in the future."
    if wrong:
        raise InvalidInput("This cannot be granted.", fields=wrong)
    lot_id = new_id()
    try:
        granted = await tx.fetchval(
            "SELECT ledger_grant($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            workspace_id, lot_id, unit, amount, source, key, scope, expires_at, reason,
            user_id or getattr(tx, "user_id", None), now,
        )  # fmt: skip
    except asyncpg.ForeignKeyViolationError:
        raise NotFound("There is no such workspace.") from None
    if not granted:
        return None
    tx.record(metrics.CREDITS_GRANTED.labels(unit, source).inc, amount / MICRO if unit == CREDIT else amount)
    _announce(tx, workspace_id)
    return lot_id


async def end_at(
    tx: WorkspaceSession | ElevatedSession,
    workspace_id: UUID,
    *,
    source: str,
    expires_at: datetime,
    now: datetime | None = None,
) -> None:
    """Let everything that `source` gave and that would expire later than now expire at `expires_at` instead."""
    await tx.fetchval("SELECT ledger_end_at($1, $2, $3, $4)", workspace_id, source, expires_at, now)


async def refund(
    tx: WorkspaceSession | ElevatedSession,
    workspace_id: UUID,
    lot_id: UUID,
    *,
    key: str,
    reason: str,
    amount: int | None = None,
    user_id: UUID | None = None,
    now: datetime | None = None,
) -> Refunded:
    """Take a grant back, all of it or `amount`: what is free in its lot first, the rest becomes debt.

    Debt is repaid by later purchases (source "pack"), and by what open holds give back to this very lot.
    The same `key` again changes nothing and returns the same. Raises NotFound, and Conflict when the lot has
    less left to take back than that (refunded before, or expired).
    """
    try:
        row = await tx.fetchrow(
            "SELECT outcome, taken, owed FROM ledger_refund($1, $2, $3, $4, $5, $6, $7)",
            workspace_id, lot_id, amount, key, reason, user_id or getattr(tx, "user_id", None), now,
        )  # fmt: skip
    except asyncpg.ForeignKeyViolationError:
        raise NotFound("There is no such workspace.") from None
    assert row is not None
    if row["outcome"] == "absent":
        raise NotFound("There is no such grant.")
    if row["outcome"] == "exceeds":
        raise Conflict("There is less left of this grant than is to be taken back.")
    _announce(tx, workspace_id)
    return Refunded(row["taken"], row["owed"])


async def expire_due(tx: ElevatedSession, now: datetime | None = None) -> Swept:
    """End holds past their deadline and lots past their expiry in up to SWEEP_WALLETS workspaces."""
    row = await tx.fetchrow(
        "SELECT workspaces, skipped, holds, lots, failed FROM ledger_expire($1, $2)", now, SWEEP_WALLETS
    )
    assert row is not None
    return Swept(**{**row, "failed": tuple(row["failed"])})


def _amount(price: OutputPrice | None) -> int | None:
    if price is None:
        return None
    amount = sum(price.allowances.values()) if price.allowances else price.credits
    if amount < 0:
        raise ValueError(f"no output can cost {price}")
    return amount


def _columns(asks: Sequence[OutputAsk]) -> tuple[list[int], list[str | None], list[int]]:
    if not asks:
        raise ValueError("nothing is asked for")
    for ask in asks:
        if ask.credits < 0 or (ask.allowance is not None and (ask.uses < 1 or ask.allowance == CREDIT)):
            raise ValueError(f"no output can cost {ask}")
    return [ask.credits for ask in asks], [ask.allowance for ask in asks], [ask.uses for ask in asks]


def _price(row: asyncpg.Record) -> Price:
    return Price.of(map(_output_price, row["units"] or (), row["amounts"] or ()))


def _output_price(unit: str, amount: int) -> OutputPrice:
    return OutputPrice(amount) if unit == CREDIT else OutputPrice(0, {unit: amount})


def _announce(tx: WorkspaceSession | ElevatedSession, workspace_id: UUID) -> None:
    """Let open pages show the new balance."""
    tx.notify_after_commit("gesso_events", {"workspace": str(workspace_id), "type": "credits", "id": str(workspace_id)})
