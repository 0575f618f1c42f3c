"""What a payment provider says, in our own words: read outside any transaction, applied inside one (`effects`).

Each tells the state of one object as it was read, never a change: applied twice, or late, it does no harm.
Money is in the currency's hundredths, times are timezone-aware.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Interval = Literal["month", "year"]
INTERVALS: tuple[Interval, ...] = ("month", "year")
SubscriptionStatus = Literal["incomplete", "active", "past_due", "cancelled"]


@dataclass(frozen=True, slots=True)
class CheckoutFact:
    """A pack's checkout: not paid yet, paid, or never to be paid (`gone`). `purchase_id` is what we called it."""

    ref: str
    purchase_id: UUID
    paid: bool
    gone: bool
    payment_ref: str | None


@dataclass(frozen=True, slots=True)
class PlanCheckoutFact:
    """A plan's checkout. It matters when it is never to be paid (`gone`); else its subscription tells the rest."""

    ref: str
    customer: str
    gone: bool


@dataclass(frozen=True, slots=True)
class SubscriptionFact:
    """A subscription. `plan_key` and `interval`: what its price is for. `anchor`: from where its periods are counted.

    `paid`: the newest invoice is paid, and with it the time until `period_end`. `latest_invoice` is that invoice's ref.
    `cancel_at`: when it will end by itself. `ended_at`: when it did.
    """

    ref: str
    customer: str
    plan_key: str
    interval: Interval
    status: SubscriptionStatus
    price_cents: int
    currency: str
    anchor: datetime
    period_start: datetime
    period_end: datetime
    paid: bool
    latest_invoice: str | None
    cancel_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class InvoiceFact:
    """An invoice. `payment_ref`: the payment that settled it, when that is known."""

    ref: str
    customer: str
    subscription_ref: str | None
    payment_ref: str | None
    number: str | None
    reason: str
    status: Literal["draft", "open", "paid", "uncollectible", "void"]
    total_cents: int
    currency: str
    hosted_url: str | None
    pdf_url: str | None
    issued_at: datetime
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class PaymentFact:
    """A payment and how much of it has gone back. `refunded_cents` counts all refunds so far."""

    ref: str
    customer: str | None
    amount_cents: int
    refunded_cents: int


@dataclass(frozen=True, slots=True)
class DisputeFact:
    """A payment that its payer disputes. `open` until the bank has decided."""

    ref: str
    payment_ref: str
    state: Literal["open", "won", "lost"]
    amount_cents: int
    currency: str
    reason: str


Fact = CheckoutFact | PlanCheckoutFact | SubscriptionFact | InvoiceFact | PaymentFact | DisputeFact
