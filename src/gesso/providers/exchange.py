"""What was said between us and a provider, for the operator: shapes and short values, never secrets or people's words.

Whoever makes a call opens `recording()` around it; `HttpClient` then notes each request and its answer. Texts of
more than a few words become their length, files their size, so that a record explains a failure without keeping
what somebody wrote or drew.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

KEPT_TEXT = 60
"""Characters of a value that are kept as they are."""
KEPT_RECORD = 4000
"""Characters of a request or an answer that are kept."""
_KEPT_ITEMS = 20
_PEOPLES_WORDS = frozenset(
    {
        "prompt", "negative_prompt", "text", "content", "message", "input", "instructions", "system", "messages",
        "description", "revised_prompt", "personality", "scenario", "username", "name",
        "param", "paramjson",
    }
)  # fmt: skip
"""Members that may hold what a person wrote: told by length however short."""
_OF_NODES = frozenset({"inputs", "current_inputs"})
"""Members whose own members are named by whoever drew a workflow: any of their texts may be a person's."""
_PROVIDERS_WORDS = frozenset({"error", "errors", "detail", "msg", "title", "reason", "failmsg", "errormessage"})
"""Members that tell what is wrong: kept longer, for that is what the record is for."""
_KEPT_REASON = 400
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{200,}={0,2}")

Mask = Callable[[str], str]


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. `url` without query; `status` None when no answer came, and `response` says why.

    `request` and `response` are JSON texts or short descriptions, at most `KEPT_RECORD` characters each.
    """

    at: datetime
    method: str
    url: str
    status: int | None
    took_ms: int
    request: str | None
    response: str | None


_records: ContextVar[list[Exchange] | None] = ContextVar("provider_exchanges", default=None)


@contextlib.contextmanager
def recording() -> Iterator[list[Exchange]]:
    """Exchanges made inside the block, as they are noted."""
    records: list[Exchange] = []
    token = _records.set(records)
    try:
        yield records
    finally:
        _records.reset(token)


def is_recording() -> bool:
    """Whether anybody wants to know."""
    return _records.get() is not None


def note(
    *,
    method: str,
    url: str,
    status: int | None,
    took_seconds: float,
    request: object,
    response: object,
    mask: Mask,
) -> None:
    """Note an exchange for whoever is recording. `request` and `response`: decoded JSON, bytes, or a description."""
    records = _records.get()
    if records is None:
        return
    parts = urlsplit(url)
    records.append(
        Exchange(
            at=datetime.now(UTC),
            method=method,
            url=mask(urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))),
            status=status,
            took_ms=round(took_seconds * 1000),
            request=_told(request, mask),
            response=_told(response, mask),
        )
    )


def _told(value: object, mask: Mask) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        value = _decoded(value)
    text = value if isinstance(value, str) else json.dumps(outline(value), ensure_ascii=False, default=str)
    return mask(text)[:KEPT_RECORD]


def _decoded(body: bytes) -> object:
    """JSON as what it says; anything else by its size, with the beginning of a short text such as an error page."""
    try:
        return json.loads(body)
    except ValueError:
        start = body[:200].decode(errors="replace") if len(body) < 20_000 and b"\0" not in body[:200] else ""
        return f"‹{len(body)} bytes› {start}".strip()


def outline(value: Any, name: str = "", *, of_error: bool = False) -> Any:
    """`value` with long texts told by their length and files by their size; the structure stays.

    A member whose name may hold a person's words is told by length whatever its size, unless it lies inside what
    the provider says went wrong (`of_error`).
    """
    of_error = of_error or name in _PROVIDERS_WORDS
    if isinstance(value, Mapping):
        members = list(value.items())[:_KEPT_ITEMS]
        inside = name if name in _OF_NODES else None
        return {str(key): outline(part, inside or str(key).lower(), of_error=of_error) for key, part in members}
    if isinstance(value, list):
        shown = [outline(part, name, of_error=of_error) for part in value[:_KEPT_ITEMS]]
        return [*shown, f"‹{len(value) - _KEPT_ITEMS} more›"] if len(value) > _KEPT_ITEMS else shown
    return _outlined(value, name, of_error) if isinstance(value, str) else value


def _outlined(text: str, name: str, of_error: bool) -> str:
    if text.startswith("data:") or _BASE64.fullmatch(text):
        return f"‹file of about {len(text) * 3 // 4} bytes›"
    if text.startswith(("https://", "http://")):
        return text.partition("?")[0][:200]
    if of_error:
        return text[:_KEPT_REASON]
    kept = len(text) <= KEPT_TEXT and name not in _PEOPLES_WORDS | _OF_NODES
    return text if kept else f"‹{len(text)} characters›"
