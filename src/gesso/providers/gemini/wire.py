"""Gemini's JSON, read leniently: absent, null or odd parts become None, never an exception.

Sources: types, models and errors of google-genai 3.4.0. Answers come in camelCase; snake_case, which the service
accepts in requests, is read as well.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gesso.providers.base import OutputFile

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_ALPHABET = str.maketrans("-_", "+/")
_ERROR_INFO, _RETRY_INFO, _QUOTA, _BAD_REQUEST = (
    f"google.rpc.{name}" for name in ("ErrorInfo", "RetryInfo", "QuotaFailure", "BadRequest")
)


@dataclass(frozen=True)
class Problem:
    """What can be learnt of an error. `status` and `reasons` in upper case (`INVALID_ARGUMENT`, `API_KEY_INVALID`).

    `retry_seconds`: from RetryInfo. `quotas`: the names of the limits that were reached. `field`: the path of the
    member that was found wrong. `known`: whether Google wrote it, and not a proxy on the way.
    """

    message: str = ""
    status: str = ""
    code: int | None = None
    reasons: frozenset[str] = frozenset()
    retry_seconds: float | None = None
    quotas: tuple[str, ...] = ()
    field: str | None = None

    @property
    def known(self) -> bool:
        return bool(self.status or self.message)


@dataclass(frozen=True)
class Tokens:
    """A usage block. `output` is all that was made, `thoughts` and `image_output` inside it; the latter None when
    the kinds were not told apart. `cached` lies inside `input`."""

    input: int | None = None
    output: int | None = None
    thoughts: int = 0
    image_output: int | None = None
    cached: int = 0


@dataclass(frozen=True)
class Reply:
    """An answer, or one piece of a streamed one. Thoughts are left out, their drafts too.

    `broken` counts pictures that cannot be decoded. `block`: why the prompt was refused; `finish`: how it ended.
    """

    text: str = ""
    pictures: tuple[OutputFile, ...] = ()
    broken: int = 0
    finish: str | None = None
    block: str | None = None
    usage: Tokens | None = None
    problem: Problem | None = None
    readable: bool = True


def problem(data: Any) -> Problem:
    """An error in Google's envelope, bare or in a list (as on streams of JSON), or in the newer API's shape, whose
    `code` is a word."""
    if isinstance(data, list):
        data = next((one for one in data if isinstance(one, dict) and one.get("error")), None)
    inner = data.get("error") if isinstance(data, dict) else None
    if not isinstance(inner, dict):
        return Problem(_text(inner) or "")
    code, details = inner.get("code"), inner.get("details")
    found = [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return Problem(
        _text(inner.get("message")) or "",
        (_text(inner.get("status")) or _text(code) or "").upper(),
        _count(code),
        frozenset(word.upper() for one in _of(found, _ERROR_INFO) if (word := _text(one.get("reason")))),
        next((wait for one in _of(found, _RETRY_INFO) if (wait := _seconds(one.get("retryDelay"))) is not None), None),
        tuple(_quotas(found)),
        next(_fields(found), None),
    )


def _of(details: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    return (one for one in details if str(one.get("@type", "")).endswith(kind))


def _seconds(value: Any) -> float | None:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) if match else None


def _quotas(details: list[dict[str, Any]]) -> Iterator[str]:
    for one in _of(details, _QUOTA):
        violations = one.get("violations")
        for violation in violations if isinstance(violations, list) else []:
            if isinstance(violation, dict):
                yield from filter(None, (_text(violation.get("quotaId")), _text(violation.get("quotaMetric"))))


def _fields(details: list[dict[str, Any]]) -> Iterator[str]:
    for one in _of(details, _BAD_REQUEST):
        violations = one.get("fieldViolations")
        for violation in violations if isinstance(violations, list) else []:
            if isinstance(violation, dict) and (name := _text(violation.get("field"))):
                yield name


def reply(data: Any) -> Reply:
    """A GenerateContentResponse; a list of them, as a stream of JSON has, is put together."""
    if isinstance(data, list):
        return _together([reply(one) for one in data]) if data else Reply(readable=False)
    if not isinstance(data, dict):
        return Reply(readable=False)
    if data.get("error"):
        return Reply(problem=problem(data))
    usage = tokens(_member(data, "usageMetadata"))
    feedback = _member(data, "promptFeedback")
    block = _reason(_member(feedback, "blockReason")) if isinstance(feedback, dict) else None
    candidates = data.get("candidates")
    first = candidates[0] if isinstance(candidates, list) and candidates else None
    if not isinstance(first, dict):
        readable = isinstance(candidates, list) or usage is not None or feedback is not None
        return Reply(block=block, usage=usage, readable=readable)
    text, pictures, broken = _content(first.get("content"))
    return Reply(text, pictures, broken, _reason(_member(first, "finishReason")), block, usage)


def _together(parts: list[Reply]) -> Reply:
    return Reply(
        "".join(part.text for part in parts),
        tuple(picture for part in parts for picture in part.pictures),
        sum(part.broken for part in parts),
        next((part.finish for part in reversed(parts) if part.finish), None),
        next((part.block for part in parts if part.block), None),
        next((part.usage for part in reversed(parts) if part.usage), None),
        next((part.problem for part in parts if part.problem), None),
        any(part.readable for part in parts),
    )


def _reason(value: Any) -> str | None:
    """A reason's name; none for the value that says that none is given."""
    name = (_text(value) or "").upper()
    return None if name.endswith("_UNSPECIFIED") else name or None


