"""kie.ai's JSON, read leniently: absent, null or odd parts become None, never an exception.

Sources: the fact sheet's sections 1, 2, 4 and 6 (kie.ai's pages, and what public clients have seen). Where its pages
disagree, both spellings are read.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

OK = 200
_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,128}")
_STATES = {"success": "done", "fail": "failed", "waiting": "running", "queuing": "running", "generating": "running"}
_FLAGS = {0: "running", 1: "done", 2: "failed", 3: "failed"}
_CREDITS = ("creditsConsumed", "credits_consumed", "consumeCredits")


@dataclass(frozen=True)
class Envelope:
    """An answer as kie.ai wraps it. `code`: the body's own, or the HTTP status where it has none or calls an error
    status fine. `told`: whether the body has a code, so that kie.ai wrote it and no proxy on the way."""

    code: int
    ok: bool
    told: bool
    message: str
    data: Any


@dataclass(frozen=True)
class Task:
    """A job as far as it is told. `state`: running, done or failed; anything else is kie.ai's own word."""

    id: str | None
    state: str
    urls: tuple[str, ...] = ()
    fail_code: int | None = None
    fail_message: str = ""
    progress: float | None = None
    credits: Decimal | None = None


def is_id(text: object) -> bool:
    """Whether this can be a task's id. They are opaque: `task_<model>_<ms>`, 32 hexadecimal digits …"""
    return isinstance(text, str) and bool(_ID.fullmatch(text))


def envelope(status: int, data: Any) -> Envelope:
    """Fine only if HTTP is 2xx *and* the code is 200: kie.ai does not say which of the two tells an error."""
    body = data if isinstance(data, dict) else {}
    code = _whole(body.get("code"))
    message = _text(body.get("msg")) or _text(body.get("message")) or ""
    good = 200 <= status < 300
    effective = code if code is not None and (code != OK or good) else status
    return Envelope(effective, good and code == OK, code is not None, message, body.get("data"))


def task_id(data: Any) -> str | None:
    """The id of a job just taken, or of the one a callback speaks of."""
    if not isinstance(data, dict):
        return None
    return next((data[name] for name in ("taskId", "task_id") if is_id(data.get(name))), None)


def job(data: Any) -> Task | None:
    """The `data` of a market job's recordInfo. None when it tells no state."""
    state = _text(data.get("state")) if isinstance(data, dict) else None
    if state is None:
        return None
    return Task(
        task_id(data),
        _STATES.get(state.lower(), state),
        _urls(_inner(data.get("resultJson")).get("resultUrls")),
        _whole(data.get("failCode")),
        _text(data.get("failMsg")) or "",
        _share(data.get("progress")),
        credits(data),
    )


def kontext(data: Any) -> Task | None:
    """The `data` of FLUX Kontext's record-info. None when it tells no state."""
    flag = _whole(data.get("successFlag")) if isinstance(data, dict) else None
    if flag is None:
        return None
    return Task(
        task_id(data),
        _FLAGS.get(flag, f"successFlag {flag}"),
        _urls(_inner(data.get("response")).get("resultImageUrl")),
        _whole(data.get("errorCode")),
        _text(data.get("errorMessage")) or "",
        None,
        credits(data),
    )


def credits(data: Any) -> Decimal | None:
    """What a job, or a chat answer, cost in credits; it may be a fraction. None when that is not told."""
    if not isinstance(data, dict):
        return None
    for name in _CREDITS:
        found = amount(data.get(name))
        if found is not None:
            return found
    return None


def amount(value: Any) -> Decimal | None:
    """A number of credits ≥ 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() and 0 <= found < 10**9 else None


def upload_url(data: Any) -> str | None:
    """Where an uploaded file lies: `downloadUrl` on one page, `fileUrl` on the other."""
    if not isinstance(data, dict):
        return None
    return next((url for name in ("downloadUrl", "fileUrl") if (url := _address(data.get(name)))), None)


def _inner(value: Any) -> Mapping[str, Any]:
    """An object, or one inside a string as results come."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _urls(value: Any) -> tuple[str, ...]:
    found = value if isinstance(value, list) else [value]
    return tuple(url for url in map(_address, found) if url is not None)


def _address(value: Any) -> str | None:
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else None


def _share(value: Any) -> float | None:
    """0–1 of a progress from 0 to 100. 0 tells nothing: it has been seen to stay there until the end."""
    found = amount(value)
    return min(float(found) / 100, 1.0) if found else None


def _whole(value: Any) -> int | None:
    """A code: a number, or a string of digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 6:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
