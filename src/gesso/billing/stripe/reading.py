"""Stripe's objects as facts. Pure. Shapes of version 2026-10-28.endive: periods live on a subscription's items, an
invoice names its subscription under `parent`, and its payments as `payments`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from gesso.billing.facts import (
    CheckoutFact,
    DisputeFact,
    Interval,
    InvoiceFact,
    PaymentFact,
    PlanCheckoutFact,
    SubscriptionFact,
    SubscriptionStatus,
)
from gesso.core.errors import Conflict

Obj = dict[str, Any]

_STATUS: dict[str, SubscriptionStatus] = {
    "trialing": "active", "active": "active", "past_due": "past_due", "unpaid": "past_due", "paused": "past_due",
    "incomplete": "incomplete", "incomplete_expired": "cancelled", "canceled": "cancelled",
}  # fmt: skip
_UNDECIDED = ("needs_response", "under_review")
_LOST = "lost"


def ref(value: Any) -> str | None:
    """The id of something that is an id, or the thing itself where it was expanded."""
    found = value.get("id") if isinstance(value, dict) else value
    return str(found) if found else None


def names(event: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids that an event names: its own, its object's, and those of what that belongs to."""
    told = event["data"]["object"]
    parent = (told.get("parent") or {}).get("subscription_details") or {}
    related = [told.get(name) for name in ("customer", "subscription", "invoice", "payment_intent", "charge")]
    found = [event["id"], told.get("id"), *map(ref, related), ref(parent.get("subscription"))]
    return tuple(dict.fromkeys(str(one) for one in found if one))


def moment(value: Any) -> datetime | None:
    """A unix time."""
    return datetime.fromtimestamp(value, UTC) if value else None


def _at(value: Any) -> datetime:
    return datetime.fromtimestamp(value, UTC)


def checkout(session: Obj) -> CheckoutFact | None:
    """A pack's checkout; None for one that is not ours. Its `payment_intent` is to be expanded.

    Grant once `payment_status` is paid or no_payment_required (docs.stripe.com/checkout/fulfillment). A debit that
    failed afterwards leaves the session complete and unpaid, and its payment without a method.
    """
    try:
        purchase_id = UUID(str((session.get("metadata") or {}).get("purchase_id")))
    except ValueError:
        return None
    payment = session.get("payment_intent")
    failed = isinstance(payment, dict) and payment.get("status") in ("requires_payment_method", "canceled")
    complete = session["status"] == "complete"
    return CheckoutFact(
        ref=session["id"],
        purchase_id=purchase_id,
        paid=complete and session["payment_status"] in ("paid", "no_payment_required"),
        gone=session["status"] == "expired" or (complete and failed),
        payment_ref=ref(payment),
    )


def plan_checkout(session: Obj) -> PlanCheckoutFact | None:
    """A plan's checkout; None for one that is for something else."""
    customer = ref(session.get("customer"))
    if session.get("mode") != "subscription" or customer is None:
        return None
    return PlanCheckoutFact(session["id"], customer, gone=session["status"] == "expired")


def subscription(found: Obj) -> SubscriptionFact:
    """Its `latest_invoice` is to be expanded. Raises Conflict when its price is for no plan of ours."""
    item = found["items"]["data"][0]
    price = item["price"]
    plan = (price.get("metadata") or {}).get("gesso_plan")
    recurring = price.get("recurring") or {}
    if not plan or recurring.get("interval") not in ("month", "year"):
        raise Conflict("The subscription's price belongs to no plan of this site.")
    interval: Interval = recurring["interval"]
    end = _at(item["current_period_end"])
    invoice = found.get("latest_invoice")
    return SubscriptionFact(
        ref=found["id"],
        customer=ref(found["customer"]) or "",
        plan_key=plan,
        interval=interval,
        status=_STATUS[found["status"]],
        price_cents=price["unit_amount"],
        currency=price["currency"],
        anchor=_at(found["billing_cycle_anchor"]),
        period_start=_at(item["current_period_start"]),
        period_end=end,
        paid=isinstance(invoice, dict) and invoice.get("status") == "paid",
        latest_invoice=ref(invoice),
        cancel_at=moment(found.get("cancel_at")) or (end if found.get("cancel_at_period_end") else None),
        ended_at=moment(found.get("ended_at")),
    )


def invoice(found: Obj) -> InvoiceFact:
    """Its `payments` are to be expanded."""
    parent = (found.get("parent") or {}).get("subscription_details") or {}
    return InvoiceFact(
        ref=found["id"],
        customer=ref(found["customer"]) or "",
        subscription_ref=ref(parent.get("subscription")),
        payment_ref=_payment(found),
        number=found.get("number"),
        reason=str(found.get("billing_reason") or "manual"),
        status=found["status"] or "draft",
        total_cents=found["total"],
        currency=found["currency"],
        hosted_url=found.get("hosted_invoice_url"),
        pdf_url=found.get("invoice_pdf"),
        issued_at=_at(found["created"]),
        paid_at=moment((found.get("status_transitions") or {}).get("paid_at")),
    )


def _payment(found: Obj) -> str | None:
    payments = (found.get("payments") or {}).get("data") or ()
    paid = [one for one in payments if isinstance(one, dict) and one.get("status") == "paid"]
    return next((ref(one["payment"].get("payment_intent")) for one in paid), None)


def payment(found: Obj) -> PaymentFact | None:
    """A payment intent; its `latest_charge` is to be expanded. None while nothing was paid."""
    charge = found.get("latest_charge")
    amount = found.get("amount_received") or 0
    if not amount or not isinstance(charge, dict):
        return None
    return PaymentFact(
        ref=found["id"],
        customer=ref(found.get("customer")),
        amount_cents=amount,
        refunded_cents=charge.get("amount_refunded") or 0,
    )


def dispute(found: Obj) -> DisputeFact | None:
    """A dispute; inquiries (`warning_…`) freeze nothing, and count as won until they become one."""
    payment_ref = ref(found.get("payment_intent"))
    if payment_ref is None:
        return None
    status = found["status"]
    state: Literal["open", "won", "lost"] = "open" if status in _UNDECIDED else "lost" if status == _LOST else "won"
    return DisputeFact(
        ref=found["id"],
        payment_ref=payment_ref,
        state=state,
        amount_cents=found["amount"],
        currency=found["currency"],
        reason=str(found.get("reason") or ""),
    )
