"""The frame around a signed-in page, composed from what the rooms know."""

from fastapi import Request

from gesso.accounts.access import find_actor
from gesso.catalog import pricing
from gesso.catalog.capabilities import check
from gesso.catalog.registry import Catalog
from gesso.core.errors import InvalidInput
from gesso.credits import service as credits
from gesso.web.shell import NavItem, Shell

_PAGES = {
    "image": NavItem("Create", "/create", "sparkles"),
    "gallery": NavItem("Gallery", "/gallery", "image"),
    "dashboard": NavItem("Dashboard", "/dashboard", "chart-column"),
}
"""Modules of an edition and where they live. A module without a page here has no entry."""


async def shell_of(request: Request) -> Shell | None:
    """The frame for whoever is signed in, None for a stranger."""
    actor = await find_actor(request)
    if actor is None:
        return None
    catalog: Catalog = request.app.state.catalog
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        held = await credits.balances(tx, now=request.app.state.clock.now())
    return Shell(
        user_name=actor.name,
        user_email=actor.email,
        workspace_name=actor.workspace_name,
        balance_micro=held.balance,
        low=held.balance < _usual_price(catalog) and not held.allowances.get("image"),
        is_operator=actor.is_operator,
        nav=[_PAGES[module] for module in catalog.edition.modules if module in _PAGES],
    )


def _usual_price(catalog: Catalog) -> int:
    """What one output of the first model costs, in microcredits."""
    model = catalog.default_model
    if model is None:
        return 0
    try:
        return sum(ask.credits for ask in pricing.quote(model, check(model, {"prompt": "a picture"}), 1))
    except InvalidInput:
        return 0
