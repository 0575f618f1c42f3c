"""`/pricing` for everybody, `/billing` for those who pay. Every form works without script."""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from gesso.accounts import repository as accounts
from gesso.accounts.access import Actor, CurrentActor, OptionalActor
from gesso.accounts.visit import visit_of
from gesso.billing import repository, service, views
from gesso.billing.banners import banners
from gesso.billing.facts import Interval
from gesso.billing.port import Payments
from gesso.billing.renewal import next_grant
from gesso.billing.words import day, listed, money
from gesso.catalog.registry import Catalog
from gesso.core.errors import GessoError, NotFound
from gesso.credits import freezing
from gesso.credits import service as credits
from gesso.web.forms import read
from gesso.web.modules import part_of
from gesso.web.render import fragment, is_htmx, page, redirect, toast

router = APIRouter(include_in_schema=False, dependencies=[Depends(part_of("billing"))])

INVOICES = 12
LOOKS = 20
"""How often the page after a checkout asks by itself; later only a notice moves it."""
SessionRef = Annotated[str, Query(alias="session_id", max_length=255, pattern=r"^[A-Za-z0-9_]+$")]
WHY = {
    "": "I would rather not say", "price": "It costs too much", "use": "I do not use it enough",
    "quality": "The results are not what I need", "other": "Something else",
}  # fmt: skip


class PlanForm(BaseModel):
    """A plan, and how it is paid."""

    plan: str = Field(max_length=63)
    interval: Interval = "month"
    moment: int = Field(0, ge=0, le=2**32)


class PackForm(BaseModel):
    """A pack."""

    pack: str = Field(max_length=63)


class CancelForm(BaseModel):
    """Why, from a list."""

    why: str = ""


@router.get("/pricing")
async def pricing(
    request: Request, actor: OptionalActor, interval: Interval = "month",
    left: Annotated[str, Query(max_length=63)] = "",
) -> Response:  # fmt: skip
    """Plans and packs; for strangers too. `left`: what somebody was about to buy who turned back at the checkout."""
    catalog: Catalog = request.app.state.catalog
    looker = await _looker(request, actor, left)
    found, packs = views.offers(catalog, interval, looker), views.packs(catalog.packs())
    return await page(
        request, "billing/pricing.html", interval=interval, yearly=any(plan.year_cents for plan in catalog.plans()),
        saving=_saving(catalog), offers=found, packs=packs, work=views.work(catalog), looker=looker,
        unpaid=views.unpaid(found, packs, looker), buyers=await _buyers(request, actor),
    )  # fmt: skip


async def _looker(request: Request, actor: Actor | None, left: str) -> views.Looker:
    state = request.app.state
    if actor is None:
        return views.Looker(sells=state.payments.sells)
    async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        live = await repository.live_subscription(tx, actor.workspace_id)
        request.state.balances = await credits.balances(tx, now=state.clock.now())
    return views.Looker(
        on=state.catalog.plan(actor.plan_key).key, live=live if live is not None and live.running else None,
        sells=state.payments.sells, buys=state.payments.sells and service.may_pay(actor), left=left,
    )  # fmt: skip


async def _buyers(request: Request, actor: Actor | None) -> str:
    """Who buys for a workspace, in words, for somebody who may not; "" for all others."""
    state = request.app.state
    if actor is None or service.may_pay(actor) or not state.payments.sells:
        return ""
    async with state.db.elevated("billing: who may pay for a workspace") as tx:
        return listed([name or email for email, name in await accounts.admins(tx, actor.workspace_id)])


def _saving(catalog: Catalog) -> str:
    """What a year saves, where it is the same whole number of months for every plan."""
    saved = {
        (12 * plan.month_cents - plan.year_cents) / plan.month_cents
        for plan in catalog.plans() if plan.month_cents and plan.year_cents
    }  # fmt: skip
    months = round(saved.pop(), 1) if len({round(one, 1) for one in saved}) == 1 else 0
    return f", {months:.0f} months free" if months >= 2 and months == int(months) else ""