def _content(content: Any) -> tuple[str, tuple[OutputFile, ...], int]:
    parts = content.get("parts") if isinstance(content, dict) else None
    texts, pictures, broken = [], [], 0
    for part in parts if isinstance(parts, list) else []:
        if not isinstance(part, dict) or part.get("thought") is True:
            continue
        texts.append(_text(part.get("text")) or "")
        inline = _member(part, "inlineData")
        if isinstance(inline, dict):
            picture = _picture(inline)
            pictures += [picture] if picture else []
            broken += picture is None
    return "".join(texts), tuple(pictures), broken


def _picture(inline: dict[str, Any]) -> OutputFile | None:
    encoded, media_type = _text(inline.get("data")), _text(_member(inline, "mimeType"))
    if encoded is None or not (media_type or "image/").startswith("image/"):
        return None
    plain = encoded.translate(_ALPHABET).rstrip("=")
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return OutputFile(data=data, media_type=media_type) if data else None


def tokens(data: Any) -> Tokens | None:
    """A usage block; None when it tells nothing."""
    if not isinstance(data, dict):
        return None
    sent, made, total = (
        _count(_member(data, name)) for name in ("promptTokenCount", "candidatesTokenCount", "totalTokenCount")
    )
    thoughts = _count(_member(data, "thoughtsTokenCount")) or 0
    if made is not None:
        output: int | None = made + thoughts
    elif sent is not None and total is not None:
        output = max(total - sent, thoughts)
    else:
        output = thoughts or None
    if sent is None and output is None:
        return None
    images = _of_modality(_member(data, "candidatesTokensDetails"), "IMAGE")
    return Tokens(sent, output, thoughts, images, _count(_member(data, "cachedContentTokenCount")) or 0)


def _of_modality(details: Any, modality: str) -> int | None:
    if not isinstance(details, list) or not details:
        return None
    return sum(
        _count(_member(one, "tokenCount")) or 0
        for one in details if isinstance(one, dict) and one.get("modality") == modality
    )  # fmt: skip


def is_model_list(data: Any) -> bool:
    """Whether this is an answer to GET /models."""
    return isinstance(data, dict) and isinstance(data.get("models"), list)


def _member(data: Any, name: str) -> Any:
    """A member under its camelCase name, or under the snake_case one."""
    if not isinstance(data, Mapping):
        return None
    return data.get(name) if name in data else data.get(re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
