"""`/admin/packs`: credits that are sold once. Works without script."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gesso.accounts.access import Actor, CurrentOperator
from gesso.admin import selling
from gesso.admin.frame import deed_of, panel
from gesso.admin.listing import ordered, switched
from gesso.admin.plans_form import LABELS, NewPackForm, PackForm, filled_pack, money
from gesso.admin.plans_pages import offered
from gesso.billing import words
from gesso.core.errors import GessoError
from gesso.core.money import MICRO
from gesso.web.forms import Form, blank, read
from gesso.web.render import is_htmx, redirect, toast

router = APIRouter(prefix="/admin/packs", include_in_schema=False)
HOME = "/admin/packs"


@router.get("")
async def packs_page(request: Request, actor: CurrentOperator) -> Response:
    """All packs in their order."""
    return await _list(request)


async def _list(request: Request) -> Response:
    async with request.app.state.db.elevated("operator: packs") as tx:
        offer = await selling.read(tx)
    lines = [
        {"pack": pack, "price": money(pack.price_cents, pack.currency),
         "each": words.money(pack.price_cents * MICRO / pack.credits, pack.currency, places=4)}
        for pack in offer.packs
    ]  # fmt: skip
    return await panel(request, "admin/packs.html", lines=lines)


@router.get("/new")
async def new_pack_page(request: Request, actor: CurrentOperator) -> Response:
    """The form of a new pack."""
    return await _form(request, None, blank(currency="usd"))


async def _form(request: Request, key: str | None, form: Form[Any] | None = None, status: int = 200) -> Response:
    async with request.app.state.db.elevated("operator: a pack") as tx:
        offer = await selling.read(tx)
    pack = offer.pack(key) if key is not None else None
    shown = form if form is not None else filled_pack(pack) if pack else blank()
    return await panel(request, "admin/pack.html", status, pack=pack, form=shown, labels=LABELS)


@router.post("/new")
async def add_pack(request: Request, actor: CurrentOperator) -> Response:
    """Add it."""
    return await _save(request, actor, await read(request, NewPackForm), None)


@router.post("/order")
async def order_packs(request: Request, actor: CurrentOperator) -> Response:
    """Move one a step, or put all in a new order."""
    await ordered(request, actor, "packs", partial(selling.move, table="pack"), partial(selling.order, table="pack"))
    return await _list(request) if is_htmx(request) else redirect(request, HOME)


@router.get("/{key}")
async def pack_page(request: Request, actor: CurrentOperator, key: str) -> Response:
    """One pack."""
    return await _form(request, key)


@router.post("/{key}")
async def change_pack(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Save what was changed."""
    return await _save(request, actor, await read(request, PackForm), key)


async def _save(request: Request, actor: Actor, form: Form[Any], key: str | None) -> Response:
    status = 422
    if form.ok:
        name = form.value.key if key is None else key
        try:
            async with request.app.state.db.elevated("operator: save a pack") as tx:
                await selling.save_pack(tx, deed_of(request, actor), name, form.value.facts(), new=key is None)
            return toast(redirect(request, HOME), "Saved", "ok", detail="Live in every process now.")
        except GessoError as error:
            form.fail(error)
            status = error.status
    return await _form(request, key, form, status)


@router.post("/{key}/offered")
async def offer_pack(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Sell it, or hide it."""
    return await switched(request, partial(offered, request, actor, "pack", key), _list, HOME)


@router.post("/{key}/remove")
async def remove_pack(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Remove it for good."""
    async with request.app.state.db.elevated("operator: remove a pack") as tx:
        gone = await selling.remove_pack(tx, deed_of(request, actor), key)
    return toast(redirect(request, HOME), f"{gone.name} is removed", "ok")
