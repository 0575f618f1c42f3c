"""Ways on for somebody who has run out: a larger plan, a pack, or waiting. Only those that are really there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gesso.accounts.access import Actor
from gesso.billing.renewal import NextGrant, next_grant
from gesso.catalog.items import Pack, Plan
from gesso.catalog.own_keys.choice import Choice
from gesso.catalog.registry import Catalog
from gesso.core.errors import OutOfCredits
from gesso.core.money import parse_credits
from gesso.credits.types import CREDIT
from gesso.db import WorkspaceSession
from gesso.web.wording import unit_words


@dataclass(frozen=True, slots=True)
class Ways:
    """What would help. `upgrade` and `pack` are None where nothing is sold, or to this person."""

    upgrade: Plan | None = None
    pack: Pack | None = None
    wait: NextGrant | None = None


async def ways_on(
    tx: WorkspaceSession, actor: Actor, catalog: Catalog, now: datetime, *, missing: int, unit: str
) -> Ways:
    """How somebody can go on who lacks `missing` microcredits, or uses of the allowance `unit` in their stead.

    Admins of a workspace buy for it; others can wait.
    """
    buys = catalog.shop is not None and actor.role == "admin"
    wait = await next_grant(tx, catalog, now)
    return Ways(
        upgrade=larger_plan(catalog.plan(actor.plan_key), catalog.plans(), unit) if buys else None,
        pack=pack_for(missing, catalog.packs()) if buys else None,
        wait=wait if wait is not None and any(wait.amounts.get(one) for one in (unit, CREDIT)) else None,
    )


def larger_plan(plan: Plan, plans: Sequence[Plan], unit: str) -> Plan | None:
    """The next plan for sale that gives more credits or uses of `unit` a month; `plans` cheapest first."""
    return next(
        (
            other
            for other in plans
            if other.position > plan.position
            and not other.free
            and any(other.monthly_grants.get(one, 0) > plan.monthly_grants.get(one, 0) for one in (unit, CREDIT))
        ),
        None,
    )


def pack_for(missing: int, packs: Sequence[Pack]) -> Pack | None:
    """The smallest pack that covers `missing` microcredits, else the largest there is."""
    by_size = sorted(packs, key=lambda pack: pack.credits)
    return next((pack for pack in by_size if pack.credits >= missing), by_size[-1] if by_size else None)


async def explain(
    error: OutOfCredits,
    tx: WorkspaceSession,
    actor: Actor,
    catalog: Catalog,
    now: datetime,
    *,
    unit: str,
    own: Choice | None = None,
) -> None:
    """Add to a refusal how one can go on, as facts and as sentences.

    Facts: next_grant_at (ISO, or null) and ways: a list of {"way": "upgrade", "plan", "name", "url"},
    {"way": "pack", "pack", "name", "url"}, {"way": "own_key", "provider", "state", "url"} (`own`: what stands between
    the person and a key of their own) and {"way": "wait", "until"}.
    """
    ways = await ways_on(tx, actor, catalog, now, missing=parse_credits(error.facts["missing"]), unit=unit)
    if not catalog.credited and not parse_credits(error.facts["balance"]):
        error.detail = _uses_words(error.facts["price"], unit)
    told: list[dict[str, Any]] = []
    if ways.upgrade is not None and catalog.shop is not None:
        told.append({"way": "upgrade", "plan": ways.upgrade.key, "name": ways.upgrade.name, "url": catalog.shop.plans})
        error.detail += f" The {ways.upgrade.name} plan gives more."
    if ways.pack is not None and catalog.shop is not None:
        told.append({"way": "pack", "pack": ways.pack.key, "name": ways.pack.name, "url": catalog.shop.packs})
        error.detail += f" You can buy {ways.pack.name}."
    if own is not None:
        told.append(own.fact)
        error.detail += f" You can {own.words}."
    if ways.wait is not None:
        told.append({"way": "wait", "until": ways.wait.at.isoformat()})
        error.detail += f" Your plan gives more on {ways.wait.at.day} {ways.wait.at:%B}."
    error.facts["next_grant_at"] = ways.wait.at.isoformat() if ways.wait is not None else None
    error.facts["ways"] = told


def _uses_words(price: Mapping[str, Any], unit: str) -> str:
    """What is lacking where credits are nothing anybody has: "This takes 4 images, and 1 is left."."""
    left = int(price["allowances"].get(unit, 0))
    are = "none is" if not left else "1 is" if left == 1 else f"{left:,} are"
    return f"This takes {unit_words(unit, len(price['outputs']))}, and {are} left."
