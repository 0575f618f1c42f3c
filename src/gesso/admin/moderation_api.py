"""`/api/admin/moderation`: the queue of what a judge was unsure about, as JSON."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentOperator
from gesso.admin import moderation
from gesso.admin.frame import deed_of
from gesso.admin.moderation import Case, Tab
from gesso.db.paging import cursor_id, encode_cursor
from gesso.web.errors import ANY_BODY, problems

router = APIRouter(prefix="/api/admin/moderation", tags=["operator"])


class TakeDown(BaseModel):
    """Why it is taken down: kept with the decision and in the audit log."""

    reason: Annotated[str, Field(min_length=1, max_length=moderation.REASON_MOST)]


class CaseItem(BaseModel):
    """Something that was stopped, that a judge was unsure about, or that nobody could judge."""

    id: UUID
    workspace_id: UUID
    person: str | None = Field(description="Who asked for it; null when they are gone.")
    stage: str = Field(description="`prompt`, or `output`: what was made.")
    subject: str
    outcome: str = Field(description="`review`, `blocked` or `unjudged`.")
    rule: str | None = Field(description="Of the built-in rules; null: a judge's verdict, or none.")
    categories: dict[str, float] = Field(description="What the judge saw, by its score from 0 to 1.")
    prompt: str
    judge: str | None = Field(description="Key of the model that judged.")
    generation_id: UUID | None
    asset_ids: list[UUID] = Field(description="What it is about and is still kept.")
    created_at: datetime
    decision: str | None = Field(description="`kept` or `taken_down`; null while nobody decided.")
    decided_at: datetime | None
    reason: str | None

    @classmethod
    def of(cls, case: Case) -> "CaseItem":
        return cls(
            id=case.id, workspace_id=case.workspace_id, person=case.person, stage=case.stage, subject=case.subject,
            outcome=case.outcome, rule=case.rule, categories=dict(case.categories), prompt=case.prompt,
            judge=case.model_key, generation_id=case.generation_id, asset_ids=[one.id for one in case.pictures],
            created_at=case.created_at, decision=case.decision, decided_at=case.decided_at, reason=case.reason,
        )  # fmt: skip


class CasesAnswer(BaseModel):
    """A page of them."""

    items: list[CaseItem]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


@router.get("", responses=problems(401, 404, 422))
async def list_judged(
    request: Request,
    actor: CurrentOperator,
    tab: Tab = "waiting",
    cursor: Annotated[str | None, Query(max_length=300, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = moderation.PAGE,
) -> CasesAnswer:
    """What waits, the oldest first; what was blocked, not judged or decided, the newest first."""
    before = cursor_id(cursor)
    async with request.app.state.db.elevated("operator: moderation") as tx:
        found, following = await moderation.listing(tx, tab, before=before, limit=limit)
    return CasesAnswer(
        items=[CaseItem.of(case) for case in found], next=encode_cursor(following) if following else None
    )


@router.post("/{event_id}/keep", responses=problems(401, 403, 404, 409, 422))
async def keep(request: Request, actor: CurrentOperator, event_id: UUID) -> CaseItem:
    """It may stay."""
    return CaseItem.of(await moderation.keep(request.app.state.db, deed_of(request, actor), event_id))


@router.post("/{event_id}/take-down", responses=problems(*ANY_BODY, 401, 404, 409, 422))
async def take_down(request: Request, actor: CurrentOperator, event_id: UUID, body: TakeDown) -> CaseItem:
    """Take what it is about away from its owner; what is still being made of it is cancelled."""
    return CaseItem.of(await moderation.take_down(request.app.state.db, deed_of(request, actor), event_id, body.reason))


@router.post("/{event_id}/undo", responses=problems(401, 403, 404, 409, 422))
async def undo(request: Request, actor: CurrentOperator, event_id: UUID) -> CaseItem:
    """Take the decision back; what was taken down in the last 30 days is its owner's again."""
    case, _ = await moderation.undo(request.app.state.db, deed_of(request, actor), event_id)
    return CaseItem.of(case)
