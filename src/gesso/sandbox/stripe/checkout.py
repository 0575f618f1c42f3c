"""Checkout sessions: making them, and what comes of them when the customer pays."""

from gesso.sandbox.stripe import form
from gesso.sandbox.stripe.catalogue import create_price, usable
from gesso.sandbox.stripe.changes import same_rhythm
from gesso.sandbox.stripe.customers import customer_of
from gesso.sandbox.stripe.cycle import expire as run_out
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.errors import invalid
from gesso.sandbox.stripe.form import Params, group
from gesso.sandbox.stripe.periods import DAY, in_days
from gesso.sandbox.stripe.shown import paged
from gesso.sandbox.stripe.store import Obj, new_id

_SHORTEST_SECONDS = 30 * 60
_FOREIGN = (
    "adaptive_pricing after_expiration allowed_payment_method_types branding_settings custom_fields custom_text "
    "customer_account discounts excluded_payment_method_types integration_identifier managed_payments "
    "name_collection optional_items origin_context payment_method_configuration payment_method_data "
    "payment_method_options permissions redirect_on_completion return_url saved_payment_method_options "
    "setup_intent_data shipping_address_collection shipping_options wallet_options currency"
)
_RECURRING = group(interval_=form.one("day", "week", "month", "year"), interval_count=form.amount)
_PRICE_DATA = group(
    "unit_amount_decimal", currency_=form.text, unit_amount_=form.amount, product=form.text, recurring=_RECURRING,
    tax_behavior=form.text,
    product_data=group("images tax_code tax_details", name_=form.text, description=form.text, metadata=form.metadata),
)  # fmt: skip
SESSION = group(
    _FOREIGN, mode_=form.one("payment", "setup", "subscription"), success_url=form.url, cancel_url=form.url,
    line_items=form.Each(group("adjustable_quantity dynamic_tax_rates tax_rates", price=form.text,
                               price_data=_PRICE_DATA, quantity=form.amount, metadata=form.metadata)),
    customer=form.text, customer_email=form.text, client_reference_id=form.text, metadata=form.metadata,
    customer_creation=form.one("always", "if_required"), expires_at=form.integer, locale=form.text,
    customer_update=group(address=form.one("auto", "never"), name=form.one("auto", "never"),
                          shipping=form.one("auto", "never")),
    allow_promotion_codes=form.flag, automatic_tax=group("liability", enabled_=form.flag),
    tax_id_collection=group("required", enabled_=form.flag), phone_number_collection=group(enabled_=form.flag),
    billing_address_collection=form.one("auto", "required"),
    consent_collection=group("payment_method_reuse_agreement", promotions=form.one("auto", "none"),
                             terms_of_service=form.one("none", "required")),
    payment_method_types=form.Each(form.one("card", "sepa_debit")),
    payment_method_collection=form.one("always", "if_required"),
    submit_type=form.one("auto", "book", "donate", "pay", "subscribe"),
    ui_mode=form.one("hosted_page", "embedded_page", "elements", "form"), expand=form.EXPAND,
    invoice_creation=group(enabled_=form.flag, invoice_data=group(
        "account_tax_ids custom_fields footer issuer rendering_options", description=form.clearable,
        metadata=form.metadata)),
    payment_intent_data=group(
        "application_fee_amount capture_method on_behalf_of shipping statement_descriptor "
        "statement_descriptor_suffix transfer_data transfer_group", description=form.clearable,
        metadata=form.metadata, receipt_email=form.clearable,
        setup_future_usage=form.one("off_session", "on_session")),
    subscription_data=group(
        "application_fee_percent billing_cycle_anchor_config default_tax_rates invoice_settings on_behalf_of "
        "pending_invoice_item_interval transfer_data trial_settings billing_cycle_anchor proration_behavior",
        metadata=form.metadata,
        description=form.clearable, trial_period_days=form.amount, trial_end=form.integer,
        billing_mode=group("flexible", type_=form.one("flexible"))),
)  # fmt: skip
SESSION_UPDATE = group("collected_information line_items shipping_options", metadata=form.metadata, expand=form.EXPAND)
SESSIONS = group(
    "customer_account payment_link", customer=form.text, payment_intent=form.text, subscription=form.text,
    status=form.one("complete", "expired", "open"), customer_details=group(email_=form.text), **form.PAGE,
)  # fmt: skip
LINES = group(**form.PAGE)


