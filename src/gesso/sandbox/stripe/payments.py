"""Taking money: payment intents and charges."""

import random

from gesso.sandbox.stripe import form
from gesso.sandbox.stripe.cards import BANK_FAILS, WORDS, card_of
from gesso.sandbox.stripe.customers import customer_of, find_method, take
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.errors import CARD, StripeError, invalid
from gesso.sandbox.stripe.form import Params, group
from gesso.sandbox.stripe.periods import DAY
from gesso.sandbox.stripe.store import Obj, new_id

_SETTLES_AFTER_DAYS = 3
_FOREIGN = (
    "amount_details application_fee_amount capture_method confirmation_method confirmation_token hooks mandate "
    "mandate_data on_behalf_of payment_details payment_method_configuration payment_method_data radar_options "
    "shipping statement_descriptor statement_descriptor_suffix transfer_data transfer_group use_stripe_sdk "
    "payment_method_options excluded_payment_method_types error_on_requires_action customer_account"
)
INTENT = group(
    _FOREIGN, amount_=form.amount, currency_=form.text, confirm=form.flag, customer=form.text,
    description=form.clearable, metadata=form.metadata, off_session=form.flag, payment_method=form.text,
    receipt_email=form.clearable, return_url=form.url, expand=form.EXPAND,
    setup_future_usage=form.one("off_session", "on_session"), payment_method_types=form.Each(form.text),
    automatic_payment_methods=group(enabled_=form.flag, allow_redirects=form.one("always", "never")),
)  # fmt: skip
CONFIRM = group(_FOREIGN, payment_method=form.text, off_session=form.flag, return_url=form.url, expand=form.EXPAND)
INTENT_UPDATE = group(
    _FOREIGN, amount=form.amount, description=form.clearable, metadata=form.metadata, payment_method=form.text,
    receipt_email=form.clearable, expand=form.EXPAND,
)  # fmt: skip
INTENT_CANCEL = group(cancellation_reason=form.text, expand=form.EXPAND)
INTENTS = group(customer=form.text, **form.PAGE)
CHARGES = group("transfer_group", customer=form.text, payment_intent=form.text, **form.PAGE)
CHARGE_UPDATE = group("fraud_details shipping transfer_group customer receipt_email", description=form.clearable,
                      metadata=form.metadata, expand=form.EXPAND)  # fmt: skip


def new_intent(desk: Desk, amount: int, currency: str, customer: Obj | None, **more: object) -> Obj:
    """A payment intent, written down."""
    if amount < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    clock, name = customer["test_clock"] if customer else None, new_id("pi")
    intent = desk.save({
        "id": name, "object": "payment_intent", "amount": amount, "amount_capturable": 0,
        "amount_details": {"tip": {}}, "amount_received": 0, "application": None, "application_fee_amount": None,
        "automatic_payment_methods": None, "canceled_at": None, "cancellation_reason": None,
        "capture_method": "automatic_async", "client_secret": f"{name}_secret_{new_id('s')[2:]}",
        "confirmation_method": "automatic", "created": desk.now(clock), "currency": currency.lower(),
        "customer": customer["id"] if customer else None, "description": None, "last_payment_error": None,
        "latest_charge": None, "livemode": False, "metadata": {}, "next_action": None, "on_behalf_of": None,
        "payment_method": None, "payment_method_options": {}, "payment_method_types": ["card"], "processing": None,
        "receipt_email": None, "review": None, "setup_future_usage": None, "shipping": None, "source": None,
        "statement_descriptor": None, "statement_descriptor_suffix": None, "status": "requires_payment_method",
        "transfer_data": None, "transfer_group": None, "_clock": clock,
    } | more)  # fmt: skip
    desk.tell("payment_intent.created", intent)
    return intent


