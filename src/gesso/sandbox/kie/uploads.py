"""The file store: three ways in, one way out. Uploads are free and kept for as long as the sandbox keeps files."""

import base64
import binascii
import re
import time
from datetime import UTC, datetime
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.delivery import deliver
from gesso.sandbox.faults import Faults
from gesso.sandbox.files import KEEP_SECONDS, StoredFile
from gesso.sandbox.kie import errors
from gesso.sandbox.kie.face import KieFace
from gesso.sandbox.kie.tasks import allowed, asked

MAX_FILE_BYTES = 100 * 2**20
_MAX_BASE64_BODY = 16 * 2**20
_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)


async def by_stream(request: Request, face: KieFace) -> Response:
    """POST /api/file-stream-upload, multipart: `file`, `uploadPath`, and optionally `fileName`."""
    found = allowed(request, face, "upload")
    if isinstance(found, Response):
        return found
    faults = found[1]
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return _refused("Send multipart/form-data.", faults)
    async with request.form(max_files=1, max_fields=2, max_part_size=MAX_FILE_BYTES) as form:
        file, path, name = form.get("file"), form.get("uploadPath"), form.get("fileName")
        if not isinstance(file, UploadFile) or not isinstance(path, str) or not path:
            return _refused("file and uploadPath are required", faults)
        data, media_type = await file.read(), file.content_type or "application/octet-stream"
        file_name = name if isinstance(name, str) else file.filename or "file"
    return _stored(request, face, path, file_name, data, media_type)


async def by_base64(request: Request, face: KieFace) -> Response:
    """POST /api/file-base64-upload: `{"base64Data" (raw, or a data URI), "uploadPath", "fileName"?}`."""
    found = await asked(request, face, "upload", _MAX_BASE64_BODY)
    if isinstance(found, Response):
        return found
    faults, raw = found
    text, path = raw.get("base64Data"), raw.get("uploadPath")
    if not isinstance(text, str) or not isinstance(path, str) or not path:
        return _refused("base64Data and uploadPath are required", faults)
    inline = _DATA_URI.fullmatch(text)
    try:
        data = base64.b64decode(inline[2] if inline else text, validate=True)
    except binascii.Error:
        return _refused("base64Data cannot be decoded", faults)
    media_type = inline[1] if inline else "application/octet-stream"
    return _stored(request, face, path, str(raw.get("fileName") or "file"), data, media_type)


async def by_url(request: Request, face: KieFace) -> Response:
    """POST /api/file-url-upload: `{"fileUrl", "uploadPath", "fileName"?}`. Fetches files of this sandbox only."""
    found = await asked(request, face, "upload")
    if isinstance(found, Response):
        return found
    faults, raw = found
    url, path = raw.get("fileUrl"), raw.get("uploadPath")
    if not isinstance(url, str) or not isinstance(path, str) or not path:
        return _refused("fileUrl and uploadPath are required", faults)
    data = face.workshop.stored(url, face.base_url(request))
    if data is None:
        return _refused("The file cannot be downloaded: the sandbox fetches nothing from elsewhere.", faults)
    return _stored(request, face, path, str(raw.get("fileName") or "file"), data, "application/octet-stream")


def _stored(request: Request, face: KieFace, path: str, name: str, data: bytes, media_type: str) -> Response:
    """Kept under its path and name; a repeated name takes the place of the earlier file."""
    where = "/".join(_clean(part) for part in (*path.strip("/").split("/"), name))
    face.files.put(f"upload/{where}", StoredFile(data, media_type, time.monotonic() + KEEP_SECONDS))
    url = f"{face.base_url(request)}/files/{quote(f'upload/{where}')}"
    body = {
        "fileName": name, "filePath": where, "downloadUrl": url,
        "fileSize": len(data), "mimeType": media_type, "uploadedAt": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    return JSONResponse({"success": True, "code": 200, "msg": "File uploaded successfully", "data": body})


def _clean(part: str) -> str:
    return "".join(c for c in part if c.isalnum() or c in "-_.").lstrip(".")[-80:] or "file"


def _refused(message: str, faults: Faults) -> Response:
    return errors.refusal(400, message, faults)


async def serve(request: Request, face: KieFace, name: str) -> Response:
    """GET /files/{name}: a result or an upload, open to whoever knows its address; or what faults made of it."""
    answer = await deliver(face.files.get(name), face.tally, face.hang_seconds)
    return Response("The specified key does not exist.", 404) if answer is None else answer
