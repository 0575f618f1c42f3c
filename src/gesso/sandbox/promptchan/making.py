"""POST /create, a picture in the answer; and what all calls that make something begin with."""

import asyncio
import base64
import json
import secrets
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.caller import Caller
from gesso.sandbox.delivery import spoilt_bytes
from gesso.sandbox.faults import Faults
from gesso.sandbox.promptchan.auth import authenticate
from gesso.sandbox.promptchan.bodies import Breach, ImageBody, check_age
from gesso.sandbox.promptchan.errors import failure, struck
from gesso.sandbox.promptchan.face import PromptchanFace
from gesso.sandbox.studio import Order
from gesso.sandbox.transport import strike_after

_GEMS = {"Ultra": Decimal(1), "Extreme": Decimal(2), "Max": Decimal(3)}
_SIDES = {"512x512": (512, 512), "512x768": (512, 768), "768x512": (768, 512)}
_SEEDS = 2**31

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True)
class Asked:
    """A request that may be carried out."""

    caller: Caller
    faults: Faults
    prompt: str


async def begin(
    request: Request, face: PromptchanFace, wanted: type[Body], words: Literal["prompt", "message"]
) -> tuple[Asked, Body] | Response:
    """Who asks, the faults, and the checked body; or the answer that ends it here. Raises UnknownFault."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    try:
        raw = json.loads(await request.body())
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        return failure(400, "The body must be a JSON object.", under="message")
    try:
        check_age(raw, "chat" if words == "message" else "media")
    except Breach as error:
        face.breaches += 1
        return failure(400, str(error))
    told = raw.get(words)
    prompt = told if isinstance(told, str) else ""
    faults = caller.faults_for(request, prompt, face.tally)
    if (answer := struck(faults, "submit", prompt, face.tally, face.hang_seconds)) is not None:
        return answer
    try:
        body = wanted.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return failure(400, f"Invalid value for {where}: {first['msg']}", under="message")
    return Asked(caller, faults, prompt), body


async def create(request: Request, face: PromptchanFace) -> Response:
    """POST /create: made, paid for, and then perhaps answered too late."""
    begun = await begin(request, face, ImageBody, "prompt")
    if isinstance(begun, Response):
        return begun
    asked, body = begun
    request_id = f"img-{secrets.token_hex(12)}"
    face.ground.bill.open(
        request_id=request_id, provider=face.name, endpoint="create", key_hint=asked.caller.hint, prompt=body.prompt
    )
    if "fail" in asked.faults:
        face.ground.bill.mark(request_id, "failed")
        return failure(200, "Generation failed")
    began = time.monotonic()
    seed = secrets.randbelow(_SEEDS) if body.seed < 0 else body.seed
    picture = await face.ground.studio.paint(Order(body.prompt, seed, *_SIDES[body.image_size], "png"))
    face.charge(asked.caller, request_id, _GEMS[body.quality] + (1 if body.restore_faces else 0))
    slow = asked.faults.get("slow")
    pace = face.pace.paint_seconds() + (slow.number(10) if slow else 0.0)
    await asyncio.sleep(max(0.0, pace - (time.monotonic() - began)))
    told: dict[str, Any] = {"image": await _told(request, face, asked, picture)}
    answer = JSONResponse(told | face.told_gems(asked.caller.owner, asked.faults))
    return strike_after(asked.faults, "submit", body.prompt, face.tally, answer)


async def _told(request: Request, face: PromptchanFace, asked: Asked, picture: bytes) -> str:
    """Plain base64; or in one of the ways that callers guard against."""
    faults = asked.faults
    if "private-url" in faults:
        return "http://169.254.169.254/latest/meta-data/"
    if "by-url" in faults:
        name = face.files.add(picture, "image/png", "picture.png", prompt=asked.prompt, faults=faults)
        return f"{face.base_url(request)}/files/{name}"
    encoded = base64.b64encode(await spoilt_bytes(picture, faults)).decode()
    return f"data:image/png;base64,{encoded}" if "inline" in faults else encoded