@router.get("/billing")
async def billing(request: Request, actor: CurrentActor) -> Response:
    """Plan, renewal, invoices."""
    service.must_pay(actor)
    context = await _billing(request, actor)
    if is_htmx(request):
        return fragment(request, "billing/_billing.html", **context)
    return await page(request, "billing/billing.html", **context)


async def _billing(request: Request, actor: Actor) -> dict[str, Any]:
    state = request.app.state
    catalog: Catalog = state.catalog
    now = state.clock.now()
    async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        live = await repository.live_subscription(tx, actor.workspace_id)
        found = await repository.invoices(tx, None, INVOICES + 1)
        customer = await repository.customer(tx, actor.workspace_id, state.payments.name)
        frozen = await freezing.frozen(tx)
        grant = await next_grant(tx, catalog, now)
        balances = await credits.balances(tx, now=now)
    request.state.balances = balances
    live = live if live is not None and live.running else None
    return {
        "plan": catalog.plan(actor.plan_key), "live": live, "standing": views.standing(live, catalog),
        "invoices": [views.invoice_line(row) for row in found[:INVOICES]], "more": len(found) > INVOICES,
        "manages": customer is not None and state.payments.sells, "grant": grant,
        "left": views.left_words(balances, catalog, actor.plan_key),
        "sells": state.payments.sells, "day": day, "packs": bool(catalog.packs()),
        "banners": banners(
            live=live, plan=catalog.plan(actor.plan_key).name, after=catalog.default_plan.name,
            frozen=frozen is not None, debt=balances.debt, now=now, sells=state.payments.sells,
            packs=bool(catalog.packs()),
        ),
        "grant_words": views.grant_words(grant.amounts) if grant else "",
    }  # fmt: skip


@router.post("/billing/subscribe")
async def subscribe(request: Request, actor: CurrentActor) -> Response:
    """Off to the checkout for a plan."""
    state, form = request.app.state, await read(request, PlanForm)
    who = service.buyer(actor, "subscribe", None)
    wanted = _checked(form.model)
    url = await service.subscribe(state.payments, state.db, state.catalog, who, wanted.plan, wanted.interval)
    return await _leave(request, url)


@router.post("/billing/packs")
async def buy(request: Request, actor: CurrentActor) -> Response:
    """Off to the checkout for a pack."""
    state, form = request.app.state, await read(request, PackForm)
    who = service.buyer(actor, "packs", None)
    if form.model is None:
        raise NotFound("There is no such pack.")
    _, url = await service.buy(state.payments, state.db, state.catalog, who, form.model.pack)
    return await _leave(request, url)


@router.post("/billing/portal")
async def portal(request: Request, actor: CurrentActor) -> Response:
    """Off to the payment method and old invoices."""
    service.must_pay(actor)
    return await _leave(request, await request.app.state.payments.portal(actor.workspace_id))


async def _leave(request: Request, url: str) -> Response:
    """To a page of the payment provider: by script, else by a link, for a form may lead to this site only."""
    if is_htmx(request):
        return redirect(request, url)
    return await page(request, "billing/leave.html", url=url)


@router.get("/billing/return")
async def returned(
    request: Request, actor: CurrentActor, session_id: SessionRef, look: Annotated[int, Query(ge=0, le=LOOKS)] = 0
) -> Response:
    """Back from a checkout. Shows how it stands, and keeps itself up to date."""
    state = request.app.state
    found = await _checkout(request, actor, session_id)
    said = views.checkout(found, state.catalog)
    if said["state"] == "waiting":
        try:
            await state.payments.settle_return(actor.workspace_id, session_id)
            said = views.checkout(await _checkout(request, actor, session_id), state.catalog)
        except GessoError:
            pass  # its notice settles it as well
    again = "/billing/return?" + urlencode({"session_id": session_id, "look": min(look + 1, LOOKS)})
    context: dict[str, Any] = {"said": said, "again": again, "asks": look < LOOKS}
    if is_htmx(request):
        return fragment(request, "billing/_checkout.html", **context)
    return await page(request, "billing/return.html", **context)


