"""What the ledger's functions take and give. Amounts are microcredits for unit "credit", else uses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from gesso.core.money import format_credits

CREDIT = "credit"
UNITS = (CREDIT, "image", "video", "chat", "prompt")
"""Credits, and the allowances counted in uses."""

SOURCES = ("sign_up", "plan", "pack", "operator", "admin")
"""Where a lot came from: the grant on sign-up; a plan's renewal; a purchase (the only one that repays debt);
a top-up by an operator of the site; a top-up by a workspace's own admin, where the edition has that."""

MAX_AMOUNT = 10**15
"""The largest grant: a thousand million credits."""

HistoryKind = Literal["grant", "spend", "expire", "refund", "repay"]


def format_amount(unit: str, amount: int) -> str:
    """An amount as JSON shows it: credits as a decimal string, uses as a whole number, also a string."""
    return format_credits(amount) if unit == CREDIT else str(amount)


@dataclass(frozen=True, slots=True)
class LotView:
    """A grant that can still be spent. `remaining` is what is free in it, without what is held.

    `scope` limits what it may be spent on; None: anything.
    """

    id: UUID
    unit: str
    source: str
    scope: str | None
    amount: int
    remaining: int
    expires_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Balances:
    """What a workspace has. `balance` can be spent now, `held` is reserved besides, `debt` is owed.

    `lots` stand in burn order; per unit their `remaining` adds up to the balance.
    """

    balance: int = 0
    held: int = 0
    debt: int = 0
    allowances: Mapping[str, int] = field(default_factory=dict)
    allowances_held: Mapping[str, int] = field(default_factory=dict)
    lots: tuple[LotView, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One line of a statement: what a workspace got (+) or lost (−). All lines add up to balance + held.

    `spend` is one line per hold with everything captured from it so far; `outputs` says how many outputs.
    `source` is the lot's; `subject_id` is what was paid for (a generation).
    """

    id: int
    kind: HistoryKind
    credits: int
    allowances: Mapping[str, int]
    source: str | None
    reason: str | None
    subject_id: UUID | None
    user_id: UUID | None
    outputs: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UnitTotals:
    """Lifetime figures of a workspace in one unit. `earned` is net of refunds."""

    earned: int
    spent: int
    held: int
    expired: int


@dataclass(frozen=True, slots=True)
class MemberTotals:
    """What one member brought in, spent, and has on hold, in one unit. `user_id` None: nobody in particular
    (the clock's grants), or someone who has been forgotten."""

    user_id: UUID | None
    unit: str
    earned: int
    spent: int
    held: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals by unit, and by member."""

    units: Mapping[str, UnitTotals]
    members: tuple[MemberTotals, ...]


@dataclass(frozen=True, slots=True)
class Refunded:
    """How a refund was met: `taken` from the lot, `owed` as debt."""

    taken: int
    owed: int


@dataclass(frozen=True, slots=True)
class Swept:
    """What one round of the expiry sweep did.

    `skipped` wallets were in use; the next round sees them. `failed` names workspaces whose figures are damaged,
    so that nothing could be done in them.
    """

    workspaces: int
    skipped: int
    holds: int
    lots: int
    failed: tuple[UUID, ...]

    @property
    def seen(self) -> int:
        """How many workspaces had something due."""
        return self.workspaces + self.skipped + len(self.failed)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A figure that is not what the journal says. `account` reads like "credit/available" or "lot <id> held"."""

    workspace_id: UUID | None
    account: str
    expected: int | None
    found: int | None
