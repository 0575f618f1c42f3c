"""What happens by itself: renewals, attempts to be paid, ends, changes that were planned, sessions that run out.

Every object carries in `_due` when that is; `happen` does what is due and plans the next.
"""

from gesso.sandbox.stripe.billing import (
    DRAFT_SECONDS,
    draft,
    end,
    finalise,
    held_lines,
    pay,
    period_line,
)
from gesso.sandbox.stripe.changes import new_item, same_rhythm, with_items
from gesso.sandbox.stripe.customers import default_method
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.payments import settle
from gesso.sandbox.stripe.periods import DAY, HOUR, following, step
from gesso.sandbox.stripe.store import Obj

_INCOMPLETE_HOURS = 23
_TRIAL_NOTICE_DAYS = 3


def happen(desk: Desk, obj: Obj) -> None:
    """Do what is due with an object."""
    kind = obj["object"]
    if kind == "subscription":
        _subscription(desk, obj)
    elif kind == "invoice":
        _invoice(desk, obj)
    elif kind == "payment_intent":
        _settled(desk, obj)
    elif kind == "checkout.session":
        expire(desk, obj)
    else:
        desk.save(obj | {"_due": None})


def planned(desk: Desk, subscription: Obj) -> Obj:
    """The subscription with the moment at which something happens to it next."""
    moments = [item["current_period_end"] for item in subscription["items"]["data"]]
    if subscription["cancel_at"]:
        moments.append(subscription["cancel_at"])
    if subscription["pending_update"]:
        moments.append(subscription["pending_update"]["expires_at"])
    if subscription["status"] == "incomplete":
        moments = [subscription["created"] + _INCOMPLETE_HOURS * HOUR]
    if subscription["status"] == "trialing" and not subscription.get("_trial_told"):
        moments.append(max(subscription["created"], subscription["trial_end"] - _TRIAL_NOTICE_DAYS * DAY))
    schedule = desk.seek(subscription["schedule"], "subscription_schedule")
    if schedule is not None and schedule["status"] == "active":
        moments.append(schedule["current_phase"]["end_date"])
    over = subscription["status"] in ("canceled", "incomplete_expired")
    subscription["_due"] = None if over else min(moments)
    return subscription


def _subscription(desk: Desk, subscription: Obj) -> None:
    now = desk.now(subscription["test_clock"])
    if subscription["status"] == "incomplete":
        _lapse(desk, subscription)
        return
    if subscription["pending_update"] and subscription["pending_update"]["expires_at"] <= now:
        subscription = _withdraw(desk, subscription)
    if subscription["cancel_at"] and subscription["cancel_at"] <= now:
        end(desk, subscription, "cancellation_requested")
        return
    before = dict(subscription)
    if subscription["status"] == "trialing" and not subscription.get("_trial_told"):
        subscription |= {"_trial_told": True}
        desk.tell("customer.subscription.trial_will_end", subscription)
    subscription = next_phase(desk, subscription, now)
    if subscription["status"] == "canceled":
        return
    if min(item["current_period_end"] for item in subscription["items"]["data"]) <= now:
        subscription = _renewed(desk, subscription, now)
    desk.changed("customer.subscription.updated", before, planned(desk, subscription))


def _lapse(desk: Desk, subscription: Obj) -> None:
    """The first invoice was never paid."""
    void(desk, subscription["latest_invoice"])
    lapsed = subscription | {"status": "incomplete_expired", "ended_at": desk.now(subscription["test_clock"])}
    desk.changed("customer.subscription.updated", subscription, lapsed | {"_due": None})


def _withdraw(desk: Desk, subscription: Obj) -> Obj:
    """The payment a change waited for did not come."""
    void(desk, subscription["_pending"]["invoice"])
    after = subscription | {"pending_update": None, "_pending": None}
    desk.changed("customer.subscription.pending_update_expired", subscription, after)
    return after


def void(desk: Desk, name: str) -> None:
    """An open invoice that nobody has to pay any more."""
    invoice = desk.get(name, "invoice")
    if invoice["status"] == "open":
        transitions = invoice["status_transitions"] | {"voided_at": desk.now(invoice["test_clock"])}
        invoice |= {"status": "void", "status_transitions": transitions, "next_payment_attempt": None, "_due": None,
                    "auto_advance": False}  # fmt: skip
        desk.save(invoice)
        desk.tell("invoice.voided", invoice)


