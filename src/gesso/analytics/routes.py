"""JSON: what a workspace used."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentActor
from gesso.analytics import asking, usage
from gesso.analytics.lines import member_name
from gesso.analytics.periods import Period
from gesso.billing.renewal import next_grant_at
from gesso.core.money import format_credits
from gesso.credits.types import CREDIT
from gesso.web.errors import problems

router = APIRouter(prefix="/api/user", tags=["credits"])

Credits = Annotated[str, Field(description="A decimal string.")]


class FiguresJson(BaseModel):
    """What can be added up."""

    requests: int
    succeeded: int
    failed: int
    success_rate: float | None = Field(description="0–1, of those that ended; cancelled ones do not count. Null: none.")
    seconds: float = Field(description="Running time of those that succeeded, together.")
    mean_seconds: float | None
    outputs: int = Field(description="Pictures, videos and texts delivered.")
    outputs_failed: int
    credits: Credits
    allowance_uses: int = Field(description="Paid for by allowances instead.")

    @classmethod
    def of(cls, figures: usage.Figures) -> "FiguresJson":
        return cls(
            requests=figures.requests, succeeded=figures.succeeded, failed=figures.failed,
            success_rate=figures.success, seconds=round(figures.seconds, 3),
            mean_seconds=round(figures.mean_seconds, 3) if figures.mean_seconds is not None else None,
            outputs=figures.delivered, outputs_failed=figures.missed, credits=format_credits(figures.spent),
            allowance_uses=figures.uses,
        )  # fmt: skip


class StepJson(BaseModel):
    """One kind of work in one day, week or month."""

    start: datetime
    kind: str
    figures: FiguresJson


class KindJson(BaseModel):
    """One kind of work."""

    kind: str
    figures: FiguresJson


class ModelJson(BaseModel):
    """One model."""

    model: str
    name: str
    figures: FiguresJson


class MemberJson(BaseModel):
    """One member."""

    user_id: UUID
    name: str
    figures: FiguresJson


class PlanJson(BaseModel):
    """What the workspace is on."""

    key: str
    name: str
    renews_at: datetime | None = Field(description="When the next monthly grant comes; null: none is to come.")


class UsageStats(BaseModel):
    """What was used in a period, and what is left. Days, weeks (from Monday) and months are the site's."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    step: Literal["day", "week", "month"]
    time_zone: str = Field(description="The site's, such as Europe/Berlin: where a day begins.")
    plan: PlanJson
    balance: Credits
    held: Credits
    allowances: dict[str, int] = Field(description="Uses left, by unit.")
    received: Credits = Field(description="Granted or bought in the period.")
    expired: Credits
    taken_back: Credits
    total: FiguresJson
    before: FiguresJson = Field(description="Of the same length before.")
    by_kind: list[KindJson]
    by_model: list[ModelJson]
    by_member: list[MemberJson]
    steps: list[StepJson] = Field(description="Oldest first; steps without anything are left out.")


@router.get("/usage-stats", responses=problems(401, 422))
async def usage_stats(
    request: Request,
    actor: CurrentActor,
    days: Annotated[Literal["7", "30", "90", "365"], Query(description="365: twelve months.")] = "30",
    step: Annotated[Literal["day", "week", "month"] | None, Query(description="Left out: what goes with days.")] = None,
) -> UsageStats:
    """Use over time, by kind, model and member. A member sees own use, an admin everybody's; credits received, expired
    and taken back are the workspace's. Credits count on the day they were charged, requests on the day they were made.
    """
    now, catalog = request.app.state.clock.now(), request.app.state.catalog
    period = Period.of(int(days), now, asking.zone_of(request), step)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        found = await asking.overview(tx, actor, period, await usage.rolled(tx, asking.zone_of(request)))
        renews = await next_grant_at(tx, catalog, now)
    used, balances, plan = found.used, found.balances, catalog.plan(actor.plan_key)
    named = asking.model_names(catalog)

    def came(kind: str) -> str:
        return format_credits(found.moved.get((kind, CREDIT), 0))

    return UsageStats(
        from_=period.start, to=period.end, step=period.step, time_zone=asking.zone_of(request).key,
        plan=PlanJson(key=plan.key, name=plan.name, renews_at=renews),
        balance=format_credits(balances.balance), held=format_credits(balances.held),
        allowances=dict(balances.allowances), received=came("grant"), expired=came("expire"), taken_back=came("refund"),
        total=FiguresJson.of(used.total), before=FiguresJson.of(used.before),
        by_kind=[KindJson(kind=kind, figures=FiguresJson.of(one)) for kind, one in used.by_kind().items()],
        by_model=[
            ModelJson(model=one.key, name=named(one.key, one.name), figures=FiguresJson.of(one.figures))
            for one in used.models
        ],
        by_member=[
            MemberJson(user_id=user_id, name=member_name(user_id, found.members), figures=FiguresJson.of(one))
            for user_id, one in used.members
        ],
        steps=[
            StepJson(start=start, kind=kind, figures=FiguresJson.of(one))
            for (start, kind), one in sorted(used.steps.items())
        ],
    )  # fmt: skip
