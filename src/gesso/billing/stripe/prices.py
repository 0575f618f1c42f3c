"""Products and prices at Stripe, made when they are first needed. A changed price is a new one there: subscriptions
that run keep theirs. The catalogue is the source; Stripe's are found again by their lookup key."""

from typing import Any

from gesso.billing.facts import INTERVALS, Interval
from gesso.billing.stripe.line import Line, Obj
from gesso.catalog.items import Pack, Plan
from gesso.core.errors import InvalidInput


def plan_cents(plan: Plan, interval: Interval) -> int:
    """What the plan costs. Raises InvalidInput when it is not sold so."""
    cents = plan.month_cents if interval == "month" else plan.year_cents
    if cents is None:
        reason = f"{plan.name} is not sold by the {interval}."
        raise InvalidInput(reason, fields={"interval": reason})
    return cents


async def plan_price(line: Line, plan: Plan, interval: Interval) -> str:
    """The id of the plan's price."""
    keys = {one: f"gesso:plan:{plan.key}:{one}" for one in INTERVALS}
    wanted = {
        "unit_amount": plan_cents(plan, interval), "currency": plan.currency, "recurring": {"interval": interval},
        "metadata": {"gesso_plan": plan.key, "gesso_interval": interval},
    }  # fmt: skip
    return await _price(line, f"plan:{plan.key}", plan.name, list(keys.values()), keys[interval], wanted)


async def pack_price(line: Line, pack: Pack) -> str:
    """The id of the pack's price."""
    key = f"gesso:pack:{pack.key}"
    wanted = {"unit_amount": pack.price_cents, "currency": pack.currency, "metadata": {"gesso_pack": pack.key}}
    return await _price(line, f"pack:{pack.key}", pack.name, [key], key, wanted)


async def _price(line: Line, what: str, name: str, siblings: list[str], key: str, wanted: Obj) -> str:
    listed = await line.call("prices.list", params={"lookup_keys": siblings, "expand": ["data.product"]})
    prices: list[Obj] = listed["data"]
    found = next((price for price in prices if price["lookup_key"] == key), None)
    product = await _product(line, what, name, [price["product"] for price in prices])
    if found is not None and found["active"] and _as_wanted(found, wanted):
        return str(found["id"])
    before = found["id"] if found is not None else "none"
    made = await line.call(
        "prices.create", params={"product": product, "lookup_key": key, "transfer_lookup_key": True, **wanted},
        key=f"price:{key}:{wanted['currency']}:{wanted['unit_amount']}:{before}",
    )  # fmt: skip
    if found is not None and found["active"]:
        await line.call("prices.update", found["id"], params={"active": False})
    return str(made["id"])


def _as_wanted(found: Obj, wanted: Obj) -> bool:
    return all(found[name] == wanted[name] for name in ("unit_amount", "currency"))


async def _product(line: Line, what: str, name: str, known: list[Any]) -> str:
    """The product: what its prices say it is, else a new one. It bears the name people know."""
    found = next((one for one in known if isinstance(one, dict)), None)
    if found is None:
        params = {"name": name, "metadata": {"gesso": what}}
        return str((await line.call("products.create", params=params, key=f"product:{what}:{name}"))["id"])
    if found["name"] != name:
        await line.call("products.update", found["id"], params={"name": name})
    return str(found["id"])