def next_phase(desk: Desk, subscription: Obj, now: int) -> Obj:
    """What the schedule has planned from now on; the last phase releases the subscription."""
    schedule = desk.seek(subscription["schedule"], "subscription_schedule")
    if schedule is None or schedule["status"] != "active" or schedule["current_phase"]["end_date"] > now:
        return subscription
    following_phases = [
        phase for phase in schedule["phases"] if phase["start_date"] >= schedule["current_phase"]["end_date"]
    ]
    if not following_phases:
        ends = schedule["end_behavior"] == "cancel"
        schedule |= {"status": "completed" if ends else "released", "current_phase": None}
        schedule |= {"completed_at": now} if ends else {"released_at": now, "released_subscription": subscription["id"]}
        desk.save(schedule | ({} if ends else {"subscription": None}))
        desk.tell(f"subscription_schedule.{schedule['status']}", schedule)
        subscription |= {"schedule": None}
        return end(desk, subscription, "cancellation_requested") if ends else subscription
    phase = following_phases[0]
    schedule |= {"current_phase": {"start_date": phase["start_date"], "end_date": phase["end_date"]}}
    desk.save(schedule)
    desk.tell("subscription_schedule.updated", schedule)
    return _enter(desk, subscription, phase, now)


def _enter(desk: Desk, subscription: Obj, phase: Obj, now: int) -> Obj:
    """A phase's items. They begin where a period ends: the schedules of this sandbox know no other place."""
    old = subscription["items"]["data"]
    period = (old[0]["current_period_start"], old[0]["current_period_end"])
    rhythm = same_rhythm(old)
    items = []
    for number, one in enumerate(phase["items"]):
        price = desk.get(one["price"], "price")
        more = {"id": old[number]["id"], "created": old[number]["created"]} if number < len(old) else {}
        items.append(new_item(subscription["id"], price, one["quantity"], period, now, more))
    subscription = with_items(subscription, items)
    if same_rhythm(items)["interval"] != rhythm["interval"]:
        subscription |= {"billing_cycle_anchor": now}
    if phase["metadata"]:
        subscription |= {"metadata": subscription["metadata"] | phase["metadata"]}
    return subscription


def _renewed(desk: Desk, subscription: Obj, now: int) -> Obj:
    """The next period, and a draft of its invoice."""
    rhythm = same_rhythm(subscription["items"]["data"])
    anchor = subscription["billing_cycle_anchor"]
    begin = min(item["current_period_end"] for item in subscription["items"]["data"])
    until = step(anchor, rhythm, 1) if anchor == begin else following(anchor, rhythm, begin)
    items = [
        item | {"current_period_start": begin, "current_period_end": until} for item in subscription["items"]["data"]
    ]
    subscription = with_items(subscription, items)
    if subscription["status"] == "trialing":
        subscription |= {"status": "active"}
    customer = desk.get(subscription["customer"], "customer")
    lines = [*held_lines(desk, subscription), *(period_line(desk, subscription, item) for item in items)]
    invoice = draft(desk, customer, lines, "subscription_cycle", subscription)
    if subscription["status"] == "unpaid":
        desk.save(invoice | {"auto_advance": False})
    else:
        ready = now + DRAFT_SECONDS
        desk.save(invoice | {"automatically_finalizes_at": ready, "_due": ready})
    return subscription | {"latest_invoice": invoice["id"]}


def _invoice(desk: Desk, invoice: Obj) -> None:
    if invoice["status"] == "draft":
        invoice = finalise(desk, invoice)
    if invoice["status"] == "open":
        customer = desk.get(invoice["customer"], "customer")
        subscription = desk.seek(invoice["_subscription"], "subscription")
        pay(desk, invoice, default_method(desk, customer, subscription), alone=True)


def _settled(desk: Desk, intent: Obj) -> None:
    """A bank debit has come to its end; the checkout that began it hears of it."""
    intent = settle(desk, intent)
    for session in desk.find("checkout.session", payment_intent=intent["id"]):
        if intent["status"] == "succeeded":
            session |= {"payment_status": "paid"}
            desk.save(session)
            desk.tell("checkout.session.async_payment_succeeded", session)
        else:
            desk.tell("checkout.session.async_payment_failed", session)


def expire(desk: Desk, session: Obj) -> Obj:
    """A checkout that nobody finished."""
    expired = session | {"status": "expired", "url": None, "_due": None}
    desk.save(expired)
    desk.tell("checkout.session.expired", expired)
    return expired
