"""Predictions: create in its three ways, get, list, cancel."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.caller import Caller, header_faults
from gesso.sandbox.faults import Faults
from gesso.sandbox.receiving import TooLarge, read
from gesso.sandbox.replicate import errors
from gesso.sandbox.replicate.auth import authenticate
from gesso.sandbox.replicate.face import ReplicateFace
from gesso.sandbox.replicate.job import Job
from gesso.sandbox.replicate.models import DEPLOYMENTS, MODELS, Model, of_version
from gesso.sandbox.replicate.schemas import prompt_of
from gesso.sandbox.transport import strike_after

MAX_BODY_BYTES = 72 * 1024 * 1024
PAGE = 100
_EVENTS = ("start", "output", "logs", "completed")
_UNITS = {"s": 1, "m": 60, "h": 3600, "": 1}
_SHORTEST_DEADLINE_SECONDS = 5


async def create(request: Request, face: ReplicateFace) -> Response:
    """POST /v1/predictions: any model, by version."""
    return await _create(request, face, None)


async def create_official(request: Request, face: ReplicateFace, owner: str, name: str) -> Response:
    """POST /v1/models/{owner}/{name}/predictions: official models only."""
    model = MODELS.get(f"{owner}/{name}")
    return await _create(request, face, (model if model and model.official else None, None))


async def create_deployed(request: Request, face: ReplicateFace, owner: str, name: str) -> Response:
    """POST /v1/deployments/{owner}/{name}/predictions."""
    deployment = f"{owner}/{name}"
    return await _create(request, face, (MODELS.get(DEPLOYMENTS.get(deployment, "")), deployment))


async def _create(request: Request, face: ReplicateFace, target: tuple[Model | None, str | None] | None) -> Response:
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    if target is not None and target[0] is None:
        return errors.not_found()
    raw = await _json(request)
    if isinstance(raw, Response):
        return raw
    prompt = prompt_of(raw.get("input"))
    faults = caller.faults_for(request, prompt, face.tally)
    struck = errors.struck(faults, "submit", prompt, face.tally, face.hang_seconds)
    refused = struck or errors.locked(faults) or _bad_body(raw, with_version=target is None)
    if refused is not None:
        return refused
    meant = of_version(raw["version"]) if target is None else None
    if target is None and meant is None:
        return errors.bad_version()
    model, version = meant or (target[0], "hidden" if target[1] is None else "dp-5f2c8e0b7d6a49f1")  # type: ignore[index]
    assert model is not None
    job = _job(request, face, model, version, raw, caller, faults)
    if isinstance(job, Response):
        return job
    job.deployment = target[1] if target else None
    return await _accept(request, face, job)


def _job(
    request: Request,
    face: ReplicateFace,
    model: Model,
    version: str,
    raw: dict[str, Any],
    caller: Caller,
    faults: Faults,
) -> Job | Response:
    try:
        valid = model.input.model_validate(raw["input"])
    except ValidationError as error:
        return errors.of_validation(error)
    if fault := faults.get("422"):
        wrong = [("input.prompt", "invalid", "The sandbox was asked to find fault with this prompt.")]
        return errors.invalid(wrong, with_fields=fault.argument != "string")
    seconds = _duration(request.headers.get("cancel-after"))
    if isinstance(seconds, Response):
        return seconds
    now = datetime.now(UTC)
    events = raw.get("webhook_events_filter")
    return Job(
        model, version, valid, raw["input"], caller, faults, face.base_url(request),
        webhook=raw.get("webhook"),
        events=tuple(events) if events else ("output", "completed"),
        deadline=None if seconds is None else now + timedelta(seconds=seconds),
        created_at=now,
    )  # fmt: skip


async def _accept(request: Request, face: ReplicateFace, job: Job) -> Response:
    wait = _wait_seconds(request)
    if isinstance(wait, Response):
        return wait
    face.workshop.accept(job)
    if "webhook-early" in job.faults:
        await job.ended.wait()
        await asyncio.sleep(0.05)
    status, body, headers = 201, face.workshop.shown(job), {}
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait}"
        status, body = await _waited(face, job, wait)
    response = JSONResponse(body, status, headers=headers)
    return strike_after(job.faults, "submit", job.input.text, face.tally, response)


async def _waited(face: ReplicateFace, job: Job, seconds: int) -> tuple[int, dict[str, Any]]:
    """As recorded: the complete output inside the answer, in a prediction that does not call itself ended yet."""
    try:
        async with asyncio.timeout(seconds):
            await job.ended.wait()
    except TimeoutError:
        return 202, face.workshop.shown(job)
    body = face.workshop.shown(job, inline=True)
    if job.status == "succeeded":
        body["status"] = "processing"
        for name in ("started_at", "completed_at", "metrics"):
            body.pop(name, None)
    return 201, body


async def _json(request: Request) -> dict[str, Any] | Response:
    try:
        raw = json.loads(await read(request, MAX_BODY_BYTES))
    except TooLarge:
        return errors.problem(413, "Request body too large", "The request body is too large.")
    except ValueError:
        return errors.problem(400, "Bad request", "The request body is not valid JSON.")
    if not isinstance(raw, dict):
        return errors.problem(400, "Bad request", "The request body must be an object.")
    return raw


def _bad_body(raw: dict[str, Any], *, with_version: bool) -> Response | None:
    """422 for what is wrong around the input: unknown, missing and ill-typed members."""
    known = {"input", "webhook", "webhook_events_filter", "stream", *(["version"] if with_version else [])}
    wrong = [
        (name, "additional_property_not_allowed", f"Additional property {name} is not allowed")
        for name in raw
        if name not in known
    ]
    if not isinstance(raw.get("input"), dict):
        wrong.append(("input", "required", "input is required"))
    if with_version and not isinstance(raw.get("version"), str):
        wrong.append(("version", "required", "version is required"))
    webhook, events = raw.get("webhook"), raw.get("webhook_events_filter")
    if webhook is not None and not (isinstance(webhook, str) and webhook.startswith(("https://", "http://"))):
        wrong.append(("webhook", "format", "Does not match format 'uri'"))
    if events is not None and not (isinstance(events, list) and all(event in _EVENTS for event in events)):
        wrong.append(("webhook_events_filter", "enum", f"Must be one of: {', '.join(_EVENTS)}"))
    return errors.invalid(wrong) if wrong else None


def _duration(text: str | None) -> int | Response | None:
    """Seconds of a Cancel-After such as 30s, 5m or 1h."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})([smh]?)", text.strip())
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if seconds < _SHORTEST_DEADLINE_SECONDS:
        return errors.problem(422, "Invalid Cancel-After", "Cancel-After must be a duration such as 30s, at least 5s.")
    return seconds


