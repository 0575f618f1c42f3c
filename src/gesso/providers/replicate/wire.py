"""Replicate's JSON, read leniently: absent, null or odd parts become None, never an exception.

Sources: the fact sheet's sections 2 to 4 (OpenAPI of the vendor, SDK sources, recorded traffic).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
RUNNING = frozenset({"starting", "processing"})
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,(.*)", re.DOTALL)
_BAR = re.compile(r"(\d{1,3})%\|.*?\| (\d+)/(\d+)")
_SEED = re.compile(r"Using seed: (\d{1,20})")
_HELD_BACK = re.compile(r"NSFW content detected in image (\d{1,4})", re.IGNORECASE)
_NUMBERED = re.compile(r"/out-(\d{1,3})\.\w{2,5}(?:\?|$)")
_FRACTION = re.compile(r"\.(\d{1,9})\d*")
_DEEPEST = 3


@dataclass(frozen=True)
class File:
    """One output: `url`, or the decoded `data` of a data URI. `number`: n of a file named out-n, as its model numbers
    what it makes, those it held back included."""

    url: str | None = None
    data: bytes | None = field(default=None, repr=False)
    media_type: str | None = None
    number: int | None = None


@dataclass(frozen=True)
class Prediction:
    """A prediction as far as it is told. `files` keeps places: None where an entry was null or unreadable."""

    id: str
    status: str
    model: str | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[File | None, ...] = ()
    logs: str = ""
    error: str | None = None
    data_removed: bool = False
    created_at: datetime | None = None
    completed_at: datetime | None = None
    deadline: datetime | None = None
    predict_seconds: Decimal | None = None
    image_count: int | None = None
    webhook: str | None = None
    tells_webhook: bool = False


@dataclass(frozen=True)
class InvalidField:
    """One entry of a refusal's `invalid_fields`, or one line of its detail."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class ErrorBody:
    """An error's body; empty when it is in no known shape."""

    title: str = ""
    detail: str = ""
    fields: tuple[InvalidField, ...] = ()


def is_id(text: object) -> bool:
    """Whether this can be a prediction's id: it becomes part of a URL."""
    return isinstance(text, str) and bool(_ID.fullmatch(text))


def prediction(data: Any) -> Prediction | None:
    """None when there is no usable id in it: the prediction may exist, but cannot be followed."""
    if not isinstance(data, dict) or not is_id(data.get("id")):
        return None
    metrics, error, given = data.get("metrics"), data.get("error"), data.get("input")
    metrics = metrics if isinstance(metrics, dict) else {}
    return Prediction(
        id=data["id"],
        status=_text(data.get("status")) or "",
        model=_text(data.get("model")),
        input=given if isinstance(given, dict) else {},
        files=files(data.get("output")),
        logs=_text(data.get("logs")) or "",
        error=error if isinstance(error, str) and error else (str(error) if error else None),
        data_removed=data.get("data_removed") is True,
        created_at=moment(data.get("created_at")),
        completed_at=moment(data.get("completed_at")),
        deadline=moment(data.get("deadline")),
        predict_seconds=_seconds(metrics.get("predict_time")),
        image_count=_count(metrics.get("image_count", metrics.get("image_output_count"))),
        webhook=_text(data.get("webhook")),
        tells_webhook="webhook" in data,
    )


def files(output: Any) -> tuple[File | None, ...]:
    """The files of an output: a string, a list, or an object that holds either. Texts that are no address are none."""
    return tuple(_files(output, 0))


def _files(output: Any, depth: int) -> list[File | None]:
    if isinstance(output, str):
        found = _file(output)
        return [found] if found is not None or depth else []
    if isinstance(output, list):
        return [_one(entry, depth) for entry in output]
    if isinstance(output, dict) and depth < _DEEPEST:
        for part in output.values():
            if any(inside := _files(part, depth + 1)):
                return inside
    return []


def _one(entry: Any, depth: int) -> File | None:
    inside = _files(entry, depth + 1) if depth < _DEEPEST else []
    return next((file for file in inside if file is not None), None)


def _file(text: str) -> File | None:
    inline = _DATA_URI.fullmatch(text)
    if inline:
        try:
            return File(data=base64.b64decode(inline[2], validate=True), media_type=inline[1])
        except binascii.Error:
            return None
    if not text.startswith(("https://", "http://")):
        return None
    numbered = _NUMBERED.search(text)
    return File(url=text, number=int(numbered[1]) if numbered else None)


def progress(logs: str) -> float | None:
    """0–1 from the last progress bar in the logs. Several bars may follow one another, so it can go back."""
    bars = _BAR.findall(logs)
    if not bars:
        return None
    _, done, whole = bars[-1]
    return min(int(done) / int(whole), 1.0) if int(whole) else None


def last_line(logs: str) -> str | None:
    """The last line of the logs that says anything."""
    return next((line.strip() for line in reversed(re.split(r"[\r\n]+", logs)) if line.strip()), None)


def seed(logs: str) -> int | None:
    """The seed a model says it uses."""
    found = _SEED.findall(logs)
    return int(found[-1]) if found else None


def held_back(logs: str) -> tuple[int, ...]:
    """The numbers of single pictures that a model says it left out, as it says them, each once."""
    return tuple(dict.fromkeys(int(number) for number in _HELD_BACK.findall(logs)))


def error_body(data: Any) -> ErrorBody:
    """Whatever can be learnt from an error's body. Without `invalid_fields` the lines of the detail are read."""
    if not isinstance(data, dict):
        return ErrorBody()
    detail, entries = _text(data.get("detail")) or "", data.get("invalid_fields")
    fields = tuple(
        InvalidField(*(_text(entry.get(name)) or "" for name in ("field", "type", "description")))
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
    )
    return ErrorBody(_text(data.get("title")) or "", detail, fields or tuple(_detail_lines(detail)))


def _detail_lines(detail: str) -> list[InvalidField]:
    """ "- input.steps: Must be …" and "- input: prompt is required" as fields."""
    found = []
    for line in detail.splitlines():
        match = re.fullmatch(r"- (input(?:\.[\w.]+)?): (.{1,300})", line.strip())
        if match is None:
            continue
        needed = re.fullmatch(r"(\w{1,60}) is required", match[2])
        name = f"{match[1]}.{needed[1]}" if needed else match[1]
        found.append(InvalidField(name, "required" if needed else "", match[2]))
    return found


def moment(value: Any) -> datetime | None:
    """A time of the form 2026-11-02T10:00:00.123456789Z; the fraction may have any number of digits."""
    if not isinstance(value, str):
        return None
    text = _FRACTION.sub(lambda match: f".{match[1][:6]:0<6}", value, count=1)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _seconds(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = Decimal(str(value))
    except InvalidOperation:
        return None
    return seconds if seconds.is_finite() and 0 <= seconds < 10**7 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
