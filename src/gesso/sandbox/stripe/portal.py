"""Billing portal: configurations and sessions."""

from gesso.sandbox.stripe import form
from gesso.sandbox.stripe.changes import BEHAVIOURS
from gesso.sandbox.stripe.customers import customer_of
from gesso.sandbox.stripe.desk import Desk, required
from gesso.sandbox.stripe.errors import invalid
from gesso.sandbox.stripe.form import Params, group
from gesso.sandbox.stripe.store import Obj, new_id

LASTS_SECONDS = 3600
KIND = "billing_portal.configuration"
_REASONS = ("customer_service", "low_quality", "missing_features", "other", "switched_service", "too_complex",
            "too_expensive", "unused")  # fmt: skip
_FEATURES = group(
    "subscription_pause",
    customer_update=group(enabled=form.flag, allowed_updates=form.Each(form.text)),
    invoice_history=group(enabled_=form.flag), payment_method_update=group("payment_method_configuration",
                                                                           enabled_=form.flag),
    subscription_cancel=group(
        enabled=form.flag, mode=form.one("at_period_end", "immediately"), proration_behavior=BEHAVIOURS,
        cancellation_reason=group("feedback_options", enabled_=form.flag, options=form.Each(form.one(*_REASONS)))),
    subscription_update=group(
        "trial_update_behavior", enabled=form.flag, default_allowed_updates=form.Each(
            form.one("price", "promotion_code", "quantity")), proration_behavior=BEHAVIOURS,
        billing_cycle_anchor=form.one("now", "unchanged"),
        products=form.Each(group("adjustable_quantity", product_=form.text, prices_=form.Each(form.text))),
        schedule_at_period_end=group(conditions=form.Each(
            group(type_=form.one("decreasing_item_amount", "shortening_interval"))))),
)  # fmt: skip
_PROFILE = group(headline=form.clearable, privacy_policy_url=form.clearable, terms_of_service_url=form.clearable)
_COMMON: dict[str, form.Spec] = {
    "business_profile": _PROFILE, "default_return_url": form.clearable, "metadata": form.metadata,
    "name": form.clearable, "login_page": group(enabled_=form.flag), "expand": form.EXPAND,
}  # fmt: skip
CONFIGURATION = group(features_=_FEATURES, **_COMMON)
CONFIGURATION_UPDATE = group(features=_FEATURES, active=form.flag, **_COMMON)
CONFIGURATIONS = group(active=form.flag, is_default=form.flag, **form.PAGE)
_COMPLETION = group(
    type_=form.one("hosted_confirmation", "portal_homepage", "redirect"),
    redirect=group(return_url_=form.url), hosted_confirmation=group(custom_message=form.text),
)  # fmt: skip
SESSION = group(
    "customer_account on_behalf_of after_expiration", customer_=form.text, configuration=form.text,
    return_url=form.url, locale=form.text, expand=form.EXPAND,
    flow_data=group(
        "customer_update subscription_pause", after_completion=_COMPLETION,
        type_=form.one("payment_method_update", "subscription_cancel", "subscription_update",
                       "subscription_update_confirm"),
        subscription_cancel=group("retention", subscription_=form.text),
        subscription_update=group(subscription_=form.text),
        subscription_update_confirm=group(
            "discounts", subscription_=form.text,
            items_=form.Each(group(id_=form.text, price=form.text, quantity=form.amount)))),
)  # fmt: skip


def create_configuration(desk: Desk, params: Params) -> Obj:
    """POST /v1/billing_portal/configurations."""
    now = desk.now(None)
    profile = {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None}
    return desk.save({
        "id": new_id("bpc"), "object": KIND, "active": True, "application": None,
        "business_profile": profile | params.get("business_profile", {}), "created": now,
        "default_return_url": params.get("default_return_url"), "features": _features(desk, params["features"], {}),
        "is_default": False, "livemode": False, "login_page": {"enabled": False, "url": None},
        "metadata": form.merged({}, params.get("metadata", {})), "name": params.get("name"), "updated": now,
    })  # fmt: skip


