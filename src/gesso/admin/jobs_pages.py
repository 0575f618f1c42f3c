"""`/admin/jobs`: what is under way, what failed, and what nobody knows the end of, across workspaces."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gesso.accounts.access import CurrentOperator
from gesso.admin import jobs
from gesso.admin.frame import deed_of, panel
from gesso.admin.jobs import JobState
from gesso.admin.standing import dollars, duration
from gesso.core.errors import NotFound
from gesso.generation.again import look_again
from gesso.web.render import redirect, toast

router = APIRouter(prefix="/admin/jobs", include_in_schema=False)
HOME = "/admin/jobs"
TABS: tuple[tuple[JobState, str], ...] = (
    ("running", "Running"),
    ("queued", "Queued"),
    ("failed", "Failed"),
    ("uncertain", "Uncertain"),
)


@router.get("")
async def jobs_page(
    request: Request,
    actor: CurrentOperator,
    state: JobState = "running",
    before: UUID | None = None,
    q: Annotated[str, Query(max_length=60)] = "",
) -> Response:
    """Generations in one state, or the one of an id."""
    missing = ""
    if q.strip():
        found = await _searched(request, q.strip())
        if found is not None:
            return redirect(request, f"{HOME}/{found}")
        missing = q.strip()
    now = request.app.state.clock.now()
    async with request.app.state.db.elevated("operator: jobs") as tx:
        counts = await jobs.counts(tx, now)
        listed, following = await jobs.listing(tx, state, now, before=before)
    return await panel(
        request, "admin/jobs.html", state=state, tabs=TABS, counts=counts, jobs=listed, following=following,
        missing=missing, q=q,
    )  # fmt: skip


async def _searched(request: Request, text: str) -> UUID | None:
    try:
        wanted = UUID(text)
        async with request.app.state.db.elevated("operator: find a job") as tx:
            return (await jobs.find(tx, wanted)).id
    except (ValueError, NotFound):
        return None


@router.get("/{generation_id}")
async def job_page(request: Request, actor: CurrentOperator, generation_id: UUID) -> Response:
    """One generation with its calls."""
    async with request.app.state.db.elevated("operator: a job") as tx:
        found = await jobs.detail(tx, generation_id)
    return await panel(request, "admin/job.html", detail=found, job=found.job, dollars=dollars, duration=duration)


@router.post("/{generation_id}/cancel")
async def cancel_job(request: Request, actor: CurrentOperator, generation_id: UUID) -> Response:
    """Stop it, and give back what is held for the rest."""
    done = await jobs.cancel(request.app.state.db, deed_of(request, actor), generation_id)
    answer = redirect(request, f"{HOME}/{generation_id}")
    if done:
        return toast(answer, "Cancelled", "ok", detail="What was held for the rest is given back.")
    return toast(answer, "It had ended already")


@router.post("/{generation_id}/look")
async def look_at_job(request: Request, actor: CurrentOperator, generation_id: UUID) -> Response:
    """Ask now what would be asked later anyway; nothing is sent anew."""
    state, deed = request.app.state, deed_of(request, actor)
    async with state.db.elevated("operator: a job") as tx:
        job = await jobs.find(tx, generation_id)
        await deed.note(tx, "generation.looked_again", generation=str(job.id))
    looked = await look_again(state.db, state.catalog, state.webhook_pool, job.workspace_id, job.id)
    return toast(redirect(request, f"{HOME}/{job.id}"), "Looked again", "ok", detail=looked.sentence)
