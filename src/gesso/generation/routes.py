"""`/api/generate`: JSON for submitting, following, cancelling and re-running."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse

from gesso.accounts.access import Actor, CurrentActor, VerifiedActor
from gesso.catalog.shown import shown_catalog
from gesso.core import crashpoints
from gesso.db.paging import cursor_id, encode_cursor
from gesso.generation import service
from gesso.generation.models import Kind
from gesso.generation.moderating import heard, heard_again
from gesso.generation.schemas import (
    EstimateAnswer,
    EstimateRequest,
    GenerateImage,
    GenerateVideo,
    HistoryAnswer,
    RerunRequest,
    StatusAnswer,
    SubmittedAnswer,
)
from gesso.generation.service import Ask
from gesso.generation.state import GENERATION_STATES, GenerationState
from gesso.web.errors import ANY_BODY, problems
from gesso.web.idempotency import Answer, Once
from gesso.web.modules import part_of

router = APIRouter(prefix="/api/generate", tags=["generate"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="At most 255 characters. The same key with the same body gives the same answer for 24 hours.",
    ),
]
PAGE = 20
PAGE_MAX = 100


@router.post("/estimate", responses=problems(*ANY_BODY, 401, 422))
async def estimate_generation(request: Request, actor: CurrentActor, body: EstimateRequest) -> EstimateAnswer:
    """What a request would cost now, and whether there is enough for it."""
    state = request.app.state
    catalog = await shown_catalog(request)
    async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        ask = Ask(body.kind, body.model, body.params(), "api")
        return EstimateAnswer.of(await service.estimate(tx, actor, ask, catalog))


@router.post(
    "/image", status_code=202, response_model=SubmittedAnswer,
    responses=problems(*ANY_BODY, 401, 402, 409, 422, 429, 503),
)  # fmt: skip
async def generate_image(
    request: Request, actor: VerifiedActor, body: GenerateImage, idempotency_key: IdempotencyKey = None
) -> Any:
    """Ask for pictures. The price is held at once; each picture is charged when it arrives, the rest is given back."""
    return await _generate(request, actor, "image", body, idempotency_key)


@router.post(
    "/video", status_code=202, response_model=SubmittedAnswer, dependencies=[Depends(part_of("video"))],
    responses=problems(*ANY_BODY, 401, 402, 404, 409, 422, 429, 503),
)  # fmt: skip
async def generate_video(
    request: Request, actor: VerifiedActor, body: GenerateVideo, idempotency_key: IdempotencyKey = None
) -> Any:
    """Ask for a film, from words or from a picture. The price is held at once and charged when the film arrives."""
    return await _generate(request, actor, "video", body, idempotency_key)


async def _generate(
    request: Request, actor: Actor, kind: Kind, body: GenerateImage | GenerateVideo, idempotency_key: str | None
) -> Any:
    state = request.app.state
    once = Once.of(f"generate/{kind}", idempotency_key, body.model_dump(mode="json"))
    catalog = await shown_catalog(request)
    ask = Ask(kind, body.model, body.params(), "api")
    async with (
        heard(state, actor, ask, catalog, once) as prompt,
        state.db.workspace(actor.workspace_id, actor.user_id) as tx,
    ):
        answer = await once.before(tx)
        if answer is None:
            submitted = await service.submit(
                tx, actor, ask, catalog, now=state.clock.now(),
                waiting_limit=state.settings.limits.waiting_generations,
            )  # fmt: skip
            await prompt.keep(tx, submitted.id)
            answer = Answer(202, SubmittedAnswer.of(submitted).model_dump(mode="json"))
            await once.after(tx, answer)
            crashpoints.reach("request.stored")
    crashpoints.reach("request.committed")
    return JSONResponse(answer.body, answer.status)


@router.get("", responses=problems(401, 422))
async def list_generations(
    request: Request,
    actor: CurrentActor,
    cursor: Annotated[str | None, Query(max_length=300, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = PAGE,
    status: GenerationState | None = None,
) -> HistoryAnswer:
    """Your generations, newest first."""
    state = request.app.state
    before = cursor_id(cursor)
    catalog = await shown_catalog(request)
    async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        found, following = await service.recent(
            tx, actor, catalog, state.clock.now(), before=before, limit=limit,
            states=(status,) if status else GENERATION_STATES,
        )  # fmt: skip
    return HistoryAnswer(
        items=[StatusAnswer.of(standing) for standing in found],
        next=encode_cursor(following) if following else None,
    )


@router.get("/status/{generation_id}", responses=problems(401, 404, 422))
async def read_generation(request: Request, actor: CurrentActor, generation_id: UUID) -> StatusAnswer:
    """How a generation stands, with what has arrived so far."""
    state = request.app.state
    catalog = await shown_catalog(request)
    async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        return StatusAnswer.of(await service.standing(tx, actor, generation_id, catalog, state.clock.now()))


@router.post("/{generation_id}/cancel", responses=problems(401, 403, 404, 422))
async def cancel_generation(request: Request, actor: CurrentActor, generation_id: UUID) -> StatusAnswer:
    """Stop it. What has arrived stays and is paid for, the rest is given back at once. Again: nothing happens."""
    state = request.app.state
    catalog = await shown_catalog(request)
    async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        await service.cancel(tx, actor, generation_id, state.clock.now())
        crashpoints.reach("cancel.stored")
        return StatusAnswer.of(await service.standing(tx, actor, generation_id, catalog, state.clock.now()))


@router.post(
    "/{generation_id}/rerun", status_code=202, response_model=SubmittedAnswer,
    responses=problems(*ANY_BODY, 401, 402, 404, 409, 422, 429, 503),
)  # fmt: skip
async def rerun_generation(
    request: Request,
    actor: VerifiedActor,
    generation_id: UUID,
    body: RerunRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Ask for the same again, at today's price: with the seed it had, or with a new one."""
    state, wish = request.app.state, body or RerunRequest()
    once = Once.of(f"generate/{generation_id}/rerun", idempotency_key, wish.model_dump(mode="json"))
    catalog = await shown_catalog(request)
    async with (
        heard_again(state, actor, generation_id, catalog, once) as prompt,
        state.db.workspace(actor.workspace_id, actor.user_id) as tx,
    ):
        answer = await once.before(tx)
        if answer is None:
            submitted = await service.rerun(
                tx, actor, generation_id, catalog, new_seed=wish.new_seed, source="api",
                now=state.clock.now(), waiting_limit=state.settings.limits.waiting_generations,
            )  # fmt: skip
            await prompt.keep(tx, submitted.id)
            answer = Answer(202, SubmittedAnswer.of(submitted).model_dump(mode="json"))
            await once.after(tx, answer)
            crashpoints.reach("request.stored")
    crashpoints.reach("request.committed")
    return JSONResponse(answer.body, answer.status)
