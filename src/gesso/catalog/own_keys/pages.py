"""Settings → Provider keys. There only where a plan of the site has own keys; every form works without script."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, SecretStr

from gesso.accounts.access import Actor, CurrentActor
from gesso.accounts.views import sections
from gesso.accounts.visit import visit_of
from gesso.catalog.own_keys import repository, service
from gesso.catalog.own_keys.choice import PAGE
from gesso.catalog.own_keys.service import Tried
from gesso.catalog.own_keys.views import view
from gesso.catalog.registry import Catalog
from gesso.catalog.shown import shown_catalog
from gesso.core.errors import GessoError, NotFound
from gesso.web.forms import Form, blank, read
from gesso.web.render import page, redirect, toast


async def own_keys_catalog(request: Request) -> Catalog:
    """The catalogue for whoever asks. Raises NotFound where no plan has own keys: then nothing of this is there."""
    catalog = await shown_catalog(request)
    if not service.offered(catalog):
        raise NotFound("There is nothing here.")
    return catalog


Shown = Annotated[Catalog, Depends(own_keys_catalog)]
router = APIRouter(prefix=PAGE, include_in_schema=False)


class KeyForm(BaseModel):
    """A provider's key."""

    api_key: SecretStr


class SwitchForm(BaseModel):
    """Whether one's keys are to be used. A box that is not ticked is not sent."""

    on: bool = False


@router.get("")
async def provider_keys_page(request: Request, actor: CurrentActor, catalog: Shown) -> Response:
    """One's own keys, and what each opens."""
    return await _page(request, actor, catalog)


async def _page(
    request: Request,
    actor: Actor,
    catalog: Catalog,
    *,
    at: str = "",
    form: Form[Any] | None = None,
    status: int = 200,
) -> Response:
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        keys = await repository.mine(tx)
    shown = view(catalog, catalog.plan(actor.plan_key), keys, buys=actor.role == "admin")
    return await page(
        request, "catalog/provider_keys.html", status, sections=sections(request), keys=shown, at=at,
        form=form or blank(), empty_form=blank(),
    )  # fmt: skip


@router.post("")
async def switch_own_keys(request: Request, actor: CurrentActor, catalog: Shown) -> Response:
    """Use one's keys when nothing else is left, or do not."""
    form = await read(request, SwitchForm)
    on = form.ok and form.value.on
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        await service.switch(tx, actor, catalog, on, visit=visit_of(request))
    said = "Your keys are used when nothing else is left" if on else "Your keys are not used"
    return toast(redirect(request, PAGE), said, "ok")


@router.post("/{provider}")
async def put_own_key(request: Request, actor: CurrentActor, catalog: Shown, provider: str) -> Response:
    """Add a key, or put another in its place."""
    found, form, status = service.find(catalog, provider), await read(request, KeyForm), 422
    if form.ok:
        state = request.app.state
        try:
            tried = await service.put(
                state.db, actor, catalog, found, form.value.api_key, sealer=state.settings.sealer,
                sandbox_url=state.settings.site.sandbox_url, visit=visit_of(request),
            )  # fmt: skip
            return _told(redirect(request, PAGE), "Key saved", tried)
        except GessoError as error:
            form.fail(error)
            status = error.status
    return await _page(request, actor, catalog, at=provider, form=form, status=status)


@router.post("/{provider}/test")
async def test_own_key(request: Request, actor: CurrentActor, catalog: Shown, provider: str) -> Response:
    """Ask its provider about the key there is."""
    state = request.app.state
    tried = await service.test(
        state.db, actor, service.find(catalog, provider), sealer=state.settings.sealer,
        sandbox_url=state.settings.site.sandbox_url,
    )  # fmt: skip
    return _told(redirect(request, PAGE), "The key works", tried)


@router.post("/{provider}/remove")
async def remove_own_key(request: Request, actor: CurrentActor, catalog: Shown, provider: str) -> Response:
    """Forget the key at once. `provider` may be a key's own id, when it fits no provider here any more."""
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        keys = await repository.mine(tx)
        known = next((one for one in service.providers(catalog) if one.key == provider), None)
        key = keys.key_for(known.connection) if known else await repository.get(tx, _id(provider))
        await service.remove(tx, key, visit=visit_of(request))
    return toast(redirect(request, PAGE), "Key removed", "ok")


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no such provider here.") from None


def _told(response: Response, well: str, tried: Tried) -> Response:
    if tried.ok:
        return toast(response, well, "ok", detail=tried.words)
    return toast(response, "The key is not used" if tried.refusal else "Not tested", "bad", detail=tried.words)
