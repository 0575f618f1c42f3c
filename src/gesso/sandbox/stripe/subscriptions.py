"""Subscriptions: making, changing, cancelling and listing them."""

from gesso.sandbox.stripe import form
from gesso.sandbox.stripe.billing import charge_now, draft, end, finalise, hold, period_line, proration_line
from gesso.sandbox.stripe.changes import (
    ANCHOR,
    BEHAVIOURS,
    ITEMS,
    NEW_ITEMS,
    Change,
    change_of,
    new_item,
    recurring_price,
    same_rhythm,
    with_items,
)
from gesso.sandbox.stripe.customers import customer_of, default_method, find_method, take
from gesso.sandbox.stripe.cycle import planned
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.errors import invalid
from gesso.sandbox.stripe.form import Params, group
from gesso.sandbox.stripe.payments import refusal
from gesso.sandbox.stripe.periods import HOUR, following, in_days, step
from gesso.sandbox.stripe.shown import full_list, paged
from gesso.sandbox.stripe.store import Obj, new_id

PENDING_HOURS = 23
_FOREIGN = (
    "add_invoice_items application_fee_percent automatic_tax backdate_start_date billing_cycle_anchor_config "
    "billing_schedules billing_thresholds currency customer_account days_until_due default_source default_tax_rates "
    "discounts invoice_settings on_behalf_of pause_collection pending_invoice_item_interval transfer_data "
    "trial_from_plan trial_settings"
)
_BEHAVIOUR = form.one("allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete")
_CANCELS_AT = form.moment("", "min_period_end", "max_period_end", "max_billed_until")
_DETAILS = group(comment=form.clearable, feedback=form.clearable)
_COMMON: dict[str, form.Spec] = {
    "cancel_at": _CANCELS_AT, "cancel_at_period_end": form.flag, "default_payment_method": form.text,
    "description": form.clearable, "metadata": form.metadata, "off_session": form.flag,
    "payment_behavior": _BEHAVIOUR, "proration_behavior": BEHAVIOURS, "expand": form.EXPAND,
    "collection_method": form.one("charge_automatically"),
    "payment_settings": group("payment_method_options payment_method_types",
                              save_default_payment_method=form.one("off", "on_subscription")),
}  # fmt: skip
SUBSCRIPTION = group(
    _FOREIGN, customer_=form.text, items_=NEW_ITEMS, billing_cycle_anchor=form.integer, trial_end=form.moment("now"),
    trial_period_days=form.amount, billing_mode=group("flexible", type_=form.one("flexible")), **_COMMON,
)  # fmt: skip
UPDATE = group(
    _FOREIGN, items=ITEMS, billing_cycle_anchor=ANCHOR, proration_date=form.integer, trial_end=form.moment("now"),
    cancellation_details=_DETAILS, **_COMMON,
)  # fmt: skip
CANCEL = group(invoice_now=form.flag, prorate=form.flag, cancellation_details=_DETAILS, expand=form.EXPAND)
LIST = group(
    "automatic_tax collection_method current_period_end current_period_start customer_account plan",
    customer=form.text, price=form.text, status=form.text, test_clock=form.text, **form.PAGE,
)  # fmt: skip
ITEM_LIST = group(subscription_=form.text, **form.PAGE)


def start(
    desk: Desk, customer: Obj, prices: list[tuple[Obj, int, Obj]], *, method: Obj | None, more: Obj,
    trial_end: int | None = None, anchor: int | None = None,
) -> Obj:  # fmt: skip
    """A subscription over (price, quantity, metadata) from now on, incomplete until its first invoice is paid."""
    now = desk.now(customer["test_clock"])
    name = new_id("sub")
    rhythm = prices[0][0]["recurring"]
    anchor = trial_end or anchor or now
    period = (now, trial_end or (anchor if anchor > now else step(now, rhythm, 1)))
    items = [new_item(name, price, quantity, period, now, {"metadata": extra}) for price, quantity, extra in prices]
    same_rhythm(items)
    subscription = {
        "id": name, "object": "subscription", "application": None, "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": anchor, "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": {"proration_discounts": "included"}, "type": "flexible", "updated_at": now},
        "billing_schedules": [], "billing_thresholds": None, "cancel_at": None, "cancel_at_period_end": False,
        "canceled_at": None, "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically", "created": now, "currency": items[0]["price"]["currency"],
        "customer": customer["id"], "customer_account": None, "days_until_due": None,
        "default_payment_method": method["id"] if method else None, "default_source": None, "default_tax_rates": [],
        "description": None, "discounts": [], "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": full_list(f"/v1/subscription_items?subscription={name}", items), "latest_invoice": None,
        "livemode": False, "metadata": {}, "next_pending_invoice_item_invoice": None, "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {"payment_method_options": None, "payment_method_types": None,
                             "save_default_payment_method": "off"},
        "pending_invoice_item_interval": None, "pending_setup_intent": None, "pending_update": None,
        "schedule": None, "start_date": now, "status": "trialing" if trial_end else "incomplete",
        "test_clock": customer["test_clock"], "transfer_data": None, "trial_end": trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": now if trial_end else None,
    } | more  # fmt: skip
    return planned(desk, desk.save(subscription))


