"""Making tasks and asking for them, the balance, and download addresses."""

import secrets
import time
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from gesso.sandbox.caller import Caller, header_faults
from gesso.sandbox.faults import Faults
from gesso.sandbox.files import StoredFile
from gesso.sandbox.kie import errors, fields
from gesso.sandbox.kie.auth import authenticate, is_limited
from gesso.sandbox.kie.face import KieFace
from gesso.sandbox.kie.job import Job
from gesso.sandbox.kie.models import MODELS, Door
from gesso.sandbox.receiving import TooLarge, read_object
from gesso.sandbox.transport import strike_after

MAX_BODY_BYTES = 4 * 2**20
DOWNLOAD_SECONDS = 20 * 60
_AROUND = {"jobs": ("model", "callBackUrl", "input"), "kontext": ("model", "callBackUrl")}


def allowed(request: Request, face: KieFace, stage: str) -> tuple[Caller, Faults] | Response:
    """Who asks, with the faults of the key and of the header; or the answer to somebody who may not, or a fault's."""
    faults = header_faults(request, stage)
    caller = authenticate(request)
    if caller is None:
        return errors.unauthenticated(faults)
    faults = caller.faults + faults
    return errors.struck(faults, stage, "", face.tally, face.hang_seconds) or (caller, faults)


async def read_json(request: Request, faults: Faults, limit: int = MAX_BODY_BYTES) -> dict[str, Any] | Response:
    """The body as a JSON object, or the answer to one that is none."""
    try:
        raw = await read_object(request, limit)
    except TooLarge:
        return errors.refusal(413, "The request body is too large.", faults)
    return errors.refusal(400, "The request body must be a JSON object.", faults) if raw is None else raw


async def asked(
    request: Request, face: KieFace, stage: str, limit: int = MAX_BODY_BYTES
) -> tuple[Faults, dict[str, Any]] | Response:
    """The faults and the body of somebody who may ask; or the answer to anybody else."""
    found = allowed(request, face, stage)
    if isinstance(found, Response):
        return found
    raw = await read_json(request, found[1], limit)
    return raw if isinstance(raw, Response) else (found[1], raw)


async def create(request: Request, face: KieFace) -> Response:
    """POST /api/v1/jobs/createTask: `{"model", "callBackUrl"?, "input"}`."""
    return await _create(request, face, "jobs")


async def create_kontext(request: Request, face: KieFace) -> Response:
    """POST /api/v1/flux/kontext/generate: the same with the fields around, not inside."""
    return await _create(request, face, "kontext")


async def _create(request: Request, face: KieFace, door: Door) -> Response:
    header = header_faults(request, "submit")
    caller = authenticate(request)
    if caller is None:
        return errors.unauthenticated(header)
    raw = await read_json(request, header)
    if isinstance(raw, Response):
        return raw
    inner = raw.get("input") if door == "jobs" else raw
    prompt = inner.get("prompt") if isinstance(inner, dict) else None
    prompt = prompt if isinstance(prompt, str) else ""
    faults = caller.faults_for(request, prompt, face.tally)
    struck = errors.struck(faults, "submit", prompt, face.tally, face.hang_seconds) or errors.asked_for(faults)
    if struck is not None:
        return struck
    if is_limited(caller) and face.window.is_full(caller.owner):
        return errors.too_many(faults)
    job = _job(raw, inner, door, caller, faults, face.base_url(request))
    if isinstance(job, Response):
        return job
    if face.workshop.accounts.left(caller.owner) < job.model.credits(job.input) * job.count:
        return errors.no_credit(faults)
    face.workshop.accept(job, caller.hint)
    if "webhook-early" in faults:
        await job.ended.wait()
    return strike_after(faults, "submit", prompt, face.tally, errors.answer({"taskId": job.id}))


def _job(raw: dict[str, Any], inner: Any, door: Door, caller: Caller, faults: Faults, base_url: str) -> Job | Response:
    model = MODELS.get(raw["model"]) if isinstance(raw.get("model"), str) else None
    if model is None or model.door != door:
        return errors.refusal(422, "The model name you specified is not supported.", faults)
    if not isinstance(inner, dict):
        return errors.refusal(422, "input is required", faults)
    callback = raw.get("callBackUrl")
    if callback is not None and not (isinstance(callback, str) and callback.startswith(("https://", "http://"))):
        return errors.refusal(422, "callBackUrl must be a valid URL", faults)
    if door == "jobs" and (unknown := next((name for name in raw if name not in _AROUND[door]), None)):
        return errors.refusal(422, f"unknown parameter: {unknown}", faults)
    given = {name: value for name, value in inner.items() if door == "jobs" or name not in _AROUND[door]}
    if wrong := fields.problem(given, model.fields):
        return errors.refusal(422, wrong, faults)
    return Job(model, given, caller.owner, faults, base_url, callback)


async def record(request: Request, face: KieFace) -> Response:
    """GET /api/v1/jobs/recordInfo?taskId=…"""
    return _record(request, face, "jobs")


async def record_kontext(request: Request, face: KieFace) -> Response:
    """GET /api/v1/flux/kontext/record-info?taskId=…"""
    return _record(request, face, "kontext")


def _record(request: Request, face: KieFace, door: Door) -> Response:
    found = allowed(request, face, "status")
    if isinstance(found, Response):
        return found
    caller, faults = found
    job = face.workshop.find(request.query_params.get("taskId", ""), caller.owner)
    if job is None or job.model.door != door:
        return errors.refusal(404, "The task does not exist.", faults)
    faults = faults + job.faults
    struck = errors.struck(job.faults, "status", job.prompt, face.tally, face.hang_seconds)
    told = errors.answer(job.told(face.workshop.urls(job)))
    return struck or strike_after(faults, "status", job.prompt, face.tally, told)


async def credit(request: Request, face: KieFace) -> Response:
    """GET /api/v1/chat/credit: the balance."""
    found = allowed(request, face, "status")
    if isinstance(found, Response):
        return found
    caller, faults = found
    return errors.answer(0 if "no-credit" in faults else float(face.workshop.accounts.left(caller.owner)))


async def download_url(request: Request, face: KieFace) -> Response:
    """POST /api/v1/common/download-url `{"url"}`: another address of a result, good for 20 minutes."""
    found = await asked(request, face, "status")
    if isinstance(found, Response):
        return found
    faults, raw = found
    base = face.base_url(request)
    url, prefix = str(raw.get("url", "")), f"{base}/files/"
    stored = face.files.get(unquote(url.removeprefix(prefix))) if url.startswith(prefix) else None
    if stored is None:
        return errors.refusal(422, "The url is not one of a result of ours.", faults)
    name = f"download/{secrets.token_urlsafe(16)}/{urlsplit(url).path.rpartition('/')[2]}"
    until = time.monotonic() + DOWNLOAD_SECONDS
    face.files.put(name, StoredFile(stored.data, stored.media_type, until, stored.prompt, stored.faults))
    return errors.answer(f"{base}/files/{quote(name)}")
