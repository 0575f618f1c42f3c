"""Customers and their payment methods."""

from gesso.sandbox.stripe import form
from gesso.sandbox.stripe.cards import BY_ALIAS, BY_NUMBER, new_card
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.errors import invalid
from gesso.sandbox.stripe.form import Params, group
from gesso.sandbox.stripe.shown import paged
from gesso.sandbox.stripe.store import Obj, new_id

_FOREIGN = "cash_balance source tax tax_id_data validate default_source business_name individual_name"
_ADDRESS = form.clearing(
    city=form.clearable, country=form.clearable, line1=form.clearable, line2=form.clearable,
    postal_code=form.clearable, state=form.clearable,
)  # fmt: skip
_COMMON: dict[str, form.Spec] = {
    "address": _ADDRESS, "balance": form.integer, "description": form.clearable, "email": form.clearable,
    "metadata": form.metadata, "name": form.clearable, "phone": form.clearable, "expand": form.EXPAND,
    "preferred_locales": form.Each(form.text), "tax_exempt": form.one("exempt", "none", "reverse"),
    "invoice_prefix": form.text, "next_invoice_sequence": form.amount,
    "shipping": form.clearing(address_=_ADDRESS, name_=form.text, phone=form.clearable),
    "invoice_settings": group("custom_fields rendering_options", default_payment_method=form.clearable,
                              footer=form.clearable),
}  # fmt: skip
CUSTOMER = group(_FOREIGN, payment_method=form.text, test_clock=form.text, **_COMMON)
CUSTOMER_UPDATE = group(_FOREIGN, **_COMMON)
CUSTOMERS = group(email=form.text, test_clock=form.text, **form.PAGE)
METHOD = group(
    "allow_redisplay", type_=form.one("card"), metadata=form.metadata, expand=form.EXPAND, customer=form.text,
    billing_details=group(email=form.clearable, name=form.clearable, phone=form.clearable, address=_ADDRESS),
    card=group("networks token", number_=form.text, exp_month_=form.amount, exp_year_=form.amount, cvc=form.text),
)  # fmt: skip
METHODS = group(customer=form.text, type=form.text, **form.PAGE)
ATTACH = group(customer_=form.text, expand=form.EXPAND)


def create_customer(desk: Desk, params: Params) -> Obj:
    """POST /v1/customers. Without a test clock of its own it goes by the account's, if there is one."""
    clock = params.get("test_clock") or desk.settings()["clock"]
    if clock:
        desk.get(clock, "test_helpers.test_clock", "test_clock")
    customer = {
        "id": new_id("cus", 14), "object": "customer", "address": None, "balance": 0, "created": desk.now(clock),
        "currency": None, "default_source": None, "delinquent": False, "description": None, "discount": None,
        "email": None, "invoice_prefix": new_id("x", 8)[2:].upper(),
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None,
                             "rendering_options": None},
        "livemode": False, "metadata": {}, "name": None, "next_invoice_sequence": 1, "phone": None,
        "preferred_locales": [], "shipping": None, "tax_exempt": "none", "test_clock": clock,
    }  # fmt: skip
    customer = desk.save(_written(customer, params))
    desk.tell("customer.created", customer)
    if method := params.get("payment_method"):
        take(desk, find_method(desk, method, "payment_method"), customer)
    _check_default(desk, customer)
    return customer


def _written(customer: Obj, params: Params) -> Obj:
    new = customer | {k: v for k, v in params.items() if k in _COMMON and k not in ("expand", "metadata")}
    if "invoice_settings" in params:
        new["invoice_settings"] = customer["invoice_settings"] | params["invoice_settings"]
    if "metadata" in params:
        new["metadata"] = form.merged(customer["metadata"], params["metadata"])
    return new


def _check_default(desk: Desk, customer: Obj) -> None:
    name = customer["invoice_settings"]["default_payment_method"]
    if (
        name
        and desk.get(name, "payment_method", "invoice_settings[default_payment_method]")["customer"] != customer["id"]
    ):
        said = "The customer does not have a payment method with the ID " + name + "."
        raise invalid(said, "invoice_settings[default_payment_method]", "resource_missing")


def customer_of(desk: Desk, name: str, param: str | None = "customer") -> Obj:
    """A customer that was not deleted. Raises StripeError."""
    return desk.get(name, "customer", param)


def retrieve_customer(desk: Desk, params: Params, name: str) -> Obj:
    """GET /v1/customers/{id}; a deleted one is a stub."""
    if desk.seek(name, "deleted_customer"):
        return {"id": name, "object": "customer", "deleted": True}
    return desk.get(name, "customer")


def update_customer(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/customers/{id}."""
    customer = desk.get(name, "customer")
    new = _written(customer, params)
    _check_default(desk, new)
    desk.changed("customer.updated", customer, new)
    return new


def find_method(desk: Desk, name: str, param: str | None) -> Obj:
    """A payment method by its id; an alias such as pm_card_visa makes a new one."""
    if (card := BY_ALIAS.get(name)) is not None:
        return new_card(desk, card, (12, 2034), {})
    return desk.get(name, "payment_method", param)


def take(desk: Desk, method: Obj, customer: Obj) -> Obj:
    """Make a payment method the customer's."""
    if method["customer"] == customer["id"]:
        return method
    if method["customer"] is not None:
        raise invalid("The payment method you provided has already been attached to a customer.", "payment_method")
    method["customer"] = customer["id"]
    desk.save(method)
    desk.tell("payment_method.attached", method)
    return method


def create_method(desk: Desk, params: Params) -> Obj:
    """POST /v1/payment_methods: with the number of a test card."""
    card = BY_NUMBER.get(params.get("card", {}).get("number", "").replace(" ", ""))
    if card is None:
        raise invalid("Your card number is incorrect.", "card[number]", "incorrect_number")
    expires = (params["card"]["exp_month"], params["card"]["exp_year"])
    return new_card(desk, card, expires, params.get("billing_details", {}))


def attach_method(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/payment_methods/{id}/attach."""
    return take(desk, find_method(desk, name, None), customer_of(desk, params["customer"]))


def detach_method(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/payment_methods/{id}/detach."""
    method = desk.get(name, "payment_method")
    if method["customer"] is None:
        raise invalid("The payment method you provided is not attached to a customer.", "payment_method")
    customer = customer_of(desk, method["customer"])
    if customer["invoice_settings"]["default_payment_method"] == name:
        settings = customer["invoice_settings"] | {"default_payment_method": None}
        desk.changed("customer.updated", customer, customer | {"invoice_settings": settings})
    detached = method | {"customer": None}
    desk.changed("payment_method.detached", method, detached)
    return detached


def list_methods(desk: Desk, params: Params, name: str | None = None) -> Obj:
    """GET /v1/payment_methods and /v1/customers/{id}/payment_methods."""
    owner = name or params.get("customer")
    if owner is None:
        raise invalid("Missing required param: customer.", "customer", "parameter_missing")
    customer_of(desk, owner, None if name else "customer")
    rows = [row for row in desk.find("payment_method", customer=owner) if params.get("type") in (None, row["type"])]
    return paged(rows, params, f"/v1/customers/{name}/payment_methods" if name else "/v1/payment_methods")


def default_method(desk: Desk, customer: Obj, subscription: Obj | None = None) -> Obj | None:
    """What pays the customer's invoices: the subscription's own, else the customer's."""
    named = (subscription or {}).get("default_payment_method") or customer["invoice_settings"]["default_payment_method"]
    return desk.seek(named, "payment_method")
