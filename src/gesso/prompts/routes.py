"""`/api/prompts`: improve a prompt, describe a picture. As JSON, or streamed for whoever accepts events."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StrictStr
from starlette.responses import Response, StreamingResponse

from gesso.accounts.access import Actor, CurrentActor, VerifiedActor
from gesso.core.errors import GessoError
from gesso.core.money import OutputPrice, Price
from gesso.credits.schemas import PriceJson
from gesso.prompts import service
from gesso.prompts.hearing import heard
from gesso.prompts.models import Kind, PromptRecord
from gesso.prompts.service import Ask
from gesso.prompts.writing import Flow
from gesso.web.errors import ANY_BODY, problem_of, problems
from gesso.web.events import format_event
from gesso.web.idempotency import Once

router = APIRouter(prefix="/api/prompts", tags=["prompts"])

EVENTS = "text/event-stream"
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="At most 255 characters. The same key with the same body gives the same answer for 24 hours.",
    ),
]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {EVENTS: {}},
        "description": "The text; to `Accept: text/event-stream` as events `started`, `piece`, `done` or `failed`",
    },
    **problems(*ANY_BODY, 401, 402, 404, 409, 422, 429, 503),
}


class ImproveRequest(BaseModel):
    """A prompt that is to become better."""

    model_config = ConfigDict(extra="forbid")

    prompt: Annotated[StrictStr, Field(max_length=20_000)] = Field(description="What there is so far.")


class DescribeRequest(BaseModel):
    """A picture that is to be told as a prompt."""

    model_config = ConfigDict(extra="forbid")

    asset_id: UUID = Field(description="One of your pictures; upload others first.")


class Tokens(BaseModel):
    """As far as they are told; null: unknown."""

    input: int | None
    output: int | None


class PromptAnswer(BaseModel):
    """A text that was written."""

    id: UUID
    text: str
    model: str = Field(description="Key of the model that answered.")
    price: PriceJson = Field(description="What was held for it.")
    charged: PriceJson
    tokens: Tokens

    @classmethod
    def of(cls, record: PromptRecord) -> "PromptAnswer":
        assert record.output_text is not None and record.model_key is not None
        return cls(
            id=record.id, text=record.output_text, model=record.model_key, price=_one(record.price),
            charged=_one(record.charged or OutputPrice(0)),
            tokens=Tokens(input=record.input_tokens, output=record.output_tokens),
        )  # fmt: skip


class PromptPrices(BaseModel):
    """What each tool costs you now; null: it is not offered here."""

    improve: PriceJson | None
    describe: PriceJson | None


@router.get("/prices", responses=problems(401))
async def read_prompt_prices(request: Request, actor: CurrentActor) -> PromptPrices:
    """What the prompt tools cost now."""
    state = request.app.state
    async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        found = await service.prices(tx, state.catalog)
    shown: dict[Kind, PriceJson] = {kind: PriceJson.of(price) for kind, price in found.items()}
    return PromptPrices(improve=shown.get("improve"), describe=shown.get("describe"))


@router.post("/improve", response_model=PromptAnswer, responses=_ANSWERS)
async def improve_prompt(
    request: Request, actor: VerifiedActor, body: ImproveRequest, idempotency_key: IdempotencyKey = None
) -> Any:
    """Make a prompt better. Charged when the text is there; if none comes, nothing is."""
    ask = Ask("improve", text=body.prompt)
    return await _answer(request, actor, ask, Once.of("prompts/improve", idempotency_key, body.model_dump(mode="json")))


@router.post("/describe", response_model=PromptAnswer, responses=_ANSWERS)
async def describe_picture(
    request: Request, actor: VerifiedActor, body: DescribeRequest, idempotency_key: IdempotencyKey = None
) -> Any:
    """Tell one of your pictures as a prompt. Charged when the text is there; if none comes, nothing is."""
    ask = Ask("describe", asset_id=body.asset_id)
    once = Once.of("prompts/describe", idempotency_key, body.model_dump(mode="json"))
    return await _answer(request, actor, ask, once)


async def _answer(request: Request, actor: Actor, ask: Ask, once: Once) -> Response:
    state = request.app.state
    async with heard(state, actor, ask, once) as keep, state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        begun = await service.begin(tx, actor, ask, state.catalog, once, now=state.clock.now())
        await keep(tx, begun)
    streamed = EVENTS in request.headers.get("accept", "")
    if isinstance(begun, PromptRecord):
        return _streamed(begun, None) if streamed else _json(begun)
    flow: Flow = state.prompts.write(begun)
    return _streamed(begun.record, flow) if streamed else _json(await flow.result())


def _json(record: PromptRecord) -> JSONResponse:
    return JSONResponse(PromptAnswer.of(record).model_dump(mode="json"))


def _streamed(record: PromptRecord, flow: Flow | None) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(record, flow), media_type=EVENTS, headers=headers)


async def _events(record: PromptRecord, flow: Flow | None) -> AsyncIterator[bytes]:
    price = _one(record.price).model_dump(mode="json")
    yield format_event("started", {"id": str(record.id), "price": price})
    if flow is None:
        yield format_event("done", PromptAnswer.of(record).model_dump(mode="json"))
        return
    try:
        async for item in flow.follow():
            if isinstance(item, PromptRecord):
                yield format_event("done", PromptAnswer.of(item).model_dump(mode="json"))
            elif item:
                yield format_event("piece", {"text": item})
    except GessoError as error:
        yield format_event("failed", problem_of(error).model_dump(mode="json", exclude_none=True))


def _one(price: OutputPrice) -> PriceJson:
    return PriceJson.of(Price((price,)))
