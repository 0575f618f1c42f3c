"""`/api/admin/jobs`: generations of all workspaces, for programs of the operator. Never anybody's words."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from gesso.accounts.access import CurrentOperator
from gesso.admin import jobs
from gesso.admin.frame import deed_of
from gesso.admin.jobs import Call, Detail, Job, Wanted
from gesso.admin.jobs_filter import Filters, clean
from gesso.admin.retry import retry
from gesso.core.money import format_credits
from gesso.db.paging import cursor_id, encode_cursor
from gesso.generation.again import look_again
from gesso.web.errors import problems

router = APIRouter(prefix="/api/admin/jobs", tags=["operator"])


class JobItem(BaseModel):
    """A generation."""

    id: UUID
    workspace_id: UUID
    workspace: str
    person: str | None = Field(description="E-mail address of who asked for it.")
    kind: str
    state: str
    model: str
    count: int
    credits: str = Field(description="What is held or was held for it, as a decimal string.")
    charged: str | None = Field(description="What was paid in the end.")
    error_code: str | None
    error: str | None
    call_count: int = Field(description="Calls to providers for it.")
    uncertain: int = Field(description="Of those, how many nobody knows the end of.")
    cost_usd: str | None = Field(description="What they cost us, as a decimal string, as far as it is known.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job) -> "JobItem":
        return cls(
            id=job.id, workspace_id=job.workspace_id, workspace=job.workspace, person=job.person, kind=job.kind,
            state=job.state, model=job.model_key, count=job.count, credits=format_credits(job.price.credits),
            charged=format_credits(job.charged.credits) if job.charged else None, error_code=job.error_code,
            error=job.error_message, call_count=job.calls, uncertain=job.uncertain,
            cost_usd=format_credits(job.cost) if job.cost is not None else None, created_at=job.created_at,
            started_at=job.started_at, finished_at=job.finished_at,
        )  # fmt: skip


class JobsAnswer(BaseModel):
    """A page of generations, newest first."""

    items: list[JobItem]
    next: str | None


class ExchangeItem(BaseModel):
    """A request and its answer: shapes and short values, without words and keys. Kept for two weeks."""

    at: datetime
    operation: str
    method: str
    url: str
    status: int | None
    took_ms: int
    request: str | None
    response: str | None


class CallItem(BaseModel):
    """A call to a provider."""

    id: UUID
    state: str
    connection: str | None = Field(description="Short name of its connection; null when that is gone.")
    model: str
    upstream: str
    try_number: int
    outputs: list[int]
    error_kind: str | None
    error_detail: str | None
    cost_usd: str | None = Field(description="What it costs us, as a decimal string; null when unknown.")
    cost_state: str = Field(description="estimated, actual or unknown.")
    created_at: datetime
    finished_at: datetime | None
    exchanges: list[ExchangeItem]

    @classmethod
    def of(cls, call: Call) -> "CallItem":
        said = [ExchangeItem(**{name: getattr(one, name) for name in ExchangeItem.model_fields}) for one in call.said]
        return cls(
            id=call.id, state=call.state, connection=call.connection_key, model=call.model_key,
            upstream=call.upstream, try_number=call.try_number, outputs=list(call.output_indexes),
            error_kind=call.error_kind, error_detail=call.error_detail,
            cost_usd=format_credits(call.cost) if call.cost is not None else None, cost_state=call.cost_state,
            created_at=call.created_at, finished_at=call.finished_at, exchanges=said,
        )  # fmt: skip


class JobDetail(JobItem):
    """A generation with its calls; `outputs`: how many are in each state."""

    outputs: dict[str, int]
    calls: list[CallItem]

    @classmethod
    def whole(cls, detail: Detail) -> "JobDetail":
        shallow: dict[str, Any] = JobItem.of(detail.job).model_dump()
        return cls(**shallow, outputs=dict(detail.outputs), calls=[CallItem.of(call) for call in detail.calls])


class LookedAnswer(BaseModel):
    """What looking again came to."""

    queued: bool = Field(description="A worker takes it up now.")
    asked: int = Field(description="Lost calls the provider was asked about.")
    found: int = Field(description="Of those, how many it knew: their results are collected and free.")
    detail: str


@router.get("", responses=problems(401, 404, 422))
async def list_jobs(
    request: Request,
    actor: CurrentOperator,
    state: Wanted = "running",
    workspace: Annotated[str, Query(max_length=80, description="Part of its name, or its id.")] = "",
    person: Annotated[str, Query(max_length=254, description="Beginning of an e-mail address.")] = "",
    model: Annotated[str, Query(max_length=63, description="Its short name.")] = "",
    since: Annotated[date | None, Query(description="First day, in UTC.")] = None,
    until: Annotated[date | None, Query(description="Last day, in UTC.")] = None,
    cursor: Annotated[str | None, Query(max_length=300, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = jobs.PAGE,
) -> JobsAnswer:
    """Generations across workspaces, newest first. `all` needs a workspace or a person."""
    filters = Filters(clean(workspace), clean(person), clean(model), since, until)
    now = request.app.state.clock.now()
    before = cursor_id(cursor)
    async with request.app.state.db.elevated("operator: jobs") as tx:
        found, following = await jobs.listing(tx, state, now, filters=filters, before=before, limit=limit)
    return JobsAnswer(items=[JobItem.of(job) for job in found], next=encode_cursor(following) if following else None)


@router.get("/{generation_id}", responses=problems(401, 404, 422))
async def read_job(request: Request, actor: CurrentOperator, generation_id: UUID) -> JobDetail:
    """One generation with its calls and what was said in each."""
    return await _whole(request, generation_id)


async def _whole(request: Request, generation_id: UUID) -> JobDetail:
    async with request.app.state.db.elevated("operator: a job") as tx:
        return JobDetail.whole(await jobs.detail(tx, generation_id))


@router.post("/{generation_id}/cancel", responses=problems(401, 403, 404, 422))
async def stop_job(request: Request, actor: CurrentOperator, generation_id: UUID) -> JobDetail:
    """Stop it. What has arrived stays and is paid for; the rest is given back. Again: nothing happens."""
    await jobs.cancel(request.app.state.db, deed_of(request, actor), generation_id)
    return await _whole(request, generation_id)


@router.post("/{generation_id}/look", responses=problems(401, 403, 404, 422))
async def look_at_job_again(request: Request, actor: CurrentOperator, generation_id: UUID) -> LookedAnswer:
    """Ask now what would be asked later anyway. Nothing is sent anew and nothing is charged."""
    state, deed = request.app.state, deed_of(request, actor)
    async with state.db.elevated("operator: a job") as tx:
        job = await jobs.find(tx, generation_id)
        await deed.note(tx, "generation.looked_again", generation=str(job.id))
    looked = await look_again(state.db, state.catalog, state.webhook_pool, job.workspace_id, job.id)
    return LookedAnswer(queued=looked.queued, asked=looked.asked, found=looked.found, detail=looked.sentence)


@router.post("/{generation_id}/retry", status_code=201, responses=problems(401, 402, 403, 404, 409, 422, 429))
async def retry_job(request: Request, actor: CurrentOperator, generation_id: UUID) -> JobDetail:
    """Ask again, in its owner's name, for what failed. Paid for when it arrives, at no more than they agreed to."""
    return await _whole(request, await retry(request.app, deed_of(request, actor), generation_id))
