"""The frame around a signed-in page, composed from what the rooms know."""

from dataclasses import replace

from fastapi import Request

from gesso.accounts.access import Actor, find_actor
from gesso.catalog import pricing
from gesso.catalog.costs import counted
from gesso.catalog.registry import Catalog
from gesso.credits import service as credits
from gesso.credits.types import Balances
from gesso.web.shell import NavItem, Shell

_PAGES = {
    "image": ("create", NavItem("Create", "/create", "sparkles")),
    "video": ("video", NavItem("Video", "/video", "film")),
    "gallery": ("gallery", NavItem("Gallery", "/gallery", "image")),
    "dashboard": ("dashboard", NavItem("Dashboard", "/dashboard", "chart-column")),
    "billing": ("billing", NavItem("Billing", "/billing", "credit-card", tab=False, also="/pricing")),
}
"""Modules of an edition: its word for their page, and where that is. A module without a page here has no entry."""


async def shell_of(request: Request) -> Shell | None:
    """The frame for whoever is signed in, None for a stranger.

    A page that has read the balances leaves them in `request.state.balances`; they are not read twice.
    """
    actor = await find_actor(request)
    if actor is None:
        return None
    catalog: Catalog = request.app.state.catalog
    held: Balances | None = getattr(request.state, "balances", None)
    if held is None:
        async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
            held = await credits.balances(tx, now=request.app.state.clock.now())
    return Shell(
        user_name=actor.name,
        user_email=actor.email,
        workspace_name=actor.workspace_name,
        balance_micro=held.balance,
        low=_low(catalog, held),
        is_operator=actor.is_operator,
        nav=_nav(request, actor, catalog),
        allowances=held.allowances,
        counted=counted(catalog.plan(actor.plan_key), credited=catalog.credited),
    )


def _nav(request: Request, actor: Actor, catalog: Catalog) -> list[NavItem]:
    words = catalog.edition.words
    shown = [module for module in catalog.edition.modules if module != "billing" or actor.role == "admin"]
    found = [_PAGES[module] for module in shown if module in _PAGES]
    pages = [replace(page, label=words[word]) for word, page in found]
    if actor.is_operator:
        pages.append(NavItem("Operator", "/admin", "shield-check", tab=False))
    return pages


def _low(catalog: Catalog, held: Balances) -> bool:
    """Whether there is not enough for one output of the first model, by the plan's uses or by credits."""
    model = catalog.default_model
    if model is None or held.allowances.get(model.kind):
        return False
    return held.balance < pricing.usual_price(model).credits
