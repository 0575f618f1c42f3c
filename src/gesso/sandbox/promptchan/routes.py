"""The Promptchan face as routes."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.delivery import deliver
from gesso.sandbox.face import Ground
from gesso.sandbox.html import table
from gesso.sandbox.promptchan import chat, making, videos
from gesso.sandbox.promptchan.auth import authenticate
from gesso.sandbox.promptchan.errors import failure
from gesso.sandbox.promptchan.face import PromptchanFace
from gesso.sandbox.routing import routes

_ABOUT = """<h2>Promptchan, under <code>/promptchan</code></h2>
<p>Set <code>PROMPTCHAN_BASE_URL</code> to this address plus <code>/promptchan</code>. Any key is good, except
<code>wrong</code>; <code>fault-…</code> asks for a fault. Its pictures are the sandbox's ordinary paintings. A request
without the age of an adult must never arrive: it is refused, and counted under
<code>/promptchan/_breaches</code>.</p>
"""
_PRICES = [
    ("create", "1 gem; Extreme 2, Max 3; restored faces 1 more"),
    ("video_v2, video_v3.1", "10 gems; High 20, Max 30; with audio 5 more (not documented: the sandbox's own)"),
    ("chat", "0.25 gems (not documented: the sandbox's own)"),
]


async def _balance(request: Request, face: PromptchanFace) -> Response:
    """GET /status, as one public script reads it."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    told = face.told_gems(caller.owner, caller.faults)
    if not told:
        return failure(404, "Not found")
    return JSONResponse(told | {"subscription": {"plan": "sandbox", "renewal_date": "2026-12-01"}})


async def _breaches(request: Request, face: PromptchanFace) -> Response:
    return JSONResponse({"breaches": face.breaches})


async def _file(request: Request, face: PromptchanFace) -> Response:
    """GET /files/…: open to whoever knows the address, or what the faults of its request made of it."""
    answer = await deliver(face.files.get(request.path_params["name"]), face.tally, face.hang_seconds)
    return failure(404, "No such file") if answer is None else answer


async def _unknown(request: Request, face: PromptchanFace) -> Response:
    return failure(404, f"Cannot {request.method} {request.url.path}")


_API = "/api/external"
_TABLE = (
    ("POST", f"{_API}/create", making.create),
    ("POST", f"{_API}/chat", chat.chat),
    ("GET", f"{_API}/status", _balance),
    *(
        row
        for version in ("v2", "v3.1")
        for row in (
            ("POST", f"{_API}/video_{version}/submit", videos.submit),
            ("GET", f"{_API}/video_{version}/status/{{request_id}}", videos.status),
        )
    ),
    ("GET", f"{_API}/video_v2/status_with_logs/{{request_id}}", videos.progress),
    ("GET", f"{_API}/video_v2/result/{{request_id}}", videos.result),
    ("GET", "/files/{name:path}", _file),
    ("GET", "/_breaches", _breaches),
)


def face(ground: Ground) -> PromptchanFace:
    """The Promptchan face."""
    made = PromptchanFace(ground, _ABOUT + table(_PRICES))
    made.routes = routes(made, _TABLE, _unknown, lambda said: failure(400, said, under="message"))
    return made
