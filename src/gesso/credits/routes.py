"""JSON: what a workspace has, and where it went."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentActor
from gesso.core.money import format_credits
from gesso.credits import service
from gesso.credits.types import Balances, HistoryItem, HistoryKind, LotView, format_amount
from gesso.web.errors import problems

router = APIRouter(prefix="/api/credits", tags=["credits"])

Amount = Annotated[str, Field(description="Credits as a decimal string, or uses as a whole number.")]


class Lot(BaseModel):
    """A grant that can still be spent."""

    id: UUID
    unit: Literal["credit", "image", "video", "chat", "prompt"]
    remaining: Amount
    amount: Amount
    source: Literal["sign_up", "plan", "pack", "operator", "admin"]
    scope: str | None = Field(description="What it may be spent on; null: anything.")
    expires_at: datetime | None = Field(description="Null: never.")

    @classmethod
    def of(cls, lot: LotView) -> "Lot":
        return cls.model_validate(
            {
                "id": lot.id,
                "unit": lot.unit,
                "remaining": format_amount(lot.unit, lot.remaining),
                "amount": format_amount(lot.unit, lot.amount),
                "source": lot.source,
                "scope": lot.scope,
                "expires_at": lot.expires_at,
            }
        )


class CreditsAnswer(BaseModel):
    """What the workspace has."""

    balance: str = Field(description="Credits that can be spent now, without what is held.")
    held: str = Field(description="Credits reserved for work that is under way.")
    allowances: dict[str, int] = Field(description="Uses left, by unit.")
    lots: list[Lot] = Field(description="What the balance consists of, in the order it is spent.")

    @classmethod
    def of(cls, balances: Balances) -> "CreditsAnswer":
        return cls(
            balance=format_credits(balances.balance),
            held=format_credits(balances.held),
            allowances=dict(balances.allowances),
            lots=[Lot.of(lot) for lot in balances.lots],
        )


class HistoryLine(BaseModel):
    """What the workspace got (+) or lost (−)."""

    id: str
    kind: HistoryKind
    credits: str = Field(description="Signed decimal string.")
    allowances: dict[str, int] = Field(description="Signed uses, by unit.")
    source: str | None = Field(description="Of the grant concerned; null for spending.")
    reason: str | None
    subject_id: UUID | None = Field(description="The generation that was paid for.")
    outputs: int = Field(description="How many outputs were paid for.")
    created_at: datetime

    @classmethod
    def of(cls, item: HistoryItem) -> "HistoryLine":
        return cls(
            id=str(item.id),
            kind=item.kind,
            credits=format_credits(item.credits),
            allowances=dict(item.allowances),
            source=item.source,
            reason=item.reason,
            subject_id=item.subject_id,
            outputs=item.outputs,
            created_at=item.created_at,
        )


class HistoryAnswer(BaseModel):
    """A page of history, newest first."""

    items: list[HistoryLine]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


@router.get("", responses=problems(401))
async def read_credits(request: Request, actor: CurrentActor) -> CreditsAnswer:
    """Balance, what is held, allowances left, and the grants they consist of."""
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        return CreditsAnswer.of(await service.balances(tx))


@router.get("/history", responses=problems(401, 422))
async def read_history(
    request: Request,
    actor: CurrentActor,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> HistoryAnswer:
    """Grants, spending, expiry and refunds, newest first. A member sees own spending, an admin everybody's."""
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        items, following = await service.history(tx, cursor=cursor, limit=limit, only_user=actor.only_user)
    return HistoryAnswer(items=[HistoryLine.of(item) for item in items], next=following)
