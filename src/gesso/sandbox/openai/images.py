"""POST /v1/images/generations and /v1/images/edits: pictures in base64, with the tokens they took."""

import asyncio
import base64
import math
import re
import secrets
import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox import writer
from gesso.sandbox.caller import Caller
from gesso.sandbox.delivery import spoilt_bytes
from gesso.sandbox.faults import Faults
from gesso.sandbox.openai import errors
from gesso.sandbox.openai.auth import authenticate, struck
from gesso.sandbox.openai.chat import read_json
from gesso.sandbox.openai.errors import INVALID, failure, request_headers
from gesso.sandbox.openai.face import OpenAIFace
from gesso.sandbox.openai.models import Offer, offer, units
from gesso.sandbox.studio import BadReference, Order
from gesso.sandbox.transport import strike_after

MAX_PICTURES = 16
MAX_PICTURE_BYTES = 50_000_000
_THREE = ("1024x1024", "1536x1024", "1024x1536")
_PIXELS = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")
# Tokens of a picture of 1,024 × 1,024, as for the first GPT image models; those of the present ones are unconfirmed.
_QUALITY_TOKENS = {"low": 272, "medium": 1056, "auto": 1056, "high": 4160, "xhigh": 6240, "max": 8320}


def _whole(value: Any) -> Any:
    """A form's digits as a number."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


Whole = Annotated[int, BeforeValidator(_whole)]


class ImageBody(BaseModel):
    """The fields of both calls; a form's are texts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: str = Field(min_length=1, max_length=32_000)
    model: str
    n: Whole = Field(1, ge=1, le=10)
    size: str = "auto"
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max"] = "auto"
    background: Literal["auto", "opaque", "transparent"] = "auto"
    output_format: Literal["png", "webp", "jpeg"] = "png"
    output_compression: Whole = Field(100, ge=0, le=100)
    moderation: Literal["auto", "low"] = "auto"
    complexity: Literal["low", "medium", "high"] | None = None
    input_fidelity: Literal["high", "low"] | None = None
    safety_identifier: str | None = None
    user: str | None = None


@dataclass(frozen=True)
class _Asked:
    """A checked request."""

    id: str
    body: ImageBody
    offer: Offer
    references: tuple[bytes, ...]
    faults: Faults
    width: int
    height: int

    def usage(self, count: int) -> dict[str, Any]:
        text = len(writer.tokens(self.body.prompt))
        image = sum(writer.picture_tokens(data) for data in self.references)
        made = count * math.ceil(_QUALITY_TOKENS[self.body.quality] * self.width * self.height / 1024**2)
        return {
            "input_tokens": text + image, "output_tokens": made, "total_tokens": text + image + made,
            "input_tokens_details": {"text_tokens": text, "image_tokens": image},
            "output_tokens_details": {"image_tokens": made, "text_tokens": 0},
        }  # fmt: skip


async def generate(request: Request, face: OpenAIFace) -> Response:
    """POST /images/generations, JSON."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    raw = await read_json(request)
    return raw if isinstance(raw, Response) else await _answer(request, face, caller, raw, ())


async def edit(request: Request, face: OpenAIFace) -> Response:
    """POST /images/edits, a form: one file `image`, or several `image[]`."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return failure(400, "Invalid Content-Type header: expected 'multipart/form-data'.")
    async with request.form(max_files=MAX_PICTURES + 2, max_part_size=MAX_PICTURE_BYTES) as form:
        given = await _references(form)
        if isinstance(given, Response):
            return given
        raw = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    return await _answer(request, face, caller, raw, given)


async def _references(form: FormData) -> tuple[bytes, ...] | Response:
    single, several = form.getlist("image"), form.getlist("image[]")
    if len(single) > 1:
        return failure(400, "Duplicate parameter: 'image'.", INVALID, "duplicate_parameter", "image")
    files = [*single, *several]
    if not files:
        message = "Missing required parameter: 'image'."
        return failure(400, message, INVALID, "missing_required_parameter", "image")
    if len(files) > MAX_PICTURES:
        return failure(400, "Too many images: at most 16.", INVALID, "invalid_value", "image")
    read = []
    for file in files:
        if not isinstance(file, UploadFile) or file.content_type not in ("image/png", "image/webp", "image/jpeg"):
            return failure(400, "Invalid file 'image': unsupported mimetype.", INVALID, "unsupported_file", "image")
        read.append(await file.read())
        if len(read[-1]) >= MAX_PICTURE_BYTES:
            return failure(400, "Invalid file 'image': too large.", INVALID, "invalid_value", "image")
    unknown = {
        name for name, value in form.multi_items() if isinstance(value, UploadFile) and name not in ("image", "image[]")
    }
    if unknown:
        name = min(unknown)
        return failure(400, f"Unknown parameter: '{name}'.", INVALID, "unknown_parameter", name)
    return tuple(read)


