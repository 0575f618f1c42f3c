"""POST /v1/chat/completions: whole or streamed, with pictures, JSON schemas, refusals and everything that can break."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gesso.sandbox import writer
from gesso.sandbox.faults import Faults
from gesso.sandbox.openai import bodies, errors
from gesso.sandbox.openai.auth import authenticate, struck
from gesso.sandbox.openai.bodies import ChatBody, inline_picture
from gesso.sandbox.openai.errors import failure, request_headers
from gesso.sandbox.openai.face import OpenAIFace
from gesso.sandbox.openai.models import Offer, offer, units
from gesso.sandbox.receiving import TooLarge, read_object
from gesso.sandbox.transport import CutStream, strike_after

MAX_BODY_BYTES = 72 * 1024 * 1024
_REFUSAL = "I'm sorry, but I can't help with that."
_THOUGHTS = "The user asks the sandbox, so a short and honest answer will do."


@dataclass(frozen=True)
class Said:
    """An answer before it is sent. `pieces` are its tokens."""

    pieces: list[str]
    finish: str
    input_tokens: int
    refused: bool
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(14)}")
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def usage(self) -> dict[str, Any]:
        made = len(self.pieces)
        return {
            "prompt_tokens": self.input_tokens, "completion_tokens": made, "total_tokens": self.input_tokens + made,
            "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0},
        }  # fmt: skip


async def complete(request: Request, face: OpenAIFace) -> Response:
    """The route."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    raw = await read_json(request)
    if isinstance(raw, Response):
        return raw
    prompt = bodies.prompt_of(raw)
    faults = caller.faults_for(request, prompt, face.tally)
    if (answer := struck(faults, "submit", prompt, face.tally, face.hang_seconds)) is not None:
        return answer
    checked = _checked(raw, faults)
    if isinstance(checked, Response):
        return checked
    body, model = checked
    try:
        said = await asyncio.to_thread(say, body, faults)
    except writer.Unreadable:
        return failure(400, "You uploaded an unsupported image.", errors.INVALID, "invalid_image_format")
    face.ground.bill.open(
        request_id=said.id, provider=face.name, endpoint=model.id, key_hint=caller.hint, prompt=prompt
    )
    if (slow := faults.get("slow")) is not None:
        await asyncio.sleep(slow.number(10))
    if body.stream and "no-stream" not in faults:
        return _streamed(said, body, faults, face)
    _charge(said, face)
    return strike_after(faults, "submit", prompt, face.tally, _whole(said, body))