def attempt(
    desk: Desk,
    intent: Obj,
    method: Obj,
    *,
    alone: bool = False,
    authenticated: bool = False,
    receipt: str | None = None,
) -> Obj:
    """Try to take the money. `alone`: the customer is not there. Returns the intent: its status is succeeded,
    requires_payment_method (declined; `last_payment_error` says why), requires_action or processing."""
    intent = intent | {"payment_method": method["id"], "next_action": None, "last_payment_error": None}
    if method["type"] == "sepa_debit":
        return _debit(desk, intent, method)
    card = card_of(method)
    code, decline_code = card.code, card.decline_code
    if card.secure == "always" and alone:
        code, decline_code = "authentication_required", "authentication_required"
    elif card.secure and not authenticated and not (card.secure == "setup" and method["_authenticated"]):
        intent |= {"status": "requires_action", "next_action": {
            "type": "redirect_to_url",
            "redirect_to_url": {"url": f"{desk.base}/authenticate/{intent['id']}", "return_url": receipt}}}  # fmt: skip
        desk.save(intent)
        desk.tell("payment_intent.requires_action", intent)
        return intent
    elif card.later and alone:
        code, decline_code = "card_declined", "generic_decline"
    if authenticated and not method["_authenticated"]:
        desk.save(method | {"_authenticated": True})
    if code:
        return decline(desk, intent, method, code, decline_code)
    charge = _charge(desk, intent, method, "succeeded")
    intent |= {"status": "succeeded", "amount_received": intent["amount"], "latest_charge": charge["id"]}
    desk.save(intent)
    desk.tell("charge.succeeded", charge)
    desk.tell("payment_intent.succeeded", intent)
    if card.disputed:
        open_dispute(desk, charge)
    return intent


def decline(desk: Desk, intent: Obj, method: Obj, code: str, decline_code: str | None) -> Obj:
    """The bank's no."""
    said = WORDS.get(decline_code or code, WORDS.get(code, WORDS["card_declined"]))
    charge = _charge(desk, intent, method, "failed", code, said)
    error = {"type": CARD, "code": code, "message": said, "charge": charge["id"],
             "payment_method": {"id": method["id"], "object": "payment_method", "type": method["type"]}}  # fmt: skip
    if decline_code:
        error["decline_code"] = decline_code
    intent |= {"status": "requires_payment_method", "last_payment_error": error, "latest_charge": charge["id"],
               "payment_method": None, "next_action": None, "processing": None, "_due": None}  # fmt: skip
    desk.save(intent)
    desk.tell("charge.failed", charge)
    desk.tell("payment_intent.payment_failed", intent)
    return intent


def _debit(desk: Desk, intent: Obj, method: Obj) -> Obj:
    """A bank debit is known to have worked only days later; by the wall clock the sandbox is quicker."""
    now = desk.now(intent["_clock"])
    due = now + (_SETTLES_AFTER_DAYS * DAY if intent["_clock"] else desk.settle_seconds)
    charge = _charge(desk, intent, method, "pending")
    intent |= {"status": "processing", "latest_charge": charge["id"], "_due": due}
    desk.save(intent)
    desk.tell("charge.pending", charge)
    desk.tell("payment_intent.processing", intent)
    return intent


def settle(desk: Desk, intent: Obj) -> Obj:
    """The end of a bank debit."""
    method = desk.get(intent["payment_method"], "payment_method")
    charge = desk.get(intent["latest_charge"], "charge")
    intent |= {"_due": None}
    if method["_number"] == BANK_FAILS:
        said = "The customer's account has insufficient funds to cover this payment."
        charge |= {"status": "failed", "paid": False, "failure_code": "insufficient_funds", "failure_message": said}
        intent |= {
            "status": "requires_payment_method",
            "payment_method": None,
            "last_payment_error": {
                "type": CARD,
                "code": "payment_intent_payment_attempt_failed",
                "message": said,
                "charge": charge["id"],
            },
        }
        ends = ("charge.failed", "payment_intent.payment_failed")
    else:
        charge |= {"status": "succeeded", "paid": True}
        intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        ends = ("charge.succeeded", "payment_intent.succeeded")
    desk.save(charge)
    desk.save(intent)
    desk.tell(ends[0], charge)
    desk.tell(ends[1], intent)
    return intent


