"""The Gemini face under `/gemini/v1` and `/gemini/v1beta`."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.caller import header_faults
from gesso.sandbox.face import Ground
from gesso.sandbox.gemini import errors, generate
from gesso.sandbox.gemini.auth import authenticate, struck
from gesso.sandbox.gemini.face import GeminiFace
from gesso.sandbox.gemini.models import OFFERS, RETIRED
from gesso.sandbox.html import table
from gesso.sandbox.routing import routes

VERSIONS = ("v1", "v1beta")
_PAGE_SIZE, _PAGE_MAX = 50, 1000
_ABOUT = """<h2>Google Gemini, under <code>/gemini</code></h2>
<p>Set <code>GEMINI_BASE_URL</code> to this address plus <code>/gemini</code>; <code>/v1</code> and <code>/v1beta</code>
are both there. Any key is good, except <code>wrong</code>; <code>fault-429</code> and the like ask for a fault. Unknown
fields are refused.</p>
"""


async def _models(request: Request, face: GeminiFace) -> Response:
    """GET models: pages of `pageSize`, the next one by `pageToken`."""
    refused = _refusal(request, face)
    if refused is not None:
        return refused
    size, token = request.query_params.get("pageSize", str(_PAGE_SIZE)), request.query_params.get("pageToken", "0")
    if not (size.isdigit() and token.isdigit()):
        return errors.invalid("page_token" if size.isdigit() else "page_size", "Invalid value.")
    start, offers = int(token), list(OFFERS.values())
    end = start + min(max(int(size), 1), _PAGE_MAX)
    told = {"models": [offer.to_json() for offer in offers[start:end]]}
    return JSONResponse(told | ({"nextPageToken": str(end)} if end < len(offers) else {}))


async def _model(request: Request, face: GeminiFace) -> Response:
    """GET models/{name}."""
    refused = _refusal(request, face)
    if refused is not None:
        return refused
    name = request.path_params["name"]
    offer = OFFERS.get(name)
    return errors.no_model(name, generate.version_of(request)) if offer is None else JSONResponse(offer.to_json())


def _refusal(request: Request, face: GeminiFace) -> Response | None:
    """The answer to somebody who may not ask, or a fault's. A fault of the key strikes calls of models, not this."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    faults = header_faults(request, "status")
    return struck(faults, "status", "", face.tally, face.hang_seconds)


async def _unknown(request: Request, face: GeminiFace) -> Response:
    return errors.failure(404, "Requested entity was not found.")


_MODEL_PATHS = (
    ("GET", "/models", _models),
    ("GET", "/models/{name}", _model),
    ("POST", "/models/{name}:generateContent", generate.whole),
    ("POST", "/models/{name}:streamGenerateContent", generate.streamed),
)


def face(ground: Ground) -> GeminiFace:
    """The Gemini face."""
    offers = [(offer.id, offer.kind) for offer in OFFERS.values()]
    made = GeminiFace(ground, _ABOUT + table([*offers, *((name, "retired: 404") for name in sorted(RETIRED))]))
    rows = [(method, f"/{version}{path}", handler) for method, path, handler in _MODEL_PATHS for version in VERSIONS]
    made.routes = routes(made, rows, _unknown, lambda said: errors.failure(400, said))
    return made
