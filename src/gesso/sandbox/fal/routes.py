"""The fal face as one ASGI endpoint: fal's URLs are paths of any depth, so they are taken apart by hand."""

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gesso.sandbox.face import Ground
from gesso.sandbox.fal import platform, queue, storage
from gesso.sandbox.fal.endpoints import ENDPOINTS
from gesso.sandbox.fal.errors import not_found, plain
from gesso.sandbox.fal.face import FalFace
from gesso.sandbox.fal.signing import key_set
from gesso.sandbox.faults import UnknownFault
from gesso.sandbox.html import table

Handler = Callable[..., Awaitable[Response]]

_REQUEST = r"(?P<app>[\w.-]+/[\w.-]+)/requests/(?P<request_id>[\w-]{1,64})"

_TABLE: tuple[tuple[str, str, Handler], ...] = (
    ("POST", r"storage/auth/token", storage.token),
    ("POST", r"storage/upload/initiate", storage.initiate),
    ("PUT", r"storage/put/(?P<name>.+)", storage.put),
    ("POST", r"files/upload", storage.upload),
    ("GET", r"files/(?P<name>.+)", storage.serve),
    ("GET", r"(?:v1/)?models/pricing", platform.pricing),
    ("GET", r"(?:v1/)?models/requests/by-endpoint", platform.requests),
    ("GET", rf"{_REQUEST}/status", queue.status),
    ("GET", rf"{_REQUEST}/status/stream", queue.stream),
    ("GET", _REQUEST, queue.result),
    ("PUT", rf"{_REQUEST}/cancel", queue.cancel),
    ("POST", r"run/(?P<path>.+)", queue.call),
    ("POST", r"(?P<path>.+)", queue.submit),
)
_COMPILED = tuple((method, re.compile(pattern), handler) for method, pattern, handler in _TABLE)


_ABOUT = """<h2>fal, under <code>/fal</code></h2>
<p>Set <code>FAL_BASE_URL</code> to this address plus <code>/fal</code>. Any <code>Key &lt;id&gt;:&lt;secret&gt;</code>
is good, except the secret <code>wrong</code>. Fields a model does not have are refused, which fal itself does not do.
The direct call is <code>POST /fal/run/&lt;endpoint&gt;</code>.</p>
"""


def face(ground: Ground) -> FalFace:
    """The fal face."""
    about = _ABOUT + table([(e.id, f"{e.price_micro_usd / 1e6:g} USD per {e.unit}") for e in ENDPOINTS.values()])
    made = FalFace(ground, about)
    made.routes.append(_route(made))
    return made


def _route(face: FalFace) -> Route:
    """The route that answers everything under the face's prefix."""

    async def endpoint(request: Request) -> Response:
        path = request.path_params["path"]
        method = "GET" if request.method == "HEAD" else request.method
        if (method, path) == ("GET", ".well-known/jwks.json"):
            return JSONResponse(key_set())
        for wanted, pattern, handler in _COMPILED:
            if wanted == method and (match := pattern.fullmatch(path)):
                try:
                    return await handler(request, face, **match.groupdict())
                except UnknownFault as error:
                    return plain(400, str(error))
        return not_found(f"/{path}")

    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]
    return Route(f"{face.prefix}/{{path:path}}", endpoint, methods=methods)
