"""generateContent and streamGenerateContent: whole, as server-sent events, or as one JSON array in pieces."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gesso.sandbox import writer
from gesso.sandbox.caller import Caller
from gesso.sandbox.faults import Faults
from gesso.sandbox.gemini import bodies, errors
from gesso.sandbox.gemini.answers import Said, answer
from gesso.sandbox.gemini.auth import authenticate, struck
from gesso.sandbox.gemini.bodies import Body
from gesso.sandbox.gemini.face import GeminiFace
from gesso.sandbox.gemini.models import OFFERS, RATIOS, Offer, units
from gesso.sandbox.receiving import TooLarge, read
from gesso.sandbox.studio import BadReference
from gesso.sandbox.transport import CutStream, strike_after

MAX_BODY_BYTES = 100 * 1024 * 1024
_SIGHT = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})


def version_of(request: Request) -> str:
    """The version of the API that the path names, such as `v1beta`."""
    return request.url.path.removeprefix(f"{GeminiFace.prefix}/").partition("/")[0]


async def whole(request: Request, face: GeminiFace) -> Response:
    """POST models/{model}:generateContent."""
    taken = await _taken(request, face)
    if isinstance(taken, Response):
        return taken
    prompt, faults, said = taken
    _charge(said, face)
    made = JSONResponse(said.piece(said.parts, faults, last=True))
    return strike_after(faults, "submit", prompt, face.tally, made)


async def streamed(request: Request, face: GeminiFace) -> Response:
    """POST models/{model}:streamGenerateContent. Without `alt=sse` everything, errors too, comes inside an array."""
    is_events = request.query_params.get("alt") == "sse"
    taken = await _taken(request, face)
    if isinstance(taken, Response):
        return taken if is_events else _wrapped(taken)
    _, faults, said = taken
    if not is_events or "no-stream" in faults:
        return StreamingResponse(_array(_pieces(said, faults, face)), media_type="application/json")
    events = _events(_pieces(said, faults, face))
    if "cut" in faults or "drop" in faults:
        return CutStream(events)
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def _taken(request: Request, face: GeminiFace) -> tuple[str, Faults, Said] | Response:
    """The prompt, its faults and the answer to it; or the answer to a request that was turned away."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    raw = await _read(request)
    if isinstance(raw, Response):
        return raw
    prompt = bodies.prompt_of(raw)
    faults = caller.faults_for(request, prompt, face.tally)
    if (refused := struck(faults, "submit", prompt, face.tally, face.hang_seconds)) is not None:
        return refused
    checked = _checked(request, raw, faults)
    if isinstance(checked, Response):
        return checked
    said = await _said(*checked, caller, prompt, faults, face)
    return said if isinstance(said, Response) else (prompt, faults, said)


async def _said(
    body: Body, offer: Offer, caller: Caller, prompt: str, faults: Faults, face: GeminiFace
) -> Said | Response:  # fmt: skip
    began = time.monotonic()
    try:
        said = await answer(body, offer, faults, face.ground.studio)
    except (writer.Unreadable, BadReference):
        return errors.failure(400, "Unable to process input image. Please retry or report it.")
    face.ground.bill.open(
        request_id=said.id, provider=face.name, endpoint=offer.id, key_hint=caller.hint, prompt=prompt
    )
    if (slow := faults.get("slow")) is not None:
        await asyncio.sleep(slow.number(10))
    if offer.kind == "image":
        await asyncio.sleep(max(0.0, face.pace.paint_seconds() - (time.monotonic() - began)))
    return said


def _charge(said: Said, face: GeminiFace) -> None:
    """What was made is paid for; refusals without content are not, as far as is known."""
    if said.block is not None or (not said.made and said.finish != "STOP"):
        face.ground.bill.mark(said.id, "failed")
        return
    cost = OFFERS[said.model].cost_micro_usd(said.image_tokens)
    face.ground.bill.charge(said.id, units(said.sent + said.made + said.thoughts), cost)


async def _read(request: Request) -> dict[str, Any] | Response:
    """The body in camelCase, or the answer to one that is none."""
    try:
        raw = bodies.camel(json.loads(await read(request, MAX_BODY_BYTES)))
    except TooLarge:
        return errors.failure(413, "Request payload size exceeds the limit.", status="INVALID_ARGUMENT")
    except bodies.TwiceNamed as twice:
        return errors.invalid(twice.args[0], f"Invalid JSON payload received. Repeated field: {twice.args[0]}")
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        return errors.failure(400, "Invalid JSON payload received. Unexpected token.")
    return raw


