"""ComfyUI's JSON, read leniently: absent, null or odd parts become None, never an exception.

What cannot be read at all is told apart from "not there": the page of a proxy must not make a job look lost.
Source: docs/providers/comfyui.md, sections 2 to 4.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FACTS = "gesso"
"""Under this name a job's `extra_data` holds what reading its result needs."""
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEYS = ("images", "gifs", "videos")
_IMAGES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}
_VIDEOS = {"mp4": "video/mp4", "webm": "video/webm", "mkv": "video/x-matroska", "mov": "video/quicktime"}
_NEVER = -1


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a node. `input` and `limits` as far as told; `limits` as ComfyUI declares the input."""

    node: str
    class_type: str
    type: str
    details: str
    input: str | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """An error answer; empty when it is in no known shape."""

    type: str = ""
    text: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class File:
    """A file on the box, as `/view` wants it named."""

    node: str
    filename: str
    subfolder: str
    folder: str
    media_type: str | None

    @property
    def query(self) -> dict[str, str]:
        """The parameters of `/view`."""
        return {"filename": self.filename, "subfolder": self.subfolder, "type": self.folder}


@dataclass(frozen=True)
class Crash:
    """What a node raised."""

    node: str
    class_type: str
    type: str
    message: str


@dataclass(frozen=True)
class Entry:
    """A job that has ended. `took_ms` from its start to its end."""

    facts: Mapping[str, Any]
    files: tuple[File, ...]
    success: bool | None
    interrupted: bool
    crash: Crash | None
    took_ms: int | None


@dataclass(frozen=True)
class Standing:
    """A job that has not ended: running, or waiting behind `before` others that wait."""

    facts: Mapping[str, Any]
    running: bool
    before: int


def is_id(text: object) -> bool:
    """Whether this can be the id of a job: a UUID as newer versions want it. It becomes part of a URL."""
    return isinstance(text, str) and bool(_ID.fullmatch(text))


def prompt_id(data: Any) -> str | None:
    """The id of a job that was taken, in any form that can be put into a URL."""
    found = data.get("prompt_id") if isinstance(data, dict) else None
    return found if isinstance(found, str) and re.fullmatch(r"[\w-]{1,80}", found) else None


def refusal(data: Any) -> Refusal:
    """What an error answer says, or what a 200 says about the nodes that were left out."""
    if not isinstance(data, dict):
        return Refusal()
    error = data.get("error")
    error = error if isinstance(error, dict) else {"message": error}
    nodes = data.get("node_errors")
    problems = [
        problem
        for node, entry in (nodes.items() if isinstance(nodes, dict) else ())
        if isinstance(entry, dict) and isinstance(entry.get("errors"), list)
        for item in entry["errors"]
        if (problem := _problem(str(node), _text(entry.get("class_type")), item)) is not None
    ]
    said = " ".join(part for part in (_text(error.get("message")), _text(error.get("details"))) if part)
    return Refusal(_text(error.get("type")), said, tuple(problems))


def _problem(node: str, class_type: str, item: Any) -> Problem | None:
    if not isinstance(item, dict):
        return None
    extra = item.get("extra_info")
    extra = extra if isinstance(extra, dict) else {}
    config, name = extra.get("input_config"), extra.get("input_name")
    limits = config[1] if isinstance(config, list) and len(config) > 1 and isinstance(config[1], dict) else {}
    details = _text(item.get("details"))
    if name is None and details:  # newer versions leave it out for some checks, but begin with it
        name = re.split(r"[ :,]", details, maxsplit=1)[0]
    return Problem(node, class_type, _text(item.get("type")), details, name if isinstance(name, str) else None, limits)


def history(data: Any, job_id: str) -> Entry | bool | None:
    """The entry of a job; False when the history does not hold it, None when this is no history."""
    if not isinstance(data, dict) or "error" in data or "detail" in data:
        return None
    entry = data.get(job_id)
    if entry is None:
        return False if not data else None
    if not isinstance(entry, dict):
        return None
    status = entry.get("status")
    status = status if isinstance(status, dict) else {}
    messages = _messages(status.get("messages"))
    word = status.get("status_str")
    crash = messages.get("execution_error")
    return Entry(
        facts=_facts(entry.get("prompt")),
        files=tuple(_files(entry.get("outputs"))),
        success={"success": True, "error": False}.get(word) if isinstance(word, str) else None,
        interrupted="execution_interrupted" in messages,
        crash=None if crash is None else _crash(crash),
        took_ms=_took(messages),
    )


def _messages(value: Any) -> dict[str, dict[str, Any]]:
    """The last message of each kind."""
    return {
        item[0]: item[1]
        for item in (value if isinstance(value, list) else [])
        if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], dict)
    }


def _took(messages: Mapping[str, Mapping[str, Any]]) -> int | None:
    def at(*names: str) -> int:
        found = [messages[name].get("timestamp") for name in names if name in messages]
        return next((stamp for stamp in found if isinstance(stamp, int) and not isinstance(stamp, bool)), _NEVER)

    start = at("execution_start")
    end = at("execution_success", "execution_error", "execution_interrupted")
    return end - start if 0 <= start <= end else None


def _crash(data: Mapping[str, Any]) -> Crash:
    return Crash(
        str(data.get("node_id", "")), _text(data.get("node_type")), _text(data.get("exception_type")),
        _text(data.get("exception_message")).strip(),
    )  # fmt: skip


def _facts(item: Any) -> Mapping[str, Any]:
    """What we left with a job, from its entry in queue or history: [number, id, workflow, extra_data, outputs]."""
    extra = item[3] if isinstance(item, list) and len(item) > 3 and isinstance(item[3], dict) else {}
    facts = extra.get(FACTS)
    return facts if isinstance(facts, dict) else {}


def _files(outputs: Any) -> list[File]:
    found = []
    for node, parts in (outputs if isinstance(outputs, dict) else {}).items():
        for key in _KEYS:
            items = parts.get(key) if isinstance(parts, dict) else None
            for item in items if isinstance(items, list) else []:
                file = _file(str(node), item)
                if file is not None:
                    found.append(file)
    return found


def _file(node: str, item: Any) -> File | None:
    if not isinstance(item, dict) or not isinstance(item.get("filename"), str) or not item["filename"]:
        return None
    told = item.get("format")
    ending = item["filename"].rpartition(".")[2].lower()
    kind = _IMAGES.get(ending) or _VIDEOS.get(ending)
    if kind is None and isinstance(told, str) and told.startswith("video/"):
        kind = "video/mp4"
    return File(node, item["filename"], _text(item.get("subfolder")), _text(item.get("type")) or "output", kind)


def queue(data: Any, job_id: str) -> Standing | bool | None:
    """Where a job stands in the queue; False when it is not in it, None when this is no queue."""
    running, pending = (
        (data.get("queue_running"), data.get("queue_pending")) if isinstance(data, dict) else (None, None)
    )
    if not isinstance(running, list) or not isinstance(pending, list):
        return None
    for item in running:
        if _id_of(item) == job_id:
            return Standing(_facts(item), True, 0)
    for item in pending:
        if _id_of(item) == job_id:
            return Standing(_facts(item), False, _before(pending, item))
    return False


def _before(pending: Sequence[Any], item: Sequence[Any]) -> int:
    """How many go first: they are told as a heap, not in order."""
    number = item[0] if isinstance(item[0], int | float) else 0
    numbers = [other[0] for other in pending if _id_of(other) is not None and other is not item]
    return sum(isinstance(other, int | float) and other < number for other in numbers)


def _id_of(item: Any) -> str | None:
    return item[1] if isinstance(item, list) and len(item) > 1 and isinstance(item[1], str) else None


def uploaded(data: Any) -> str | None:
    """What LoadImage calls an uploaded file."""
    name = data.get("name") if isinstance(data, dict) else None
    if not isinstance(name, str) or not name:
        return None
    folder = _text(data.get("subfolder")).strip("/")
    return f"{folder}/{name}" if folder else name


def system(data: Any) -> tuple[str, tuple[str, ...]] | None:
    """ComfyUI's version (empty when not told) and its devices as words; None when it is not ComfyUI's statistics."""
    about = data.get("system") if isinstance(data, dict) else None
    if not isinstance(about, dict) or not isinstance(data.get("devices"), list):
        return None
    return _text(about.get("comfyui_version")), tuple(
        _device(device) for device in data["devices"] if isinstance(device, dict)
    )


def _device(device: Mapping[str, Any]) -> str:
    name, free, total = (device.get(part) for part in ("name", "vram_free", "vram_total"))
    memory = ""
    if isinstance(free, int) and isinstance(total, int):
        memory = f" with {free / 2**30:.1f} of {total / 2**30:.1f} GiB of memory free"
    return f"{_text(name)[:80] or 'a device without a name'}{memory}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
