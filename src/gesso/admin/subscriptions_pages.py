"""`/admin/subscriptions`: who pays for which plan, until when, and what is owed."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gesso.accounts.access import CurrentOperator
from gesso.admin import subscriptions
from gesso.admin import subscriptions_deeds as deeds
from gesso.admin.changed import counted, lines
from gesso.admin.frame import deed_of, panel
from gesso.admin.jobs_filter import clean
from gesso.admin.subscriptions import Provider, Wanted
from gesso.billing.views import invoice_line
from gesso.billing.words import money
from gesso.core.errors import GessoError
from gesso.web.render import redirect, toast

router = APIRouter(prefix="/admin/subscriptions", include_in_schema=False)
HOME = "/admin/subscriptions"
TABS: tuple[tuple[Wanted, str], ...] = (
    ("all", "All"),
    ("active", "Active"),
    ("past_due", "Past due"),
    ("ending", "Ending"),
    ("incomplete", "Not paid yet"),
    ("cancelled", "Ended"),
)
PROVIDERS: tuple[tuple[Provider, str], ...] = (("stripe", "Stripe"), ("manual", "By hand"))


@router.get("")
async def subscriptions_page(
    request: Request,
    actor: CurrentOperator,
    status: Wanted = "all",
    q: Annotated[str, Query(max_length=254)] = "",
    plan: Annotated[str, Query(max_length=63)] = "",
    provider: str = "",
    cursor: Annotated[str | None, Query(max_length=600)] = None,
) -> Response:
    """Subscriptions, narrowed and counted."""
    state = request.app.state
    by: Provider | None = next((key for key, _ in PROVIDERS if key == provider), None)
    async with state.db.elevated("operator: subscriptions") as tx:
        counts = await subscriptions.counts(tx)
        found, following = await subscriptions.listing(
            tx, status, search=clean(q), plan=clean(plan), provider=by, cursor=cursor
        )
    asked = {"q": clean(q), "plan": clean(plan), "provider": by or ""}
    kept = {name: value for name, value in asked.items() if value}
    return await panel(
        request, "admin/subscriptions.html", subscriptions=found, counts=counts, wanted=status, tabs=TABS,
        providers=PROVIDERS, asked=asked, kept=urlencode(kept), first=cursor is None, plans=_plans(request),
        following=urlencode({"status": status, **kept, "cursor": following}) if following else "", money=money,
        payments=state.payments, any=bool(kept),
    )  # fmt: skip


def _plans(request: Request) -> dict[str, str]:
    return {key: plan.name for key, plan in request.app.state.catalog.snapshot.plans.items()}


@router.get("/{subscription_id}")
async def subscription_page(request: Request, actor: CurrentOperator, subscription_id: UUID) -> Response:
    """One subscription."""
    state = request.app.state
    async with state.db.elevated("operator: a subscription") as tx:
        found = await subscriptions.detail(tx, subscription_id)
    return await panel(
        request, "admin/subscription.html", detail=found, one=found.line, plans=_plans(request), money=money,
        invoices=[invoice_line(row) for row in found.invoices],
        packs={pack.key: pack.name for pack in state.catalog.snapshot.packs},
        reachable=state.payments.sells and state.payments.name == found.line.provider,
    )  # fmt: skip


@router.post("/{subscription_id}/read-again")
async def read_subscription_again(request: Request, actor: CurrentOperator, subscription_id: UUID) -> Response:
    """Ask its provider how it stands."""

    async def act(*args: Any) -> tuple[str, str]:
        changes = await deeds.read_again(*args)
        if not changes:
            return "Nothing changed", "All of it was known."
        return counted(changes), "; ".join(line.words for line in lines(changes)[:3])

    return await _done(request, actor, subscription_id, act, "It could not be read")


@router.post("/{subscription_id}/cancel")
async def cancel_subscription(request: Request, actor: CurrentOperator, subscription_id: UUID) -> Response:
    """Let it end with what is paid for."""

    async def act(*args: Any) -> tuple[str, str]:
        await deeds.cancel(*args)
        return "It ends with its period", "Until then nothing changes for the workspace."

    return await _done(request, actor, subscription_id, act, "It was not changed")


@router.post("/{subscription_id}/resume")
async def resume_subscription(request: Request, actor: CurrentOperator, subscription_id: UUID) -> Response:
    """Take back its end."""

    async def act(*args: Any) -> tuple[str, str]:
        await deeds.resume(*args)
        return "It goes on", ""

    return await _done(request, actor, subscription_id, act, "It was not changed")


async def _done(
    request: Request, actor: CurrentOperator, subscription_id: UUID, act: Callable[..., Awaitable[tuple[str, str]]],
    failed: str,
) -> Response:  # fmt: skip
    """Do it, and go back to the page, which says what came of it."""
    state, back = request.app.state, redirect(request, f"{HOME}/{subscription_id}")
    async with state.db.elevated("operator: a subscription") as tx:
        await subscriptions.find(tx, subscription_id)
    try:
        said, detail = await act(state.db, state.payments, deed_of(request, actor), subscription_id)
    except GessoError as error:  # NotFound too: it is here, so it is the provider who does not know it
        return toast(back, failed, "bad", detail=error.detail)
    return toast(back, said, "ok", detail=detail)
