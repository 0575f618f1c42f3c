"""`/api/admin/webhook-events`: what a payment provider told this site, for programs of the operator."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentOperator
from gesso.admin import webhooks
from gesso.admin.changed import ChangeItem, outcome
from gesso.admin.finding import MOST, PAGE
from gesso.admin.frame import deed_of
from gesso.admin.jobs_filter import clean
from gesso.admin.webhooks import Counts, Event, Filters, State, Wanted
from gesso.admin.webhooks_payload import shown
from gesso.billing.port import Received
from gesso.db.paging import cursor_id, encode_cursor
from gesso.web.errors import problems

router = APIRouter(prefix="/api/admin/webhook-events", tags=["operator"])


class WebhookEventItem(BaseModel):
    """An event."""

    id: UUID
    provider: str
    ref: str = Field(description="What the provider calls it.")
    type: str
    object: str | None = Field(description="The provider's id of what it is about.")
    state: State
    error: str | None = Field(description="Why the last try failed.")
    tries: int
    change_count: int = Field(description="How many things it changed.")
    workspace_id: UUID | None = Field(description="Whom it is about; null when nobody of this site.")
    workspace: str | None
    created_at: datetime = Field(description="The provider's moment.")
    received_at: datetime
    next_try_at: datetime | None = Field(description="Null: it is not tried again by itself.")
    done_at: datetime | None

    @classmethod
    def of(cls, event: Event) -> "WebhookEventItem":
        return cls(
            id=event.id, provider=event.provider, ref=event.ref, type=event.type, object=event.object,
            state=event.state, error=event.error, tries=event.tries,
            change_count=sum(len(one.changes) for one in event.done), workspace_id=event.workspace_id,
            workspace=event.workspace, created_at=event.created_at, received_at=event.received_at,
            next_try_at=event.next_try_at, done_at=event.done_at,
        )  # fmt: skip


class WebhookCounts(BaseModel):
    """How many there are in each state."""

    failed: int
    received: int
    done: int
    ignored: int

    @classmethod
    def of(cls, counts: Counts) -> "WebhookCounts":
        return cls(failed=counts.failed, received=counts.received, done=counts.done, ignored=counts.ignored)


class WebhookEventsAnswer(BaseModel):
    """A page of events, newest first."""

    items: list[WebhookEventItem]
    next: str | None = Field(description="Cursor of the next page; null at the end.")
    counts: WebhookCounts = Field(description="Of all there are, whatever was asked for.")


class EffectItem(BaseModel):
    """What it changed at one moment."""

    at: datetime
    changes: list[ChangeItem]


class WebhookEventDetail(WebhookEventItem):
    """An event with what came of it and what it said."""

    subscription_id: UUID | None
    effects: list[EffectItem] = Field(description="The newest first.")
    payload: dict[str, Any] = Field(description="Secrets, addresses of hosted pages and personal data are masked.")


class ReplayAnswer(BaseModel):
    """What came of doing it once more."""

    came_of: Received
    changed: bool = Field(description="False: all that follows from it had been done before.")
    changes: list[ChangeItem]
    detail: str
    event: WebhookEventItem


class ReplayAllAnswer(BaseModel):
    """How many are taken up again, by workers, within seconds."""

    queued: int


@router.get("", responses=problems(401, 404, 422))
async def list_webhook_events(
    request: Request,
    actor: CurrentOperator,
    state: Wanted = "all",
    type: Annotated[str, Query(max_length=100, description="As the provider calls it.")] = "",
    q: Annotated[str, Query(max_length=120, description="Part of the id of the event, or of what it names.")] = "",
    cursor: Annotated[str | None, Query(max_length=300, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
) -> WebhookEventsAnswer:
    """Events of payment providers, newest first. Settled ones are kept for 90 days."""
    filters, before = Filters(clean(type), clean(q)), cursor_id(cursor)
    async with request.app.state.db.elevated("operator: payment notices") as tx:
        found, following = await webhooks.listing(tx, state, filters=filters, before=before, limit=limit)
        counts = await webhooks.counts(tx, request.app.state.clock.now())
    return WebhookEventsAnswer(
        items=[WebhookEventItem.of(event) for event in found],
        next=encode_cursor(following) if following else None, counts=WebhookCounts.of(counts),
    )  # fmt: skip


@router.get("/{event_id}", responses=problems(401, 404, 422))
async def read_webhook_event(request: Request, actor: CurrentOperator, event_id: UUID) -> WebhookEventDetail:
    """One event with what came of it and what it said."""
    async with request.app.state.db.elevated("operator: a payment notice") as tx:
        found = await webhooks.detail(tx, event_id)
    shallow: dict[str, Any] = WebhookEventItem.of(found.event).model_dump()
    return WebhookEventDetail(
        **shallow, subscription_id=found.subscription_id, payload=shown(found.payload),
        effects=[EffectItem(at=one.at, changes=ChangeItem.all_of(one.changes)) for one in found.event.done],
    )  # fmt: skip


@router.post("/{event_id}/replay", responses=problems(401, 403, 404, 409, 422))
async def replay_webhook_event(request: Request, actor: CurrentOperator, event_id: UUID) -> ReplayAnswer:
    """Do once more what follows from it. What was done before is not done again; what failed is tried now."""
    state = request.app.state
    taken = await webhooks.replay(state.db, state.payments, deed_of(request, actor), event_id)
    async with state.db.elevated("operator: a payment notice") as tx:
        event = await webhooks.find(tx, event_id)
    return ReplayAnswer(
        came_of=taken.received, changed=bool(taken.changes), changes=ChangeItem.all_of(taken.changes),
        detail=". ".join(part.rstrip(".") for part in outcome(taken) if part) + ".", event=WebhookEventItem.of(event),
    )  # fmt: skip


@router.post("/replay-failed", status_code=202, responses=problems(401, 403, 404, 409))
async def replay_failed_webhook_events(request: Request, actor: CurrentOperator) -> ReplayAllAnswer:
    """Take up all that failed, also what is not tried again by itself."""
    state = request.app.state
    async with state.db.elevated("operator: replay all that failed") as tx:
        return ReplayAllAnswer(queued=await webhooks.replay_failed(tx, state.payments, deed_of(request, actor)))
