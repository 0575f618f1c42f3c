"""Making and paying invoices: lines, proration, finalising, attempts, and what a subscription learns from them."""

from collections.abc import Sequence

from gesso.sandbox.stripe.customers import default_method
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.payments import attempt, new_intent
from gesso.sandbox.stripe.periods import DAY, HOUR, day
from gesso.sandbox.stripe.store import Obj, new_id

RETRY_AFTER_DAYS = (3, 5, 7)
"""How long after each failed attempt of a renewal the next one comes; after the last the subscription ends."""
DRAFT_SECONDS = HOUR
"""A renewal's invoice stays a draft for so long."""
OWED = ("past_due", "unpaid", "incomplete")


def share(amount: int, part: int, whole: int) -> int:
    """`amount` times part/whole, rounded half away from zero, as money is."""
    sign = -1 if amount < 0 else 1
    return sign * ((2 * abs(amount) * part + whole) // (2 * whole))


def line(
    price: Obj, quantity: int, amount: int, period: tuple[int, int], description: str, *, subscription: str | None,
    item: str | None, proration: bool = False, metadata: Obj | None = None,
) -> Obj:  # fmt: skip
    """A line of an invoice, without an id yet."""
    details = {"invoice_item": None, "proration": proration, "proration_details": {"credited_items": None},
               "subscription": subscription, "subscription_item": item}  # fmt: skip
    bare = {"invoice_item": None, "proration": proration, "proration_details": None, "subscription": subscription}
    kind = "subscription_item_details" if item else "invoice_item_details"
    parent = {"type": kind, "subscription_item_details": details if item else None,
              "invoice_item_details": None if item else bare}  # fmt: skip
    return {
        "object": "line_item", "amount": amount, "currency": price["currency"], "description": description,
        "discount_amounts": [], "discountable": not proration, "discounts": [], "livemode": False,
        "metadata": metadata or {}, "parent": parent, "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [],
        "pricing": {"price_details": {"price": price["id"], "product": price["product"]}, "type": "price_details",
                    "unit_amount_decimal": price["unit_amount_decimal"]},
        "quantity": quantity, "quantity_decimal": str(quantity), "subscription": subscription, "subtotal": amount,
        "taxes": [],
    }  # fmt: skip


def period_line(desk: Desk, subscription: Obj, item: Obj, *, free: bool = False) -> Obj:
    """What a period costs ahead."""
    price, quantity = item["price"], item["quantity"]
    name = desk.get(price["product"], "product")["name"]
    span = (item["current_period_start"], item["current_period_end"])
    amount = 0 if free else price["unit_amount"] * quantity
    each = f"{price['unit_amount'] / 100:.2f} {price['currency'].upper()} / {price['recurring']['interval']}"
    words = f"Trial period for {name}" if free else f"{quantity} × {name} (at {each})"
    return line(price, quantity, amount, span, words, subscription=subscription["id"], item=item["id"],
                metadata=subscription["metadata"])  # fmt: skip


def proration_line(desk: Desk, subscription: Obj, item: Obj, at: int, *, credit: bool) -> Obj:
    """The unused (credit) or the remaining part of an item's period from `at` on."""
    price, quantity = item["price"], item["quantity"]
    start, end = item["current_period_start"], item["current_period_end"]
    name = desk.get(price["product"], "product")["name"]
    amount = share(price["unit_amount"] * quantity, max(0, end - at), end - start)
    words = f"{'Unused' if credit else 'Remaining'} time on {name} after {day(at)}"
    return line(price, quantity, -amount if credit else amount, (at, end), words, subscription=subscription["id"],
                item=item["id"], proration=True, metadata=subscription["metadata"])  # fmt: skip


def hold(desk: Desk, subscription: Obj, lines: Sequence[Obj]) -> None:
    """Keep lines for the subscription's next invoice."""
    customer = desk.get(subscription["customer"], "customer")
    for one in lines:
        _item(desk, customer, one, subscription["id"])


def _item(desk: Desk, customer: Obj, one: Obj, subscription: str | None, invoice: str | None = None) -> Obj:
    """An invoice item: a line that is not a period's price."""
    details = one["parent"]["subscription_item_details"]
    parent = None
    if subscription is not None:
        named = {"subscription": subscription, "subscription_item": details["subscription_item"] if details else None}
        parent = {"type": "subscription_details", "subscription_details": named}
    item = desk.save({
        "id": new_id("ii"), "object": "invoiceitem", "amount": one["amount"], "currency": one["currency"],
        "customer": customer["id"], "date": desk.now(customer["test_clock"]), "description": one["description"],
        "discountable": False, "discounts": [], "invoice": invoice, "livemode": False, "metadata": {},
        "net_amount": one["amount"], "parent": parent, "period": one["period"], "pricing": one["pricing"],
        "proration": details is not None, "proration_details": {"discount_amounts": []} if details else None,
        "quantity": one["quantity"], "quantity_decimal": one["quantity_decimal"], "tax_rates": [],
        "test_clock": customer["test_clock"], "_line": one, "_subscription": subscription,
    })  # fmt: skip
    desk.tell("invoiceitem.created", item)
    return item


def held_lines(desk: Desk, subscription: Obj) -> list[Obj]:
    """The same as lines for an invoice."""
    return [item["_line"] | {"_held": item["id"]} for item in held(desk, subscription)]


def held(desk: Desk, subscription: Obj) -> list[Obj]:
    """What is kept for the subscription's next invoice, oldest first."""
    rows = desk.find("invoiceitem", _subscription=subscription["id"])
    return [row for row in reversed(rows) if row["invoice"] is None]


def draft(
    desk: Desk, customer: Obj, lines: Sequence[Obj], reason: str, subscription: Obj | None, *, at: int | None = None,
    save: bool = True,
) -> Obj:  # fmt: skip
    """An invoice over these lines. `save` off: a preview, which is never written down."""
    now = desk.now(customer["test_clock"]) if at is None else at
    name = new_id("in") if save else new_id("upcoming_in")
    numbered = [one | {"id": new_id("il"), "invoice": name} for one in lines]
    total = sum(one["amount"] for one in numbered)
    spans = [one["period"] for one in numbered] or [{"start": now, "end": now}]
    parent = None
    if subscription is not None:
        parent = {"type": "subscription_details", "quote_details": None, "subscription_details": {
            "metadata": subscription["metadata"], "subscription": subscription["id"],
            "subscription_proration_date": None}}  # fmt: skip
    balance = customer["balance"]
    due = max(0, total + balance)
    invoice = {
        "id": name, "object": "invoice", "account_country": "US", "account_name": "gesso sandbox",
        "account_tax_ids": None, "amount_due": due, "amount_overpaid": 0, "amount_paid": 0, "amount_remaining": due,
        "amount_shipping": 0, "application": None, "attempt_count": 0, "attempted": False, "auto_advance": save,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None, "provider": None,
                          "status": None},
        "automatically_finalizes_at": None, "billing_reason": reason, "collection_method": "charge_automatically",
        "created": now, "currency": numbered[0]["currency"] if numbered else customer["currency"] or "usd",
        "custom_fields": None, "customer": customer["id"], "customer_address": customer["address"],
        "customer_email": customer["email"], "customer_name": customer["name"], "customer_phone": customer["phone"],
        "customer_shipping": None, "customer_tax_exempt": customer["tax_exempt"], "customer_tax_ids": [],
        "default_payment_method": None, "default_source": None, "default_tax_rates": [], "description": None,
        "discounts": [], "due_date": None, "effective_at": None, "ending_balance": None, "footer": None,
        "from_invoice": None, "hosted_invoice_url": None, "invoice_pdf": None,
        "issuer": {"type": "self"}, "last_finalization_error": None, "latest_revision": None,
        "lines": {"object": "list", "data": numbered, "has_more": False, "url": f"/v1/invoices/{name}/lines"},
        "livemode": False, "metadata": {}, "next_payment_attempt": None, "number": None, "on_behalf_of": None,
        "parent": parent,
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": max(span["start"] for span in spans), "period_start": min(span["start"] for span in spans),
        "post_payment_credit_notes_amount": 0, "pre_payment_credit_notes_amount": 0, "receipt_number": None,
        "rendering": None, "shipping_cost": None, "shipping_details": None, "starting_balance": balance,
        "statement_descriptor": None, "status": "draft",
        "status_transitions": {"finalized_at": None, "marked_uncollectible_at": None, "paid_at": None,
                               "voided_at": None},
        "subtotal": total, "subtotal_excluding_tax": total, "test_clock": customer["test_clock"], "total": total,
        "total_discount_amounts": [], "total_excluding_tax": total, "total_pretax_credit_amounts": [],
        "total_taxes": [], "webhooks_delivered_at": None,
        "_subscription": subscription["id"] if subscription else None, "_intent": None, "_key": new_id("inv"),
    }  # fmt: skip
    if save:
        for one in numbered:
            if (bare := one["parent"]["invoice_item_details"]) is not None:
                bare["invoice_item"] = _item(desk, customer, one, bare["subscription"], name)["id"]
        desk.save(invoice)
        if subscription is not None:
            _collect(desk, subscription, invoice)
        desk.tell("invoice.created", invoice)
    return invoice


