"""The API's calls: address, what does them, and which parameters each takes."""

import re
from collections.abc import Callable
from typing import Any

from gesso.sandbox.stripe import (
    catalogue,
    checkout,
    clocks,
    customers,
    endpoints,
    form,
    invoices,
    money_back,
    payments,
    portal,
    schedules,
    subscriptions,
)
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.form import Group, Params, group
from gesso.sandbox.stripe.shown import paged
from gesso.sandbox.stripe.store import Obj

Handler = Callable[..., Obj]
PLAIN = group(expand=form.EXPAND)


def _one(kind: str) -> Handler:
    """GET of one object."""

    def retrieve(desk: Desk, params: Params, name: str) -> Obj:
        return desk.get(name, kind)

    return retrieve


def _all(kind: str, *fields: str) -> Handler:
    """GET of all objects of a kind, or of those with the same value in the parameters of these names."""

    def listing(desk: Desk, params: Params) -> Obj:
        return paged(desk.find(kind, **{name: params[name] for name in fields if name in params}), params, _url(kind))

    return listing


def _url(kind: str) -> str:
    """Where the objects of a kind are listed: "payment_intent" under /v1/payment_intents."""
    return f"/v1/{kind.replace('.', '/')}s"


_TABLE: tuple[tuple[str, str, Handler, Group], ...] = (
    ("POST", "products", catalogue.create_product, catalogue.PRODUCT),
    ("GET", "products", catalogue.list_products, catalogue.PRODUCTS),
    ("GET", "products/:", _one("product"), PLAIN),
    ("POST", "products/:", catalogue.update_product, catalogue.PRODUCT_UPDATE),
    ("DELETE", "products/:", catalogue.delete_product, PLAIN),
    ("POST", "prices", catalogue.create_price, catalogue.PRICE),
    ("GET", "prices", catalogue.list_prices, catalogue.PRICES),
    ("GET", "prices/:", _one("price"), PLAIN),
    ("POST", "prices/:", catalogue.update_price, catalogue.PRICE_UPDATE),
    ("POST", "customers", customers.create_customer, customers.CUSTOMER),
    ("GET", "customers", _all("customer", "email", "test_clock"), customers.CUSTOMERS),
    ("GET", "customers/:", customers.retrieve_customer, PLAIN),
    ("POST", "customers/:", customers.update_customer, customers.CUSTOMER_UPDATE),
    ("DELETE", "customers/:", subscriptions.delete_customer, PLAIN),
    ("GET", "customers/:/payment_methods", customers.list_methods, customers.METHODS),
    ("POST", "payment_methods", customers.create_method, customers.METHOD),
    ("GET", "payment_methods", customers.list_methods, customers.METHODS),
    ("GET", "payment_methods/:", _one("payment_method"), PLAIN),
    ("POST", "payment_methods/:/attach", customers.attach_method, customers.ATTACH),
    ("POST", "payment_methods/:/detach", customers.detach_method, PLAIN),
    ("POST", "checkout/sessions", checkout.create, checkout.SESSION),
    ("GET", "checkout/sessions", checkout.listing, checkout.SESSIONS),
    ("GET", "checkout/sessions/:", _one("checkout.session"), PLAIN),
    ("POST", "checkout/sessions/:", checkout.update, checkout.SESSION_UPDATE),
    ("POST", "checkout/sessions/:/expire", checkout.expire, PLAIN),
    ("GET", "checkout/sessions/:/line_items", checkout.lines_of, checkout.LINES),
    ("POST", "subscriptions", subscriptions.create, subscriptions.SUBSCRIPTION),
    ("GET", "subscriptions", subscriptions.listing, subscriptions.LIST),
    ("GET", "subscriptions/:", _one("subscription"), PLAIN),
    ("POST", "subscriptions/:", subscriptions.update, subscriptions.UPDATE),
    ("DELETE", "subscriptions/:", subscriptions.cancel, subscriptions.CANCEL),
    ("GET", "subscription_items", subscriptions.list_items, subscriptions.ITEM_LIST),
    ("POST", "subscription_schedules", schedules.create, schedules.SCHEDULE),
    ("GET", "subscription_schedules", _all("subscription_schedule", "customer"), schedules.LIST),
    ("GET", "subscription_schedules/:", _one("subscription_schedule"), PLAIN),
    ("POST", "subscription_schedules/:", schedules.update, schedules.UPDATE),
    ("POST", "subscription_schedules/:/release", schedules.release, schedules.RELEASE),
    ("POST", "subscription_schedules/:/cancel", schedules.cancel, schedules.CANCEL),
    ("POST", "invoices/create_preview", invoices.preview, invoices.PREVIEW),
    ("GET", "invoices", invoices.listing, invoices.LIST),
    ("GET", "invoices/:", _one("invoice"), PLAIN),
    ("GET", "invoices/:/lines", invoices.lines, checkout.LINES),
    ("POST", "invoices/:/finalize", invoices.finalize, invoices.FINALISE),
    ("POST", "invoices/:/pay", invoices.pay_now, invoices.PAY),
    ("POST", "invoices/:/void", invoices.void, PLAIN),
    ("GET", "invoice_payments", invoices.payments, invoices.PAYMENTS),
    ("GET", "invoice_payments/:", _one("invoice_payment"), PLAIN),
    ("POST", "payment_intents", payments.create_intent, payments.INTENT),
    ("GET", "payment_intents", _all("payment_intent", "customer"), payments.INTENTS),
    ("GET", "payment_intents/:", _one("payment_intent"), PLAIN),
    ("POST", "payment_intents/:", payments.update_intent, payments.INTENT_UPDATE),
    ("POST", "payment_intents/:/confirm", payments.confirm_intent, payments.CONFIRM),
    ("POST", "payment_intents/:/cancel", payments.cancel_intent, payments.INTENT_CANCEL),
    ("GET", "charges", _all("charge", "customer", "payment_intent"), payments.CHARGES),
    ("GET", "charges/:", _one("charge"), PLAIN),
    ("POST", "charges/:", payments.update_charge, payments.CHARGE_UPDATE),
    ("POST", "refunds", money_back.create_refund, money_back.REFUND),
    ("GET", "refunds", _all("refund", "charge", "payment_intent"), money_back.REFUNDS),
    ("GET", "refunds/:", _one("refund"), PLAIN),
    ("POST", "refunds/:", money_back.update_refund, money_back.REFUND_UPDATE),
    ("GET", "disputes", _all("dispute", "charge", "payment_intent"), money_back.DISPUTES),
    ("GET", "disputes/:", _one("dispute"), PLAIN),
    ("POST", "disputes/:", money_back.update_dispute, money_back.DISPUTE_UPDATE),
    ("POST", "disputes/:/close", money_back.close_dispute, PLAIN),
    ("POST", "billing_portal/sessions", portal.create, portal.SESSION),
    ("POST", "billing_portal/configurations", portal.create_configuration, portal.CONFIGURATION),
    ("GET", "billing_portal/configurations", _all(portal.KIND, "active", "is_default"), portal.CONFIGURATIONS),
    ("GET", "billing_portal/configurations/:", _one(portal.KIND), PLAIN),
    ("POST", "billing_portal/configurations/:", portal.update_configuration, portal.CONFIGURATION_UPDATE),
    ("GET", "events", endpoints.events, endpoints.EVENTS),
    ("GET", "events/:", endpoints.event, PLAIN),
    ("POST", "webhook_endpoints", endpoints.create, endpoints.ENDPOINT),
    ("GET", "webhook_endpoints", _all("webhook_endpoint"), endpoints.ENDPOINTS),
    ("GET", "webhook_endpoints/:", _one("webhook_endpoint"), PLAIN),
    ("POST", "webhook_endpoints/:", endpoints.update, endpoints.ENDPOINT_UPDATE),
    ("DELETE", "webhook_endpoints/:", endpoints.delete, PLAIN),
    ("POST", "test_helpers/test_clocks", clocks.create, clocks.CLOCK),
    ("GET", "test_helpers/test_clocks", _all(clocks.KIND), clocks.CLOCKS),
    ("GET", "test_helpers/test_clocks/:", _one(clocks.KIND), PLAIN),
    ("POST", "test_helpers/test_clocks/:/advance", clocks.advance, clocks.ADVANCE),
    ("DELETE", "test_helpers/test_clocks/:", clocks.delete, PLAIN),
)
_COMPILED = tuple(
    (method, re.compile("v1/" + path.replace(":", r"(?P<name>[\w.-]{1,120})")), handler, spec)
    for method, path, handler, spec in _TABLE
)


def call(method: str, path: str) -> tuple[Handler, Group, dict[str, Any]] | None:
    """What answers a request: the handler, its parameters, and the names in the address."""
    for wanted, pattern, handler, spec in _COMPILED:
        if wanted == method and (match := pattern.fullmatch(path)):
            return handler, spec, match.groupdict()
    return None