def _features(desk: Desk, given: Params, old: Obj) -> Obj:
    blank: dict[str, Obj] = {
        "customer_update": {"allowed_updates": [], "enabled": False}, "invoice_history": {"enabled": False},
        "payment_method_update": {"enabled": False, "payment_method_configuration": None},
        "subscription_cancel": {
            "cancellation_reason": {"enabled": False, "feedback_options": [], "options": list(_REASONS)},
            "enabled": False, "mode": "at_period_end", "proration_behavior": "none"},
        "subscription_pause": {"enabled": False, "duration": {"interval_options": [], "type": "indefinite"}},
        "subscription_update": {
            "billing_cycle_anchor": None, "default_allowed_updates": [], "enabled": False, "products": [],
            "proration_behavior": "none", "schedule_at_period_end": {"conditions": []},
            "trial_update_behavior": "end_trial"},
    }  # fmt: skip
    made = {name: {**part, **old.get(name, {}), **given.get(name, {})} for name, part in blank.items()}
    reasons = blank["subscription_cancel"]["cancellation_reason"]
    made["subscription_cancel"]["cancellation_reason"] = reasons | made["subscription_cancel"]["cancellation_reason"]
    update = made["subscription_update"]
    if update["enabled"]:
        required(update, "products", "default_allowed_updates")
    for n, product in enumerate(update["products"]):
        param = f"features[subscription_update][products][{n}]"
        desk.get(product["product"], "product", f"{param}[product]")
        for name in product["prices"]:
            if desk.get(name, "price", f"{param}[prices]")["product"] != product["product"]:
                raise invalid(f"The price {name} does not belong to the product.", f"{param}[prices]")
        product["adjustable_quantity"] = {"enabled": False, "maximum": None, "minimum": 1}
    return made


def update_configuration(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/billing_portal/configurations/{id}."""
    old = desk.get(name, KIND)
    new = old | {k: params[k] for k in ("active", "default_return_url", "name") if k in params}
    new["business_profile"] = old["business_profile"] | params.get("business_profile", {})
    new["features"] = _features(desk, params.get("features", {}), old["features"])
    if "metadata" in params:
        new["metadata"] = form.merged(old["metadata"], params["metadata"])
    return desk.save(new | {"updated": desk.now(None)})


def create(desk: Desk, params: Params) -> Obj:
    """POST /v1/billing_portal/sessions. Without a configuration named there is none: nobody saved a default."""
    customer = customer_of(desk, params["customer"])
    if "configuration" not in params:
        said = (
            "No configuration provided and your test mode default configuration has not been created. Provide a "
            "configuration or create your default by saving your customer portal settings in test mode at "
            "https://dashboard.stripe.com/test/settings/billing/portal."
        )
        raise invalid(said)
    configuration = desk.get(params["configuration"], KIND, "configuration")
    if not configuration["active"]:
        raise invalid("The configuration is not active.", "configuration")
    back = params.get("return_url") or configuration["default_return_url"]
    flow = _flow(desk, params["flow_data"], customer, configuration) if "flow_data" in params else None
    name = new_id("bps")
    return desk.save({
        "id": name, "object": "billing_portal.session", "configuration": configuration["id"],
        "created": desk.now(None), "customer": customer["id"], "customer_account": None, "flow": flow,
        "livemode": False, "locale": params.get("locale"), "on_behalf_of": None, "return_url": back,
        "url": f"{desk.base}/portal/{name}", "_until": desk.now(None) + LASTS_SECONDS,
    })  # fmt: skip


def _flow(desk: Desk, given: Params, customer: Obj, configuration: Obj) -> Obj:
    kind = given["type"]
    feature = {"subscription_update_confirm": "subscription_update"}.get(kind, kind)
    if not configuration["features"][feature]["enabled"]:
        said = f"You can't create a portal session flow of type {kind}: the feature is disabled in the configuration."
        raise invalid(said, "flow_data[type]")
    if kind != "payment_method_update":
        required(given, kind)
        subscription = desk.get(given[kind]["subscription"], "subscription", f"flow_data[{kind}][subscription]")
        if subscription["customer"] != customer["id"]:
            raise invalid("The subscription does not belong to the customer.", f"flow_data[{kind}][subscription]")
    kinds = ("subscription_cancel", "subscription_update", "subscription_update_confirm")
    blank = {"customer_update": None, "subscription_pause": None, **dict.fromkeys(kinds)}
    after = {"hosted_confirmation": None, "redirect": None, "type": "portal_homepage"}
    return blank | given | {"after_completion": after | given.get("after_completion", {})}