def create(desk: Desk, params: Params) -> Obj:
    """POST /v1/checkout/sessions. Sessions go by the wall clock, whatever test clock their customer has."""
    mode = params["mode"]
    if mode == "setup":
        raise invalid("This sandbox models the modes payment and subscription.", "mode")
    if params.get("ui_mode", "hosted_page") != "hosted_page":
        raise invalid("This sandbox models hosted pages only.", "ui_mode")
    if "customer" in params and "customer_email" in params:
        raise invalid("You may only specify one of these parameters: customer, customer_email.", "customer")
    if "success_url" not in params:
        raise invalid("Missing required param: success_url.", "success_url", "parameter_missing")
    if len(params.get("client_reference_id", "")) > 200:
        raise invalid("Invalid string: must be at most 200 characters", "client_reference_id")
    customer = customer_of(desk, params["customer"]) if "customer" in params else None
    lines = _lines(desk, params, mode)
    _check_mode(params, mode)
    now = desk.now(None)
    expires = params.get("expires_at", now + DAY)
    if not now + _SHORTEST_SECONDS - 60 <= expires <= now + DAY + 60:
        said = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
        raise invalid(said, "expires_at")
    total = sum(one["amount_total"] for one in lines)
    free = bool(trial_end(desk, params.get("subscription_data") or {}, customer))
    due = total - (sum(x["amount_total"] for x in lines if x["price"]["recurring"]) if free else 0)
    name = new_id("cs_test", 58)
    return desk.save(_blank(name, mode, params, now, expires) | {
        "amount_subtotal": due, "amount_total": due, "currency": lines[0]["currency"],
        "customer": customer["id"] if customer else None,
        "customer_email": customer["email"] if customer else params.get("customer_email"),
        "url": f"{desk.base}/pay/{name}", "_lines": lines, "_clock": None, "_due": expires,
        "_subscription_data": params.get("subscription_data") or {},
        "_payment_intent_data": params.get("payment_intent_data") or {},
    })  # fmt: skip


def _blank(name: str, mode: str, params: Params, now: int, expires: int) -> Obj:
    creates = mode == "payment" and "customer" not in params
    invoice = params.get("invoice_creation") or {"enabled": False}
    data: Obj = {"account_tax_ids": None, "custom_fields": None, "description": None, "footer": None, "issuer": None,
            "metadata": {}, "rendering_options": None}  # fmt: skip
    return {
        "id": name, "object": "checkout.session", "adaptive_pricing": {"enabled": False}, "after_expiration": None,
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "automatic_tax": {"enabled": (params.get("automatic_tax") or {}).get("enabled", False), "liability": None,
                          "provider": None, "status": None},
        "billing_address_collection": params.get("billing_address_collection"), "branding_settings": None,
        "cancel_url": params.get("cancel_url"), "client_reference_id": params.get("client_reference_id"),
        "client_secret": None, "collected_information": None, "consent": None,
        "consent_collection": params.get("consent_collection"), "created": now, "currency_conversion": None,
        "custom_fields": [], "custom_text": {"after_submit": None, "shipping_address": None, "submit": None,
                                             "terms_of_service_acceptance": None},
        "customer_account": None,
        "customer_creation": params.get("customer_creation", "if_required") if creates else None,
        "customer_details": None, "discounts": [], "expires_at": expires, "integration_identifier": None,
        "invoice": None,
        "invoice_creation": None if mode != "payment" else {
            "enabled": invoice["enabled"], "invoice_data": data | invoice.get("invoice_data", {})},
        "livemode": False, "locale": params.get("locale"), "metadata": form.merged({}, params.get("metadata", {})),
        "mode": mode, "origin_context": None, "payment_intent": None, "payment_link": None,
        "payment_method_collection": params.get("payment_method_collection", "always" if mode == "subscription"
                                                else "if_required"),
        "payment_method_configuration_details": None, "payment_method_options": {},
        "payment_method_types": params.get("payment_method_types") or (
            ["card", "sepa_debit"] if mode == "payment" else ["card"]),
        "payment_status": "unpaid", "permissions": None,
        "phone_number_collection": params.get("phone_number_collection", {"enabled": False}),
        "presentment_details": None, "recovered_from": None, "saved_payment_method_options": None,
        "setup_intent": None, "shipping_address_collection": None, "shipping_cost": None, "shipping_options": [],
        "status": "open", "submit_type": params.get("submit_type"), "subscription": None,
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}, "ui_mode": "hosted_page",
        "wallet_options": None,
    }  # fmt: skip