def first_lines(desk: Desk, subscription: Obj, *, prorated: bool) -> list[Obj]:
    """What the first invoice of a subscription holds."""
    items, free = subscription["items"]["data"], subscription["status"] == "trialing"
    now = subscription["created"]
    if subscription["billing_cycle_anchor"] > now and not free:
        if not prorated:
            return []
        whole = [_whole_period(one) for one in items]
        return [proration_line(desk, subscription, one, now, credit=False) for one in whole]
    return [period_line(desk, subscription, one, free=free) for one in items]


def _whole_period(item: Obj) -> Obj:
    """An item whose first period is cut short, with the whole period that its price is for."""
    begin = step(item["current_period_end"], item["price"]["recurring"], -1)
    return item | {"current_period_start": begin}


def create(desk: Desk, params: Params) -> Obj:
    """POST /v1/subscriptions."""
    customer = customer_of(desk, params["customer"])
    now = desk.now(customer["test_clock"])
    prices = [
        (recurring_price(desk, one["price"], f"items[{n}][price]"), one.get("quantity", 1), one.get("metadata", {}))
        for n, one in enumerate(params["items"])
    ]
    method = None
    if name := params.get("default_payment_method"):
        method = find_method(desk, name, "default_payment_method")
        if method["customer"] != customer["id"]:
            raise invalid("The payment method must belong to the customer.", "default_payment_method")
    trial = _trial(params, now)
    anchor = params.get("billing_cycle_anchor")
    if anchor is not None and not now <= anchor <= step(now, prices[0][0]["recurring"], 1):
        raise invalid("billing_cycle_anchor cannot be later than next natural billing date.", "billing_cycle_anchor")
    behaviour = params.get("payment_behavior", "allow_incomplete")
    if behaviour != "default_incomplete" and not trial and default_method(desk, customer, {
        "default_payment_method": method["id"] if method else None
    }) is None and any(price["unit_amount"] for price, _, _ in prices):  # fmt: skip
        said = (
            "This customer has no attached payment source or default payment method. Please consider adding a default "
            "payment method."
        )
        raise invalid(said, code="resource_missing")
    more = {"metadata": form.merged({}, params.get("metadata", {})), "description": params.get("description")}
    subscription = start(desk, customer, prices, method=method, more=more, trial_end=trial, anchor=anchor)
    desk.tell("customer.subscription.created", subscription)
    lines = first_lines(desk, subscription, prorated=params.get("proration_behavior") != "none")
    if not lines:
        subscription |= {"status": "active"}
        desk.save(subscription)
    elif behaviour == "default_incomplete":
        subscription = _open_first(desk, subscription, lines)
    else:
        invoice = charge_now(desk, subscription, lines, "subscription_create")
        if invoice["status"] != "paid" and behaviour == "error_if_incomplete":
            raise refusal(desk.get(invoice["_intent"], "payment_intent"), kept=False)
    subscription = desk.get(subscription["id"], "subscription")
    cancelling: Obj = {k: params[k] for k in ("cancel_at", "cancel_at_period_end") if k in params}
    return planned(desk, desk.save(_cancelling(desk, subscription, cancelling)))


def _trial(params: Params, now: int) -> int | None:
    if "trial_period_days" in params:
        return in_days(now, params["trial_period_days"]) if params["trial_period_days"] else None
    ends = params.get("trial_end")
    if isinstance(ends, int) and ends <= now:
        raise invalid("Trial end must be in the future.", "trial_end")
    return ends if isinstance(ends, int) else None


