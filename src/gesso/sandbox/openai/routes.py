"""The OpenAI face under `/openai/v1`."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.caller import header_faults
from gesso.sandbox.delivery import deliver
from gesso.sandbox.face import Ground
from gesso.sandbox.html import table
from gesso.sandbox.openai import chat, images, moderations, videos
from gesso.sandbox.openai.auth import authenticate, struck
from gesso.sandbox.openai.errors import INVALID, failure, no_model, request_headers
from gesso.sandbox.openai.face import OpenAIFace
from gesso.sandbox.openai.models import OFFERS
from gesso.sandbox.routing import routes

_ABOUT = """<h2>OpenAI, under <code>/openai/v1</code></h2>
<p>Set <code>OPENAI_BASE_URL</code> to this address plus <code>/openai/v1</code>. Any key is good, except
<code>wrong</code>; <code>fault-429</code> and the like ask for a fault. Unknown fields are refused.</p>
"""


async def _models(request: Request, face: OpenAIFace) -> Response:
    """GET /models."""
    refused = _refusal(request, face)
    if refused is not None:
        return refused
    return JSONResponse(
        {"object": "list", "data": [offer.to_json() for offer in OFFERS.values()]}, headers=request_headers()
    )


async def _model(request: Request, face: OpenAIFace) -> Response:
    """GET /models/{id}."""
    refused = _refusal(request, face)
    if refused is not None:
        return refused
    offer = OFFERS.get(request.path_params["name"])
    if offer is None:
        return no_model(request.path_params["name"])
    return JSONResponse(offer.to_json(), headers=request_headers())


def _refusal(request: Request, face: OpenAIFace) -> Response | None:
    """The answer to somebody who may not ask, or a fault's. A fault of the key strikes submits, not this."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    faults = header_faults(request, "status")
    return struck(faults, "status", "", face.tally, face.hang_seconds)


async def _file(request: Request, face: OpenAIFace) -> Response:
    """GET /files/…: a picture that was told by its address, or what the faults of its request made of it."""
    answer = await deliver(face.files.get(request.path_params["name"]), face.tally, face.hang_seconds)
    return failure(404, "File not found.", INVALID) if answer is None else answer


async def _unknown(request: Request, face: OpenAIFace) -> Response:
    return failure(404, f"Invalid URL ({request.method} {request.url.path})", INVALID)


_TABLE = (
    ("GET", "/v1/models", _models),
    ("GET", "/v1/models/{name}", _model),
    ("POST", "/v1/chat/completions", chat.complete),
    ("POST", "/v1/images/generations", images.generate),
    ("POST", "/v1/images/edits", images.edit),
    ("POST", "/v1/moderations", moderations.moderate),
    ("POST", "/v1/videos", videos.create),
    ("GET", "/v1/videos", videos.listing),
    ("GET", "/v1/videos/{name}", videos.retrieve),
    ("DELETE", "/v1/videos/{name}", videos.delete),
    ("GET", "/v1/videos/{name}/content", videos.content),
    ("GET", "/files/{name:path}", _file),
)


def face(ground: Ground) -> OpenAIFace:
    """The OpenAI face."""
    made = OpenAIFace(ground, _ABOUT + table([(offer.id, offer.kind) for offer in OFFERS.values()]))
    made.routes = routes(made, _TABLE, _unknown, lambda said: failure(400, said))
    return made
