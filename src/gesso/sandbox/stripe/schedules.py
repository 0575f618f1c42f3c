"""Subscription schedules: changes planned for the ends of periods, such as a downgrade."""

from gesso.sandbox.stripe import form
from gesso.sandbox.stripe.changes import BEHAVIOURS, recurring_price, same_rhythm
from gesso.sandbox.stripe.cycle import planned
from gesso.sandbox.stripe.desk import Desk, required
from gesso.sandbox.stripe.errors import invalid
from gesso.sandbox.stripe.form import Params, group
from gesso.sandbox.stripe.periods import following, step
from gesso.sandbox.stripe.store import Obj, new_id
from gesso.sandbox.stripe.subscriptions import cancel as cancel_subscription

_PHASE_FOREIGN = (
    "add_invoice_items application_fee_percent automatic_tax billing_thresholds collection_method currency "
    "default_payment_method default_tax_rates description discounts invoice_settings on_behalf_of transfer_data trial "
    "trial_end billing_cycle_anchor"
)
_PHASE = form.Each(
    group(
        _PHASE_FOREIGN, start_date=form.moment("now"), end_date=form.integer, metadata=form.metadata,
        duration=group(interval_=form.one("day", "week", "month", "year"), interval_count=form.amount),
        items_=form.Each(group("billing_thresholds discounts metadata plan price_data tax_rates", price_=form.text,
                               quantity=form.amount)),
        proration_behavior=BEHAVIOURS,
    )
)  # fmt: skip
_END = form.one("cancel", "release")
SCHEDULE = group(
    "billing_mode customer customer_account default_settings pause_schedules start_date phases",
    from_subscription=form.text, end_behavior=_END, metadata=form.metadata, expand=form.EXPAND,
)  # fmt: skip
UPDATE = group("default_settings pause_schedules", phases=_PHASE, end_behavior=_END, metadata=form.metadata,
               proration_behavior=BEHAVIOURS, expand=form.EXPAND)  # fmt: skip
RELEASE = group(preserve_cancel_date=form.flag, expand=form.EXPAND)
CANCEL = group(invoice_now=form.flag, prorate=form.flag, expand=form.EXPAND)
LIST = group("canceled_at completed_at released_at", customer=form.text, scheduled=form.flag, **form.PAGE)


def create(desk: Desk, params: Params) -> Obj:
    """POST /v1/subscription_schedules: from a subscription; the first phase is what it is now."""
    required(params, "from_subscription")
    subscription = desk.get(params["from_subscription"], "subscription", "from_subscription")
    if subscription["schedule"]:
        said = f"The subscription is already attached to the schedule `{subscription['schedule']}`."
        raise invalid(said, "from_subscription")
    if subscription["status"] in ("canceled", "incomplete", "incomplete_expired"):
        raise invalid("You cannot migrate a subscription that is not active.", "from_subscription")
    items = subscription["items"]["data"]
    span = (items[0]["current_period_start"], items[0]["current_period_end"])
    now = desk.now(subscription["test_clock"])
    phase = _phase(
        span, [(i["price"]["id"], i["quantity"]) for i in items], subscription["currency"], {}, "create_prorations"
    )
    schedule = desk.save({
        "id": new_id("sub_sched"), "object": "subscription_schedule", "application": None,
        "billing_mode": subscription["billing_mode"], "canceled_at": None, "completed_at": None, "created": now,
        "current_phase": {"start_date": span[0], "end_date": span[1]}, "customer": subscription["customer"],
        "customer_account": None,
        "default_settings": {
            "application_fee_percent": None, "automatic_tax": {"disabled_reason": None, "enabled": False,
                                                               "liability": None},
            "billing_cycle_anchor": "automatic", "billing_thresholds": None,
            "collection_method": "charge_automatically", "default_payment_method": None, "description": None,
            "invoice_settings": {"account_tax_ids": None, "custom_fields": None, "days_until_due": None,
                                 "description": None, "footer": None, "issuer": {"type": "self"}},
            "on_behalf_of": None, "transfer_data": None,
        },
        "end_behavior": params.get("end_behavior", "release"), "livemode": False,
        "metadata": form.merged({}, params.get("metadata", {})), "pause_schedules": [], "phases": [phase],
        "released_at": None, "released_subscription": None, "status": "active", "subscription": subscription["id"],
        "test_clock": subscription["test_clock"],
    })  # fmt: skip
    desk.tell("subscription_schedule.created", schedule)
    desk.changed("customer.subscription.updated", subscription, subscription | {"schedule": schedule["id"]})
    desk.save(planned(desk, desk.get(subscription["id"], "subscription")))
    return schedule