async def _checkout(request: Request, actor: Actor, session_id: str) -> repository.Purchase | repository.Subscription:
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        found = await repository.checkout_state(tx, session_id)
    if found is None:
        raise NotFound("There is no such checkout.")
    return found


@router.get("/billing/change")
async def confirm_change(
    request: Request, actor: CurrentActor, plan: Annotated[str, Query(max_length=63)], interval: Interval = "month"
) -> Response:
    """What moving to another plan costs, before it is done."""
    service.must_pay(actor)
    state = request.app.state
    wanted = service.sold_plan(state.catalog, plan, interval)
    live = await service.subscription(state.db, actor)
    if live is None:
        return redirect(request, "/pricing")
    found = await state.payments.preview(actor.workspace_id, wanted, interval)
    return await page(
        request, "billing/change.html", plan=wanted, interval=interval, before=state.catalog.plan(live.plan_key),
        preview=found, day=day, moment=int(found.moment.timestamp()),
        now_words=money(found.now_cents, found.currency) if found.now_cents is not None else "",
        then_words=money(found.then_cents, found.currency),
    )  # fmt: skip


@router.post("/billing/change")
async def change(request: Request, actor: CurrentActor) -> Response:
    """Move to another plan."""
    service.must_pay(actor)
    state, form = request.app.state, await read(request, PlanForm)
    wanted = _checked(form.model)
    plan = service.sold_plan(state.catalog, wanted.plan, wanted.interval)
    await state.payments.change_plan(
        actor.workspace_id, plan, wanted.interval, datetime.fromtimestamp(wanted.moment, UTC)
    )
    live = await service.subscription(state.db, actor)
    later = live is not None and live.next_plan_key is not None
    said = f"{plan.name} begins with the next period" if later else f"You are on {plan.name}"
    return toast(redirect(request, "/billing"), said, "ok")


@router.get("/billing/cancel")
async def confirm_cancel(request: Request, actor: CurrentActor) -> Response:
    """One question before a subscription ends."""
    service.must_pay(actor)
    state = request.app.state
    live = await service.subscription(state.db, actor)
    if live is None or live.cancel_at is not None:
        return redirect(request, "/billing")
    return await page(
        request, "billing/cancel.html", plan=state.catalog.plan(live.plan_key), live=live, day=day, why=WHY.items(),
        free=state.catalog.default_plan,
    )  # fmt: skip


@router.post("/billing/cancel")
async def cancel(request: Request, actor: CurrentActor) -> Response:
    """Let the subscription end with what is paid for."""
    service.must_pay(actor)
    state, form = request.app.state, await read(request, CancelForm)
    payments: Payments = state.payments
    await payments.cancel(actor.workspace_id)
    why = form.model.why if form.model is not None and form.model.why in WHY else ""
    visit = visit_of(request)
    async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        await accounts.add_audit_event(tx, "subscription.cancelled", at=visit.at, ip=visit.ip, why=why)
    live = await service.subscription(state.db, actor)
    until = f"It stays yours until {day(live.cancel_at)}." if live is not None and live.cancel_at else ""
    return toast(redirect(request, "/billing"), "Your plan will end", "ok", detail=until)


@router.post("/billing/resume")
async def resume(request: Request, actor: CurrentActor) -> Response:
    """Keep the plan after all."""
    service.must_pay(actor)
    await request.app.state.payments.resume(actor.workspace_id)
    return toast(redirect(request, "/billing"), "Your plan goes on", "ok")


def _checked(form: PlanForm | None) -> PlanForm:
    if form is None:
        raise NotFound("There is no such plan.")
    return form