def _charge(
    desk: Desk, intent: Obj, method: Obj, status: str, code: str | None = None, message: str | None = None
) -> Obj:
    kind, name = method["type"], new_id("ch")
    paid = status != "failed"
    return desk.save({
        "id": name, "object": "charge", "amount": intent["amount"], "amount_captured": intent["amount"] * paid,
        "amount_refunded": 0, "application": None, "application_fee": None, "application_fee_amount": None,
        "balance_transaction": None, "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "SANDBOX", "captured": paid, "created": desk.now(intent["_clock"]),
        "currency": intent["currency"], "customer": intent["customer"], "description": intent["description"],
        "disputed": False, "failure_balance_transaction": None, "failure_code": code, "failure_message": message,
        "fraud_details": {}, "livemode": False, "metadata": dict(intent["metadata"]), "on_behalf_of": None,
        "outcome": {
            "advice_code": None, "network_advice_code": None, "network_decline_code": None,
            "network_status": "approved_by_network" if paid else "declined_by_network",
            "reason": None if paid else code, "risk_level": "normal", "risk_score": random.randint(5, 40),  # noqa: S311
            "seller_message": "Payment complete." if paid else "The bank did not approve this payment.",
            "type": "authorized" if paid else "issuer_declined",
        },
        "paid": status == "succeeded", "payment_intent": intent["id"], "payment_method": method["id"],
        "payment_method_details": {"type": kind, kind: _details(method[kind])}, "presentment_details": None,
        "receipt_email": intent["receipt_email"], "receipt_number": None, "receipt_url": None, "refunded": False,
        "review": None, "shipping": None, "source": None, "source_transfer": None, "statement_descriptor": None,
        "statement_descriptor_suffix": None, "status": status, "transfer_data": None, "transfer_group": None,
        "_clock": intent["_clock"],
    })  # fmt: skip


def _details(kept: Obj) -> Obj:
    """What a charge says of the card that paid; of a bank account, everything."""
    if "brand" not in kept:
        return kept
    said = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "wallet")
    return {name: kept[name] for name in said} | {"network": kept["brand"], "three_d_secure": None}


def open_dispute(desk: Desk, charge: Obj) -> Obj:
    """The cardholder asks their bank for the money back."""
    now = desk.now(charge["_clock"])
    dispute = desk.save({
        "id": new_id("du"), "object": "dispute", "amount": charge["amount"], "balance_transactions": [],
        "charge": charge["id"], "created": now, "currency": charge["currency"], "enhanced_eligibility_types": [],
        "evidence": {"uncategorized_text": None, "enhanced_evidence": {}},
        "evidence_details": {"due_by": now + 7 * DAY, "enhanced_eligibility": {}, "has_evidence": False,
                             "submission_method": "manual",
                             "past_due": False, "submission_count": 0},
        "is_charge_refundable": False, "livemode": False, "metadata": {}, "network_reason_code": "10.4",
        "payment_intent": charge["payment_intent"], "reason": "fraudulent", "status": "needs_response",
        "payment_method_details": {"type": "card", "card": {"brand": "visa", "case_type": "chargeback",
                                                            "network": "visa",
                                                            "network_reason_code": "10.4"}},
        "_clock": charge["_clock"], "_customer": charge["customer"],
    })  # fmt: skip
    desk.save(charge | {"disputed": True})
    desk.tell("charge.dispute.created", dispute)
    desk.tell("charge.dispute.funds_withdrawn", dispute)
    return dispute