def _phase(span: tuple[int, int], items: list[tuple[str, int]], currency: str, metadata: Obj, proration: str) -> Obj:
    return {
        "add_invoice_items": [], "application_fee_percent": None, "automatic_tax": None, "billing_cycle_anchor": None,
        "billing_thresholds": None, "collection_method": None, "currency": currency, "default_payment_method": None,
        "default_tax_rates": [], "description": None, "discounts": [], "end_date": span[1], "invoice_settings": None,
        "items": [{"billing_thresholds": None, "discounts": [], "metadata": {}, "plan": price, "price": price,
                   "quantity": quantity, "tax_rates": []} for price, quantity in items],
        "metadata": metadata, "on_behalf_of": None, "proration_behavior": proration, "start_date": span[0],
        "transfer_data": None, "trial_end": None,
    }  # fmt: skip


def update(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/subscription_schedules/{id}. The current phase stays as it is; later ones begin at ends of periods."""
    schedule = _active(desk, name)
    subscription = desk.get(schedule["subscription"], "subscription")
    after = schedule | ({"end_behavior": params["end_behavior"]} if "end_behavior" in params else {})
    if "metadata" in params:
        after["metadata"] = form.merged(schedule["metadata"], params["metadata"])
    if "phases" in params:
        phases = _phases(desk, params["phases"], subscription)
        current = schedule["current_phase"] | {"end_date": phases[0]["end_date"]}
        after |= {"phases": phases, "current_phase": current}
    desk.changed("subscription_schedule.updated", schedule, after)
    desk.save(planned(desk, subscription))
    return after


def _phases(desk: Desk, wanted: list[Params], subscription: Obj) -> list[Obj]:
    items = subscription["items"]["data"]
    rhythm, anchor = same_rhythm(items), subscription["billing_cycle_anchor"]
    begin, period_end = items[0]["current_period_start"], items[0]["current_period_end"]
    phases: list[Obj] = []
    for number, one in enumerate(wanted):
        param = f"phases[{number}]"
        if number == 0:
            held = {(item["price"]["id"], item["quantity"]) for item in items}
            if {(item["price"], item.get("quantity", 1)) for item in one["items"]} != held:
                said = "This sandbox leaves the current phase as it is: repeat the subscription's items in it."
                raise invalid(said, f"{param}[items]")
            begin = one.get("start_date", begin) if isinstance(one.get("start_date"), int) else begin
        prices = [
            recurring_price(desk, item["price"], f"{param}[items][{n}][price]") for n, item in enumerate(one["items"])
        ]
        if number > 0 and prices[0]["recurring"]["interval"] != rhythm["interval"]:
            rhythm, anchor = prices[0]["recurring"], begin
        if "end_date" in one and "duration" in one:
            raise invalid("You may only specify one of these parameters: end_date, duration.", param)
        if "duration" in one:
            until = step(begin, {"interval_count": 1} | one["duration"], 1)
        else:
            last = number == len(wanted) - 1
            until = one.get("end_date") or (following(anchor, rhythm, begin) if last else period_end)
        if until <= begin:
            raise invalid("The phase's end must be after its start.", f"{param}[end_date]")
        if number == 0 and until != following(anchor, rhythm, max(until - 1, begin)):
            said = f"This sandbox models phases that end where a period ends ({period_end} or a later one)."
            raise invalid(said, f"{param}[end_date]")
        quantities = [(item["price"], item.get("quantity", 1)) for item in one["items"]]
        metadata = form.merged({}, one.get("metadata", {}))
        proration = one.get("proration_behavior", "create_prorations")
        phases.append(_phase((begin, until), quantities, subscription["currency"], metadata, proration))
        begin = until
    return phases


def _active(desk: Desk, name: str) -> Obj:
    schedule = desk.get(name, "subscription_schedule")
    if schedule["status"] != "active":
        said = f"You cannot change a subscription schedule that is {schedule['status']}."
        raise invalid(said)
    return schedule


def release(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/subscription_schedules/{id}/release: the subscription goes on as it is."""
    schedule = _active(desk, name)
    subscription = desk.get(schedule["subscription"], "subscription")
    after = schedule | {
        "status": "released", "released_at": desk.now(schedule["test_clock"]), "current_phase": None,
        "released_subscription": subscription["id"], "subscription": None,
    }  # fmt: skip
    desk.save(after)
    desk.tell("subscription_schedule.released", after)
    desk.changed("customer.subscription.updated", subscription, planned(desk, subscription | {"schedule": None}))
    return after


def cancel(desk: Desk, params: Params, name: str) -> Obj:
    """POST /v1/subscription_schedules/{id}/cancel: and the subscription with it."""
    schedule = _active(desk, name)
    cancel_subscription(desk, params, schedule["subscription"])
    return desk.get(name, "subscription_schedule")
