"""/v1/videos in Sora's shape: create (a form), retrieve, list, delete, and the file.

A job's way is told by the clock, not by a task: it is made when the file or the end is first asked for.
"""

import secrets
import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.caller import Caller, header_faults
from gesso.sandbox.faults import Faults
from gesso.sandbox.openai import errors
from gesso.sandbox.openai.auth import authenticate, struck
from gesso.sandbox.openai.errors import INVALID, failure, request_headers
from gesso.sandbox.openai.face import OpenAIFace
from gesso.sandbox.openai.models import offer, units
from gesso.sandbox.studio import BadReference, FilmOrder
from gesso.sandbox.transport import strike_after

_SIDES = {"720x1280", "1280x720", "1024x1792", "1792x1024"}
_MAX_BYTES = 50_000_000
_LONGEST_SIDE = 1280
_LIST_MAX = 100


class VideoBody(BaseModel):
    """The fields of the form; all of them texts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: str = Field(min_length=1, max_length=32_000)
    model: str = "sora-2"
    seconds: Literal["4", "8", "12"] = "4"
    size: str = "720x1280"


async def create(request: Request, face: OpenAIFace) -> Response:
    """POST /videos: the queued job."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return failure(400, "Invalid Content-Type header: expected 'multipart/form-data'.")
    async with request.form(max_files=2, max_part_size=_MAX_BYTES) as form:
        raw = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        files = {name: await value.read() for name, value in form.multi_items() if isinstance(value, UploadFile)}
    prompt = raw.get("prompt", "")
    faults = caller.faults_for(request, prompt, face.tally)
    if (answer := struck(faults, "submit", prompt, face.tally, face.hang_seconds)) is not None:
        return answer
    refused = await _refused(raw, files, face, faults)
    if refused is not None:
        return refused
    job = _job(VideoBody.model_validate(raw), caller, faults)
    picture = files.get("input_reference")
    if picture is not None:
        job["picture"] = face.files.add(picture, "image/png", "reference", prompt=prompt)
    _open(face, job, caller)
    answer = JSONResponse(_shown(job, face), headers=request_headers())
    return strike_after(faults, "submit", prompt, face.tally, answer)


async def _refused(
    raw: dict[str, str], files: dict[str, bytes], face: OpenAIFace, faults: Faults
) -> Response | None:  # fmt: skip
    try:
        body = VideoBody.model_validate(raw)
    except ValidationError as error:
        return errors.not_valid(error)
    if offer(body.model, "video") is None:
        return errors.no_model(body.model)
    if body.size not in _SIDES:
        return failure(400, f"Invalid value: '{body.size}'.", INVALID, "invalid_value", "size")
    for name, data in files.items():
        if name != "input_reference":
            return failure(400, f"Unknown parameter: '{name}'.", INVALID, "unknown_parameter", name)
        try:
            await face.ground.studio.measure(data)
        except BadReference:
            return failure(400, "Invalid image.", INVALID, "invalid_image_file", "input_reference")
    if "422" in faults:
        message = "The sandbox was asked to find fault with this prompt."
        return failure(400, message, INVALID, "invalid_value", "prompt")
    return None


def _job(body: VideoBody, caller: Caller, faults: Faults) -> dict[str, Any]:
    return {
        "id": f"video_{secrets.token_hex(16)}", "owner": caller.owner, "created_at": time.time(),
        "body": body.model_dump(), "faults": faults.to_json(), "picture": None,
    }  # fmt: skip


def _open(face: OpenAIFace, job: dict[str, Any], caller: Caller) -> None:
    with face.ground.archive.transaction():
        face.ground.bill.open(
            request_id=job["id"], provider=face.name, endpoint=job["body"]["model"], key_hint=caller.hint,
            prompt=job["body"]["prompt"],
        )  # fmt: skip
        face.videos.keep(job)


def _state(job: dict[str, Any], face: OpenAIFace) -> tuple[str, int]:
    """Status and progress by the clock."""
    faults = Faults.from_json(job["faults"])
    slow, pace = faults.get("slow"), face.pace
    lasts = 2 * pace.paint_max_seconds + (slow.number(10) if slow else 0.0)
    gone = time.time() - job["created_at"] - pace.queue_seconds
    if gone < 0:
        return "queued", 0
    if gone < lasts:
        return "in_progress", int(100 * gone / lasts)
    if "safety" in faults or "nsfw" in faults or "fail" in faults:
        return "failed", 100
    return "completed", 100


