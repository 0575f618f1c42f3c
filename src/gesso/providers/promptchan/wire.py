"""Promptchan's JSON, read leniently: absent, null or odd parts become None, never an exception.

Sources: the vendor's OpenAPI document (v1.1.2) and what public callers guard against. `gems` in an answer is the
balance that is left, not a price.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any, Literal

from gesso.providers.base import OutputFile

Standing = Literal["going", "done", "failed"]
_DATA_URI = re.compile(r"data:[\w.+-]*/?[\w.+-]*(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
_QUEUE = re.compile(r"queue\D{0,20}(\d{1,6})", re.IGNORECASE)
_DONE = frozenset({"completed", "complete", "success", "succeeded", "done", "finished"})
_FAILED = frozenset({"failed", "failure", "error", "errored", "canceled", "cancelled", "rejected"})


@dataclass(frozen=True)
class Picture:
    """A picture's answer. `readable`: there was an `image` at all; `file` None when it cannot be decoded."""

    file: OutputFile | None
    readable: bool


@dataclass(frozen=True)
class Status:
    """How a video stands. `word` and `details` in their words; `queue_position` 0 = next; `videos` where the status
    carries the result, as one caller of the newer version reads it."""

    standing: Standing
    word: str
    details: str = ""
    queue_position: int | None = None
    videos: tuple[str, ...] = ()


def picture(data: Any) -> Picture:
    """`image` is plain base64 in the document; a data URI and an address were seen to be guarded against."""
    told = data.get("image") if isinstance(data, dict) else None
    if isinstance(told, list) and told:
        told = told[0]
    if not isinstance(told, str) or not told.strip():
        return Picture(None, readable=False)
    text = told.strip()
    if text.startswith(("https://", "http://")):
        return Picture(OutputFile(url=text), readable=True)
    encoded = "".join(_DATA_URI.sub("", text, count=1).split())
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    return Picture(OutputFile(data=decoded) if decoded else None, readable=True)


def request_id(data: Any) -> str | None:
    """The id of an accepted video, safe in a path."""
    told = data.get("request_id") if isinstance(data, dict) else None
    return told if isinstance(told, str) and _ID.fullmatch(told) else None


def status(data: Any) -> Status | None:
    """None when it tells no status. Words that are on no list count as still going: only `Completed` is documented."""
    told = _text(data.get("status")) if isinstance(data, dict) else None
    if told is None:
        return None
    word, details = told.strip().lower(), _text(data.get("details")) or ""
    place = _QUEUE.search(details) or _QUEUE.search(told)
    standing: Standing = "done" if word in _DONE else "failed" if word in _FAILED else "going"
    return Status(standing, told[:80], details[:200], int(place[1]) if place else None, videos(data))


def videos(data: Any) -> tuple[str, ...]:
    """The addresses of a result: a list in the document's example, one text in its schema."""
    told = data.get("video") if isinstance(data, dict) else None
    entries = told if isinstance(told, list) else [told]
    return tuple(entry for entry in entries if isinstance(entry, str) and entry.startswith(("https://", "http://")))


def progress(data: Any) -> float | None:
    """0 to 1."""
    told = data.get("progress") if isinstance(data, dict) else None
    if isinstance(told, bool) or not isinstance(told, int | float) or told != told:
        return None
    return min(max(float(told), 0.0), 1.0)


def gems(data: Any) -> float | None:
    """The balance left: whole in the document, but surcharges are fractions."""
    told = data.get("gems") if isinstance(data, dict) else None
    if isinstance(told, bool) or not isinstance(told, int | float) or told != told or abs(told) == float("inf"):
        return None
    return float(told)


def plan(data: Any) -> str | None:
    """The name of the account's plan, where the balance's answer tells it."""
    told = data.get("subscription") if isinstance(data, dict) else None
    name = _text(told.get("plan")) if isinstance(told, dict) else None
    return name[:40] if name and name.isprintable() else None


def message(data: Any) -> str | None:
    """A chat's answer, perhaps empty. `audio` and `selfie` beside it are never asked for and not looked at."""
    told = data.get("message") if isinstance(data, dict) else None
    return told if isinstance(told, str) else None


def error_text(data: Any) -> str:
    """What an error says, under `error` or `message`; also one level deeper. Empty when it says nothing."""
    if not isinstance(data, dict):
        return ""
    for name in ("error", "message", "detail", "details"):
        told = data.get(name)
        if isinstance(told, dict):
            told = error_text(told)
        if isinstance(told, list):
            told = " ".join(str(part.get("msg", "")) if isinstance(part, dict) else str(part) for part in told)
        if isinstance(told, str) and told.strip():
            return told.strip()[:400]
    return ""


def has_error(data: Any) -> bool:
    """Whether an answer with status 200 says that something went wrong."""
    return isinstance(data, dict) and bool(data.get("error"))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None