def _wait_seconds(request: Request) -> int | Response | None:
    preference = request.headers.get("prefer")
    if preference is None:
        return None
    match = re.fullmatch(r"wait(?:=(\d{1,3}))?", preference.strip())
    seconds = int(match[1] or 60) if match else 0
    if not 1 <= seconds <= 60:
        return errors.problem(422, "Invalid Prefer", "Prefer must be wait or wait=N with N from 1 to 60.")
    return seconds


async def get(request: Request, face: ReplicateFace, prediction_id: str) -> Response:
    """GET /v1/predictions/{id}: 200, also of one that failed."""
    found = _found(request, face, prediction_id, "status")
    if isinstance(found, Response):
        return found
    job, faults = found
    response = JSONResponse(face.workshop.shown(job))
    return strike_after(faults, "status", job.input.text, face.tally, response)


async def cancel(request: Request, face: ReplicateFace, prediction_id: str) -> Response:
    """POST /v1/predictions/{id}/cancel: 200 with the prediction; harmless when it has ended."""
    found = _found(request, face, prediction_id, "cancel")
    if isinstance(found, Response):
        return found
    job, faults = found
    await face.workshop.cancel(job)
    return strike_after(faults, "cancel", job.input.text, face.tally, JSONResponse(face.workshop.shown(job)))


def _found(request: Request, face: ReplicateFace, prediction_id: str, stage: str) -> tuple[Job, Faults] | Response:
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    job = face.workshop.find(prediction_id, caller.owner)
    if job is None:
        return errors.not_found()
    faults = header_faults(request, stage) + job.faults
    struck = errors.struck(faults, stage, job.input.text, face.tally, face.hang_seconds)
    return (job, faults) if struck is None else struck


async def listing(request: Request, face: ReplicateFace) -> Response:
    """GET /v1/predictions?created_after=&created_before=: one's own, newest first, 100 a page."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    faults = caller.faults + header_faults(request, "status")
    if (struck := errors.struck(faults, "status", "", face.tally, face.hang_seconds)) is not None:
        return struck
    query = request.query_params
    bounds = {name: _moment(query[name]) for name in ("created_after", "created_before") if name in query}
    cursor = query.get("cursor", "0")
    if None in bounds.values() or not cursor.isdecimal():
        return errors.problem(400, "Bad request", "created_after and created_before must be times.")
    after, before = bounds.get("created_after"), bounds.get("created_before")
    jobs = [
        job
        for job in face.workshop.of(caller.owner)
        if (after is None or job.created_at >= after) and (before is None or job.created_at < before)
    ]
    first = int(cursor)

    def page(start: int) -> str | None:
        if not 0 <= start < len(jobs):
            return None
        kept = {name: str(query[name]) for name in bounds}
        return f"{face.base_url(request)}/v1/predictions?{urlencode({**kept, 'cursor': str(start)})}"

    results = [face.workshop.shown(job) for job in jobs[first : first + PAGE]]
    return JSONResponse({"previous": page(first - PAGE), "next": page(first + PAGE), "results": results})


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