def refusal(intent: Obj, *, kept: bool = True) -> StripeError:
    """The 402 for an intent that was declined, or waits for its bank. `kept` off: as if nothing had been tried."""
    waits: Obj = {"code": "authentication_required", "message": WORDS["authentication_required"], "charge": None}
    error = intent["last_payment_error"] or waits
    shown = {k: v for k, v in intent.items() if not k.startswith("_")}
    return StripeError(
        402, CARD, error["message"], kept=kept, code=error["code"], decline_code=error.get("decline_code"),
        charge=error["charge"], payment_intent=shown,
    )  # fmt: skip


def create_intent(desk: Desk, params: Params) -> Obj:
    """POST /v1/payment_intents."""
    customer = customer_of(desk, params["customer"]) if "customer" in params else None
    more: Obj = {k: params[k] for k in ("description", "receipt_email", "setup_future_usage") if k in params}
    if params.get("automatic_payment_methods"):
        more["automatic_payment_methods"] = {"allow_redirects": "always"} | params["automatic_payment_methods"]
    metadata = form.merged({}, params.get("metadata", {}))
    intent = new_intent(desk, params["amount"], params["currency"], customer, metadata=metadata, **more)
    if "payment_method" in params:
        method = find_method(desk, params["payment_method"], "payment_method")
        intent = desk.save(intent | {"payment_method": method["id"], "status": "requires_confirmation"})
    return confirm_intent(desk, params, intent["id"]) if params.get("confirm") else intent


def confirm_intent(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/payment_intents/{id}/confirm."""
    intent = desk.get(name, "payment_intent")
    if intent["status"] not in ("requires_payment_method", "requires_confirmation", "requires_action"):
        said = f"You cannot confirm this PaymentIntent because it has a status of {intent['status']}."
        raise invalid(said, code="payment_intent_unexpected_state")
    chosen = intent["payment_method"] or params.get("payment_method")
    if chosen is None:
        raise invalid("You cannot confirm this PaymentIntent because it's missing a payment method.",
                      code="payment_intent_unexpected_state")  # fmt: skip
    method = find_method(desk, chosen, "payment_method")
    if intent["customer"] and intent["setup_future_usage"]:
        take(desk, method, customer_of(desk, intent["customer"]))
    intent = attempt(desk, intent, method, alone=params.get("off_session", False), receipt=params.get("return_url"))
    if intent["last_payment_error"]:
        raise refusal(intent)
    return intent


def update_intent(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/payment_intents/{id}."""
    intent = desk.get(name, "payment_intent")
    if "amount" in params and intent["status"] in ("succeeded", "processing", "canceled"):
        said = f"This PaymentIntent's amount could not be updated because it has a status of {intent['status']}."
        raise invalid(said, "amount", "payment_intent_unexpected_state")
    new = intent | {k: params[k] for k in ("amount", "description", "receipt_email") if k in params}
    if "payment_method" in params:
        method = find_method(desk, params["payment_method"], "payment_method")
        new |= {"payment_method": method["id"], "status": "requires_confirmation"}
    if "metadata" in params:
        new["metadata"] = form.merged(intent["metadata"], params["metadata"])
    return desk.save(new)


def cancel_intent(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/payment_intents/{id}/cancel."""
    intent = desk.get(name, "payment_intent")
    if intent["status"] in ("succeeded", "canceled", "processing"):
        said = f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}."
        raise invalid(said, code="payment_intent_unexpected_state")
    intent |= {"status": "canceled", "canceled_at": desk.now(intent["_clock"]),
               "cancellation_reason": params.get("cancellation_reason")}  # fmt: skip
    desk.save(intent)
    desk.tell("payment_intent.canceled", intent)
    return intent


def update_charge(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/charges/{id}."""
    charge = desk.get(name, "charge")
    new = charge | ({"description": params["description"]} if "description" in params else {})
    if "metadata" in params:
        new["metadata"] = form.merged(charge["metadata"], params["metadata"])
    desk.changed("charge.updated", charge, new)
    return new