def _checked(request: Request, raw: dict[str, Any], faults: Faults) -> tuple[Body, Offer] | Response:
    name, version = request.path_params["name"], version_of(request)
    offer = OFFERS.get(name)
    if offer is None:
        return errors.no_model(name, version)
    try:
        body = Body.model_validate(raw)
    except ValidationError as error:
        return errors.not_valid(error)
    if "422" in faults:
        return errors.invalid("contents", "The sandbox was asked to find fault with this prompt.")
    return _turns_problem(body) or _config_problem(body, offer) or (body, offer)


def _turns_problem(body: Body) -> Response | None:
    if body.contents[-1].role != "user":
        return errors.invalid("contents", "Please ensure that the last turn is the user's.")
    spoken = [turn.parts for turn in body.contents]
    if body.systemInstruction is not None:
        spoken.append(body.systemInstruction.parts)
    for number, parts in enumerate(spoken):
        for place, part in enumerate(parts):
            where = f"contents[{number}].parts[{place}]"
            if (part.text is None) == (part.inlineData is None):
                return errors.invalid(where, "contents.parts must not be empty: one of text and inline_data.")
            if part.inlineData is None:
                continue
            if part.inlineData.mimeType not in _SIGHT:
                return errors.invalid(f"{where}.inline_data.mime_type", "Unsupported MIME type.")
            if bodies.decoded(part.inlineData) is None:
                return errors.invalid(f"{where}.inline_data.data", "Base64 decoding failed.")
    return None


def _config_problem(body: Body, offer: Offer) -> Response | None:
    config, place = body.generationConfig, "generation_config"
    if config.responseSchema is not None:
        if config.responseMimeType != "application/json":
            return errors.invalid(f"{place}.response_schema", "only allowed with response_mime_type application/json.")
        for where, what in bodies.schema_faults(config.responseSchema):
            return errors.invalid(where, what)
    wants_pictures = "IMAGE" in (config.responseModalities or [])
    if offer.kind == "text" and (wants_pictures or config.imageConfig is not None):
        return errors.invalid(f"{place}.response_modalities", "This model only supports text output.")
    if offer.kind == "image":
        if config.responseModalities is not None and not wants_pictures:
            return errors.invalid(f"{place}.response_modalities", "This model makes pictures.")
        if config.responseMimeType == "application/json":
            return errors.invalid(f"{place}.response_mime_type", "JSON mode is not enabled for this model.")
    image = config.imageConfig
    if image is not None and image.aspectRatio is not None and image.aspectRatio not in RATIOS:
        return errors.invalid(f"{place}.image_config.aspect_ratio", f"Invalid value: {image.aspectRatio}")
    sizes = offer.sizes if offer.takes_size else {}
    if image is not None and image.imageSize is not None and image.imageSize not in sizes:
        return errors.invalid(f"{place}.image_config.image_size", f"Invalid value: {image.imageSize}")
    return None


async def _pieces(said: Said, faults: Faults, face: GeminiFace) -> AsyncIterator[str]:
    """The answer in JSON texts: one for each part, the last with the reason of its end."""
    half = len(said.parts) // 2 if _breaks(faults) else None
    step = face.pace.paint_seconds() / max(1, len(said.parts))
    if "malformed" in faults:
        yield '{"candidates":[{"cont'
    for number, part in enumerate(said.parts):
        if number == half:
            if "error-late" in faults:
                yield json.dumps(errors.envelope(503, "The model is overloaded. Please try again later."))
            _charge(said, face)
            return
        yield json.dumps(said.piece([part], faults, last=False), ensure_ascii=False)
        await asyncio.sleep(step)
    _charge(said, face)
    yield json.dumps(said.piece([], faults, last=True), ensure_ascii=False)


def _breaks(faults: Faults) -> bool:
    """Whether the stream is to break in its middle."""
    return any(name in faults for name in ("cut", "drop", "error-late"))


async def _events(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """No mark of the end follows the last one."""
    async for piece in pieces:
        yield f"data: {piece}\r\n\r\n"


async def _array(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    before = "["
    async for piece in pieces:
        yield f"{before}{piece}"
        before = "\n,\r\n"
    yield "]"


def _wrapped(refused: Response) -> Response:
    """An error inside a list, as it comes where an array was to begin; a proxy's page and silence stay as they are."""
    if not isinstance(refused, JSONResponse):
        return refused
    return JSONResponse([json.loads(bytes(refused.body))], refused.status_code)
