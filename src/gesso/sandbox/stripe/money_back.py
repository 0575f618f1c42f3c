"""Refunds and disputes."""

from gesso.sandbox.stripe import form
from gesso.sandbox.stripe.desk import Desk, required
from gesso.sandbox.stripe.errors import invalid
from gesso.sandbox.stripe.form import Params, group
from gesso.sandbox.stripe.store import Obj, new_id

REFUND = group(
    "currency customer instructions_email origin refund_application_fee reverse_transfer", charge=form.text,
    payment_intent=form.text, amount=form.amount, metadata=form.metadata, expand=form.EXPAND,
    reason=form.one("duplicate", "fraudulent", "requested_by_customer"),
)  # fmt: skip
REFUNDS = group(charge=form.text, payment_intent=form.text, **form.PAGE)
REFUND_UPDATE = group(metadata=form.metadata, expand=form.EXPAND)
EVIDENCE = (
    "access_activity_log billing_address cancellation_policy customer_communication customer_email_address "
    "customer_name customer_purchase_ip product_description receipt refund_policy service_date service_documentation"
)
DISPUTE_UPDATE = group(
    "intended_submission_method", metadata=form.metadata, submit=form.flag, expand=form.EXPAND,
    evidence=group("enhanced_evidence", uncategorized_text=form.clearable,
                   **dict.fromkeys(EVIDENCE.split(), form.clearable)),
)  # fmt: skip
DISPUTES = group(charge=form.text, payment_intent=form.text, **form.PAGE)
_OPEN = ("needs_response", "under_review", "warning_needs_response")


def create_refund(desk: Desk, params: Params) -> Obj:
    """POST /v1/refunds: of a charge, whole or in part."""
    required(params, "charge", "payment_intent")
    if "charge" in params:
        charge = desk.get(params["charge"], "charge", "charge")
    else:
        intent = desk.get(params["payment_intent"], "payment_intent", "payment_intent")
        if intent["status"] != "succeeded":
            raise invalid("This PaymentIntent does not have a successful charge to refund.", "payment_intent")
        charge = desk.get(intent["latest_charge"], "charge")
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = params.get("amount", left)
    if not charge["paid"]:
        raise invalid("You cannot refund a charge that has not been paid.", "charge")
    if charge["refunded"]:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if charge["disputed"] and not _won(desk, charge):
        raise invalid(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if amount < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    if amount > left:
        said = f"Refund amount ({_money(amount)}) is greater than unrefunded amount on charge ({_money(left)})"
        raise invalid(said, "amount")
    refund = desk.save({
        "id": new_id("re"), "object": "refund", "amount": amount, "balance_transaction": None,
        "charge": charge["id"], "created": desk.now(charge["_clock"]), "currency": charge["currency"],
        "destination_details": {"type": "card", "card": {"type": "refund", "reference_status": "pending"}},
        "metadata": form.merged({}, params.get("metadata", {})), "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"), "receipt_number": None, "source_transfer_reversal": None,
        "status": "succeeded", "transfer_reversal": None, "_clock": charge["_clock"],
        "_customer": charge["customer"],
    })  # fmt: skip
    refunded = charge["amount_refunded"] + amount
    after = charge | {"amount_refunded": refunded, "refunded": refunded == charge["amount_captured"]}
    desk.tell("refund.created", refund)
    desk.changed("charge.refunded", charge, after)
    desk.tell("charge.refund.updated", refund)
    return refund


def _won(desk: Desk, charge: Obj) -> bool:
    return all(dispute["status"] == "won" for dispute in desk.find("dispute", charge=charge["id"]))


def _money(amount: int) -> str:
    return f"${amount / 100:.2f}"


def update_refund(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/refunds/{id}."""
    refund = desk.get(name, "refund")
    after = refund | {"metadata": form.merged(refund["metadata"], params.get("metadata", {}))}
    desk.changed("refund.updated", refund, after)
    return after


def update_dispute(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/disputes/{id}. Submitted evidence `winning_evidence` wins, `losing_evidence` loses."""
    dispute = desk.get(name, "dispute")
    after = dict(dispute)
    if "metadata" in params:
        after["metadata"] = form.merged(dispute["metadata"], params["metadata"])
    if "evidence" in params:
        if dispute["status"] not in _OPEN:
            raise invalid("This dispute is already closed.", code="dispute_closed")
        after["evidence"] = dispute["evidence"] | params["evidence"]
        after["evidence_details"] = dispute["evidence_details"] | {"has_evidence": True}
        if params.get("submit", True):
            after["status"] = "under_review"
    desk.changed("charge.dispute.updated", dispute, after)
    outcome = {"winning_evidence": "won", "losing_evidence": "lost"}.get(after["evidence"]["uncategorized_text"] or "")
    if after["status"] == "under_review" and outcome:
        return decide(desk, after, outcome)
    return after


def close_dispute(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/disputes/{id}/close: given up."""
    dispute = desk.get(name, "dispute")
    if dispute["status"] not in _OPEN:
        raise invalid("This dispute is already closed.", code="dispute_closed")
    return decide(desk, dispute, "lost")


def decide(desk: Desk, dispute: Obj, outcome: str) -> Obj:
    """The bank's last word: won or lost."""
    after = dispute | {"status": outcome}
    desk.changed("charge.dispute.closed", dispute, after)
    if outcome == "won":
        desk.tell("charge.dispute.funds_reinstated", after)
    return after
