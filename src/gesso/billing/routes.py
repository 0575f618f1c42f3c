"""JSON: paying for plans and packs, what was paid, and the provider's notices."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Literal, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, Field

from gesso.accounts.access import Actor, CurrentActor
from gesso.billing import repository, service
from gesso.billing.facts import Interval
from gesso.billing.repository import Invoice, Subscription
from gesso.db import Database
from gesso.web.bodies import notice_body
from gesso.web.errors import ANY_BODY, problems
from gesso.web.idempotency import Answer, Once
from gesso.web.modules import part_of

router = APIRouter(tags=["payments"], dependencies=[Depends(part_of("billing"))])

MAX_BODY_BYTES = 2**20
PAGE = 20

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="At most 255 characters. The same key with the same body gives the same answer for 24 hours.",
    ),
]


class CreateSubscription(BaseModel):
    """Which plan, paid how."""

    plan: str = Field(max_length=63, description="Key of the plan.")
    interval: Interval = "month"


class PurchaseTokens(BaseModel):
    """Which pack."""

    pack: str = Field(max_length=63, description="Key of the pack.")


class CheckoutAnswer(BaseModel):
    """Where to pay."""

    url: str = Field(description="A page of the payment provider. Open it in a browser.")


class PurchaseAnswer(CheckoutAnswer):
    """Where to pay for a pack."""

    id: UUID


class SubscriptionAnswer(BaseModel):
    """The plan a workspace is on, and how it is paid for."""

    plan: str
    interval: Interval | None = Field(description="Null: not paid for.")
    status: Literal["free", "active", "past_due"]
    price_cents: int
    currency: str
    period_end: datetime | None
    cancel_at: datetime | None = Field(description="When it ends, where that was asked for.")
    next_plan: str | None = Field(description="What it becomes with the next period, where that was asked for.")
    grace_until: datetime | None = Field(description="Until when the plan stays though it could not be paid.")

    @classmethod
    def of(cls, plan: str, live: Subscription | None) -> "SubscriptionAnswer":
        if live is None or live.status not in ("active", "past_due"):
            return cls(plan=plan, interval=None, status="free", price_cents=0, currency="usd", period_end=None,
                       cancel_at=None, next_plan=None, grace_until=None)  # fmt: skip
        return cls(
            plan=plan, interval=live.interval, status=live.status, price_cents=live.price_cents,
            currency=live.currency, period_end=live.period_end, cancel_at=live.cancel_at,
            next_plan=live.next_plan_key, grace_until=live.grace_until,
        )  # fmt: skip


Answered = TypeVar("Answered", CheckoutAnswer, PurchaseAnswer)


class InvoiceItem(BaseModel):
    """One invoice. Amounts in the currency's hundredths."""

    id: UUID
    number: str | None
    status: Literal["open", "paid", "uncollectible", "void"]
    total_cents: int
    refunded_cents: int
    currency: str
    issued_at: datetime
    paid_at: datetime | None
    url: str | None = Field(description="The invoice on the payment provider's pages.")
    pdf: str | None

    @classmethod
    def of(cls, row: Invoice) -> "InvoiceItem":
        return cls.model_validate(
            {
                "id": row.id, "number": row.number, "status": row.status, "total_cents": row.total_cents,
                "refunded_cents": row.refunded_cents, "currency": row.currency, "issued_at": row.issued_at,
                "paid_at": row.paid_at, "url": row.hosted_url, "pdf": row.pdf_url,
            }
        )  # fmt: skip


class BillingHistory(BaseModel):
    """A page of invoices, newest first."""

    items: list[InvoiceItem]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


@router.post("/api/payments/create-subscription", responses=problems(*ANY_BODY, 401, 404, 409, 422, 429, 503))
async def create_subscription(
    request: Request, actor: CurrentActor, body: CreateSubscription, idempotency_key: IdempotencyKey = None
) -> CheckoutAnswer:
    """Open a checkout for a plan. It is yours once it is paid; an earlier checkout of the workspace stops working."""
    state = request.app.state
    who = service.buyer(actor, "create-subscription", idempotency_key)

    async def carry_out() -> CheckoutAnswer:
        url = await service.subscribe(state.payments, state.db, state.catalog, who, body.plan, body.interval)
        return CheckoutAnswer(url=url)

    return await _once(
        state.db, actor, Once.of("create-subscription", idempotency_key, body.model_dump()), CheckoutAnswer, carry_out
    )


@router.post("/api/payments/purchase-tokens", responses=problems(*ANY_BODY, 401, 404, 409, 422, 429, 503))
async def purchase_tokens(
    request: Request, actor: CurrentActor, body: PurchaseTokens, idempotency_key: IdempotencyKey = None
) -> PurchaseAnswer:
    """Open a checkout for a pack. Its credits arrive once it is paid, and never expire."""
    state = request.app.state
    who = service.buyer(actor, "purchase-tokens", idempotency_key)

    async def carry_out() -> PurchaseAnswer:
        purchase_id, url = await service.buy(state.payments, state.db, state.catalog, who, body.pack)
        return PurchaseAnswer(id=purchase_id, url=url)

    return await _once(
        state.db, actor, Once.of("purchase-tokens", idempotency_key, body.model_dump()), PurchaseAnswer, carry_out
    )


async def _once(
    db: Database, actor: Actor, once: Once, kind: type[Answered], carry_out: Callable[[], Awaitable[Answered]]
) -> Answered:
    """Do it, or give the answer it had. No transaction is open meanwhile: two at once are one at the provider, which
    is given the same key."""
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        known = await once.before(tx)
    made = await carry_out() if known is None else None
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        known = known or await once.before(tx)
        if known is None and made is not None:
            known = Answer(200, made.model_dump(mode="json"))
            await once.after(tx, known)
    assert known is not None
    return kind.model_validate(known.body)


@router.get("/api/payments/billing-history", responses=problems(401, 403, 404, 422))
async def billing_history(
    request: Request,
    actor: CurrentActor,
    cursor: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = PAGE,
) -> BillingHistory:
    """The workspace's invoices, for its admins."""
    service.must_pay(actor)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        found = await repository.invoices(tx, cursor, limit + 1)
    following = str(found[limit - 1].id) if len(found) > limit else None
    return BillingHistory(items=[InvoiceItem.of(row) for row in found[:limit]], next=following)


@router.post("/api/payments/cancel-subscription", responses=problems(*ANY_BODY, 401, 404, 409, 503))
async def cancel_subscription(request: Request, actor: CurrentActor) -> SubscriptionAnswer:
    """Let the subscription end with what is paid for. Again changes nothing."""
    service.must_pay(actor)
    state = request.app.state
    await state.payments.cancel(actor.workspace_id)
    return SubscriptionAnswer.of(actor.plan_key, await service.subscription(state.db, actor))


@router.get("/api/user/subscription", responses=problems(401, 404))
async def read_subscription(request: Request, actor: CurrentActor) -> SubscriptionAnswer:
    """The plan of your workspace, and how it is paid for."""
    return SubscriptionAnswer.of(actor.plan_key, await service.subscription(request.app.state.db, actor))


@router.post("/api/payments/webhook", status_code=200, responses=problems(403, 404, 413, 503))
async def receive_notice(request: Request) -> Response:
    """The payment provider says that something has happened. Only it calls this."""
    body = await notice_body(request, MAX_BODY_BYTES)
    await request.app.state.payments.receive(dict(request.headers), body)
    return Response(status_code=200)
