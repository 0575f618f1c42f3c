"""Handing in workflows, and what can be asked of the queue."""

import json
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.caller import Caller, header_faults
from gesso.sandbox.comfyui import checking
from gesso.sandbox.comfyui.auth import admitted, struck, trouble
from gesso.sandbox.comfyui.box import Job
from gesso.sandbox.comfyui.face import ComfyFace, Machine
from gesso.sandbox.comfyui.reading import words_of
from gesso.sandbox.faults import Faults
from gesso.sandbox.receiving import read
from gesso.sandbox.transport import strike_after

MAX_BODY_BYTES = 100 * 2**20
_BAD_ID = {
    "type": "invalid_prompt_id",
    "message": "prompt_id must be a valid UUID",
    "details": "prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the server "
    "generate one",
    "extra_info": {},
}
_NO_PROMPT = {
    "type": "no_prompt", "message": "No prompt provided", "details": "No prompt provided", "extra_info": {},
}  # fmt: skip


async def body_of(request: Request) -> Any:
    """The body as JSON. Raises ValueError."""
    return json.loads(await read(request, MAX_BODY_BYTES))


async def submit(request: Request, face: ComfyFace, machine: Machine) -> Response:
    """POST /prompt."""
    caller = admitted(request)
    if isinstance(caller, Response):
        return caller
    try:
        raw = await body_of(request)
        workflow = raw.get("prompt")
        words = words_of(workflow) if isinstance(workflow, dict) else ""
        faults = caller.faults_for(request, words, face.tally)
        refused = struck(faults, "submit", words, face.tally, face.hang_seconds)
        return refused or strike_after(faults, "submit", words, face.tally, _take(raw, machine, caller, faults, words))
    except (AttributeError, KeyError, TypeError, json.JSONDecodeError):
        return trouble()


def _take(raw: dict[str, Any], machine: Machine, caller: Caller, faults: Faults, words: str) -> Response:
    box = machine.box
    number = float(raw["number"]) if "number" in raw else box.next_number(front=bool(raw.get("front")))
    if "prompt" not in raw:
        return JSONResponse({"error": _NO_PROMPT, "node_errors": {}}, 400)
    job_id = _id_of(raw, old=machine.old)
    if job_id is None:
        return JSONResponse({"error": _BAD_ID, "node_errors": {}}, 400)
    workflow = raw["prompt"]
    checked = checking.check(
        workflow, lambda name: isinstance(name, str) and machine.shelf.get("input", name) is not None, old=machine.old
    )
    if checked.error is None and "422" in faults:
        checked = checking.faulted(workflow, checked.outputs)
    if checked.error is not None:
        return JSONResponse({"error": checked.error, "node_errors": checked.node_errors}, 400)
    extra = dict(raw.get("extra_data", {}))
    if "client_id" in raw:
        extra["client_id"] = raw["client_id"]
    box.put(Job(number, job_id, workflow, extra, checked.outputs, faults, words, caller.hint))
    return JSONResponse({"prompt_id": job_id, "number": number, "node_errors": checked.node_errors})


def _id_of(raw: dict[str, Any], *, old: bool) -> str | None:
    """The client's id or a fresh one; None when today's versions refuse it."""
    given = raw.get("prompt_id")
    if given is None:
        return str(uuid.uuid4())
    if old:
        return str(given)
    try:
        return given if isinstance(given, str) and str(uuid.UUID(given)) == given else None
    except ValueError:
        return None


async def queue(request: Request, face: ComfyFace, machine: Machine) -> Response:
    """GET /queue."""
    return _asked(request, face) or JSONResponse(machine.box.queue())


async def remaining(request: Request, face: ComfyFace, machine: Machine) -> Response:
    """GET /prompt."""
    return _asked(request, face) or JSONResponse({"exec_info": {"queue_remaining": machine.box.remaining()}})


def _asked(request: Request, face: ComfyFace) -> Response | None:
    """The refusal of somebody who may not ask, or a fault's answer. A fault of the key strikes submits only."""
    refused = admitted(request)
    if isinstance(refused, Response):
        return refused
    faults = header_faults(request, "status")
    return struck(faults, "status", "", face.tally, face.hang_seconds)


async def history(request: Request, face: ComfyFace, machine: Machine, job_id: str) -> Response:
    """GET /history/{id}: nothing until it has ended."""
    asked = admitted(request)
    if isinstance(asked, Response):
        return asked
    entry = machine.box.history.get(job_id)
    of_job, words = machine.box.faults_of(job_id)
    stage = "result" if entry else "status"
    faults = header_faults(request, stage) + of_job
    refused = struck(faults, stage, words, face.tally, face.hang_seconds)
    told = JSONResponse({job_id: entry} if entry else {})
    return refused or strike_after(faults, stage, words, face.tally, told)


async def change_history(request: Request, face: ComfyFace, machine: Machine) -> Response:
    """POST /history: clear it, or delete some."""
    body = await _wish(request)
    if isinstance(body, Response):
        return body
    gone = list(machine.box.history) if body.get("clear") else body.get("delete", [])
    for job_id in gone:
        machine.box.history.pop(job_id, None)
    return Response(status_code=200)


async def change_queue(request: Request, face: ComfyFace, machine: Machine) -> Response:
    """POST /queue: delete what waits."""
    body = await _wish(request)
    if isinstance(body, Response):
        return body
    for job_id in body.get("delete", []):
        refused = _stopping(face, machine, job_id)
        if refused is not None:
            return refused
        machine.box.delete(job_id)
    return Response(status_code=200)


async def interrupt(request: Request, face: ComfyFace, machine: Machine) -> Response:
    """POST /interrupt: what runs, or only if it is the job named."""
    body = await _wish(request, empty=True)
    if isinstance(body, Response):
        return body
    job_id = body.get("prompt_id")
    refused = _stopping(face, machine, job_id)
    if refused is None:
        machine.box.interrupt(job_id)
    return refused or Response(status_code=200)


async def cancel(request: Request, face: ComfyFace, machine: Machine, job_id: str) -> Response:
    """POST /api/jobs/{id}/cancel, where there is one."""
    refused = admitted(request)
    if isinstance(refused, Response):
        return refused
    struck_by = _stopping(face, machine, job_id)
    if struck_by is not None:
        return struck_by
    return JSONResponse({"cancelled": machine.box.interrupt(job_id) or machine.box.delete(job_id)})


def _stopping(face: ComfyFace, machine: Machine, job_id: Any) -> Response | None:
    faults, words = machine.box.faults_of(str(job_id))
    return struck(faults, "cancel", words, face.tally, face.hang_seconds)


async def _wish(request: Request, *, empty: bool = False) -> dict[str, Any] | Response:
    refused = admitted(request)
    if isinstance(refused, Response):
        return refused
    try:
        body = await body_of(request)
    except ValueError:
        return {} if empty else trouble()
    return body if isinstance(body, dict) else trouble()
