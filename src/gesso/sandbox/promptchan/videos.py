"""/video_v2 (and /video_v3.1, whose status carries the result): submit, status, progress, result.

A job's way is told by the clock, not by a task: the film is made when its result is first asked for.
"""

import time
import uuid
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.caller import Caller, header_faults
from gesso.sandbox.faults import Faults
from gesso.sandbox.promptchan.auth import authenticate
from gesso.sandbox.promptchan.bodies import VideoBody
from gesso.sandbox.promptchan.errors import failure, struck
from gesso.sandbox.promptchan.face import PromptchanFace
from gesso.sandbox.promptchan.making import begin
from gesso.sandbox.studio import FilmOrder
from gesso.sandbox.transport import strike_after

_SECONDS, _FPS = 2.0, 12
_SIDES = {"Portrait": (360, 640), "Wide": (640, 360), "Landscape": (640, 360), "Square": (480, 480)}
# Not documented; the sandbox's own.
_GEMS = {"Standard": Decimal(10), "High": Decimal(20), "Max": Decimal(30)}
_AUDIO_GEMS = Decimal(5)


async def submit(request: Request, face: PromptchanFace) -> Response:
    """POST /video_…/submit: `{"request_id"}`; paid for when it is completed."""
    begun = await begin(request, face, VideoBody, "prompt")
    if isinstance(begun, Response):
        return begun
    asked, body = begun
    allowed = ("Portrait", "Wide") if _version(request) == "v2" else ("Portrait", "Square", "Landscape")
    if body.aspect not in allowed:
        return failure(400, f"Invalid value for aspect: {body.aspect}", under="message")
    job: dict[str, Any] = {
        "id": str(uuid.uuid4()), "owner": asked.caller.owner, "created_at": time.time(), "body": body.model_dump(),
        "faults": asked.faults.to_json(), "version": _version(request), "charged": False,
    }  # fmt: skip
    with face.ground.archive.transaction():
        face.ground.bill.open(
            request_id=job["id"], provider=face.name, endpoint=f"video_{job['version']}",
            key_hint=asked.caller.hint, prompt=body.prompt,
        )  # fmt: skip
        face.videos.keep(job)
    answer = JSONResponse({"request_id": job["id"]})
    return strike_after(asked.faults, "submit", body.prompt, face.tally, answer)


def _version(request: Request) -> str:
    return "v3.1" if "/video_v3.1/" in request.url.path else "v2"


def _gems(body: dict[str, Any]) -> Decimal:
    return _GEMS[body["video_quality"]] + (_AUDIO_GEMS if body["audioEnabled"] else 0)


def _state(job: dict[str, Any], face: PromptchanFace) -> tuple[str, str | None, float]:
    """Status, details and progress by the clock."""
    faults, pace = Faults.from_json(job["faults"]), face.pace
    queue, slow = faults.get("queue"), faults.get("slow")
    places = int(queue.number(5)) if queue else 0
    waits = pace.queue_seconds + places * pace.queue_step_seconds
    lasts = 2 * pace.paint_max_seconds + (slow.number(10) if slow else 0.0)
    gone = time.time() - job["created_at"]
    if gone < waits:
        ahead = min(places, int((waits - gone) / pace.queue_step_seconds))
        return "Pending", f"Queue {ahead}...", 0.0
    if "stuck" in faults:
        return "Enhancing", None, 0.9
    if gone < waits + lasts:
        return "Processing", None, round((gone - waits) / lasts, 2)
    return ("Failed", "The video could not be made.", 1.0) if "fail" in faults else ("Completed", None, 1.0)


def _found(request: Request, face: PromptchanFace, stage: str) -> tuple[Caller, dict[str, Any], Faults] | Response:
    """The caller's job and the faults of this exchange. Raises UnknownFault."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    asked = header_faults(request, stage)
    job = face.videos.find(request.path_params["request_id"])
    prompt = job["body"]["prompt"] if job else ""
    faults = asked + (Faults.from_json(job["faults"]) if job else Faults())
    if (answer := struck(faults, stage, prompt, face.tally, face.hang_seconds)) is not None:
        return answer
    if job is None or job["owner"] != caller.owner:
        return failure(400, "Invalid request id")
    return caller, job, faults


async def status(request: Request, face: PromptchanFace) -> Response:
    """GET /video_…/status/{id}."""
    found = _found(request, face, "status")
    if isinstance(found, Response):
        return found
    caller, job, faults = found
    word, details, _ = _state(job, face)
    told: dict[str, Any] = {"status": word, "details": details}
    if word == "Failed":
        face.ground.bill.mark(job["id"], "failed")
    if word == "Completed":
        if not job["charged"]:
            face.charge(caller, job["id"], _gems(job["body"]))
            face.videos.keep({**job, "charged": True})
        if job["version"] == "v3.1":
            told |= await _result(request, face, job, faults)
    return strike_after(faults, "status", job["body"]["prompt"], face.tally, JSONResponse(told))


async def progress(request: Request, face: PromptchanFace) -> Response:
    """GET /video_v2/status_with_logs/{id}."""
    found = _found(request, face, "status")
    if isinstance(found, Response):
        return found
    return JSONResponse({"progress": _state(found[1], face)[2]})


async def result(request: Request, face: PromptchanFace) -> Response:
    """GET /video_v2/result/{id}: once it is completed."""
    found = _found(request, face, "result")
    if isinstance(found, Response):
        return found
    _, job, faults = found
    if _state(job, face)[0] != "Completed":
        return failure(400, "The video is not ready yet", under="message")
    told = await _result(request, face, job, faults)
    return strike_after(faults, "result", job["body"]["prompt"], face.tally, JSONResponse(told))


async def _result(request: Request, face: PromptchanFace, job: dict[str, Any], faults: Faults) -> dict[str, Any]:
    body = job["body"]
    width, height = _SIDES[body["aspect"]]
    seed = body["seed"] if body["seed"] is not None else uuid.UUID(job["id"]).int % 2**31
    order = FilmOrder(body["prompt"], seed, width, height, _SECONDS, _FPS)
    url = f"{face.base_url(request)}/files/{await face.films.name_of(job['id'], order, faults)}?Expires=1900000000"
    if "private-url" in faults:
        url = "http://169.254.169.254/latest/meta-data/"
    video: str | list[str] = url if "one-text" in faults else [url]
    told = {"status": "success", "message": "Data received and processed", "video": video}
    return told | face.told_gems(job["owner"], faults)
