"""`/api/admin/subscriptions`: for programs of the operator what the panel's pages do."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentOperator
from gesso.admin import subscriptions
from gesso.admin import subscriptions_deeds as deeds
from gesso.admin.changed import ChangeItem
from gesso.admin.finding import MOST, PAGE
from gesso.admin.frame import deed_of
from gesso.admin.jobs_filter import clean
from gesso.admin.payments_api import DisputeLine, PurchaseLine
from gesso.admin.subscriptions import Counts, Detail, Line, Provider, Wanted
from gesso.admin.webhooks_api import WebhookEventItem
from gesso.billing.facts import Interval
from gesso.billing.routes import InvoiceItem
from gesso.web.errors import problems

router = APIRouter(prefix="/api/admin/subscriptions", tags=["operator"])


class SubscriptionLine(BaseModel):
    """A subscription. Money in the currency's hundredths."""

    id: UUID
    workspace_id: UUID
    workspace: str
    payer: str | None = Field(description="Address of whoever has been an admin of the workspace for longest.")
    provider: str = Field(description="stripe or manual.")
    ref: str | None = Field(description="What its provider calls it; null while its checkout is not paid.")
    plan: str
    interval: Interval
    status: Literal["incomplete", "active", "past_due", "cancelled"]
    price_cents: int = Field(description="For each interval.")
    currency: str
    period_start: datetime | None
    period_end: datetime | None
    cancel_at: datetime | None = Field(description="When it ends, where that was asked for.")
    next_plan: str | None = Field(description="What it becomes with the next period, where that was asked for.")
    next_interval: Interval | None
    grace_until: datetime | None = Field(description="Until when the plan stays though it could not be paid.")
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, line: Line) -> "SubscriptionLine":
        return cls(
            id=line.id, workspace_id=line.workspace_id, workspace=line.workspace, payer=line.payer,
            provider=line.provider, ref=line.ref, plan=line.plan_key, interval=line.interval, status=line.status,
            price_cents=line.price_cents, currency=line.currency, period_start=line.period_start,
            period_end=line.period_end, cancel_at=line.cancel_at, next_plan=line.next_plan_key,
            next_interval=line.next_interval, grace_until=line.grace_until, created_at=line.created_at,
            ended_at=line.ended_at,
        )  # fmt: skip


class SubscriptionCounts(BaseModel):
    """How many there are of each kind. The ending ones are active ones, too."""

    active: int
    past_due: int
    ending: int
    incomplete: int
    cancelled: int
    first_grace_until: datetime | None = Field(description="When the first grace of those past due is over.")

    @classmethod
    def of(cls, counts: Counts) -> "SubscriptionCounts":
        return cls(
            active=counts.active, past_due=counts.past_due, ending=counts.ending, incomplete=counts.incomplete,
            cancelled=counts.cancelled, first_grace_until=counts.first_grace,
        )  # fmt: skip


class SubscriptionsAnswer(BaseModel):
    """A page of subscriptions."""

    items: list[SubscriptionLine]
    next: str | None = Field(description="Cursor of the next page; null at the end.")
    counts: SubscriptionCounts = Field(description="Of all there are, whatever was asked for.")


class SubscriptionDetail(SubscriptionLine):
    """A subscription with what was paid for it, what else the workspace bought, and what its provider told."""

    customer: str | None = Field(description="Who the workspace is to the provider.")
    paid_cents: int
    refunded_cents: int
    invoices: list[InvoiceItem]
    purchases: list[PurchaseLine]
    disputes: list[DisputeLine]
    events: list[WebhookEventItem]

    @classmethod
    def whole(cls, found: Detail) -> "SubscriptionDetail":
        shallow: dict[str, Any] = SubscriptionLine.of(found.line).model_dump()
        return cls(
            **shallow, customer=found.customer, paid_cents=found.paid_cents, refunded_cents=found.refunded_cents,
            invoices=[InvoiceItem.of(row) for row in found.invoices if row.status != "draft"],
            purchases=[PurchaseLine.of(row) for row in found.purchases],
            disputes=[DisputeLine.of(row) for row in found.disputes],
            events=[WebhookEventItem.of(event) for event in found.events],
        )  # fmt: skip


class ReadAgainAnswer(BaseModel):
    """What reading it again changed here: nothing, where all was known."""

    changed: bool
    changes: list[ChangeItem]
    subscription: SubscriptionLine


@router.get("", responses=problems(401, 404, 422))
async def list_subscriptions(
    request: Request,
    actor: CurrentOperator,
    status: Annotated[Wanted, Query(description="ending: the active ones that end with their period.")] = "all",
    q: Annotated[
        str, Query(max_length=254, description="Part of a workspace's or member's name or address; or an id or ref.")
    ] = "",
    plan: Annotated[str, Query(max_length=63)] = "",
    provider: Provider | None = None,
    cursor: Annotated[str | None, Query(max_length=600)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
) -> SubscriptionsAnswer:
    """Subscriptions, newest first; of those past due the ones whose grace ends first."""
    async with request.app.state.db.elevated("operator: subscriptions") as tx:
        found, following = await subscriptions.listing(
            tx, status, search=clean(q), plan=clean(plan), provider=provider, cursor=cursor, limit=limit
        )
        counts = await subscriptions.counts(tx)
    return SubscriptionsAnswer(
        items=[SubscriptionLine.of(line) for line in found], next=following, counts=SubscriptionCounts.of(counts)
    )


@router.get("/{subscription_id}", responses=problems(401, 404, 422))
async def read_one_subscription(request: Request, actor: CurrentOperator, subscription_id: UUID) -> SubscriptionDetail:
    """One subscription with all that was paid for it."""
    async with request.app.state.db.elevated("operator: a subscription") as tx:
        return SubscriptionDetail.whole(await subscriptions.detail(tx, subscription_id))


@router.post("/{subscription_id}/read-again", responses=problems(401, 403, 404, 409, 422, 503))
async def read_subscription_again(request: Request, actor: CurrentOperator, subscription_id: UUID) -> ReadAgainAnswer:
    """Ask its provider how it stands, and do what follows. Again: nothing more."""
    state = request.app.state
    changes = await deeds.read_again(state.db, state.payments, deed_of(request, actor), subscription_id)
    async with state.db.elevated("operator: a subscription") as tx:
        line = await subscriptions.find(tx, subscription_id)
    return ReadAgainAnswer(
        changed=bool(changes), changes=ChangeItem.all_of(changes), subscription=SubscriptionLine.of(line)
    )


@router.post("/{subscription_id}/cancel", responses=problems(401, 403, 404, 409, 422, 503))
async def cancel_a_subscription(request: Request, actor: CurrentOperator, subscription_id: UUID) -> SubscriptionLine:
    """Let it end with what is paid for. Nothing is refunded."""
    state = request.app.state
    return SubscriptionLine.of(await deeds.cancel(state.db, state.payments, deed_of(request, actor), subscription_id))


@router.post("/{subscription_id}/resume", responses=problems(401, 403, 404, 409, 422, 503))
async def resume_a_subscription(request: Request, actor: CurrentOperator, subscription_id: UUID) -> SubscriptionLine:
    """Take back its end, and a cheaper plan that was to come."""
    state = request.app.state
    return SubscriptionLine.of(await deeds.resume(state.db, state.payments, deed_of(request, actor), subscription_id))
