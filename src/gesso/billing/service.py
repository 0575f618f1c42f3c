"""What people may do about paying, before any provider is asked: admins of a workspace, for what is sold."""

from uuid import NAMESPACE_URL, UUID, uuid5

from gesso.accounts.access import Actor
from gesso.billing import repository
from gesso.billing.facts import Interval
from gesso.billing.moves import cents
from gesso.billing.port import Buyer, Payments
from gesso.billing.repository import Subscription
from gesso.catalog.items import Pack, Plan
from gesso.catalog.registry import Catalog
from gesso.core.errors import Conflict, Forbidden, InvalidInput
from gesso.core.ids import new_id
from gesso.db import Database
from gesso.web import ratelimit

CHECKOUTS_PER_HOUR = 60


def may_pay(actor: Actor) -> bool:
    """Whether they may spend the workspace's money."""
    return actor.role == "admin"


def must_pay(actor: Actor) -> None:
    """Raises Forbidden for those who may not spend the workspace's money."""
    if not may_pay(actor):
        raise Forbidden("Only an admin of the workspace may pay for it or change its plan. Ask one of them.")


def sold_plan(catalog: Catalog, key: str, interval: Interval) -> Plan:
    """The plan, if it is sold so. Raises InvalidInput."""
    for plan in catalog.plans():
        if plan.key == key:
            if cents(plan, interval) is None:
                reason = f"{plan.name} is not sold by the {interval}."
                raise InvalidInput(reason, fields={"interval": reason})
            return plan
    reason = "There is no such plan. Look at Pricing."
    raise InvalidInput(reason, fields={"plan": reason})


def sold_pack(catalog: Catalog, key: str) -> Pack:
    """The pack, if it is sold. Raises InvalidInput."""
    for pack in catalog.packs():
        if pack.key == key:
            return pack
    reason = "There is no such pack. Look at Pricing."
    raise InvalidInput(reason, fields={"pack": reason})


def buyer(actor: Actor, route: str, key: str | None) -> Buyer:
    """Who buys. The same request (by its Idempotency-Key) has the same name; one without a key has its own.

    Raises Forbidden, InvalidInput.
    """
    must_pay(actor)
    if key is not None and not 0 < len(key) <= 255:
        reason = "1 to 255 characters."
        raise InvalidInput("Idempotency-Key must have 1 to 255 characters.", fields={"Idempotency-Key": reason})
    request = uuid5(NAMESPACE_URL, f"{actor.workspace_id}/{route}/{key}") if key is not None else new_id()
    return Buyer(actor.workspace_id, actor.workspace_name, actor.user_id, actor.email, request)


async def subscribe(
    payments: Payments, db: Database, catalog: Catalog, who: Buyer, plan_key: str, interval: Interval
) -> str:
    """The address where the plan can be paid for. Raises Conflict beside a subscription that runs, InvalidInput."""
    plan = sold_plan(catalog, plan_key, interval)
    await _count(db, who)
    async with db.workspace(who.workspace_id, who.user_id) as tx:
        live = await repository.live_subscription(tx, who.workspace_id)
    if live is not None and live.running and live.provider == payments.name:
        raise Conflict("The workspace has a subscription. Change its plan under Billing.")
    return await payments.checkout_plan(who, plan, interval)


async def buy(payments: Payments, db: Database, catalog: Catalog, who: Buyer, pack_key: str) -> tuple[UUID, str]:
    """The purchase, and the address where it can be paid for. Raises InvalidInput."""
    pack = sold_pack(catalog, pack_key)
    await _count(db, who)
    return await payments.checkout_pack(who, pack)


async def subscription(db: Database, actor: Actor) -> Subscription | None:
    """The workspace's subscription, if one runs."""
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        live = await repository.live_subscription(tx, actor.workspace_id)
    return live if live is not None and live.running else None


async def _count(db: Database, who: Buyer) -> None:
    await ratelimit.hit(db, f"checkout:{who.workspace_id}", CHECKOUTS_PER_HOUR, 3600, "Checkout was opened many times.")