async def read_json(request: Request) -> dict[str, Any] | Response:
    """The body as a JSON object, or the answer to one that is none."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        return failure(400, "Invalid Content-Type header: expected 'application/json'.")
    try:
        raw = await read_object(request, MAX_BODY_BYTES)
    except TooLarge:
        return failure(413, "The request body is too large.")
    return failure(400, "We could not parse the JSON body of your request.") if raw is None else raw


def _checked(raw: dict[str, Any], faults: Faults) -> tuple[ChatBody, Offer] | Response:
    try:
        body = ChatBody.model_validate(raw)
    except ValidationError as error:
        return errors.not_valid(error)
    model = offer(body.model, "chat")
    if model is None:
        return errors.no_model(body.model)
    if body.stream_options is not None and not body.stream:
        return failure(400, "'stream_options' is only allowed when 'stream' is set.", param="stream_options")
    if model.reasons and body.max_tokens is not None:
        message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
        return failure(400, message, errors.INVALID, "unsupported_parameter", "max_tokens")
    if model.reasons and body.temperature not in (None, 1):
        message = "Unsupported value: 'temperature' does not support this value with this model."
        return failure(400, message, errors.INVALID, "unsupported_value", "temperature")
    if "422" in faults:
        message = "The sandbox was asked to find fault with this request."
        return failure(400, message, errors.INVALID, "invalid_value", "messages")
    for turn in body.messages:
        for url in turn.pictures:
            if turn.role != "user" or inline_picture(url) is None:
                message = "Invalid image URL. The sandbox reads data URIs of a user's turn, nothing else."
                return failure(400, message, errors.INVALID, "invalid_image_url", "messages")
    return format_problem(body) or (body, model)


def format_problem(body: ChatBody) -> Response | None:
    wanted = body.response_format
    if wanted is None:
        return None
    if (wanted.type == "json_schema") != (wanted.json_schema is not None):
        message = "Missing required parameter: 'response_format.json_schema'."
        return failure(400, message, errors.INVALID, "missing_required_parameter", "response_format.json_schema")
    if wanted.json_schema is not None and wanted.json_schema.strict:
        problem = next(bodies.loose_objects(wanted.json_schema.schema_), None)
        if problem is not None:
            message = f"Invalid schema for response_format '{wanted.json_schema.name}': {problem}"
            return failure(400, message, errors.INVALID, "invalid_json_schema", "response_format")
    if wanted.type == "json_object" and not any("json" in turn.text.lower() for turn in body.messages):
        message = (
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        )
        return failure(400, message, param="messages")
    return None


def say(body: ChatBody, faults: Faults) -> Said:
    """What the sandbox says to it. Raises writer.Unreadable."""
    last = max((i for i, turn in enumerate(body.messages) if turn.role == "user"), default=len(body.messages) - 1)
    pictures = tuple(data for url in body.messages[last].pictures if (data := inline_picture(url)) is not None)
    system = "\n".join(turn.text for turn in body.messages if turn.role in ("system", "developer"))
    schema: dict[str, Any] | None = None
    if body.response_format is not None and body.response_format.type != "text" and "no-schema" not in faults:
        named = body.response_format.json_schema
        schema = named.schema_ if named else {"type": "object", "properties": {"answer": {"type": "string"}}}
    conversation = writer.Conversation(
        said=body.messages[last].text, system=system, pictures=pictures, schema=schema,
        earlier=tuple(turn.text for turn in body.messages[:last] if turn.role == "user"),
    )  # fmt: skip
    sent = sum(len(writer.tokens(turn.text)) + 3 for turn in body.messages)
    sent += sum(writer.picture_tokens(data) for data in pictures)
    refused = "safety" in faults or "nsfw" in faults
    text = "" if "empty" in faults else _REFUSAL if refused else writer.reply(conversation)
    pieces = writer.tokens(text)
    limit = body.max_completion_tokens or body.max_tokens or len(pieces)
    finish = "length" if len(pieces) > limit else "stop"
    return Said(pieces[:limit], finish, sent, refused)


def _charge(said: Said, face: OpenAIFace) -> None:
    face.ground.bill.charge(said.id, units(said.input_tokens + len(said.pieces)), 0)


def _whole(said: Said, body: ChatBody) -> JSONResponse:
    text = "".join(said.pieces)
    message = {
        "role": "assistant", "content": None if said.refused else text, "refusal": text if said.refused else None,
    }  # fmt: skip
    return JSONResponse(
        {
            "id": said.id, "object": "chat.completion", "created": said.created, "model": body.model,
            "choices": [{"index": 0, "message": message, "finish_reason": said.finish, "logprobs": None}],
            "usage": said.usage,
        },
        headers=request_headers(),
    )  # fmt: skip


def _streamed(said: Said, body: ChatBody, faults: Faults, face: OpenAIFace) -> Response:
    if "cut" in faults or "drop" in faults:
        return CutStream(_events(said, body, faults, face))
    headers = {"Cache-Control": "no-cache", **request_headers()}
    return StreamingResponse(_events(said, body, faults, face), media_type="text/event-stream", headers=headers)


async def _events(said: Said, body: ChatBody, faults: Faults, face: OpenAIFace) -> AsyncIterator[str]:
    wants_usage = bool(body.stream_options and body.stream_options.include_usage) and "no-usage" not in faults
    member = "refusal" if said.refused else "content"
    step = face.pace.paint_seconds() / max(1, len(said.pieces))
    half = len(said.pieces) // 2 if ("cut" in faults or "error-late" in faults or "drop" in faults) else None
    if "malformed" in faults:
        yield 'data: {"id":"chatcmpl-1","choices":[{"del\n\n'
    yield _chunk(said, body, {"role": "assistant", "content": ""}, usage=None if wants_usage else ...)
    if "thinking" in faults:
        for piece in writer.tokens(_THOUGHTS):
            yield _chunk(said, body, {"reasoning_content": piece})
    for number, piece in enumerate(said.pieces):
        if number == half:
            if "error-late" in faults:
                data = errors.envelope("The server had an error while processing your request.", "server_error")
                yield f"data: {json.dumps(data)}\n\n"
            _charge(said, face)
            return
        yield _chunk(said, body, {member: piece})
        await asyncio.sleep(step)
    _charge(said, face)
    yield _chunk(said, body, {}, finish=said.finish)
    if wants_usage:
        yield _event(said, body, {"choices": [], "usage": said.usage})
    yield "data: [DONE]\n\n"


def _chunk(said: Said, body: ChatBody, delta: dict[str, str], finish: str | None = None, usage: Any = ...) -> str:
    rest = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return _event(said, body, rest if usage is ... else rest | {"usage": usage})


def _event(said: Said, body: ChatBody, rest: dict[str, Any]) -> str:
    head = {"id": said.id, "object": "chat.completion.chunk", "created": said.created, "model": body.model}
    return f"data: {json.dumps(head | rest, ensure_ascii=False)}\n\n"
