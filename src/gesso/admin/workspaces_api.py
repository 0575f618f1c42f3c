"""`/api/admin/workspaces`: for programs of the operator what the panel's pages do."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentOperator
from gesso.admin import workspace_deeds as deeds
from gesso.admin import workspaces
from gesso.admin.finding import MOST, PAGE
from gesso.admin.frame import deed_of
from gesso.admin.jobs_filter import clean
from gesso.admin.payments_api import DisputeLine, PurchaseLine
from gesso.admin.workspaces import Detail, Line, SortKey
from gesso.core.ids import new_id
from gesso.core.money import format_credits
from gesso.credits.routes import CreditsAnswer, HistoryLine
from gesso.credits.types import CREDIT
from gesso.web.errors import ANY_BODY, problems

router = APIRouter(prefix="/api/admin/workspaces", tags=["operator"])

Unit = Literal["credit", "image", "video", "chat", "prompt"]


class WorkspaceItem(BaseModel):
    """A workspace."""

    id: UUID
    name: str
    kind: str
    plan: str
    member_count: int
    balance: str = Field(description="Credits that can be spent, as a decimal string.")
    held: str
    debt: str
    created_at: datetime

    @classmethod
    def of(cls, line: Line) -> "WorkspaceItem":
        return cls(
            id=line.id, name=line.name, kind=line.kind, plan=line.plan_key, member_count=line.members,
            balance=format_credits(line.balance), held=format_credits(line.held), debt=format_credits(line.debt),
            created_at=line.created_at,
        )  # fmt: skip


class WorkspacesAnswer(BaseModel):
    """A page of workspaces."""

    items: list[WorkspaceItem]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


class MemberItem(BaseModel):
    """Somebody in it."""

    id: UUID
    name: str
    email: str
    role: str
    joined_at: datetime
    disabled: bool


class SubscriptionItem(BaseModel):
    """What it pays for now."""

    provider: str
    status: str
    plan: str
    interval: str
    price_cents: int
    currency: str
    period_end: datetime | None
    cancel_at: datetime | None


class StorageItem(BaseModel):
    """What it keeps."""

    pictures: int
    videos: int
    bytes: int


class WorkspaceDetail(BaseModel):
    """A workspace with its members, its money and what it keeps."""

    id: UUID
    name: str
    kind: str
    plan: str
    created_at: datetime
    renews_at: datetime | None
    next_plan: str | None = Field(description="The plan it changes to at `next_plan_at`.")
    next_plan_at: datetime | None
    debt: str
    credits: CreditsAnswer
    history: list[HistoryLine] = Field(description="The newest lines of its statement.")
    members: list[MemberItem]
    subscription: SubscriptionItem | None
    on_hold: bool = Field(description="It can make nothing new: a payment is disputed and undecided.")
    purchases: list[PurchaseLine] = Field(description="The newest packs it bought.")
    disputes: list[DisputeLine]
    storage: StorageItem

    @classmethod
    def whole(cls, found: Detail) -> "WorkspaceDetail":
        """From what the service read."""
        one, paying = found.workspace, found.subscription
        return cls(
            id=one.id, name=one.name, kind=one.kind, plan=one.plan_key, created_at=one.created_at,
            renews_at=one.renews_at, next_plan=one.next_key, next_plan_at=one.next_at,
            debt=format_credits(found.balances.debt), credits=CreditsAnswer.of(found.balances),
            history=[HistoryLine.of(item) for item in found.history],
            members=[
                MemberItem(
                    id=member.id, name=member.name, email=member.email, role=member.role, joined_at=member.joined_at,
                    disabled=member.disabled_at is not None,
                )
                for member in found.members
            ],
            subscription=SubscriptionItem(
                provider=paying.provider, status=paying.status, plan=paying.plan_key, interval=paying.interval,
                price_cents=paying.price_cents, currency=paying.currency, period_end=paying.period_end,
                cancel_at=paying.cancel_at,
            ) if paying else None,
            on_hold=found.on_hold, purchases=[PurchaseLine.of(row) for row in found.paid.purchases],
            disputes=[DisputeLine.of(row) for row in found.paid.disputes],
            storage=StorageItem(pictures=found.usage.pictures, videos=found.usage.videos, bytes=found.usage.bytes),
        )  # fmt: skip


class AdjustmentBody(BaseModel):
    """So much given, or taken back."""

    direction: deeds.Direction
    unit: Unit = CREDIT  # type: ignore[assignment]
    amount: Annotated[str, Field(max_length=30, description="Credits as a decimal string, or whole uses.")]
    reason: Annotated[str, Field(max_length=400, description="The members read it in their history.")]
    expires_at: datetime | None = Field(default=None, description="When what is given ends; null: never.")
    confirmed: bool = Field(default=False, description="That a large one is meant: from 1,000 on.")


class AdjustmentAnswer(BaseModel):
    """`done` is false when this Idempotency-Key was used before: then nothing was changed."""

    done: bool
    credits: CreditsAnswer


class PlanPut(BaseModel):
    """The plan it is to be on."""

    plan: Annotated[str, Field(max_length=63)]
    when: Literal["now", "later"] = Field(default="now", description="later: when its month ends.")


async def _whole(request: Request, workspace_id: UUID) -> WorkspaceDetail:
    state = request.app.state
    return WorkspaceDetail.whole(await workspaces.detail(state.db, workspace_id, state.clock.now()))


@router.get("", responses=problems(401, 404, 422))
async def list_workspaces(
    request: Request,
    actor: CurrentOperator,
    q: Annotated[str, Query(max_length=254, description="Part of a name, or of a member's name or address.")] = "",
    plan: Annotated[str, Query(max_length=63)] = "",
    sort: SortKey = "newest",
    cursor: Annotated[str | None, Query(max_length=600)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
) -> WorkspacesAnswer:
    """All workspaces."""
    async with request.app.state.db.elevated("operator: workspaces") as tx:
        found, following = await workspaces.listing(
            tx, search=clean(q), plan=clean(plan), sort=sort, cursor=cursor, limit=limit
        )
    return WorkspacesAnswer(items=[WorkspaceItem.of(line) for line in found], next=following)


@router.get("/{workspace_id}", responses=problems(401, 404, 422))
async def read_workspace(request: Request, actor: CurrentOperator, workspace_id: UUID) -> WorkspaceDetail:
    """One workspace with its members, its money and what it keeps."""
    return await _whole(request, workspace_id)


@router.post("/{workspace_id}/credits", responses=problems(*ANY_BODY, 401, 404, 409, 422))
async def adjust_workspace_credits(
    request: Request,
    actor: CurrentOperator,
    workspace_id: UUID,
    body: AdjustmentBody,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> AdjustmentAnswer:
    """Give credits, or take back what is free. Sent again with the same Idempotency-Key, it counts once."""
    deed = deed_of(request, actor)
    asked = deeds.adjustment(body.direction, body.unit, body.amount, body.reason, body.expires_at, deed.at)
    async with request.app.state.db.elevated("operator: adjust credits") as tx:
        done = await deeds.adjust(
            tx, deed, workspace_id, asked, token=idempotency_key or str(new_id()), confirmed=body.confirmed
        )
    return AdjustmentAnswer(done=done, credits=(await _whole(request, workspace_id)).credits)


@router.put("/{workspace_id}/plan", responses=problems(*ANY_BODY, 401, 404, 409, 422))
async def put_workspace_plan(
    request: Request, actor: CurrentOperator, workspace_id: UUID, body: PlanPut
) -> WorkspaceDetail:
    """Put it on another plan, without charging anybody."""
    state = request.app.state
    async with state.db.elevated("operator: change a plan") as tx:
        await deeds.change_plan(
            tx, deed_of(request, actor), workspace_id, body.plan, state.catalog, later=body.when == "later"
        )
    return await _whole(request, workspace_id)
