"""What the foot of the composer says, read from the ledger: the price, what there is, and the ways on."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from gesso.accounts.access import Actor
from gesso.billing.ways import ways_on
from gesso.catalog import capabilities
from gesso.catalog.items import Model
from gesso.catalog.own_keys.choice import PAGE
from gesso.catalog.registry import Catalog
from gesso.core.errors import InvalidInput, PlanLimit
from gesso.core.money import Price
from gesso.credits import service as credits
from gesso.credits.types import CREDIT
from gesso.db import WorkspaceSession
from gesso.generation import quotes, service
from gesso.generation.models import Kind
from gesso.generation.quotes import PromptTool, Quote
from gesso.generation.service import Ask, Estimate
from gesso.generation.typed import Typed
from gesso.generation.views import price_words
from gesso.prompts import service as prompts
from gesso.web.wording import unit_words

OWN_KEY = "your own key"
"""In place of a price, where nothing else pays."""


async def quote(
    tx: WorkspaceSession, actor: Actor, catalog: Catalog, kind: Kind, model: Model, typed: Typed, now: datetime
) -> Quote:
    """The foot for what stands in the form. Never raises for what is wrong in it: then there is no price to name."""
    ask = Ask(kind, model.key, capabilities.from_form(model, typed), "page")
    try:
        found = await service.estimate(tx, actor, ask, catalog)
    except InvalidInput as error:
        has = await credits.balances(tx, now=now)
        owned = quotes.owned_words(has.balance, kind, has.allowances, credited=catalog.credited)
        tools = await _tools(tx, actor, catalog, has.balance, has.allowances)
        by_plan = _by_plan(catalog, kind, has.allowances)
        if isinstance(error, PlanLimit) and "model" in error.fields:
            shop = catalog.shop if actor.role == "admin" else None
            plans_href = shop.plans if shop else ""
            return Quote(balance=owned, locked=error.detail, plans_href=plans_href, tools=tools, by_plan=by_plan)
        return Quote(balance=owned, tools=tools, by_plan=by_plan)
    tools = await _tools(tx, actor, catalog, found.balance, found.allowances)
    if not found.enough:
        return replace(await _short(tx, actor, catalog, found, kind, now), tools=tools)
    covered = replace(_covered(found, kind, catalog), tools=tools)
    if found.own is not None and found.own_key:
        return replace(covered, price=OWN_KEY, after="", own_key=found.own.provider)
    return covered


def _by_plan(catalog: Catalog, kind: str, allowances: Mapping[str, int]) -> bool:
    """Whether a use of the plan pays for one output, or would: where there are no credits to come by, nothing else."""
    return allowances.get(kind, 0) > 0 or not catalog.credited


def _covered(found: Estimate, kind: str, catalog: Catalog) -> Quote:
    owned = quotes.owned_words(found.balance, kind, found.allowances, credited=catalog.credited)
    rest = {unit: left - found.price.allowances.get(unit, 0) for unit, left in found.allowances.items()}
    after = quotes.owned_words(found.balance - found.price.credits, kind, rest, credited=catalog.credited)
    after = after if found.allowances.get(kind) else after.split(" ")[0]
    return Quote(
        price_words(found.price) or "Free", owned, after, found.seconds,
        by_plan=_by_plan(catalog, kind, found.allowances),
    )  # fmt: skip


async def _short(
    tx: WorkspaceSession, actor: Actor, catalog: Catalog, found: Estimate, kind: str, now: datetime
) -> Quote:
    missing = max(found.price.credits - found.balance, 0)
    ways = await ways_on(tx, actor, catalog, now, missing=missing, unit=kind)
    granted = catalog.plan(actor.plan_key).monthly_grants.get(kind, 0)
    more = {unit: ways.wait.amounts.get(unit, 0) for unit in (kind, CREDIT)} if ways.wait else {}
    grant = quotes.owned_words(more[CREDIT], kind, more) if any(more.values()) else ""
    if catalog.credited or found.balance:
        price = price_words(found.price)
        lacking = quotes.short_words(missing, found.price, kind, found.allowances, granted)
    else:
        price = unit_words(kind, len(found.price.outputs))
        lacking = quotes.few_words(kind, found.allowances, granted)
    return Quote(
        price, quotes.owned_words(found.balance, kind, found.allowances, credited=catalog.credited),
        seconds=found.seconds, missing=lacking, grant=grant, grant_at=ways.wait.at if ways.wait and grant else None,
        upgrade=ways.upgrade.name if ways.upgrade else "", pack=ways.pack.name if ways.pack else "",
        plans_href=catalog.shop.plans if catalog.shop else "", packs_href=catalog.shop.packs if catalog.shop else "",
        support=quotes.support_of(catalog.edition.brand.support), by_plan=_by_plan(catalog, kind, found.allowances),
        own_way=found.own.words if found.own else "", own_href=PAGE if found.own else "",
    )  # fmt: skip


async def _tools(
    tx: WorkspaceSession, actor: Actor, catalog: Catalog, balance: int, allowances: Mapping[str, int]
) -> tuple[PromptTool, ...]:
    """The helpers at the prompt, as far as a model for them is on."""
    found = []
    for kind, price in prompts.offers(catalog, allowances).items():
        own = await prompts.own_key(tx, actor, catalog, kind) if price.credits > balance else None
        found.append(PromptTool(kind, OWN_KEY if own and own.ready else _tool_words(price, catalog)))
    return tuple(found)


def _tool_words(price: Price, catalog: Catalog) -> str:
    if price.credits and catalog.credited:
        return price_words(price)
    return unit_words(prompts.ALLOWANCE, len(price.outputs)) if price.credits or price.allowances else ""
