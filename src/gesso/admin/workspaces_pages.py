"""`/admin/workspaces`: who has what, and the two things an operator changes there: credits and the plan."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentOperator
from gesso.admin import workspace_deeds as deeds
from gesso.admin import workspaces
from gesso.admin.frame import deed_of, panel
from gesso.admin.jobs_filter import clean
from gesso.admin.standing import dollars
from gesso.admin.workspaces import SORTS, SortKey
from gesso.billing.words import money
from gesso.core.errors import GessoError, NotFound
from gesso.core.ids import new_id
from gesso.credits.types import CREDIT, UNITS
from gesso.web.forms import Form, blank, read
from gesso.web.render import credits_text, redirect, toast
from gesso.web.wording import unit_words, word

router = APIRouter(prefix="/admin/workspaces", include_in_schema=False)
HOME = "/admin/workspaces"
LABELS = {
    "unit": "Of what", "amount": "How much", "reason": "Reason", "expires_at": "Until", "confirmed": "Confirm",
    "plan": "Plan", "direction": "What to do",
}  # fmt: skip


class AdjustForm(BaseModel):
    """An adjustment as it is typed. `token` is of one form: sent twice, it counts once."""

    direction: deeds.Direction = "give"
    unit: Annotated[str, Field(max_length=20)] = CREDIT
    amount: Annotated[str, Field(max_length=30)]
    reason: Annotated[str, Field(max_length=400)]
    expires_at: date | None = None
    confirmed: bool = False
    token: Annotated[str, Field(pattern=r"^[0-9a-f-]{32,36}$")]


class PlanForm(BaseModel):
    """The plan it is to be on, and from when."""

    plan: Annotated[str, Field(max_length=63)]
    when: Literal["now", "later"] = "now"


@router.get("")
async def workspaces_page(
    request: Request,
    actor: CurrentOperator,
    q: Annotated[str, Query(max_length=254)] = "",
    plan: Annotated[str, Query(max_length=63)] = "",
    sort: SortKey = "newest",
    cursor: Annotated[str | None, Query(max_length=600)] = None,
) -> Response:
    """Workspaces, searched and sorted."""
    async with request.app.state.db.elevated("operator: workspaces") as tx:
        found, following = await workspaces.listing(tx, search=clean(q), plan=clean(plan), sort=sort, cursor=cursor)
    kept = {"q": clean(q), "plan": clean(plan), "sort": sort}
    return await panel(
        request, "admin/workspaces.html", workspaces=found, q=clean(q), plan=clean(plan), sort=sort,
        first=cursor is None, sorts={key: one.words for key, one in SORTS.items()}, plans=_plans(request),
        kept=urlencode(kept), following=urlencode({**kept, "cursor": following}) if following else "",
    )  # fmt: skip


def _plans(request: Request) -> dict[str, str]:
    return {key: plan.name for key, plan in request.app.state.catalog.snapshot.plans.items()}


@router.get("/{workspace_id}")
async def workspace_page(request: Request, actor: CurrentOperator, workspace_id: UUID) -> Response:
    """One workspace."""
    return await _page(request, workspace_id)


async def _page(
    request: Request,
    workspace_id: UUID,
    *,
    form: Form[Any] | None = None,
    plan_form: Form[Any] | None = None,
    status: int = 200,
) -> Response:
    state = request.app.state
    found = await workspaces.detail(state.db, workspace_id, state.clock.now())
    return await panel(
        request, "admin/workspace.html", status, detail=found, one=found.workspace, dollars=dollars, money=money,
        form=form or blank(direction="give", unit=CREDIT, token=str(new_id())), labels=LABELS,
        plan_form=plan_form or blank(plan=found.workspace.plan_key, when="now"), plans=_plans(request),
        units=[(unit, word("credits") if unit == CREDIT else unit_words(unit, 2)[2:]) for unit in UNITS],
        statement_words=workspaces.statement_words, amounts=lambda item: workspaces.amounts(credits_text, item),
        allowances=", ".join(unit_words(unit, uses) for unit, uses in found.balances.allowances.items()),
        people={member.id: member.name for member in found.members},
        packs={pack.key: pack.name for pack in state.catalog.snapshot.packs},
    )  # fmt: skip


@router.post("/{workspace_id}/credits")
async def adjust_credits(request: Request, actor: CurrentOperator, workspace_id: UUID) -> Response:
    """Give credits, or take them back."""
    form, state, deed = await read(request, AdjustForm), request.app.state, deed_of(request, actor)
    status = 422
    if form.ok:
        sent = form.value
        try:
            asked = deeds.adjustment(
                sent.direction, sent.unit, sent.amount, sent.reason, end_of(sent.expires_at), deed.at
            )
            async with state.db.elevated("operator: adjust credits") as tx:
                done = await deeds.adjust(tx, deed, workspace_id, asked, token=sent.token, confirmed=sent.confirmed)
            back = redirect(request, f"{HOME}/{workspace_id}")
            if not done:
                detail = "Nothing was changed again. Open the page anew for another adjustment."
                return toast(back, "This form was sent before", detail=detail)
            verb = "given" if asked.direction == "give" else "taken back"
            return toast(back, f"{asked.words} {verb}", "ok", detail="It stands in their history with your reason.")
        except NotFound:
            raise
        except GessoError as error:
            form.fail(error)
            status = error.status
    return await _page(request, workspace_id, form=form, status=status)


def end_of(day: date | None) -> datetime | None:
    """The moment a day is over, in UTC."""
    return datetime.combine(day, time(), UTC) + timedelta(days=1) if day else None


@router.post("/{workspace_id}/plan")
async def change_plan(request: Request, actor: CurrentOperator, workspace_id: UUID) -> Response:
    """Put it on another plan, without charging anybody."""
    form, state = await read(request, PlanForm), request.app.state
    status = 422
    if form.ok:
        try:
            async with state.db.elevated("operator: change a plan") as tx:
                changed = await deeds.change_plan(
                    tx, deed_of(request, actor), workspace_id, form.value.plan, state.catalog,
                    later=form.value.when == "later",
                )  # fmt: skip
            back = redirect(request, f"{HOME}/{workspace_id}")
            if changed.state.next_key is not None:
                return toast(back, "It changes when the month ends", "ok")
            given = ", ".join(
                unit_words(unit, amount) if unit != CREDIT else f"{credits_text(amount)} {word('credits')}"
                for unit, amount in changed.given.items()
            )
            detail = f"Given for this month: {given}." if given else "Nothing more to give for this month."
            return toast(back, f"On {changed.plan.name} now", "ok", detail=detail)
        except NotFound:
            raise
        except GessoError as error:
            form.fail(error)
            status = error.status
    return await _page(request, workspace_id, plan_form=form, status=status)
