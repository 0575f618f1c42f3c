"""Invoices and their payments, as the API shows them."""

from gesso.sandbox.stripe import form
from gesso.sandbox.stripe.billing import draft, finalise, held_lines, pay, period_line, settled
from gesso.sandbox.stripe.changes import ANCHOR, BEHAVIOURS, ITEMS, change_of, same_rhythm
from gesso.sandbox.stripe.customers import customer_of, default_method, find_method, take
from gesso.sandbox.stripe.cycle import void as void_invoice
from gesso.sandbox.stripe.desk import Desk, required
from gesso.sandbox.stripe.errors import StripeError, invalid
from gesso.sandbox.stripe.form import Params, group
from gesso.sandbox.stripe.payments import refusal
from gesso.sandbox.stripe.periods import following
from gesso.sandbox.stripe.shown import paged
from gesso.sandbox.stripe.store import Obj

LIST = group(
    "collection_method customer_account due_date", customer=form.text, subscription=form.text,
    status=form.one("draft", "open", "paid", "uncollectible", "void"), **form.PAGE,
)  # fmt: skip
PREVIEW = group(
    "automatic_tax currency customer_account customer_details discounts invoice_items issuer on_behalf_of "
    "preview_mode schedule schedule_details", customer=form.text, subscription=form.text, expand=form.EXPAND,
    subscription_details=group(
        "billing_mode billing_schedules cancel_at cancel_at_period_end cancel_now default_tax_rates metadata pause "
        "resume_at start_date", items=ITEMS, proration_behavior=BEHAVIOURS, proration_date=form.integer,
        billing_cycle_anchor=ANCHOR, trial_end=form.moment("now")),
)  # fmt: skip
PAY = group("mandate source", payment_method=form.text, off_session=form.flag, paid_out_of_band=form.flag,
            forgive=form.flag, expand=form.EXPAND)  # fmt: skip
PLAIN = group(expand=form.EXPAND)
FINALISE = group(auto_advance=form.flag, expand=form.EXPAND)
PAYMENTS = group(
    invoice=form.text, status=form.one("canceled", "open", "paid"),
    payment=group("payment_record", type_=form.one("payment_intent", "charge"), payment_intent=form.text,
                  charge=form.text), **form.PAGE,
)  # fmt: skip


def listing(desk: Desk, params: Params) -> Obj:
    """GET /v1/invoices."""
    fields: Obj = {k: params[k] for k in ("customer", "status") if k in params}
    if "subscription" in params:
        fields["_subscription"] = params["subscription"]
    return paged(desk.find("invoice", **fields), params, "/v1/invoices")


def lines(desk: Desk, params: Params, name: str) -> Obj:
    """GET /v1/invoices/{id}/lines."""
    return paged(desk.get(name, "invoice")["lines"]["data"], params, f"/v1/invoices/{name}/lines")


def preview(desk: Desk, params: Params) -> Obj:
    """POST /v1/invoices/create_preview: the next invoice of a subscription, or the one that a change would bring."""
    required(params, "subscription", "customer")
    name = params.get("subscription")
    if name is None:
        rows = desk.find("subscription", customer=customer_of(desk, params["customer"])["id"])
        name = next((row["id"] for row in rows if row["status"] not in ("canceled", "incomplete_expired")), None)
    if name is None:
        raise StripeError(404, "invalid_request_error", f"No upcoming invoices for customer: {params['customer']}",
                          code="invoice_upcoming_none")  # fmt: skip
    subscription = desk.get(name, "subscription", "subscription")
    if params.get("customer") not in (None, subscription["customer"]):
        raise invalid("The subscription does not belong to the customer.", "subscription")
    if subscription["status"] in ("canceled", "incomplete_expired"):
        raise StripeError(404, "invalid_request_error", "No upcoming invoices: the subscription has ended.",
                          code="invoice_upcoming_none")  # fmt: skip
    details = params.get("subscription_details") or {}
    customer = customer_of(desk, subscription["customer"])
    now = desk.now(subscription["test_clock"])
    at = details.get("proration_date", now)
    change = change_of(desk, subscription, details, at) if details.get("items") or details else None
    if change is not None and (change.at_once or details.get("proration_behavior") == "always_invoice"):
        invoice = draft(desk, customer, change.lines, "subscription_update", subscription, save=False)
    else:
        invoice = _next(desk, subscription, customer, change.items if change else None, change.lines if change else [])
    invoice["parent"]["subscription_details"]["subscription_proration_date"] = at if change else None
    return invoice


