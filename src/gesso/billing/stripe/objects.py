"""Reading Stripe's current objects, as facts. Whatever an event is about, all that hangs on it is read along, so that
no event needs another to have come before."""

from collections.abc import Sequence

from gesso.billing.facts import Fact
from gesso.billing.inbox import Event
from gesso.billing.stripe import reading
from gesso.billing.stripe.line import Line, Obj

PORTAL = "1"
"""Which set of rights: another number makes another configuration."""
_MONEY_BACK = ("charge.refund", "refund.")


async def of_event(line: Line, event: Event) -> Sequence[Fact] | None:
    """What the event's object says now; None for events that nothing follows from."""
    kind, told = str(event["type"]), event["data"]["object"]
    if kind.startswith("checkout.session."):
        return await of_checkout(line, told["id"])
    if kind.startswith("customer.subscription."):
        return await of_subscription(line, told["id"])
    if kind.startswith("invoice.") and "id" in told:  # an upcoming one has none
        return await _of_invoice(line, told["id"])
    if kind.startswith("charge.dispute."):
        return await _of_dispute(line, told["id"])
    payment = reading.ref(told.get("payment_intent")) if kind.startswith(_MONEY_BACK) else None
    return await _of_payment(line, payment) if payment else None


async def of_checkout(line: Line, ref: str) -> list[Fact]:
    """A session, and the subscription it led to."""
    session = await line.call("checkout.sessions.retrieve", ref, params={"expand": ["payment_intent"]})
    facts: list[Fact] = []
    if (fact := reading.checkout(session) or reading.plan_checkout(session)) is not None:
        facts.append(fact)
    if subscription := reading.ref(session.get("subscription")):
        facts += await of_subscription(line, subscription)
    return facts


async def of_subscription(line: Line, ref: str) -> list[Fact]:
    """A subscription and its newest invoice."""
    params = {"expand": ["latest_invoice", "latest_invoice.payments"]}
    found = await line.call("subscriptions.retrieve", ref, params=params)
    facts: list[Fact] = [reading.subscription(found)]
    if isinstance(invoice := found.get("latest_invoice"), dict):
        facts.append(reading.invoice(invoice))
    return facts


async def _of_invoice(line: Line, ref: str) -> list[Fact]:
    found = await _invoice(line, ref)
    fact = reading.invoice(found)
    return [fact, *(await of_subscription(line, fact.subscription_ref) if fact.subscription_ref else ())]


async def _of_payment(line: Line, ref: str) -> list[Fact]:
    """A payment with the invoices and the checkout it settled: it is known by them."""
    found = await line.call("payment_intents.retrieve", ref, params={"expand": ["latest_charge"]})
    facts: list[Fact] = []
    of_payment: Obj = {"payment": {"type": "payment_intent", "payment_intent": ref}}
    for paid in (await line.call("invoice_payments.list", params=of_payment))["data"]:
        facts.append(reading.invoice(await _invoice(line, reading.ref(paid["invoice"]) or "")))
    for session in (await line.call("checkout.sessions.list", params={"payment_intent": ref}))["data"]:
        facts += await of_checkout(line, session["id"])
    if (fact := reading.payment(found)) is not None:
        facts.append(fact)
    return facts


async def _of_dispute(line: Line, ref: str) -> list[Fact]:
    fact = reading.dispute(await line.call("disputes.retrieve", ref))
    return [fact, *await _of_payment(line, fact.payment_ref)] if fact is not None else []


async def portal_configuration(line: Line) -> str:
    """What our customers may do on Stripe's own pages, set up on first need: all but a change of plan, whose price we
    show before it is made."""
    listed = await line.call("billing_portal.configurations.list", params={"active": True, "limit": 100})
    for found in listed["data"]:
        if (found.get("metadata") or {}).get("gesso") == PORTAL:
            return str(found["id"])
    features = {
        "payment_method_update": {"enabled": True}, "invoice_history": {"enabled": True},
        "customer_update": {"enabled": True, "allowed_updates": ["email", "name", "address", "tax_id"]},
        "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
    }  # fmt: skip
    params = {"features": features, "metadata": {"gesso": PORTAL}}
    return str((await line.call("billing_portal.configurations.create", params=params, key=f"portal:{PORTAL}"))["id"])


async def _invoice(line: Line, ref: str) -> Obj:
    return await line.call("invoices.retrieve", ref, params={"expand": ["payments"]})
