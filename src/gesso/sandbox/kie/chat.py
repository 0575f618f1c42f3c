"""POST /{model}/v1/chat/completions: nearly OpenAI's, streamed unless told otherwise. Fact sheet, section 6."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, Literal

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gesso.sandbox import writer
from gesso.sandbox.caller import Caller, header_faults
from gesso.sandbox.faults import Faults
from gesso.sandbox.kie import errors
from gesso.sandbox.kie.auth import authenticate
from gesso.sandbox.kie.face import KieFace
from gesso.sandbox.kie.jobs import micro_usd
from gesso.sandbox.kie.models import CHAT, CREDIT_MICRO_USD, ChatModel
from gesso.sandbox.kie.tasks import read_json
from gesso.sandbox.openai.bodies import ChatBody, ImagePart, inline_picture, prompt_of
from gesso.sandbox.openai.chat import Said, format_problem, say
from gesso.sandbox.transport import CutStream, strike_after

MAX_BODY_BYTES = 72 * 2**20
_KINDS = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error"}
_THOUGHTS = "The user asks the sandbox, so a short and honest answer will do."
_MICRO_CREDIT = Decimal("0.000001")


class Body(ChatBody):
    """A chat request: the model may be left to the path, and `stream` is on unless it is said to be off."""

    model: str = ""
    stream: bool = True
    include_thoughts: bool = True
    reasoning_effort: Literal["low", "high"] | None = None


def failure(status: int, message: str) -> Response:
    """An error in OpenAI's shape, as chat has it for 400, 401 and 429."""
    return JSONResponse({"error": {"message": message, "type": _KINDS[status]}}, status)


async def complete(request: Request, face: KieFace, name: str) -> Response:
    """The route."""
    header = header_faults(request, "submit")
    caller = authenticate(request)
    if caller is None:
        return failure(401, "You do not have access permissions")
    model = CHAT.get(name)
    if model is None:
        return errors.refusal(404, "Not Found", header)
    raw = await read_json(request, header, MAX_BODY_BYTES)
    if isinstance(raw, Response):
        return raw
    prompt = prompt_of(raw)
    faults = caller.faults_for(request, prompt, face.tally)
    if (refused := _struck(faults, prompt, face)) is not None:
        return refused
    body = _checked(raw, model, face, face.base_url(request))
    if isinstance(body, Response):
        return body
    try:
        said = await asyncio.to_thread(say, body, faults)
    except writer.Unreadable:
        return failure(400, "The image cannot be read.")
    face.ground.bill.open(
        request_id=said.id, provider=face.name, endpoint=model.id, key_hint=caller.hint, prompt=prompt
    )
    answer = _Answer(said, model, faults, face, caller)
    if (slow := faults.get("slow")) is not None:
        await asyncio.sleep(slow.number(10))
    if not body.stream or "no-stream" in faults:
        return strike_after(faults, "submit", prompt, face.tally, answer.whole())
    if "cut" in faults or "drop" in faults:
        return CutStream(answer.events())
    return StreamingResponse(answer.events(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


def _struck(faults: Faults, prompt: str, face: KieFace) -> Response | None:
    """A fault's answer. 429 comes in OpenAI's shape, anything else in the envelope."""
    for fault in faults.transport("submit"):
        if fault.name == "429" and face.tally.strikes(fault, prompt):
            response = failure(429, "Your call frequency is too high.")
            if fault.argument:
                response.headers["Retry-After"] = fault.argument
            return response
    if "422" in faults:
        return failure(400, "The sandbox was asked to find fault with messages.")
    rest = Faults(fault for fault in faults if fault.name not in ("429", "blind"))
    struck = errors.struck(rest, "submit", prompt, face.tally, face.hang_seconds)
    return struck or errors.asked_for(rest)


def _checked(raw: dict[str, Any], model: ChatModel, face: KieFace, base_url: str) -> Body | Response:
    try:
        body = Body.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return failure(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    if body.response_format is not None and not model.takes_schema:
        return failure(400, "response_format is not supported by this model.")
    for turn in body.messages:
        for part in turn.content if isinstance(turn.content, list) else []:
            if isinstance(part, ImagePart) and inline_picture(part.image_url.url) is None:
                data = face.workshop.stored(part.image_url.url, base_url)
                if data is None:
                    return failure(400, "Failed to download the image. The sandbox reads files uploaded to it.")
                part.image_url.url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return format_problem(body) or body


class _Answer:
    """One answer on its way out."""

    def __init__(self, said: Said, model: ChatModel, faults: Faults, face: KieFace, caller: Caller) -> None:
        self._said, self._model, self._faults, self._face, self._caller = said, model, faults, face, caller

    def whole(self) -> JSONResponse:
        message = {"role": "assistant", "content": "".join(self._said.pieces)}
        return JSONResponse(
            {
                "id": self._said.id, "object": "chat.completion", "created": self._said.created,
                "model": self._model.id,
                "choices": [{"index": 0, "message": message, "finish_reason": self._finish}],
                "usage": self._usage(), **self._charged(),
            }
        )  # fmt: skip

    async def events(self) -> AsyncIterator[str]:
        said, faults = self._said, self._faults
        broken = "cut" in faults or "error-late" in faults or "drop" in faults
        step = self._face.pace.paint_seconds() / max(1, len(said.pieces))
        if "malformed" in faults:
            yield 'data: {"id":"chatcmpl-1","choices":[{"del\n\n'
        yield self._chunk({"role": "assistant", "content": ""})
        if "thinking" in faults:
            for piece in writer.tokens(_THOUGHTS):
                yield self._chunk({"reasoning_content": piece})
        for number, piece in enumerate(said.pieces):
            if broken and number == len(said.pieces) // 2:
                self._charged()
                if "error-late" in faults:
                    yield f"data: {json.dumps({'code': 500, 'msg': 'Server exception', 'data': None})}\n\n"
                return
            yield self._chunk({"content": piece})
            await asyncio.sleep(step)
        cost = self._charged()
        if "silent-end" in faults:
            return
        usage = {} if "no-usage" in faults else {"usage": self._usage()}
        yield self._chunk({}, self._finish, **usage, **cost)
        if "open-end" in faults:
            await asyncio.sleep(self._face.hang_seconds)
        yield "data: [DONE]\n\n"

    @property
    def _finish(self) -> str:
        return "content_filter" if self._said.refused else self._said.finish

    def _usage(self) -> dict[str, Any]:
        made = {"text_tokens": len(self._said.pieces), "audio_tokens": 0, "reasoning_tokens": 0}
        return self._said.usage | {"completion_tokens_details": made}

    def _charged(self) -> dict[str, float]:
        """What it cost, put on the bill, and as the answer tells it."""
        said, model = self._said, self._model
        micro = said.input_tokens * Decimal(model.sent) + len(said.pieces) * Decimal(model.made)
        credits = (micro / CREDIT_MICRO_USD).quantize(_MICRO_CREDIT)
        self._face.ground.bill.charge(said.id, credits, micro_usd(credits))
        self._face.workshop.accounts.charge(self._caller.owner, credits)
        return {} if "untold" in self._faults else {"credits_consumed": float(credits)}

    def _chunk(self, delta: dict[str, str], finish: str | None = None, **more: Any) -> str:
        data = {
            "id": self._said.id, "object": "chat.completion.chunk", "created": self._said.created,
            "model": self._model.id, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more,
        }  # fmt: skip
        return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
