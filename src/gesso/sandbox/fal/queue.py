"""The queue: submit, status, status stream, result, cancel; and the direct call."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from gesso.sandbox.caller import Caller, header_faults
from gesso.sandbox.fal.auth import authenticate, locked
from gesso.sandbox.fal.endpoints import APPS, ENDPOINTS, Endpoint
from gesso.sandbox.fal.errors import (
    Failure,
    model_failure,
    not_found,
    plain,
    validation_failure,
)
from gesso.sandbox.fal.face import FalFace
from gesso.sandbox.fal.job import Job
from gesso.sandbox.fal.schemas import Input, prompt_of
from gesso.sandbox.faults import Faults
from gesso.sandbox.files import KEEP_SECONDS
from gesso.sandbox.receiving import TooLarge, read
from gesso.sandbox.transport import strike_after, strike_before

MAX_BODY_BYTES = 72 * 1024 * 1024
_PING_SECONDS = 15.0


class BadHeader(ValueError):
    """A header the platform cannot read."""


async def submit(request: Request, face: FalFace, path: str) -> Response:
    """POST /{owner}/{alias}[/{sub/path}]: 200 with the request's URLs."""
    prepared = await _prepare(request, face, path)
    if isinstance(prepared, Response):
        return prepared
    face.workshop.accept(prepared)
    if "webhook-early" in prepared.faults:
        await face.workshop.wait(prepared)
        await asyncio.sleep(0.05)
    body = {"request_id": prepared.id, **_urls(prepared), "status": "IN_QUEUE"}
    body["queue_position"] = prepared.position
    if prepared.webhook_url:
        body["gateway_request_id"] = prepared.id
    response = JSONResponse(body, headers={"x-fal-request-id": prepared.id})
    return strike_after(prepared.faults, "submit", prepared.input.prompt, face.tally, response)


async def call(request: Request, face: FalFace, path: str) -> Response:
    """POST /run/{endpoint id}: waits for the job and answers with the model's output."""
    prepared = await _prepare(request, face, path)
    if isinstance(prepared, Response):
        return prepared
    face.workshop.accept(prepared)
    outcome = await face.workshop.wait(prepared)
    response = _result_response(prepared, outcome)
    return strike_after(prepared.faults, "submit", prepared.input.prompt, face.tally, response)


async def _prepare(request: Request, face: FalFace, path: str) -> Job | Response:
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    endpoint = ENDPOINTS.get(path)
    if endpoint is None:
        return not_found(f"/{path}")
    raw = await _json(request)
    if isinstance(raw, Response):
        return raw
    prompt = prompt_of(raw)
    faults = caller.faults_for(request, prompt, face.tally)
    refused = strike_before(faults, "submit", prompt, face.tally, face.hang_seconds) or locked(faults)
    if refused is not None:
        return refused
    try:
        valid = endpoint.input.model_validate(raw)
    except ValidationError as error:
        return validation_failure(error).response()
    if fault := faults.get("422"):
        if fault.argument == "string":
            return plain(422, "The sandbox was asked to refuse this request.", {"x-fal-billable-units": "0"})
        message = "The sandbox was asked to find fault with this prompt."
        return model_failure("value_error", loc=["body", "prompt"], message=message, input=prompt[:200]).response()
    return _job(request, face, endpoint, valid, raw, caller, faults)


def _job(
    request: Request,
    face: FalFace,
    endpoint: Endpoint,
    valid: Input,
    raw: dict[str, Any],
    caller: Caller,
    faults: Faults,
) -> Job | Response:
    try:
        start_timeout, keep = _start_timeout(request), _keep_seconds(request)
    except BadHeader as error:
        return plain(400, str(error))
    webhook = request.query_params.get("fal_webhook")
    if webhook is not None and not webhook.startswith(("http://", "https://")):
        return plain(400, "fal_webhook must be an http(s) URL")
    return Job(
        endpoint,
        valid,
        raw,
        caller,
        faults,
        face.base_url(request),
        webhook_url=webhook,
        start_timeout_seconds=start_timeout,
        keep_seconds=keep,
    )


async def _json(request: Request) -> dict[str, Any] | Response:
    if not request.headers.get("content-type", "").startswith("application/json"):
        return plain(415, "Content-Type must be application/json")
    try:
        raw = json.loads(await read(request, MAX_BODY_BYTES))
    except TooLarge:
        return plain(413, "Request body too large")
    except ValueError:
        entry = {"loc": ["body"], "msg": "JSON decode error", "type": "json_invalid"}
        return JSONResponse({"detail": [entry]}, 422)
    if not isinstance(raw, dict):
        entry = {
            "loc": ["body"],
            "msg": "Input should be a valid dictionary",
            "type": "model_attributes_type",
        }
        return JSONResponse({"detail": [entry]}, 422)
    return raw


def _start_timeout(request: Request) -> float | None:
    text = request.headers.get("x-fal-request-timeout")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise BadHeader("X-Fal-Request-Timeout must be a number of seconds above 0")
    return seconds


