"""The Replicate face as one ASGI endpoint."""

from starlette.requests import Request
from starlette.responses import Response

from gesso.sandbox.face import Ground
from gesso.sandbox.faults import UnknownFault
from gesso.sandbox.html import table
from gesso.sandbox.replicate import errors, platform, predictions
from gesso.sandbox.replicate.face import ReplicateFace
from gesso.sandbox.replicate.models import DEPLOYMENTS, MODELS
from gesso.sandbox.routing import Patterns, catch_all

_MODEL = r"(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)"
_PREDICTION = r"v1/predictions/(?P<prediction_id>[\w-]{1,64})"

_PATTERNS = Patterns(
    ("POST", r"v1/predictions", predictions.create),
    ("GET", r"v1/predictions", predictions.listing),
    ("GET", _PREDICTION, predictions.get),
    ("POST", rf"{_PREDICTION}/cancel", predictions.cancel),
    ("POST", rf"v1/models/{_MODEL}/predictions", predictions.create_official),
    ("POST", rf"v1/deployments/{_MODEL}/predictions", predictions.create_deployed),
    ("GET", rf"v1/models/{_MODEL}", platform.model),
    ("GET", rf"v1/models/{_MODEL}/versions/(?P<version_id>\w+)", platform.version),
    ("GET", r"v1/account", platform.account),
    ("GET", r"v1/hardware", platform.hardware),
    ("GET", r"v1/webhooks/default/secret", platform.secret),
    ("POST", r"v1/files", platform.upload),
    ("GET", r"v1/files/(?P<file_id>[\w-]+)", platform.file),
    ("DELETE", r"v1/files/(?P<file_id>[\w-]+)", platform.file),
    ("GET", r"delivery/(?P<name>.+)", platform.output),
)

_ABOUT = """<h2>Replicate, under <code>/replicate</code></h2>
<p>Set <code>REPLICATE_BASE_URL</code> to this address plus <code>/replicate</code> (the JavaScript client and the
second Python client want <code>/replicate/v1</code>). Any token is good, except <code>wrong</code>;
<code>fault-…</code> asks for a fault. Deployments: {deployments}. Results, inputs and logs go an hour after the
end.</p>
"""


def face(ground: Ground) -> ReplicateFace:
    """The Replicate face."""
    deployments = ", ".join(f"<code>{name}</code>" for name in DEPLOYMENTS)
    prices = [
        (f"{m.name}:{m.versions[0][:8]}…" if m.versions else m.name, f"{m.price_micro_usd / 1e6:g} USD per {m.billing}")
        for m in MODELS.values()
    ]
    made = ReplicateFace(ground, _ABOUT.format(deployments=deployments) + table(prices))

    async def endpoint(request: Request) -> Response:
        response = await _answer(request, made)
        if request.path_params["path"].startswith("v1/"):
            response.headers.setdefault("ratelimit-remaining", "599")
            response.headers.setdefault("ratelimit-reset", "1")
        return response

    made.routes = [catch_all(made, endpoint)]
    return made


async def _answer(request: Request, face: ReplicateFace) -> Response:
    handler = _PATTERNS.find(request.method, request.path_params["path"])
    try:
        return errors.not_found() if handler is None else await handler(request, face)
    except UnknownFault as error:
        return errors.problem(400, "Unknown fault", str(error))
