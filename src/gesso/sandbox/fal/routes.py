"""The fal face as one ASGI endpoint: fal's URLs are paths of any depth, so they are taken apart by hand."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.face import Ground
from gesso.sandbox.fal import platform, queue, storage
from gesso.sandbox.fal.endpoints import ENDPOINTS
from gesso.sandbox.fal.errors import not_found, plain
from gesso.sandbox.fal.face import FalFace
from gesso.sandbox.fal.signing import key_set
from gesso.sandbox.faults import UnknownFault
from gesso.sandbox.html import table
from gesso.sandbox.routing import Patterns, catch_all

_REQUEST = r"(?P<app>[\w.-]+/[\w.-]+)/requests/(?P<request_id>[\w-]{1,64})"


async def _keys(request: Request, face: FalFace) -> Response:
    """GET /.well-known/jwks.json: what webhooks are checked with."""
    return JSONResponse(key_set())


_PATTERNS = Patterns(
    ("POST", r"storage/auth/token", storage.token),
    ("POST", r"storage/upload/initiate", storage.initiate),
    ("PUT", r"storage/put/(?P<name>.+)", storage.put),
    ("POST", r"files/upload", storage.upload),
    ("GET", r"files/(?P<name>.+)", storage.serve),
    ("GET", r"\.well-known/jwks\.json", _keys),
    ("GET", r"(?:v1/)?models/pricing", platform.pricing),
    ("GET", r"(?:v1/)?models/requests/by-endpoint", platform.requests),
    ("GET", rf"{_REQUEST}/status", queue.status),
    ("GET", rf"{_REQUEST}/status/stream", queue.stream),
    ("GET", _REQUEST, queue.result),
    ("PUT", rf"{_REQUEST}/cancel", queue.cancel),
    ("POST", r"run/(?P<path>.+)", queue.call),
    ("POST", r"(?P<path>.+)", queue.submit),
)

_ABOUT = """<h2>fal, under <code>/fal</code></h2>
<p>Set <code>FAL_BASE_URL</code> to this address plus <code>/fal</code>. Any <code>Key &lt;id&gt;:&lt;secret&gt;</code>
is good, except the secret <code>wrong</code>. Fields a model does not have are refused, which fal itself does not do.
The direct call is <code>POST /fal/run/&lt;endpoint&gt;</code>.</p>
"""


def face(ground: Ground) -> FalFace:
    """The fal face."""
    about = _ABOUT + table([(e.id, f"{e.price_micro_usd / 1e6:g} USD per {e.unit}") for e in ENDPOINTS.values()])
    made = FalFace(ground, about)

    async def endpoint(request: Request) -> Response:
        path = request.path_params["path"]
        handler = _PATTERNS.find(request.method, path)
        try:
            return not_found(f"/{path}") if handler is None else await handler(request, made)
        except UnknownFault as error:
            return plain(400, str(error))

    made.routes = [catch_all(made, endpoint)]
    return made
