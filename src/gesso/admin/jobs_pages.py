"""`/admin/jobs`: what is under way, what failed, and what nobody knows the end of, across workspaces."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gesso.accounts.access import CurrentOperator
from gesso.admin import jobs
from gesso.admin.frame import back_to, deed_of, panel
from gesso.admin.jobs import Job, Wanted
from gesso.admin.jobs_filter import Filters, clean
from gesso.admin.retry import retry
from gesso.admin.standing import dollars, duration
from gesso.catalog import rows
from gesso.core.errors import GessoError, NotFound
from gesso.generation.again import look_again
from gesso.web.render import redirect, toast

router = APIRouter(prefix="/admin/jobs", include_in_schema=False)
HOME = "/admin/jobs"
TABS: tuple[tuple[Wanted, str], ...] = (
    ("running", "Running"),
    ("queued", "Queued"),
    ("failed", "Failed"),
    ("uncertain", "Uncertain"),
    ("all", "All"),
)
Text = Annotated[str, Query(max_length=254)]


@router.get("")
async def jobs_page(
    request: Request,
    actor: CurrentOperator,
    state: Wanted = "running",
    before: UUID | None = None,
    q: Annotated[str, Query(max_length=60)] = "",
    workspace: Text = "",
    person: Text = "",
    model: Text = "",
    since: Text = "",
    until: Text = "",
) -> Response:
    """Generations in one state, perhaps of somebody, a model, a time; or the one of an id."""
    missing = ""
    if clean(q):
        found = await _searched(request, clean(q))
        if found is not None:
            return redirect(request, f"{HOME}/{found}")
        missing = clean(q)
    wrong, (first, last) = [], (_day(since), _day(until))
    if (since and first is None) or (until and last is None):
        wrong.append("Give days such as 2026-05-11.")
    if first and last and first > last:
        wrong.append("The first day is after the last.")
    filters = Filters(clean(workspace), clean(person), clean(model), first, last)
    now = request.app.state.clock.now()
    async with request.app.state.db.elevated("operator: jobs") as tx:
        counts = await jobs.counts(tx, now)
        listed, following = await jobs.listing(tx, state, now, filters=filters, before=before)
        known = await rows.fetch(tx, "model")
    query = filters.query()
    return await panel(
        request, "admin/jobs.html", state=state, tabs=TABS, counts=counts, jobs=listed, missing=missing, q=q,
        older=urlencode({"state": state, **query, "before": following}) if following else "",
        filters=filters, kept=urlencode(query), wrong=wrong, typed={"since": since, "until": until},
        back=urlencode({"state": state, **query, **({"before": before} if before else {})}),
        models=[("", "Any model"), *((row["key"], row["name"]) for row in known)],
        money=uncertain_cost(listed) if state == "uncertain" else "", dollars=dollars,
    )  # fmt: skip


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def uncertain_cost(listed: Sequence[Job]) -> str:
    """What the calls of these may cost, as far as that can be said."""
    known = sum(job.cost or 0 for job in listed)
    unpriced = sum(job.unpriced for job in listed)
    parts = [f"Calls for the {len(listed):,} listed here may have cost up to {dollars(known)}"] if listed else []
    if unpriced:
        parts.append(f"{unpriced:,} without an estimate")
    return "; ".join(parts) + "." if parts else ""


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
    answer = await _back(request, generation_id)
    if done:
        return toast(answer, "Cancelled", "ok", detail="What was held for the rest is given back.")
    return toast(answer, "It had ended already")


@router.post("/{generation_id}/retry")
async def retry_job(request: Request, actor: CurrentOperator, generation_id: UUID) -> Response:
    """Ask again, in its owner's name, for what failed."""
    try:
        made = await retry(request.app, deed_of(request, actor), generation_id)
    except NotFound:
        raise
    except GessoError as error:
        return toast(await _back(request, generation_id), "It was not asked for again", "bad", detail=error.detail)
    return toast(await _back(request, made), "Asked for again", "ok", detail="Its owner pays when it arrives.")


@router.post("/{generation_id}/look")
async def look_at_job(request: Request, actor: CurrentOperator, generation_id: UUID) -> Response:
    """Ask now what would be asked later anyway; nothing is sent anew."""
    state, deed = request.app.state, deed_of(request, actor)
    async with state.db.elevated("operator: a job") as tx:
        job = await jobs.find(tx, generation_id)
        await deed.note(tx, "generation.looked_again", generation=str(job.id))
    looked = await look_again(state.db, state.catalog, state.webhook_pool, job.workspace_id, job.id)
    return toast(await _back(request, job.id), "Looked again", "ok", detail=looked.sentence)


async def _back(request: Request, generation_id: UUID) -> Response:
    """To the list one came from, else to the job's own page."""
    return await back_to(request, HOME, f"{HOME}/{generation_id}")