def _next(desk: Desk, subscription: Obj, customer: Obj, items: list[Obj] | None, more: list[Obj]) -> Obj:
    """The renewal's invoice."""
    items = items or subscription["items"]["data"]
    if subscription["cancel_at"] and subscription["cancel_at"] <= items[0]["current_period_end"]:
        raise StripeError(404, "invalid_request_error", "No upcoming invoices: the subscription is set to end.",
                          code="invoice_upcoming_none")  # fmt: skip
    begin = items[0]["current_period_end"]
    until = following(subscription["billing_cycle_anchor"], same_rhythm(items), begin)
    ahead = [item | {"current_period_start": begin, "current_period_end": until} for item in items]
    rows = [*held_lines(desk, subscription), *more, *(period_line(desk, subscription, item) for item in ahead)]
    invoice = draft(desk, customer, rows, "upcoming", subscription, at=begin, save=False)
    return invoice | {"next_payment_attempt": begin + 3600}


def finalize(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/invoices/{id}/finalize."""
    invoice = desk.get(name, "invoice")
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize it.", code="invoice_not_editable")
    return finalise(desk, invoice)


def pay_now(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/invoices/{id}/pay."""
    invoice = desk.get(name, "invoice")
    if invoice["status"] == "draft":
        invoice = finalise(desk, invoice)
    if invoice["status"] != "open":
        raise invalid(
            "Invoice is already paid" if invoice["status"] == "paid" else "This invoice can no longer be paid"
        )
    if params.get("paid_out_of_band"):
        return settled(desk, invoice, None)
    customer = customer_of(desk, invoice["customer"])
    if chosen := params.get("payment_method"):
        method: Obj | None = take(desk, find_method(desk, chosen, "payment_method"), customer)
    else:
        method = default_method(desk, customer, desk.seek(invoice["_subscription"], "subscription"))
    if method is None:
        raise invalid("There is no default_payment_method set on this Customer or Invoice.", code="resource_missing")
    invoice = pay(desk, invoice, method, alone=params.get("off_session", True))
    intent = desk.get(invoice["_intent"], "payment_intent")
    if intent["last_payment_error"]:
        raise refusal(intent)
    if intent["status"] == "requires_action":
        raise StripeError(402, "card_error", "This payment requires additional user action before it can be completed.",
                          kept=True, code="invoice_payment_intent_requires_action")  # fmt: skip
    return invoice


def void(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/invoices/{id}/void."""
    if desk.get(name, "invoice")["status"] not in ("open", "uncollectible"):
        raise invalid("You can only void an open or uncollectible invoice.", code="invoice_not_editable")
    void_invoice(desk, name)
    return desk.get(name, "invoice")


def payments(desk: Desk, params: Params) -> Obj:
    """GET /v1/invoice_payments: by invoice, or by the payment intent or charge that paid."""
    rows = desk.find("invoice_payment")
    if name := params.get("invoice"):
        rows = [row for row in rows if row["invoice"] == name]
    if paid := params.get("payment"):
        intent = paid.get("payment_intent")
        if paid["type"] == "charge":
            required(paid, "charge")
            intent = desk.get(paid["charge"], "charge", "payment[charge]")["payment_intent"]
        rows = [row for row in rows if row["_intent"] == intent]
    rows = [row for row in rows if params.get("status") in (None, row["status"])]
    return paged(rows, params, "/v1/invoice_payments")