def _keep_seconds(request: Request) -> float:
    if request.headers.get("x-fal-queue-priority", "normal") not in ("normal", "low"):
        raise BadHeader("X-Fal-Queue-Priority must be normal or low")
    text = request.headers.get("x-fal-object-lifecycle-preference")
    if text is None:
        return KEEP_SECONDS
    try:
        seconds = json.loads(text)["expiration_duration_seconds"]
        return KEEP_SECONDS if seconds is None else min(float(seconds), KEEP_SECONDS)
    except (ValueError, TypeError, KeyError):
        raise BadHeader("X-Fal-Object-Lifecycle-Preference must be JSON with expiration_duration_seconds") from None


def _urls(job: Job) -> dict[str, Any]:
    return {"response_url": job.url(), "status_url": job.url("/status"), "cancel_url": job.url("/cancel")}


def _found(request: Request, face: FalFace, app: str, request_id: str, stage: str) -> tuple[Job, Faults] | Response:
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    job = face.workshop.find(request_id, caller.owner) if app in APPS else None
    if job is None or job.endpoint.app != app:
        return not_found(request.url.path) if app not in APPS else plain(404, f"Request {request_id} not found")
    faults = header_faults(request, stage) + job.faults
    struck = strike_before(faults, stage, job.input.prompt, face.tally, face.hang_seconds)
    return (job, faults) if struck is None else struck


def _status(job: Job, logs: list[dict[str, Any]] | None) -> dict[str, Any]:
    body: dict[str, Any] = {"status": job.status, "request_id": job.id, **_urls(job)}
    if job.status == "IN_QUEUE":
        return body | {"queue_position": job.position}
    body["logs"] = logs
    if job.status == "COMPLETED":
        body["metrics"] = {"inference_time": round(job.inference_seconds, 4)}
    if isinstance(job.outcome, Failure):
        body |= {"error": job.outcome.error, "error_type": job.outcome.error_type}
    return body


def _wants_logs(request: Request) -> bool:
    return request.query_params.get("logs", "").lower() in ("1", "true")


async def status(request: Request, face: FalFace, app: str, request_id: str) -> Response:
    """GET …/status: 202 while queued or running, 200 when finished."""
    found = _found(request, face, app, request_id, "status")
    if isinstance(found, Response):
        return found
    job, faults = found
    body = _status(job, job.logs if _wants_logs(request) else None)
    code = 200 if job.status == "COMPLETED" else 202
    response = JSONResponse(body, code, headers={"x-fal-request-id": job.id})
    return strike_after(faults, "status", job.input.prompt, face.tally, response)


def _seen(job: Job) -> tuple[str, int, int]:
    """What of a job a stream tells; a change of it is news."""
    return job.status, job.position, len(job.logs)


async def stream(request: Request, face: FalFace, app: str, request_id: str) -> Response:
    """GET …/status/stream: server-sent events until the job has ended; logs come once each."""
    found = _found(request, face, app, request_id, "status")
    if isinstance(found, Response):
        return found
    job, wants_logs = found[0], _wants_logs(request)

    async def events() -> AsyncIterator[str]:
        told = 0
        while True:
            fresh, told = job.logs[told:], len(job.logs)
            seen = _seen(job)
            yield f"data: {json.dumps(_status(job, fresh if wants_logs else None))}\n\n"
            if job.outcome is not None:
                return
            while seen == _seen(job):
                try:
                    async with asyncio.timeout(_PING_SECONDS), job.changed:
                        if seen == _seen(job):
                            await job.changed.wait()
                except TimeoutError:
                    yield ": ping\n\n"

    headers = {"Cache-Control": "no-cache", "x-fal-request-id": job.id}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


def _result_response(job: Job, outcome: dict[str, Any] | Failure) -> Response:
    headers = {"x-fal-request-id": job.id}
    if isinstance(outcome, Failure):
        return outcome.response(headers)
    units = f"{job.units:.6f}".rstrip("0").rstrip(".")
    return JSONResponse(outcome, headers=headers | {"x-fal-billable-units": units})


async def result(request: Request, face: FalFace, app: str, request_id: str) -> Response:
    """GET …/requests/{id}: the bare output, or the failure's own status and body; 400 before the end."""
    found = _found(request, face, app, request_id, "result")
    if isinstance(found, Response):
        return found
    job, faults = found
    if job.outcome is None:
        return plain(400, "Request is still in progress", {"x-fal-request-id": job.id})
    response = _result_response(job, job.outcome)
    return strike_after(faults, "result", job.input.prompt, face.tally, response)


async def cancel(request: Request, face: FalFace, app: str, request_id: str) -> Response:
    """PUT …/cancel: 202 accepted, 400 too late, 404 unknown."""
    found = _found(request, face, app, request_id, "cancel")
    if isinstance(found, Response):
        return JSONResponse({"status": "NOT_FOUND"}, 404) if found.status_code == 404 else found
    job, faults = found
    if await face.workshop.cancel(job):
        response = JSONResponse({"status": "CANCELLATION_REQUESTED"}, 202)
    else:
        response = JSONResponse({"status": "ALREADY_COMPLETED"}, 400)
    return strike_after(faults, "cancel", job.input.prompt, face.tally, response)
