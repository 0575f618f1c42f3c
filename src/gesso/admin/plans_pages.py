"""`/admin/plans`: what is sold by the month, and whom a change touches before it is made. Works without script."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gesso.accounts.access import Actor, CurrentOperator
from gesso.admin import selling
from gesso.admin.frame import deed_of, panel
from gesso.admin.listing import ordered, switched
from gesso.admin.plans_form import LABELS, NewPlanForm, PlanForm, filled_plan, given_words, money, words_of
from gesso.admin.selling import WHEN, Offer
from gesso.catalog.edits.selling import Sold
from gesso.catalog.items import UNITS, Plan
from gesso.core.errors import GessoError
from gesso.credits.types import CREDIT
from gesso.web.forms import Form, blank, read
from gesso.web.render import is_htmx, redirect, toast
from gesso.web.wording import unit_words, word

router = APIRouter(prefix="/admin/plans", include_in_schema=False)
HOME = "/admin/plans"


@router.get("")
async def plans_page(request: Request, actor: CurrentOperator) -> Response:
    """All plans in their order."""
    return await _list(request)


async def _list(request: Request) -> Response:
    async with request.app.state.db.elevated("operator: plans") as tx:
        offer = await selling.read(tx)
    lines = [
        {"plan": plan, "month": money(plan.month_cents, plan.currency), "year": money(plan.year_cents, plan.currency),
         "gives": given_words(plan.monthly_grants), "workspaces": offer.on_plan.get(plan.key, 0)}
        for plan in offer.plans
    ]  # fmt: skip
    return await panel(request, "admin/plans.html", lines=lines, default_plan=offer.default_plan)


async def _offer(request: Request) -> Offer:
    async with request.app.state.db.elevated("operator: plans") as tx:
        return await selling.read(tx)


@router.get("/new")
async def new_plan_page(request: Request, actor: CurrentOperator) -> Response:
    """The form of a new plan."""
    form = blank(parallel=2, max_count=4, queue_priority=0, currency="usd", advanced="true")
    return await _form(request, None, form)


async def _form(request: Request, key: str | None, form: Form[Any] | None = None, status: int = 200) -> Response:
    """The form of the plan of this key (of a new one without), as stored unless `form` says otherwise."""
    async with request.app.state.db.elevated("operator: a plan") as tx:
        offer = await selling.read(tx)
        plan = offer.plan(key) if key is not None else None
        differs = (await selling.differing_all(tx, "plan"))[plan.key] if plan else {}
    shown = form if form is not None else filled_plan(plan) if plan else blank()
    return await panel(
        request, "admin/plan.html", status, plan=plan, form=shown, labels=_labels(), models=offer.models,
        units=[(unit, _unit_title(unit)) for unit in UNITS], touches=_touches(offer, plan, shown),
        workspaces=offer.on_plan.get(plan.key, 0) if plan else 0,
        differs=_differs(differs, plan.currency) if plan else [],
    )  # fmt: skip


def _labels() -> dict[str, str]:
    grants = {
        f"{when}_{unit}": f"{words}: {_unit_title(unit)}"
        for when, words in (("signup", "At sign-up"), ("monthly", "Every month"))
        for unit in UNITS
    }
    return LABELS | grants


def _unit_title(unit: str) -> str:
    text = word("credits") if unit == CREDIT else unit_words(unit, 2)[2:]
    return text[:1].upper() + text[1:]


def _touches(offer: Offer, plan: Plan | None, form: Form[Any]) -> list[dict[str, str]]:
    """What people would feel of what was typed, while it waits to be confirmed."""
    if plan is None or not isinstance(form.model, PlanForm) or "confirmed" not in form.errors:
        return []
    found = selling.touched(offer, plan, form.model.facts())
    return [
        {
            "what": LABELS[name], "before": words_of(name, before, plan.currency),
            "after": words_of(name, after, plan.currency), "when": WHEN.get(name, "with their next request"),
        }
        for name, (before, after) in found.changes.items() if name in found.felt
    ]  # fmt: skip


def _differs(found: dict[str, tuple[Any, Any]], currency: str) -> list[dict[str, str]]:
    return [
        {"what": LABELS[name], "edition": words_of(name, said, currency), "here": words_of(name, here, currency)}
        for name, (said, here) in found.items()
    ]


@router.post("/new")
async def add_plan(request: Request, actor: CurrentOperator) -> Response:
    """Add it."""
    return await _save(request, actor, await read(request, NewPlanForm), None)


@router.post("/order")
async def order_plans(request: Request, actor: CurrentOperator) -> Response:
    """Move one a step, or put all in a new order."""
    await ordered(request, actor, "plans", partial(selling.move, table="plan"), partial(selling.order, table="plan"))
    return await _list(request) if is_htmx(request) else redirect(request, HOME)


@router.get("/{key}")
async def plan_page(request: Request, actor: CurrentOperator, key: str) -> Response:
    """One plan."""
    return await _form(request, key)


@router.post("/{key}")
async def change_plan(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Save what was changed; asked once more when people on it would feel it."""
    return await _save(request, actor, await read(request, PlanForm), key)


async def _save(request: Request, actor: Actor, form: Form[Any], key: str | None) -> Response:
    status = 422
    if form.ok:
        name = form.value.key if key is None else key
        try:
            async with request.app.state.db.elevated("operator: save a plan") as tx:
                await selling.save_plan(
                    tx, deed_of(request, actor), name, form.value.facts(), new=key is None,
                    confirmed=form.value.confirmed,
                )  # fmt: skip
            return toast(redirect(request, f"{HOME}/{name}"), "Saved", "ok", detail="Live in every process now.")
        except GessoError as error:
            form.fail(error)
            status = error.status
    return await _form(request, key, form, status)


@router.post("/{key}/offered")
async def offer_plan(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Offer it, or hide it."""
    return await switched(request, partial(offered, request, actor, "plan", key), _list, HOME)


async def offered(request: Request, actor: Actor, table: Sold, key: str, enabled: bool) -> str:
    """Offer something, or hide it; its name. Raises NotFound."""
    async with request.app.state.db.elevated(f"operator: hide a {table}") as tx:
        return await selling.hide(tx, deed_of(request, actor), table, key, not enabled)


@router.get("/{key}/remove")
async def removal_page(request: Request, actor: CurrentOperator, key: str) -> Response:
    """What removing it comes to."""
    return await _removal(request, key)


async def _removal(request: Request, key: str, reason: str = "", status: int = 200) -> Response:
    offer = await _offer(request)
    plan = offer.plan(key)
    return await panel(
        request, "admin/plan_remove.html", status, plan=plan, refusal=reason or selling.refusal(offer, plan),
        workspaces=offer.on_plan.get(key, 0), default=offer.default_plan == key,
    )  # fmt: skip


@router.post("/{key}/remove")
async def remove_plan(request: Request, actor: CurrentOperator, key: str) -> Response:
    """Remove it for good."""
    try:
        async with request.app.state.db.elevated("operator: remove a plan") as tx:
            gone = await selling.remove_plan(tx, deed_of(request, actor), key)
    except GessoError as error:
        if error.status != 409:
            raise
        return await _removal(request, key, error.detail, error.status)
    return toast(redirect(request, HOME), f"{gone.name} is removed", "ok")
