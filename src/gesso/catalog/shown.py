"""Which catalogue somebody is shown: adult models only to those who confirmed their age (requirement 11.1)."""

from fastapi import Request

from gesso.accounts import age
from gesso.accounts.access import find_actor
from gesso.catalog.registry import Catalog


async def shown_catalog(request: Request) -> Catalog:
    """The catalogue for whoever asks. Asks the database only where adult models are offered, once per request, and so
    is to be called before a transaction begins."""
    catalog: Catalog = request.app.state.catalog
    if not catalog.edition.policy.adult:
        return catalog
    if not hasattr(request.state, "of_age"):
        actor = await find_actor(request)
        request.state.of_age = False
        if actor is not None:
            async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
                request.state.of_age = await age.confirmed_at(tx) is not None
    return catalog.adults if request.state.of_age else catalog