def _collect(desk: Desk, subscription: Obj, invoice: Obj) -> None:
    """What was kept for this invoice is on it now."""
    on_it = {one.get("_held") for one in invoice["lines"]["data"]}
    for item in held(desk, subscription):
        if item["id"] in on_it:
            desk.save(item | {"invoice": invoice["id"]})


def finalise(desk: Desk, invoice: Obj) -> Obj:
    """Give a draft its number; the customer's balance takes part in what a subscription costs. One without anything
    to pay is paid."""
    customer = desk.get(invoice["customer"], "customer")
    now = desk.now(invoice["test_clock"])
    total, balance = invoice["total"], customer["balance"]
    due = max(0, total + (balance if invoice["_subscription"] else 0)) if total > 0 else 0
    ending = balance + total - due
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04}"
    page = f"{desk.base}/invoice/{invoice['_key']}"
    invoice |= {
        "amount_due": due, "amount_remaining": due, "starting_balance": balance, "ending_balance": ending,
        "number": number, "status": "open", "effective_at": now, "hosted_invoice_url": page,
        "invoice_pdf": f"{page}/pdf", "automatically_finalizes_at": None, "_due": None,
        "status_transitions": invoice["status_transitions"] | {"finalized_at": now},
    }  # fmt: skip
    desk.changed("customer.updated", customer, customer | {
        "balance": ending, "next_invoice_sequence": customer["next_invoice_sequence"] + 1,
        "currency": customer["currency"] or invoice["currency"],
    })  # fmt: skip
    desk.save(invoice)
    desk.tell("invoice.finalized", invoice)
    return settled(desk, invoice, None) if due == 0 else invoice


