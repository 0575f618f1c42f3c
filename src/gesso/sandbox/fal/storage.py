"""Uploads (both of fal's ways) and the files themselves."""

import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.caller import header_faults
from gesso.sandbox.delivery import deliver
from gesso.sandbox.fal.auth import authenticate, locked
from gesso.sandbox.fal.errors import plain
from gesso.sandbox.fal.face import FalFace
from gesso.sandbox.fal.inputs import MAX_INPUT_BYTES
from gesso.sandbox.files import KEEP_SECONDS, StoredFile
from gesso.sandbox.receiving import TooLarge, read
from gesso.sandbox.transport import strike_before

_TOKEN_SECONDS = 3600
_MAX_PENDING = 1_000


def _clean_name(name: str | None) -> str:
    kept = "".join(c for c in (name or "") if c.isalnum() or c in "-_.").lstrip(".")
    return kept[-80:] or "file.bin"


def _refusal(request: Request, face: FalFace) -> Response | None:
    """The answer to somebody who may not upload, or a fault's."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    faults = caller.faults + header_faults(request, "upload")
    return locked(faults) or strike_before(faults, "upload", "", face.tally, face.hang_seconds)


def _remember(face: FalFace, key: str, value: str) -> None:
    face.uploads[key] = value
    while len(face.uploads) > _MAX_PENDING:
        del face.uploads[next(iter(face.uploads))]


async def token(request: Request, face: FalFace) -> Response:
    """POST /storage/auth/token?storage_type=fal-cdn-v3: a token for /files/upload, good for an hour."""
    if (refused := _refusal(request, face)) is not None:
        return refused
    made = secrets.token_urlsafe(24)
    _remember(face, f"token {made}", "")
    until = datetime.now(UTC) + timedelta(seconds=_TOKEN_SECONDS)
    body = {
        "token": made,
        "token_type": "Bearer",
        "base_url": face.base_url(request),
        "expires_at": until.isoformat(),
    }
    return JSONResponse(body)


async def _body(request: Request) -> bytes | Response:
    try:
        return await read(request, MAX_INPUT_BYTES)
    except TooLarge:
        return plain(413, "File too large")


async def upload(request: Request, face: FalFace) -> Response:
    """POST /files/upload with raw bytes: `{"access_url"}`."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or f"token {given.strip()}" not in face.uploads:
        return plain(401, "Invalid or expired upload token")
    faults = header_faults(request, "upload")
    if (struck := strike_before(faults, "upload", "", face.tally, face.hang_seconds)) is not None:
        return struck
    data = await _body(request)
    if isinstance(data, Response):
        return data
    media_type = request.headers.get("content-type", "application/octet-stream")
    name = face.files.add(data, media_type, _clean_name(request.headers.get("x-fal-file-name")))
    return JSONResponse({"access_url": f"{face.base_url(request)}/files/{quote(name)}"})


async def initiate(request: Request, face: FalFace) -> Response:
    """POST /storage/upload/initiate with `{"file_name", "content_type"}`: where to PUT, and where it will be."""
    if (refused := _refusal(request, face)) is not None:
        return refused
    try:
        raw: Any = await request.json()
    except ValueError:
        raw = None
    if not isinstance(raw, dict) or not all(isinstance(raw.get(k), str) for k in ("file_name", "content_type")):
        entry = {"loc": ["body"], "msg": "file_name and content_type are required", "type": "missing"}
        return JSONResponse({"detail": [entry]}, 422)
    name = f"{secrets.token_urlsafe(16)}/{_clean_name(raw['file_name'])}"
    _remember(face, f"put {name}", raw["content_type"])
    base = face.base_url(request)
    return JSONResponse({"upload_url": f"{base}/storage/put/{name}", "file_url": f"{base}/files/{name}"})


async def put(request: Request, face: FalFace, name: str) -> Response:
    """PUT to an initiated upload's URL; the URL itself is the permission, and works once."""
    media_type = face.uploads.pop(f"put {name}", None)
    if media_type is None:
        return plain(403, "Unknown or used upload URL")
    data = await _body(request)
    if isinstance(data, Response):
        return data
    face.files.put(name, StoredFile(data, media_type, time.monotonic() + KEEP_SECONDS))
    return Response(status_code=200)


async def serve(request: Request, face: FalFace, name: str) -> Response:
    """GET /files/{name}: the file, or what the faults of its job made of it."""
    answer = await deliver(face.files.get(name), face.tally, face.hang_seconds)
    return plain(404, "File not found") if answer is None else answer
