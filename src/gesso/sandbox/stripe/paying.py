"""What comes of a checkout session when its customer pays."""

from urllib.parse import quote

from gesso.sandbox.stripe import form
from gesso.sandbox.stripe.billing import draft, finalise, line, record_payment, settled
from gesso.sandbox.stripe.cards import WORDS, card_of
from gesso.sandbox.stripe.checkout import trial_end
from gesso.sandbox.stripe.customers import create_customer, customer_of, take
from gesso.sandbox.stripe.cycle import planned
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.errors import CARD, StripeError
from gesso.sandbox.stripe.payments import attempt, new_intent
from gesso.sandbox.stripe.store import Obj
from gesso.sandbox.stripe.subscriptions import first_lines, start


def return_url(session: Obj) -> str:
    """Where a paid session leads."""
    url: str = session["success_url"]
    return url.replace("{CHECKOUT_SESSION_ID}", quote(session["id"]))


class Declined(StripeError):
    """The customer's payment was declined; the page says why."""

    def __init__(self, error: Obj) -> None:
        super().__init__(402, CARD, error["message"], kept=True, code=error["code"])


def complete(desk: Desk, session: Obj, method: Obj, details: Obj, *, authenticated: bool = False) -> Obj | str:
    """Pay an open session. Returns it, complete; or the address of the page on which the bank wants to see the
    customer first. Raises Declined. `details`: name and email."""
    customer = _customer(desk, session, details)
    if session["mode"] == "payment":
        return _paid_once(desk, session, method, details, customer, authenticated)
    return _subscribed(desk, session, method, details, customer, authenticated)


def _customer(desk: Desk, session: Obj, details: Obj) -> Obj | None:
    if session["customer"]:
        customer = customer_of(desk, session["customer"])
        if not customer["email"] or not customer["name"]:
            after = customer | {
                "email": customer["email"] or details["email"],
                "name": customer["name"] or details["name"],
            }
            desk.changed("customer.updated", customer, after)
            return after
        return customer
    if session["mode"] == "subscription" or session["customer_creation"] == "always":
        return create_customer(desk, {"email": details["email"], "name": details["name"]})
    return None


def _finished(desk: Desk, session: Obj, customer: Obj | None, details: Obj, more: Obj) -> Obj:
    shown = {"address": None, "business_name": None, "email": details["email"], "individual_name": None,
             "name": details["name"], "phone": None, "tax_exempt": "none", "tax_ids": []}  # fmt: skip
    session |= {
        "status": "complete", "url": None, "customer": customer["id"] if customer else None,
        "customer_details": shown, "_due": None, "_waiting": None, **more,
    }  # fmt: skip
    desk.save(session)
    desk.tell("checkout.session.completed", session)
    return session


def _paid_once(
    desk: Desk, session: Obj, method: Obj, details: Obj, customer: Obj | None, authenticated: bool
) -> Obj | str:
    data = session["_payment_intent_data"]
    if session["amount_total"] == 0:
        return _finished(desk, session, customer, details, {"payment_status": "no_payment_required"})
    if (intent := desk.seek(session.get("_intent"), "payment_intent")) is None:
        intent = new_intent(
            desk, session["amount_total"], session["currency"], customer, description=data.get("description"),
            receipt_email=data.get("receipt_email"), metadata=form.merged({}, data.get("metadata", {})),
            setup_future_usage=data.get("setup_future_usage"), payment_method_types=session["payment_method_types"],
            _session=session["id"],
        )  # fmt: skip
        session |= {"_intent": intent["id"], "customer": customer["id"] if customer else None}
    if customer and data.get("setup_future_usage"):
        method = take(desk, method, customer)
    intent = _tried(desk, session, intent, method, details, authenticated)
    if intent["next_action"]:
        return str(intent["next_action"]["redirect_to_url"]["url"])
    paid = intent["status"] == "succeeded"
    more = {"payment_intent": intent["id"], "payment_status": "paid" if paid else "unpaid"}
    if paid and (session["invoice_creation"] or {}).get("enabled"):
        customer = customer or create_customer(desk, details)
        more["invoice"] = _receipt(desk, session, customer, intent)["id"]
    return _finished(desk, session, customer, details, more)