def pay(desk: Desk, invoice: Obj, method: Obj | None, *, alone: bool, authenticated: bool = False) -> Obj:
    """Try to pay an open invoice. Returns it: paid, or open with what happens next written on it."""
    customer = desk.get(invoice["customer"], "customer")
    intent = desk.seek(invoice["_intent"], "payment_intent")
    if intent is None:
        what = "Subscription creation" if invoice["billing_reason"] == "subscription_create" else "Subscription update"
        intent = new_intent(desk, invoice["amount_due"], invoice["currency"], customer,
                            description=what if invoice["_subscription"] else "Payment for invoice",
                            receipt_email=customer["email"], _invoice=invoice["id"])  # fmt: skip
        record_payment(desk, invoice, intent)
        invoice |= {"_intent": intent["id"]}
    invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
    desk.save(invoice)
    if method is None:
        return _unpaid(desk, invoice, intent)
    intent = attempt(desk, intent, method, alone=alone, authenticated=authenticated,
                     receipt=invoice["hosted_invoice_url"])  # fmt: skip
    if intent["status"] == "succeeded":
        return settled(desk, invoice, intent)
    return _unpaid(desk, invoice, intent)


def record_payment(desk: Desk, invoice: Obj, intent: Obj) -> None:
    """Tie a payment intent to the invoice it pays."""
    desk.save({
        "id": new_id("inpay"), "object": "invoice_payment", "amount_paid": None,
        "amount_requested": invoice["amount_due"], "created": desk.now(invoice["test_clock"]),
        "currency": invoice["currency"], "invoice": invoice["id"], "is_default": True, "livemode": False,
        "payment": {"payment_intent": intent["id"], "type": "payment_intent"}, "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
        "_intent": intent["id"], "_clock": invoice["test_clock"],
    })  # fmt: skip


def settled(desk: Desk, invoice: Obj, intent: Obj | None) -> Obj:
    """The invoice is paid: tell it, and wake what waited for it."""
    now = desk.now(invoice["test_clock"])
    invoice |= {
        "status": "paid", "amount_paid": invoice["amount_due"], "amount_remaining": 0, "attempted": True,
        "next_payment_attempt": None, "auto_advance": False, "_due": None,
        "status_transitions": invoice["status_transitions"] | {"paid_at": now},
    }  # fmt: skip
    desk.save(invoice)
    for payment in desk.find("invoice_payment", invoice=invoice["id"]) if intent else []:
        transitions = payment["status_transitions"] | {"paid_at": now}
        payment |= {"status": "paid", "amount_paid": invoice["amount_due"], "status_transitions": transitions}
        desk.save(payment)
        desk.tell("invoice_payment.paid", payment)
    desk.tell("invoice.paid", invoice)
    desk.tell("invoice.payment_succeeded", invoice)
    subscription = desk.seek(invoice["_subscription"], "subscription")
    if subscription is not None:
        after = dict(subscription)
        pending = subscription.get("_pending")
        if pending and subscription["pending_update"] and pending["invoice"] == invoice["id"]:
            after |= pending["then"] | {"pending_update": None, "_pending": None}
            kind = "updated" if pending["fresh"] else "pending_update_applied"
            desk.changed(f"customer.subscription.{kind}", subscription, after)
            subscription = dict(after)
        if subscription["status"] in OWED and subscription["latest_invoice"] == invoice["id"]:
            after |= {"status": "active"}
        desk.changed("customer.subscription.updated", subscription, after)
        _delinquent(desk, invoice["customer"], owing=after["status"] in OWED)
    return invoice


