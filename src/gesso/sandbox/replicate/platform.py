"""The rest of the API: models and their versions, the account, hardware, the webhook secret, files."""

import hashlib
import json
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.caller import Caller, header_faults
from gesso.sandbox.delivery import deliver
from gesso.sandbox.files import KEEP_SECONDS, StoredFile
from gesso.sandbox.replicate import errors, signing
from gesso.sandbox.replicate.auth import authenticate
from gesso.sandbox.replicate.face import ReplicateFace
from gesso.sandbox.replicate.job import stamp
from gesso.sandbox.replicate.models import MODELS, Model
from gesso.sandbox.replicate.work import UPLOADS

MAX_FILE_BYTES = 100 * 1024 * 1024
_LONGEST_NAME_BYTES = 255
_HARDWARE = (
    ("cpu", "CPU"),
    ("gpu-t4", "Nvidia T4 GPU"),
    ("gpu-l40s", "Nvidia L40S GPU"),
    ("gpu-a100-large", "Nvidia A100 (80GB) GPU"),
    ("gpu-h100", "Nvidia H100 GPU"),
)


def _allowed(request: Request, face: ReplicateFace, stage: str) -> Caller | Response:
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    faults = caller.faults + header_faults(request, stage)
    return errors.struck(faults, stage, "", face.tally, face.hang_seconds) or caller


async def account(request: Request, face: ReplicateFace) -> Response:
    """GET /v1/account."""
    caller = _allowed(request, face, "status")
    if isinstance(caller, Response):
        return caller
    body = {"type": "organization", "username": "sandbox", "name": "Sandbox", "github_url": None}
    return JSONResponse(body)


async def hardware(request: Request, face: ReplicateFace) -> Response:
    """GET /v1/hardware."""
    caller = _allowed(request, face, "status")
    if isinstance(caller, Response):
        return caller
    return JSONResponse([{"sku": sku, "name": name} for sku, name in _HARDWARE])


async def secret(request: Request, face: ReplicateFace) -> Response:
    """GET /v1/webhooks/default/secret."""
    caller = _allowed(request, face, "status")
    return caller if isinstance(caller, Response) else JSONResponse({"key": signing.secret_text()})


async def model(request: Request, face: ReplicateFace, owner: str, name: str) -> Response:
    """GET /v1/models/{owner}/{name}."""
    caller = _allowed(request, face, "status")
    if isinstance(caller, Response):
        return caller
    found = MODELS.get(f"{owner}/{name}")
    if found is None:
        return errors.not_found()
    body = {
        "url": f"https://replicate.com/{found.name}", "owner": owner, "name": name, "visibility": "public",
        "description": "A model of the sandbox.", "run_count": 0, "is_official": found.official,
        "latest_version": _version(found, found.versions[0] if found.versions else "hidden"),
    }  # fmt: skip
    return JSONResponse(body)


async def version(request: Request, face: ReplicateFace, owner: str, name: str, version_id: str) -> Response:
    """GET /v1/models/{owner}/{name}/versions/{id}: with the live schema of the input."""
    caller = _allowed(request, face, "status")
    if isinstance(caller, Response):
        return caller
    found = MODELS.get(f"{owner}/{name}")
    if found is None or version_id not in found.versions:
        return errors.not_found()
    return JSONResponse(_version(found, version_id))


def _version(found: Model, version_id: str) -> dict[str, Any]:
    created = "2024-01-10T12:00:00.000000Z"
    return {"id": version_id, "created_at": created, "cog_version": "0.9.0", "openapi_schema": found.schema()}


async def upload(request: Request, face: ReplicateFace) -> Response:
    """POST /v1/files, multipart: `content`, and optionally `filename`, `type`, `metadata`."""
    caller = _allowed(request, face, "upload")
    if isinstance(caller, Response):
        return caller
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return errors.problem(415, "Unsupported media type", "Send multipart/form-data.")
    async with request.form(max_files=1, max_fields=3, max_part_size=MAX_FILE_BYTES) as form:
        content = form.get("content")
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        if not isinstance(content, UploadFile):
            return errors.invalid([("content", "required", "content is required")])
        data, file_name = await content.read(), texts.get("filename") or content.filename or "file"
        media_type = texts.get("type") or content.content_type or "application/octet-stream"
    metadata = _metadata(texts.get("metadata"))
    if metadata is None or len(file_name.encode()) > _LONGEST_NAME_BYTES or len(data) > MAX_FILE_BYTES:
        return errors.problem(422, "Invalid file", "The file's name is too long, or its metadata is no object.")
    file_id = secrets.token_urlsafe(32)
    stored = StoredFile(data, media_type, time.monotonic() + KEEP_SECONDS)
    face.files.put(UPLOADS + file_id, stored)
    return JSONResponse(_file(request, face, file_id, stored, file_name, metadata), 201)


def _metadata(text: str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _file(
    request: Request, face: ReplicateFace, file_id: str, stored: StoredFile, name: str, metadata: dict[str, Any]
) -> dict[str, Any]:
    now, digest = datetime.now(UTC), hashlib.sha256(stored.data).hexdigest()
    checksums = {"sha256": digest, "md5": hashlib.md5(stored.data, usedforsecurity=False).hexdigest()}
    return {
        "id": file_id, "name": name, "content_type": stored.media_type, "size": len(stored.data), "etag": digest[:32],
        "checksums": checksums, "metadata": metadata, "created_at": stamp(now, 3),
        "expires_at": stamp(now + timedelta(days=1), 3),
        "urls": {"get": f"{face.base_url(request)}/v1/files/{file_id}"},
    }  # fmt: skip


async def file(request: Request, face: ReplicateFace, file_id: str) -> Response:
    """GET or DELETE /v1/files/{id}: what is known of it; 204."""
    caller = _allowed(request, face, "upload")
    if isinstance(caller, Response):
        return caller
    stored = face.files.get(UPLOADS + file_id)
    if stored is None:
        return errors.not_found()
    if request.method == "DELETE":
        face.files.drop(UPLOADS + file_id)
        return Response(status_code=204)
    return JSONResponse(_file(request, face, file_id, stored, "file", {}))


async def output(request: Request, face: ReplicateFace, name: str) -> Response:
    """GET /delivery/{name}: a result's file, open to whoever knows its address, for an hour."""
    answer = await deliver(face.files.get(name), face.tally, face.hang_seconds)
    return errors.not_found() if answer is None else answer
