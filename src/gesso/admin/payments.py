"""What a workspace paid beside its subscription, and what of all its payments is disputed, as the operator sees it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from gesso.billing.words import money
from gesso.db import ElevatedSession

PURCHASES, DISPUTES = 12, 12

_PURCHASES = f"""
SELECT id, pack_key, credits, price_cents, currency, state, refunded_cents, taken_back, created_at, paid_at
FROM purchase WHERE workspace_id = $1 ORDER BY created_at DESC, id LIMIT {PURCHASES}
"""
_DISPUTES = f"""
SELECT id, ref, state, amount_cents, currency, reason, created_at FROM dispute
WHERE workspace_id = $1 ORDER BY created_at DESC, id LIMIT {DISPUTES}
"""


@dataclass(frozen=True, slots=True)
class Bought:
    """A pack the workspace bought, or was about to. `credits` and `taken_back` are microcredits."""

    id: UUID
    pack_key: str
    credits: int
    price_cents: int
    currency: str
    state: Literal["open", "paid", "refunded", "disputed", "expired"]
    refunded_cents: int
    taken_back: int
    created_at: datetime
    paid_at: datetime | None

    @property
    def badge(self) -> tuple[str, str]:
        """A word for how it stands and the colour of its badge."""
        if self.state == "paid" and self.refunded_cents:
            return f"{money(self.refunded_cents, self.currency)} refunded", ""
        return {
            "open": ("Not paid yet", ""), "paid": ("Paid", "ok"), "refunded": ("Refunded", ""),
            "disputed": ("Disputed", "bad"), "expired": ("Never paid", ""),
        }[self.state]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dispute:
    """A payment of the workspace that its payer disputes."""

    id: UUID
    ref: str
    state: Literal["open", "won", "lost"]
    amount_cents: int
    currency: str
    reason: str
    created_at: datetime

    @property
    def badge(self) -> tuple[str, str]:
        """A word for how it stands and the colour of its badge."""
        return {"open": ("Open", "warn"), "won": ("Won", "ok"), "lost": ("Lost", "bad")}[self.state]


@dataclass(frozen=True, slots=True)
class Paid:
    """Packs and disputes of a workspace, the newest first."""

    purchases: tuple[Bought, ...]
    disputes: tuple[Dispute, ...]


async def of_workspace(tx: ElevatedSession, workspace_id: UUID) -> Paid:
    """What it bought and what its payers dispute."""
    return Paid(
        tuple(Bought(**row) for row in await tx.fetch(_PURCHASES, workspace_id)),
        tuple(Dispute(**row) for row in await tx.fetch(_DISPUTES, workspace_id)),
    )