def _delinquent(desk: Desk, name: str, *, owing: bool) -> None:
    customer = desk.get(name, "customer")
    desk.changed("customer.updated", customer, customer | {"delinquent": owing})


def _unpaid(desk: Desk, invoice: Obj, intent: Obj) -> Obj:
    """An attempt failed: when the next one comes, and what the subscription is meanwhile."""
    now = desk.now(invoice["test_clock"])
    subscription = desk.seek(invoice["_subscription"], "subscription")
    renewal = invoice["billing_reason"] in ("subscription_cycle", "subscription_update")
    tries = invoice["attempt_count"] - 1
    again = now + RETRY_AFTER_DAYS[tries] * DAY if renewal and tries < len(RETRY_AFTER_DAYS) else None
    waits = bool(subscription and subscription["pending_update"])
    if waits:
        again = None
    invoice |= {"next_payment_attempt": again, "_due": again, "auto_advance": again is not None}
    desk.save(invoice)
    if intent["status"] == "requires_action" or _wants_authentication(intent):
        desk.tell("invoice.payment_action_required", invoice)
    if intent["status"] != "requires_action":
        desk.tell("invoice.payment_failed", invoice)
    if subscription is None or waits or subscription["status"] not in ("active", "trialing", "past_due"):
        return invoice
    after = subscription | {"status": "past_due"}
    desk.changed("customer.subscription.updated", subscription, after)
    _delinquent(desk, invoice["customer"], owing=True)
    if again is None and renewal:
        _give_up(desk, after)
    return invoice


def _wants_authentication(intent: Obj) -> bool:
    return (intent["last_payment_error"] or {}).get("code") == "authentication_required"


def _give_up(desk: Desk, subscription: Obj) -> None:
    """All attempts have failed."""
    choice = desk.settings()["dunning"]
    if choice == "cancel":
        end(desk, subscription, "payment_failed")
    elif choice == "unpaid":
        desk.changed("customer.subscription.updated", subscription, subscription | {"status": "unpaid"})


def end(desk: Desk, subscription: Obj, reason: str) -> Obj:
    """The end of a subscription: told, and nothing happens to it any more."""
    now = desk.now(subscription["test_clock"])
    details = subscription["cancellation_details"]
    ended = subscription | {
        "status": "canceled", "ended_at": now, "canceled_at": subscription["canceled_at"] or now, "_due": None,
        "pending_update": None, "cancellation_details": details | {"reason": details["reason"] or reason},
    }  # fmt: skip
    desk.save(ended)
    for item in held(desk, subscription):
        desk.remove(item)
    for invoice in desk.find("invoice", _subscription=subscription["id"]):
        if invoice["status"] in ("draft", "open"):
            desk.save(invoice | {"auto_advance": False, "next_payment_attempt": None, "_due": None})
    desk.tell("customer.subscription.deleted", ended)
    if (schedule := desk.seek(subscription["schedule"], "subscription_schedule")) is not None:
        schedule |= {"status": "canceled", "canceled_at": now, "current_phase": None}
        desk.save(schedule)
        desk.tell("subscription_schedule.canceled", schedule)
    return ended


def charge_now(desk: Desk, subscription: Obj, lines: Sequence[Obj], reason: str, *, authenticated: bool = False) -> Obj:
    """An invoice over these lines (and what was held for it) made, finalised and tried at once."""
    customer = desk.get(subscription["customer"], "customer")
    invoice = draft(desk, customer, [*held_lines(desk, subscription), *lines], reason, subscription)
    if pending := subscription.get("_pending"):
        subscription |= {"_pending": pending | {"invoice": invoice["id"]}}
    desk.save(subscription | {"latest_invoice": invoice["id"]})
    invoice = finalise(desk, invoice)
    if invoice["status"] == "open":
        method = default_method(desk, customer, subscription)
        invoice = pay(desk, invoice, method, alone=False, authenticated=authenticated)
    return invoice
