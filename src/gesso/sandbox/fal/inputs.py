"""Input pictures: a data URI, or a file uploaded here. The sandbox fetches nothing from anywhere else."""

import base64
import binascii
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from gesso.sandbox.fal.errors import Failure, model_failure
from gesso.sandbox.files import FileStore

MAX_INPUT_BYTES = 50 * 1024 * 1024
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class InputFailed(Exception):
    """An input could not be had; `failure` is the answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


def _same_origin(url: str, origin: str) -> bool:
    try:
        ours, theirs = urlsplit(origin), urlsplit(url)
        if ours.scheme != theirs.scheme or ours.port != theirs.port:
            return False
    except ValueError:
        return False
    return ours.hostname == theirs.hostname or {ours.hostname, theirs.hostname} <= _LOOPBACK


def _decode(url: str) -> bytes | None:
    head, comma, payload = url[5:].partition(",")
    if not comma:
        return None
    if not head.endswith(";base64"):
        return unquote_to_bytes(payload)
    try:
        return base64.b64decode(unquote(payload), validate=True)
    except (binascii.Error, ValueError):
        return None


def load(url: str, loc: list[str | int], *, base_url: str, files: FileStore) -> bytes:
    """The bytes behind an input URL; `base_url` is where the fal face lives. Raises InputFailed."""
    prefix = f"{urlsplit(base_url).path}/files/"
    data: bytes | None = None
    if url.startswith("data:"):
        data = _decode(url)
    elif _same_origin(url, base_url) and urlsplit(url).path.startswith(prefix):
        stored = files.get(unquote(urlsplit(url).path[len(prefix) :]))
        data = stored.data if stored else None
    where = ["body", *loc]
    if data is None:
        message = "Failed to download the file. The sandbox reads data URIs and files uploaded to it, nothing else."
        raise InputFailed(model_failure("file_download_error", loc=where, message=message, input=url[:200]))
    if len(data) > MAX_INPUT_BYTES:
        raise InputFailed(model_failure("file_too_large", loc=where, ctx={"max_size": MAX_INPUT_BYTES}))
    return data
