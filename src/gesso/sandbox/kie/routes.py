"""The kie.ai face as one ASGI endpoint: both of kie.ai's hosts are this one."""

from starlette.requests import Request
from starlette.responses import Response

from gesso.sandbox.face import Ground
from gesso.sandbox.faults import Faults, UnknownFault
from gesso.sandbox.html import table
from gesso.sandbox.kie import chat, errors, tasks, uploads
from gesso.sandbox.kie.face import KieFace
from gesso.sandbox.kie.models import CHAT, MODELS
from gesso.sandbox.kie.signing import WEBHOOK_KEY
from gesso.sandbox.routing import Patterns, catch_all

_PATTERNS = Patterns(
    ("POST", r"api/v1/jobs/createTask", tasks.create),
    ("GET", r"api/v1/jobs/recordInfo", tasks.record),
    ("POST", r"api/v1/flux/kontext/generate", tasks.create_kontext),
    ("GET", r"api/v1/flux/kontext/record-info", tasks.record_kontext),
    ("GET", r"api/v1/chat/credit", tasks.credit),
    ("POST", r"api/v1/common/download-url", tasks.download_url),
    ("POST", r"api/file-stream-upload", uploads.by_stream),
    ("POST", r"api/file-base64-upload", uploads.by_base64),
    ("POST", r"api/file-url-upload", uploads.by_url),
    ("GET", r"files/(?P<name>.+)", uploads.serve),
    ("POST", r"(?P<name>[\w.-]+)/v1/chat/completions", chat.complete),
)

_ABOUT = """<h2>kie.ai, under <code>/kie</code></h2>
<p>Set <code>KIE_BASE_URL</code> to this address plus <code>/kie</code>: uploads are here too. Any key is good, except
<code>wrong</code>; <code>fault-…</code> asks for a fault. Every key begins with 100,000 credits; 20 new jobs are taken
in 10 seconds, from the key <code>sandbox</code> any number. Callbacks are signed with the webhook key
<code>{key}</code>. Chat: {chat}. Prices below are credits a picture.</p>
"""


def face(ground: Ground) -> KieFace:
    """The kie.ai face."""
    names = ", ".join(f"<code>{name}</code>" for name in CHAT)
    prices = [(model.id, ", ".join(f"{tier} {price}".strip() for tier, (_, price) in model.tiers.items()))
              for model in MODELS.values()]  # fmt: skip
    made = KieFace(ground, _ABOUT.format(key=WEBHOOK_KEY, chat=names) + table(prices))

    async def endpoint(request: Request) -> Response:
        handler = _PATTERNS.find(request.method, request.path_params["path"])
        try:
            return errors.refusal(404, "Not Found", Faults()) if handler is None else await handler(request, made)
        except UnknownFault as error:
            return errors.refusal(400, str(error), Faults())

    made.routes = [catch_all(made, endpoint)]
    return made
