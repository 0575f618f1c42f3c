"""The ComfyUI face as one ASGI endpoint: every route plain and under `/api`, and all again for an older version."""

import re

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gesso.sandbox.caller import header_faults
from gesso.sandbox.comfyui import queueing
from gesso.sandbox.comfyui.auth import admitted, struck
from gesso.sandbox.comfyui.face import ComfyFace, Machine
from gesso.sandbox.comfyui.nodes import NODES, told
from gesso.sandbox.delivery import deliver
from gesso.sandbox.face import Ground
from gesso.sandbox.faults import UnknownFault
from gesso.sandbox.html import table
from gesso.sandbox.routing import Patterns, catch_all

_GIB = 2**30
_KINDS = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "gif": "image/gif", "mp4": "video/mp4"}

_ABOUT = """<h2>ComfyUI, under <code>/comfyui</code></h2>
<p>Set <code>COMFYUI_BASE_URL</code> to this address plus <code>/comfyui</code>; <code>/comfyui/old</code> is a box of
October 2025. No key is asked for; a bearer token <code>wrong</code> is refused, <code>fault-…</code> asks for a fault,
and so do words in a text node. A restart forgets queue and history, as ComfyUI does. Installed classes of nodes:</p>
"""


async def view(request: Request, face: ComfyFace, machine: Machine) -> Response:
    """GET /view: a file, or what the faults of its job made of it."""
    refused = admitted(request)
    if isinstance(refused, Response):
        return refused
    query = request.query_params
    name, folder = query.get("filename", ""), query.get("type", "output")
    if not name:
        return Response(status_code=404)
    if name.startswith("/") or ".." in name or folder not in ("output", "input", "temp"):
        return Response(status_code=400)
    subfolder = query.get("subfolder", "")
    if ".." in subfolder or subfolder.startswith("/"):
        return Response(status_code=403)
    stored = machine.shelf.get(folder, f"{subfolder}/{name}")
    answer = await deliver(stored, face.tally, face.hang_seconds)
    if answer is None:
        return Response(status_code=404)
    answer.headers["Content-Disposition"] = f'filename="{name}"'
    return answer


async def upload(request: Request, face: ComfyFace, machine: Machine) -> Response:
    """POST /upload/image: nothing is looked at but the name."""
    refused = admitted(request)
    if isinstance(refused, Response):
        return refused
    faults = header_faults(request, "upload") + refused.faults
    answer = struck(faults, "upload", "", face.tally, face.hang_seconds)
    if answer is not None:
        return answer
    async with request.form(max_part_size=queueing.MAX_BODY_BYTES) as form:
        part, subfolder, folder = form.get("image"), form.get("subfolder", ""), form.get("type", "input")
        plain = isinstance(subfolder, str) and ".." not in subfolder and not subfolder.startswith("/")
        if not isinstance(part, UploadFile) or not part.filename or not plain:
            return Response(status_code=400)
        data = await part.read()
    stem, dot, ending = part.filename.rpartition(".")
    name, number = part.filename, 0
    while form.get("overwrite") not in ("true", "1") and (
        held := machine.shelf.get(str(folder), f"{subfolder}/{name}")
    ):
        if held.data == data:
            break
        number += 1
        name = f"{stem} ({number}){dot}{ending}"
    kind = _KINDS.get(ending.lower(), "application/octet-stream")
    machine.shelf.put(str(folder), f"{subfolder}/{name}", data, kind)
    return JSONResponse({"name": name, "subfolder": subfolder, "type": folder})


async def statistics(request: Request, face: ComfyFace, machine: Machine) -> Response:
    """GET /system_stats."""
    refused = admitted(request)
    if isinstance(refused, Response):
        return refused
    faults = header_faults(request, "status")
    system = {
        "os": "posix", "ram_total": 64 * _GIB, "ram_free": 41 * _GIB, "comfyui_version": machine.version,
        "python_version": "3.12.7", "pytorch_version": "2.8.0+cu128", "embedded_python": False, "argv": ["main.py"],
    }  # fmt: skip
    device = {
        "name": "cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync", "type": "cuda", "index": 0, "vram_total": 24 * _GIB,
        "vram_free": 21 * _GIB, "torch_vram_total": _GIB, "torch_vram_free": _GIB // 2,
    }  # fmt: skip
    answer = JSONResponse({"system": system, "devices": [device]})
    return struck(faults, "status", "", face.tally, face.hang_seconds) or answer


async def classes(request: Request, face: ComfyFace, machine: Machine, name: str = "") -> Response:
    """GET /object_info, of all or of one class."""
    refused = admitted(request)
    if isinstance(refused, Response):
        return refused
    return JSONResponse({each: told(each) for each in NODES if name in ("", each)})


_PATTERNS = Patterns(
    ("POST", r"prompt", queueing.submit),
    ("GET", r"prompt", queueing.remaining),
    ("GET", r"queue", queueing.queue),
    ("POST", r"queue", queueing.change_queue),
    ("POST", r"interrupt", queueing.interrupt),
    ("GET", r"history/(?P<job_id>[^/]+)", queueing.history),
    ("POST", r"history", queueing.change_history),
    ("POST", r"upload/image", upload),
    ("GET", r"view", view),
    ("GET", r"system_stats", statistics),
    ("GET", r"object_info", classes),
    ("GET", r"object_info/(?P<name>[^/]+)", classes),
)
_CANCEL = re.compile(r"api/jobs/(?P<job_id>[^/]+)/cancel")


def face(ground: Ground) -> ComfyFace:
    """The ComfyUI face."""
    made = ComfyFace(ground, _ABOUT + table([(name, ", ".join(node.inputs)) for name, node in NODES.items()]))

    async def endpoint(request: Request) -> Response:
        try:
            return await _answer(request, made)
        except UnknownFault as error:
            return PlainTextResponse(str(error), 400)

    made.routes = [catch_all(made, endpoint)]
    return made


async def _answer(request: Request, face: ComfyFace) -> Response:
    path, method = request.path_params["path"], request.method.replace("HEAD", "GET")
    machine = face.machines["old" if path.startswith("old/") else "new"]
    path = path.removeprefix("old/")
    if not machine.old and method == "POST" and (match := _CANCEL.fullmatch(path)):
        return await queueing.cancel(request, face, machine, match["job_id"])
    if (handler := _PATTERNS.find(method, path.removeprefix("api/"))) is not None:
        return await handler(request, face, machine)
    # what is left to answer are the site's static files, which can only be read
    return PlainTextResponse("404: Not Found", 404) if method == "GET" else PlainTextResponse("405", 405)
