"""fal's JSON, read leniently: absent, null or odd parts become None, never an exception.

Sources: fal queue documentation and fal_client 1.0.3; shapes of files as in the toolkit's `File` and `Image`.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gesso.providers.base import OutputFile

_REQUEST_ID = re.compile(r"[A-Za-z0-9_\-]{1,128}")
_ID_IN_URL = re.compile(r"/requests/([A-Za-z0-9_\-]{1,128})(?:/|$)")
_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,(.*)", re.DOTALL)


@dataclass(frozen=True)
class Submitted:
    """Answer to a submit. URLs as the server gave them: unchecked."""

    request_id: str
    status_url: str | None
    response_url: str | None
    cancel_url: str | None


@dataclass(frozen=True)
class Status:
    """Answer to a status call. A failed job is COMPLETED with `error` or `error_type`."""

    status: str
    queue_position: int | None
    error: str | None
    error_type: str | None
    last_log: str | None

    @property
    def failed(self) -> bool:
        return bool(self.error or self.error_type)


@dataclass(frozen=True)
class ErrorItem:
    """One entry of a model error's `detail` list."""

    loc: tuple[str, ...]
    type: str
    message: str
    ctx: Mapping[str, Any]


@dataclass(frozen=True)
class ErrorBody:
    """Both error shapes in one: `items` from a model, `detail`/`error_type` from the platform or gateway."""

    items: tuple[ErrorItem, ...] = ()
    detail: str | None = None
    error_type: str | None = None


@dataclass(frozen=True)
class Result:
    """A model's output as far as it is about files."""

    files: tuple[OutputFile, ...]
    seed: int | None


def submitted(data: Any) -> Submitted | None:
    """None when no request id can be found: the job may exist, but cannot be followed."""
    if not isinstance(data, dict):
        return None
    urls = [_text(data.get(name)) for name in ("status_url", "response_url", "cancel_url")]
    request_id = _text(data.get("request_id"))
    if request_id is None or not _REQUEST_ID.fullmatch(request_id):
        found = next((match for url in urls if url and (match := _ID_IN_URL.search(url))), None)
        if found is None:
            return None
        request_id = found[1]
    return Submitted(request_id, *urls)


def status(data: Any) -> Status | None:
    """None when there is no status in it."""
    if not isinstance(data, dict) or not isinstance(data.get("status"), str):
        return None
    logs = data.get("logs")
    last = logs[-1] if isinstance(logs, list) and logs else None
    return Status(
        data["status"],
        _count(data.get("queue_position")),
        _text(data.get("error")),
        _text(data.get("error_type")),
        _text(last.get("message")) if isinstance(last, dict) else None,
    )


def error_body(data: Any) -> ErrorBody:
    """Whatever can be learnt from an error's body; empty when it is in neither shape."""
    if not isinstance(data, dict):
        return ErrorBody()
    detail = data.get("detail")
    items = tuple(_item(entry) for entry in detail if isinstance(entry, dict)) if isinstance(detail, list) else ()
    text = _text(detail) or _text(data.get("error")) or _text(data.get("message"))
    return ErrorBody(items, text, _text(data.get("error_type")))


def _item(entry: Mapping[str, Any]) -> ErrorItem:
    loc, ctx = entry.get("loc"), entry.get("ctx")
    return ErrorItem(
        tuple(str(part) for part in loc) if isinstance(loc, list) else (),
        _text(entry.get("type")) or "",
        _text(entry.get("msg")) or "",
        ctx if isinstance(ctx, dict) else {},
    )


def result(data: Any) -> Result:
    """Files of an image or video output; unwraps `response` where an older gateway wraps the output."""
    if not isinstance(data, dict):
        return Result((), None)
    if not _has_media(data) and isinstance(data.get("response"), dict):
        data = data["response"]
    entries = data.get("images") or data.get("videos") or [data.get("image") or data.get("video")]
    flags, seed = data.get("has_nsfw_concepts"), _integer(data.get("seed"))
    files = []
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        flag = flags[index] if isinstance(flags, list) and index < len(flags) else None
        file = _file(entry, seed, flag if isinstance(flag, bool) else None)
        if file is not None:
            files.append(file)
    return Result(tuple(files), seed)


def _has_media(data: Mapping[str, Any]) -> bool:
    return any(data.get(name) for name in ("images", "image", "video", "videos"))


def _file(entry: Any, seed: int | None, flagged: bool | None) -> OutputFile | None:
    if isinstance(entry, str):
        entry = {"url": entry}
    url = _text(entry.get("url")) if isinstance(entry, dict) else None
    if url is None:
        return None
    media_type, data = _text(entry.get("content_type")), None
    inline = _DATA_URI.fullmatch(url)
    if inline:
        try:
            media_type, data = inline[1] or media_type, base64.b64decode(inline[2], validate=True)
        except binascii.Error:
            return None
    width, height = _count(entry.get("width")), _count(entry.get("height"))
    return OutputFile(
        url=None if inline else url, data=data, media_type=media_type, width=width or None,
        height=height or None, seed=seed, flagged=flagged,
    )  # fmt: skip


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _count(value: Any) -> int | None:
    number = _integer(value)
    return number if number is not None and number >= 0 else None