def _check_mode(params: Params, mode: str) -> None:
    other = {"payment": "subscription_data", "subscription": "payment_intent_data"}[mode]
    if params.get(other):
        raise invalid(f"You can not pass `{other}` in `{mode}` mode.", other)
    if mode == "subscription":
        for word in ("customer_creation", "invoice_creation", "submit_type"):
            if word in params and not (word == "submit_type" and params[word] in ("auto", "subscribe")):
                said = f"`{word}` can only be used in `payment` mode."
                raise invalid(said, word)
        if "sepa_debit" in params.get("payment_method_types", []):
            said = "This sandbox models bank debits in `payment` mode only."
            raise invalid(said, "payment_method_types")


def _lines(desk: Desk, params: Params, mode: str) -> list[Obj]:
    wanted = params.get("line_items") or []
    if not wanted:
        said = f"The `line_items` parameter is required in {mode} mode."
        raise invalid(said, "line_items", "parameter_missing")
    lines = []
    for number, one in enumerate(wanted):
        param = f"line_items[{number}]"
        if ("price" in one) == ("price_data" in one):
            raise invalid("You must specify either `price` or `price_data`.", param)
        if "price" in one:
            price = usable(desk, one["price"], f"{param}[price]")
        else:
            price = create_price(desk, one["price_data"])
        quantity = one.get("quantity", 0)
        if quantity < 1:
            raise invalid(f"Quantity is required. Add `quantity` to `{param}`", f"{param}[quantity]")
        amount = price["unit_amount"] * quantity
        product = desk.get(price["product"], "product")
        lines.append({
            "id": new_id("li"), "object": "item", "adjustable_quantity": None, "amount_discount": 0,
            "amount_subtotal": amount, "amount_tax": 0, "amount_total": amount, "currency": price["currency"],
            "description": product["name"], "metadata": one.get("metadata", {}), "price": price,
            "quantity": quantity,
        })  # fmt: skip
    recurring = [one for one in lines if one["price"]["recurring"]]
    if mode == "payment" and recurring:
        said = (
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use "
            "only one-time prices."
        )
        raise invalid(said, "line_items")
    if mode == "subscription" and not recurring:
        raise invalid("You must provide at least one recurring price in `subscription` mode.", "line_items")
    if len({one["currency"] for one in lines}) > 1:
        raise invalid("All prices on a Checkout session must have the same currency.", "line_items")
    if recurring:
        same_rhythm(recurring)
    return lines


def trial_end(desk: Desk, data: Params, customer: Obj | None) -> int | None:
    """When the trial that `subscription_data` asks for ends. Raises StripeError."""
    now = desk.now(customer["test_clock"] if customer else desk.settings()["clock"])
    if data.get("trial_period_days"):
        return in_days(now, data["trial_period_days"])
    ends = data.get("trial_end")
    if ends is not None and ends <= now:
        raise invalid("Trial end must be in the future.", "subscription_data[trial_end]")
    return ends


def expire(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/checkout/sessions/{id}/expire."""
    session = desk.get(name, "checkout.session")
    if session["status"] != "open":
        said = f"Only Checkout Sessions that are open can be expired. This one has a status of {session['status']}."
        raise invalid(said)
    return run_out(desk, session)


def update(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/checkout/sessions/{id}."""
    session = desk.get(name, "checkout.session")
    return desk.save(session | {"metadata": form.merged(session["metadata"], params.get("metadata", {}))})


def lines_of(desk: Desk, params: Params, name: str) -> Obj:
    """GET /v1/checkout/sessions/{id}/line_items."""
    lines = desk.get(name, "checkout.session")["_lines"]
    return paged(lines, params, f"/v1/checkout/sessions/{name}/line_items")


def listing(desk: Desk, params: Params) -> Obj:
    """GET /v1/checkout/sessions."""
    fields = {k: params[k] for k in ("customer", "payment_intent", "subscription", "status") if k in params}
    rows = desk.find("checkout.session", **fields)
    if email := (params.get("customer_details") or {}).get("email"):
        rows = [row for row in rows if (row["customer_details"] or {}).get("email") == email]
    return paged(rows, params, "/v1/checkout/sessions")