async def _answer(
    request: Request, face: OpenAIFace, caller: Caller, raw: dict[str, Any], references: tuple[bytes, ...]
) -> Response:
    prompt = raw.get("prompt") if isinstance(raw.get("prompt"), str) else ""
    assert isinstance(prompt, str)
    faults = caller.faults_for(request, prompt, face.tally)
    if (answer := struck(faults, "submit", prompt, face.tally, face.hang_seconds)) is not None:
        return answer
    asked = _checked(raw, references, faults)
    if isinstance(asked, Response):
        return asked
    face.ground.bill.open(
        request_id=asked.id, provider=face.name, endpoint=asked.offer.id, key_hint=caller.hint, prompt=prompt
    )
    try:
        answer = await _painted(request, face, asked)
    except BadReference:
        answer = failure(400, "Invalid image file or mode for image.", INVALID, "invalid_image_file", "image")
    if answer.status_code != 200:
        face.ground.bill.mark(asked.id, "failed")
    return strike_after(faults, "submit", prompt, face.tally, answer)


def _checked(raw: dict[str, Any], references: tuple[bytes, ...], faults: Faults) -> _Asked | Response:
    try:
        body = ImageBody.model_validate(raw)
    except ValidationError as error:
        return errors.not_valid(error)
    model = offer(body.model, "image")
    if model is None:
        return errors.no_model(body.model)
    if body.quality not in model.qualities:
        return failure(400, f"Invalid value: '{body.quality}'.", INVALID, "invalid_value", "quality")
    if body.input_fidelity is not None and (not references or body.input_fidelity not in model.fidelity):
        message = "The model does not support the 'input_fidelity' parameter."
        return failure(400, message, INVALID, "invalid_input_fidelity_model", "input_fidelity")
    if body.complexity is not None and "2.5" not in model.id:
        return failure(400, "Unknown parameter: 'complexity'.", INVALID, "unknown_parameter", "complexity")
    if body.background == "transparent" and body.output_format == "jpeg":
        message = "Transparent background is not supported for the jpeg format."
        return failure(400, message, INVALID, "invalid_value", "background")
    if body.output_compression != 100 and body.output_format == "png":
        message = "Compression less than 100 is not supported for PNG output format."
        return failure(400, message, INVALID, "invalid_png_output_compression", "output_compression")
    size = _pixels(body.size, model)
    if size is None:
        return failure(400, f"Invalid value: '{body.size}'.", INVALID, "invalid_value", "size")
    if "422" in faults:
        message = "The sandbox was asked to find fault with this prompt."
        return failure(400, message, INVALID, "invalid_value", "prompt")
    if "safety" in faults:
        return errors.blocked("input")
    return _Asked(f"img_{secrets.token_hex(12)}", body, model, references, faults, *size)


def _pixels(size: str, model: Offer) -> tuple[int, int] | None:
    if size == "auto":
        return 1024, 1024
    match = _PIXELS.fullmatch(size)
    if match is None or (not model.free_size and size not in _THREE):
        return None
    width, height = int(match[1]), int(match[2])
    inside = max(width, height) <= 3840 and width * height <= 3840 * 2160
    even = width % 16 == 0 and height % 16 == 0 and 1 / 3 <= width / height <= 3
    return (width, height) if inside and even else None


async def _painted(request: Request, face: OpenAIFace, asked: _Asked) -> Response:
    faults, body, pace = asked.faults, asked.body, face.pace
    if (slow := faults.get("slow")) is not None:
        await asyncio.sleep(slow.number(10))
    fewer = faults.get("fewer")
    count = max(0, body.n - int(fewer.number(1))) if fewer else body.n
    seed, began = secrets.randbelow(2**31), time.monotonic()
    pictures = []
    for number in range(count):
        order = Order(body.prompt, seed + number, asked.width, asked.height, body.output_format, asked.references)
        pictures.append(await face.ground.studio.paint(order))
    await asyncio.sleep(max(0.0, pace.paint_seconds() - (time.monotonic() - began)))
    if "nsfw" in faults:
        return errors.blocked("output")
    if "fail" in faults:
        return failure(500, "The server had an error while processing your request.", "server_error")
    usage = asked.usage(count)
    details = usage["input_tokens_details"]
    cost = asked.offer.cost_micro_usd(details["text_tokens"], details["image_tokens"], usage["output_tokens"])
    face.ground.bill.charge(asked.id, units(usage["total_tokens"]), cost)
    data = [await _entry(request, face, asked, picture) for picture in pictures]
    background = "opaque" if body.background == "auto" else body.background
    answer = {
        "created": int(time.time()), "data": data, "background": background, "output_format": body.output_format,
        "quality": "medium" if body.quality == "auto" else body.quality, "size": f"{asked.width}x{asked.height}",
        "usage": usage,
    }  # fmt: skip
    if "no-usage" in faults:
        del answer["usage"]
    return JSONResponse(answer, headers=request_headers())


async def _entry(request: Request, face: OpenAIFace, asked: _Asked, picture: bytes) -> dict[str, str]:
    if "private-url" in asked.faults:
        return {"url": "http://169.254.169.254/latest/meta-data/"}
    if "by-url" in asked.faults:
        suffix, media_type = asked.body.output_format, f"image/{asked.body.output_format}"
        name = face.files.add(
            picture, media_type, f"picture.{suffix}", prompt=asked.body.prompt, faults=asked.faults
        )  # fmt: skip
        return {"url": f"{face.base_url(request)}/files/{name}"}
    return {"b64_json": base64.b64encode(await spoilt_bytes(picture, asked.faults)).decode()}