def _open_first(desk: Desk, subscription: Obj, lines: list[Obj]) -> Obj:
    customer = customer_of(desk, subscription["customer"])
    invoice = draft(desk, customer, lines, "subscription_create", subscription)
    desk.save(subscription | {"latest_invoice": invoice["id"]})
    finalise(desk, invoice)
    return desk.get(subscription["id"], "subscription")


def update(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/subscriptions/{id}."""
    before = desk.get(name, "subscription")
    if before["status"] in ("canceled", "incomplete_expired") and set(params) - {
        "metadata",
        "cancellation_details",
        "expand",
    }:
        said = "A canceled subscription can only update its cancellation_details and metadata."
        raise invalid(said)
    after = dict(before)
    if "metadata" in params:
        after["metadata"] = form.merged(before["metadata"], params["metadata"])
    if "description" in params:
        after["description"] = params["description"]
    if "cancellation_details" in params:
        after["cancellation_details"] = before["cancellation_details"] | params["cancellation_details"]
    if "payment_settings" in params:
        after["payment_settings"] = before["payment_settings"] | params["payment_settings"]
    if method := params.get("default_payment_method"):
        taken = take(desk, find_method(desk, method, "default_payment_method"), customer_of(desk, before["customer"]))
        after["default_payment_method"] = taken["id"]
    after = _cancelling(desk, after, params)
    after = _trial_moved(desk, after, params)
    if any(params.get(word) for word in ("items", "billing_cycle_anchor")) or params.get("trial_end") == "now":
        return _change(desk, before, after, params)
    after = planned(desk, after)
    desk.changed("customer.subscription.updated", before, after)
    return after


def _trial_moved(desk: Desk, subscription: Obj, params: Params) -> Obj:
    """A later end of the trial, from which periods count then."""
    if not isinstance(ends := params.get("trial_end"), int):
        return subscription
    _trial(params, desk.now(subscription["test_clock"]))
    items = [one | {"current_period_end": ends} for one in subscription["items"]["data"]]
    return with_items(subscription, items) | {"status": "trialing", "trial_end": ends, "billing_cycle_anchor": ends}


def _change(desk: Desk, before: Obj, after: Obj, params: Params) -> Obj:
    """New items: at once, or (pending_if_incomplete) once they are paid for."""
    now = desk.now(before["test_clock"])
    at = params.get("proration_date", now)
    first = before["items"]["data"][0]
    if not first["current_period_start"] <= at <= first["current_period_end"]:
        raise invalid("proration_date must be within the current period.", "proration_date")
    change = change_of(desk, before, params, at)
    then: Obj = {"items": before["items"] | {"data": change.items}, "billing_cycle_anchor": change.anchor}
    if change.at_once and before["status"] == "trialing":
        then |= {"status": "active", "trial_end": now}
    behaviour = params.get("payment_behavior", "allow_incomplete")
    invoiced = change.at_once or (params.get("proration_behavior") == "always_invoice" and bool(change.lines))
    if behaviour == "pending_if_incomplete" and invoiced:
        return _pend(desk, before, after, change, then, now)
    after = planned(desk, after | then)
    desk.changed("customer.subscription.updated", before, after)
    if not invoiced:
        hold(desk, after, change.lines)
    else:
        invoice = charge_now(desk, after, change.lines, "subscription_update")
        if invoice["status"] != "paid" and behaviour == "error_if_incomplete":
            raise refusal(desk.get(invoice["_intent"], "payment_intent"), kept=False)
    return desk.get(after["id"], "subscription")


def _pend(desk: Desk, before: Obj, after: Obj, change: Change, then: Obj, now: int) -> Obj:
    """The change waits for its payment; 23 hours later it is off."""
    waiting = {
        "billing_cycle_anchor": change.anchor, "expires_at": now + PENDING_HOURS * HOUR, "trial_end": None,
        "trial_from_plan": None, "subscription_items": [
            {k: i[k] for k in ("id", "object", "price", "quantity", "created", "metadata")} for i in change.items],
    }  # fmt: skip
    pending = {"invoice": None, "then": then, "fresh": True}
    charge_now(desk, after | {"pending_update": waiting, "_pending": pending}, change.lines, "subscription_update")
    final = desk.get(after["id"], "subscription")
    if final["pending_update"]:
        final |= {"_pending": final["_pending"] | {"fresh": False}}
        final = planned(desk, final)
        desk.changed("customer.subscription.updated", before, final)
        return final
    return desk.save(planned(desk, final))


def _cancelling(desk: Desk, subscription: Obj, params: Params) -> Obj:
    """`cancel_at` and `cancel_at_period_end` as asked for."""
    asked = [word for word in ("cancel_at", "cancel_at_period_end") if word in params]
    if not asked:
        return subscription
    if subscription["schedule"]:
        said = (
            f"The subscription is managed by the subscription schedule `{subscription['schedule']}`, and updating any "
            "cancelation behavior directly is not allowed. Please update the schedule instead."
        )
        raise invalid(said, asked[0])
    if len(asked) == 2 and params["cancel_at_period_end"]:
        raise invalid("You may only specify one of these parameters: cancel_at, cancel_at_period_end.", "cancel_at")
    now = desk.now(subscription["test_clock"])
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    at_end = bool(params.get("cancel_at_period_end"))
    moment = min(ends) if at_end else params.get("cancel_at") or None
    if moment in ("min_period_end", "max_period_end", "max_billed_until"):
        moment = min(ends) if moment == "min_period_end" else max(ends)
    if isinstance(moment, int) and moment <= now:
        raise invalid("cancel_at must be a timestamp in the future.", "cancel_at")
    details = subscription["cancellation_details"] | {"reason": "cancellation_requested" if moment else None}
    return subscription | {
        "cancel_at": moment, "cancel_at_period_end": at_end, "canceled_at": now if moment else None,
        "cancellation_details": details,
    }  # fmt: skip


def cancel(desk: Desk, params: Params, name: str) -> Obj:
    """DELETE /v1/subscriptions/{id}: now."""
    subscription = desk.get(name, "subscription")
    if subscription["status"] in ("canceled", "incomplete_expired"):
        raise invalid("No such subscription: '" + name + "'", "id", "resource_missing")
    now = desk.now(subscription["test_clock"])
    details = subscription["cancellation_details"] | params.get("cancellation_details", {})
    subscription = desk.save(subscription | {"cancellation_details": details})
    lines = []
    if params.get("prorate") and subscription["status"] == "active":
        lines = [proration_line(desk, subscription, i, now, credit=True) for i in subscription["items"]["data"]]
    if params.get("invoice_now") and (lines or subscription["status"] == "active"):
        charge_now(desk, subscription, lines, "subscription_update")
    elif lines:
        hold(desk, subscription, lines)
    return end(desk, desk.get(name, "subscription"), "cancellation_requested")


def listing(desk: Desk, params: Params) -> Obj:
    """GET /v1/subscriptions: those that have not ended, unless `status` says otherwise."""
    fields = {"customer": params["customer"]} if "customer" in params else {}
    rows = desk.find("subscription", **fields)
    status = params.get("status")
    if status is None:
        rows = [row for row in rows if row["status"] != "canceled"]
    elif status == "ended":
        rows = [row for row in rows if row["status"] in ("canceled", "incomplete_expired")]
    elif status != "all":
        rows = [row for row in rows if row["status"] == status]
    if price := params.get("price"):
        rows = [row for row in rows if any(i["price"]["id"] == price for i in row["items"]["data"])]
    if clock := params.get("test_clock"):
        rows = [row for row in rows if row["test_clock"] == clock]
    return paged(rows, params, "/v1/subscriptions")


def list_items(desk: Desk, params: Params) -> Obj:
    """GET /v1/subscription_items."""
    subscription = desk.get(params["subscription"], "subscription", "subscription")
    return paged(subscription["items"]["data"], params, "/v1/subscription_items")


def delete_customer(desk: Desk, params: Params, name: str) -> Obj:
    """DELETE /v1/customers/{id}: for good, with their subscriptions."""
    customer = customer_of(desk, name, None)
    for subscription in desk.find("subscription", customer=name):
        if subscription["status"] not in ("canceled", "incomplete_expired"):
            end(desk, subscription, "cancellation_requested")
    desk.remove(customer)
    desk.save(customer | {"object": "deleted_customer"})
    desk.tell("customer.deleted", customer)
    return {"id": name, "object": "customer", "deleted": True}


def next_boundary(subscription: Obj, after: int) -> int:
    """The first end of a period later than `after`."""
    rhythm = same_rhythm(subscription["items"]["data"])
    return following(subscription["billing_cycle_anchor"], rhythm, after)
