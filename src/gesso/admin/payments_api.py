"""What a workspace paid beside its subscription, and what is disputed, as the API tells operators."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from gesso.admin.payments import Bought, Dispute
from gesso.core.money import format_credits


class PurchaseLine(BaseModel):
    """A pack the workspace bought, or was about to."""

    id: UUID
    pack: str
    credits: str = Field(description="As a decimal string.")
    price_cents: int
    currency: str
    state: Literal["open", "paid", "refunded", "disputed", "expired"]
    refunded_cents: int
    taken_back: str = Field(description="Credits that went back with refunds, as a decimal string.")
    created_at: datetime
    paid_at: datetime | None

    @classmethod
    def of(cls, row: Bought) -> "PurchaseLine":
        return cls(
            id=row.id, pack=row.pack_key, credits=format_credits(row.credits), price_cents=row.price_cents,
            currency=row.currency, state=row.state, refunded_cents=row.refunded_cents,
            taken_back=format_credits(row.taken_back), created_at=row.created_at, paid_at=row.paid_at,
        )  # fmt: skip


class DisputeLine(BaseModel):
    """A payment of the workspace that its payer disputes."""

    id: UUID
    ref: str
    state: Literal["open", "won", "lost"]
    amount_cents: int
    currency: str
    reason: str
    created_at: datetime

    @classmethod
    def of(cls, row: Dispute) -> "DisputeLine":
        return cls(**{name: getattr(row, name) for name in cls.model_fields})
