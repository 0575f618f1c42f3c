"""What a change of a subscription's items comes to: the items afterwards, and the lines it costs."""

from dataclasses import dataclass

from gesso.sandbox.stripe import form
from gesso.sandbox.stripe.billing import period_line, proration_line
from gesso.sandbox.stripe.catalogue import usable
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.errors import invalid, missing
from gesso.sandbox.stripe.form import Params, group
from gesso.sandbox.stripe.periods import step
from gesso.sandbox.stripe.store import Obj, new_id

_ITEM_FOREIGN = "billing_thresholds clear_usage current_trial discounts plan price_data tax_rates"
BEHAVIOURS = form.one("always_invoice", "create_prorations", "none")
NEW_ITEMS = form.Each(group(_ITEM_FOREIGN, price_=form.text, quantity=form.amount, metadata=form.metadata))
ITEMS = form.Each(
    group(_ITEM_FOREIGN, id=form.text, price=form.text, quantity=form.amount, deleted=form.flag,
          metadata=form.metadata)
)  # fmt: skip
ANCHOR = group(type_=form.one("now", "unchanged"))


@dataclass(frozen=True)
class Change:
    """`items` as they are afterwards, `anchor` of their periods, `lines` the change costs (or gives back); `at_once`:
    a new period begins now, so that an invoice is made whatever the proration behaviour."""

    items: list[Obj]
    anchor: int
    lines: list[Obj]
    at_once: bool


def new_item(subscription: str, price: Obj, quantity: int, period: tuple[int, int], now: int, more: Obj) -> Obj:
    """A subscription's item; a plan is how older code sees a price."""
    plan = {
        "id": price["id"], "object": "plan", "active": price["active"], "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"], "billing_scheme": "per_unit", "created": price["created"],
        "currency": price["currency"], "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"], "livemode": False, "metadata": price["metadata"],
        "meter": None, "nickname": price["nickname"], "product": price["product"], "tiers_mode": None,
        "transform_usage": None, "trial_period_days": None, "usage_type": "licensed",
    }  # fmt: skip
    return {
        "id": new_id("si", 14), "object": "subscription_item", "billing_thresholds": None, "created": now,
        "current_period_end": period[1], "current_period_start": period[0], "discounts": [], "metadata": {},
        "plan": plan, "price": price, "quantity": quantity, "subscription": subscription, "tax_rates": [],
    } | more  # fmt: skip


def recurring_price(desk: Desk, name: str, param: str) -> Obj:
    """A price that recurs. Raises StripeError."""
    price = usable(desk, name, param)
    if price["recurring"] is None:
        said = "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`."
        raise invalid(said, param)
    return price


def same_rhythm(items: list[Obj]) -> Obj:
    """The interval all items have. Raises StripeError when they differ, or in their currency."""
    if len({(i["price"]["recurring"]["interval"], i["price"]["recurring"]["interval_count"]) for i in items}) > 1:
        raise invalid("This sandbox models subscriptions whose items all have one interval.", "items")
    if len({item["price"]["currency"] for item in items}) > 1:
        raise invalid("You cannot combine currencies on a single subscription.", "items")
    rhythm: Obj = items[0]["price"]["recurring"]
    return rhythm


def change_of(desk: Desk, subscription: Obj, params: Params, at: int) -> Change:
    """The change that `items`, `billing_cycle_anchor`, `trial_end=now` and `proration_behavior` ask for, as of `at`."""
    old = subscription["items"]["data"]
    trial = subscription["status"] == "trialing"
    items = _items_after(desk, subscription, params.get("items") or [], at)
    rhythm = same_rhythm(items)
    before = same_rhythm(old)
    resets = (
        (rhythm["interval"], rhythm["interval_count"]) != (before["interval"], before["interval_count"])
        or (params.get("billing_cycle_anchor") or {}).get("type") == "now"
        or (trial and params.get("trial_end") == "now")
    )
    prorates = params.get("proration_behavior", "create_prorations") != "none" and not trial
    lines: list[Obj] = []
    if resets:
        items = [i | {"current_period_start": at, "current_period_end": step(at, rhythm, 1)} for i in items]
        if prorates:
            lines += [proration_line(desk, subscription, one, at, credit=True) for one in old]
        lines += [period_line(desk, subscription, one) for one in items]
        return Change(items, at, lines, True)
    if prorates:
        kept = {_worth(one) for one in items}
        were = {_worth(one) for one in old}
        lines += [proration_line(desk, subscription, i, at, credit=True) for i in old if _worth(i) not in kept]
        lines += [proration_line(desk, subscription, i, at, credit=False) for i in items if _worth(i) not in were]
    return Change(items, subscription["billing_cycle_anchor"], lines, False)


def _worth(item: Obj) -> tuple[str, str, int]:
    return item["id"], item["price"]["id"], item["quantity"]


def _items_after(desk: Desk, subscription: Obj, wanted: list[Params], at: int) -> list[Obj]:
    items = {item["id"]: dict(item) for item in subscription["items"]["data"]}
    first = next(iter(items.values()))
    period = (first["current_period_start"], first["current_period_end"])
    for number, one in enumerate(wanted):
        name = one.get("id")
        if name is not None and name not in items:
            raise missing("subscription_item", name, f"items[{number}][id]")
        if one.get("deleted"):
            if name is None:
                raise invalid("Missing required param: id.", f"items[{number}][id]", "parameter_missing")
            del items[name]
            continue
        metadata = form.merged(items[name]["metadata"] if name else {}, one.get("metadata", {}))
        if "price" in one:
            price = recurring_price(desk, one["price"], f"items[{number}][price]")
            if any(price["id"] == i["price"]["id"] for i in items.values() if i["id"] != name):
                said = f"Cannot add multiple subscription items with the same plan: {price['id']}"
                raise invalid(said, f"items[{number}][price]")
        elif name is not None:
            price = items[name]["price"]
        else:
            raise invalid("Missing required param: price.", f"items[{number}][price]", "parameter_missing")
        quantity: int = one["quantity"] if "quantity" in one else items[name]["quantity"] if name else 1
        more = {"metadata": metadata} | ({"id": name, "created": items[name]["created"]} if name else {})
        made = new_item(subscription["id"], price, quantity, period, at, more)
        items[made["id"]] = made
    if not items:
        said = "A subscription must have at least one active plan."
        raise invalid(said, "items")
    return list(items.values())


def with_items(subscription: Obj, items: list[Obj]) -> Obj:
    """The subscription with these items."""
    return subscription | {"items": subscription["items"] | {"data": items}}