def _shown(job: dict[str, Any], face: OpenAIFace) -> dict[str, Any]:
    status, progress = _state(job, face)
    faults, body = Faults.from_json(job["faults"]), job["body"]
    error = None
    if status == "failed":
        refused = "fail" not in faults
        code = "moderation_blocked" if refused else "server_error"
        message = "Your request was blocked by our moderation system." if refused else "The video could not be made."
        error = {"code": code, "message": message}
        face.ground.bill.mark(job["id"], "failed")
    elif status == "completed":
        face.ground.bill.charge(job["id"], units(int(body["seconds"])), 0)
    ended = int(time.time()) if status == "completed" else None
    return {
        "id": job["id"], "object": "video", "model": body["model"], "status": status, "progress": progress,
        "created_at": int(job["created_at"]), "completed_at": ended, "expires_at": None, "seconds": body["seconds"],
        "size": body["size"], "prompt": body["prompt"], "remixed_from_video_id": None, "error": error,
    }  # fmt: skip


def _found(request: Request, face: OpenAIFace, stage: str) -> tuple[dict[str, Any], Faults] | Response:
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    name = request.path_params["name"]
    job = face.videos.find(name)
    if job is None or job["owner"] != caller.owner:
        return failure(404, f"Video with id '{name[:80]}' not found.", INVALID, "video_not_found")
    faults = header_faults(request, stage) + Faults.from_json(job["faults"])
    struck_by = Faults(fault for fault in faults if fault.name not in ("no-credit", "locked", "overloaded"))
    answer = struck(struck_by, stage, job["body"]["prompt"], face.tally, face.hang_seconds)
    return answer if answer is not None else (job, faults)


async def retrieve(request: Request, face: OpenAIFace) -> Response:
    """GET /videos/{id}."""
    found = _found(request, face, "status")
    if isinstance(found, Response):
        return found
    job, faults = found
    headers = {"openai-poll-after-ms": "500", **request_headers()}
    answer = JSONResponse(_shown(job, face), headers=headers)
    return strike_after(faults, "status", job["body"]["prompt"], face.tally, answer)


async def listing(request: Request, face: OpenAIFace) -> Response:
    """GET /videos: the caller's, newest first."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    mine = face.videos.of(caller.owner)
    data = [_shown(job, face) for job in mine[:_LIST_MAX]]
    return JSONResponse({"object": "list", "data": data, "has_more": len(mine) > _LIST_MAX}, headers=request_headers())


async def delete(request: Request, face: OpenAIFace) -> Response:
    """DELETE /videos/{id}: one that has ended, as the sheet tells of nothing that stops a running one."""
    found = _found(request, face, "cancel")
    if isinstance(found, Response):
        return found
    job, _ = found
    if _state(job, face)[0] in ("queued", "in_progress"):
        return failure(409, "The video is still being made.", INVALID, "video_in_progress")
    face.videos.remove(job)
    return JSONResponse({"id": job["id"], "deleted": True, "object": "video.deleted"}, headers=request_headers())


async def content(request: Request, face: OpenAIFace) -> Response:
    """GET /videos/{id}/content?variant=video: the film; thumbnails and sprite sheets are not made here."""
    found = _found(request, face, "result")
    if isinstance(found, Response):
        return found
    job, faults = found
    if request.query_params.get("variant", "video") != "video":
        return failure(400, "The sandbox has no other variant than 'video'.", INVALID, "invalid_value", "variant")
    if _state(job, face)[0] != "completed":
        return failure(404, "Video is not ready yet, use GET /v1/videos/{id} to check status.", INVALID)
    if "gone" in faults:
        return failure(404, "The video has expired.", INVALID, "video_expired")
    film = await face.films.data_of(job["id"], _order(job, face))
    if "wrong-bytes" in faults:
        film = b"<!doctype html><title>Not a film</title>"
    elif "truncated" in faults:
        film = film[: len(film) // 2]
    answer = Response(film, media_type="video/mp4", headers=request_headers())
    return strike_after(faults, "result", job["body"]["prompt"], face.tally, answer)


def _order(job: dict[str, Any], face: OpenAIFace) -> FilmOrder:
    body = job["body"]
    width, height = (int(side) for side in body["size"].split("x"))
    scale = min(1.0, _LONGEST_SIDE / max(width, height))
    picture = face.files.get(job["picture"]) if job["picture"] else None
    return FilmOrder(
        prompt=body["prompt"], seed=int(job["id"][6:14], 16), width=round(width * scale / 2) * 2,
        height=round(height * scale / 2) * 2, seconds=float(body["seconds"]), fps=12,
        picture=picture.data if picture else None,
    )  # fmt: skip