def _tried(desk: Desk, session: Obj, intent: Obj, method: Obj, details: Obj, authenticated: bool) -> Obj:
    """The intent after a try; the session remembers it, and whom the bank wants to see. Raises Declined."""
    intent = attempt(desk, intent, method, authenticated=authenticated)
    waiting = {"method": method["id"], "details": details} if intent["next_action"] else None
    desk.save(session | {"_waiting": waiting})
    if intent["last_payment_error"]:
        raise Declined(intent["last_payment_error"])
    return intent


def _receipt(desk: Desk, session: Obj, customer: Obj, intent: Obj) -> Obj:
    """The invoice of a purchase that was paid already."""
    now = desk.now(customer["test_clock"])
    lines = [
        line(one["price"], one["quantity"], one["amount_total"], (now, now), one["description"], subscription=None,
             item=None) for one in session["_lines"]
    ]  # fmt: skip
    invoice = finalise(desk, draft(desk, customer, lines, "manual", None))
    data = session["invoice_creation"]["invoice_data"]
    invoice |= {"_intent": intent["id"], "attempt_count": 1, "description": data["description"],
                "metadata": data["metadata"]}  # fmt: skip
    record_payment(desk, invoice, intent)
    return settled(desk, invoice, intent)


def _subscribed(
    desk: Desk, session: Obj, method: Obj, details: Obj, customer: Obj | None, authenticated: bool
) -> Obj | str:
    """The subscription stays only if its first invoice was paid; a declined card leaves nothing but a failed charge."""
    assert customer is not None
    data = session["_subscription_data"]
    lines = [(one["price"], one["quantity"], one["metadata"]) for one in session["_lines"]]
    owed = max(0, session["amount_total"] + customer["balance"])
    intent = None
    if owed:
        intent = _first_intent(desk, session, customer, owed)
        session |= {"_intent": intent["id"], "customer": customer["id"]}
        intent = _tried(desk, session, intent, method, details, authenticated)
        if intent["next_action"]:
            return str(intent["next_action"]["redirect_to_url"]["url"])
    elif (card := card_of(method)).code:
        raise Declined({"message": WORDS["card_declined"], "code": card.code})
    method = take(desk, desk.get(method["id"], "payment_method"), customer)
    more = {"metadata": form.merged({}, data.get("metadata", {})), "description": data.get("description")}
    subscription = start(
        desk, customer, [one for one in lines if one[0]["recurring"]], method=method, more=more,
        trial_end=trial_end(desk, data, customer),
    )  # fmt: skip
    invoice = _first_invoice(desk, subscription, customer, [one for one in lines if not one[0]["recurring"]], intent)
    paid = {"invoice": invoice["id"], "subscription": subscription["id"],
            "payment_status": "paid" if owed else "no_payment_required"}  # fmt: skip
    return _finished(desk, session, customer, details, paid)


def _first_intent(desk: Desk, session: Obj, customer: Obj, owed: int) -> Obj:
    """The same for every try of a session."""
    known = desk.seek(session.get("_intent"), "payment_intent")
    return known or new_intent(
        desk, owed, session["currency"], customer, description="Subscription creation", _session=session["id"],
        receipt_email=customer["email"], setup_future_usage="off_session",
    )  # fmt: skip


def _first_invoice(
    desk: Desk, subscription: Obj, customer: Obj, once: list[tuple[Obj, int, Obj]], intent: Obj | None
) -> Obj:
    """The invoice of a subscription whose first payment has succeeded."""
    now = subscription["created"]
    lines = first_lines(desk, subscription, prorated=False)
    for price, quantity, _ in once:
        name = desk.get(price["product"], "product")["name"]
        lines.append(line(price, quantity, price["unit_amount"] * quantity, (now, now), name,
                          subscription=subscription["id"], item=None))  # fmt: skip
    told = subscription if subscription["status"] == "trialing" else subscription | {"status": "active"}
    told = planned(desk, told)
    invoice = draft(desk, customer, lines, "subscription_create", told)
    told |= {"latest_invoice": invoice["id"]}
    desk.save(told)
    desk.tell("customer.subscription.created", told)
    invoice = finalise(desk, invoice)
    if intent is not None:
        invoice |= {"_intent": intent["id"], "attempt_count": 1}
        record_payment(desk, invoice, intent)
        invoice = settled(desk, invoice, intent)
    return invoice
