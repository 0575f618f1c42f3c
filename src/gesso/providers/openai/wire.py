"""OpenAI's JSON, read leniently: absent, null or odd parts become None, never an exception.

Sources: the SDK's types (openai 3.52.0), and what compatible servers were reported to send.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gesso.providers.base import OutputFile

_DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,(.*)", re.DOTALL)
_VIDEO_ID = re.compile(r"[A-Za-z0-9_.:\-]{1,200}")


@dataclass(frozen=True)
class ErrorBody:
    """What can be learnt of an error, whichever shape it has. `code` and `type` in lower case."""

    message: str = ""
    type: str = ""
    code: str = ""
    param: str | None = None
    flagged: bool = False

    @property
    def known(self) -> bool:
        """Whether the server itself wrote it, and not a proxy on the way."""
        return bool(self.message or self.type or self.code)

    @property
    def words(self) -> frozenset[str]:
        """Code and type together: which of them carries the name differs from error to error."""
        return frozenset({self.code, self.type}) - {""}


@dataclass(frozen=True)
class Tokens:
    """A usage block. `cached` lies inside `input`; `text_input` and `image_input` too, where they are told."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    text_input: int | None = None
    image_input: int | None = None


@dataclass(frozen=True)
class Turn:
    """What a chat answer, or one chunk of it, adds. `cost_micro_usd` where a server tells what it bills."""

    text: str = ""
    refusal: str = ""
    finish: str | None = None
    usage: Tokens | None = None
    error: ErrorBody | None = None
    readable: bool = True
    cost_micro_usd: int | None = None


@dataclass(frozen=True)
class Pictures:
    """An image answer. `broken` counts results that name no file or cannot be decoded."""

    files: tuple[OutputFile, ...]
    broken: int
    usage: Tokens | None
    readable: bool = True


@dataclass(frozen=True)
class Video:
    """A video job. `progress` 0–1."""

    id: str
    status: str
    progress: float | None
    size: tuple[int, int] | None
    error: ErrorBody | None


@dataclass(frozen=True)
class Verdict:
    """One moderation result."""

    flagged: bool
    categories: frozenset[str]
    scores: Mapping[str, float]


def error_body(data: Any) -> ErrorBody:
    """OpenAI's envelope; also a bare text (Ollama), FastAPI's `detail`, and vLLM's flat object."""
    if not isinstance(data, dict):
        return ErrorBody()
    inner = data.get("error")
    if isinstance(inner, str):
        return ErrorBody(inner)
    if not isinstance(inner, dict):
        inner = data
    detail = inner.get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):  # FastAPI's list of faults
        where = detail[0].get("loc")
        param = str(where[-1]) if isinstance(where, list) and where else None
        return ErrorBody(_text(detail[0].get("msg")) or "", "", "", param)
    metadata = inner.get("metadata")
    return ErrorBody(
        _text(inner.get("message")) or _text(detail) or "",
        (_text(inner.get("type")) or "").lower(),
        _word(inner.get("code")),
        _text(inner.get("param")),
        isinstance(metadata, dict) and bool(metadata.get("reasons")),
    )


def turn(data: Any, part: Literal["message", "delta"]) -> Turn:
    """A whole chat answer (`message`), or a chunk of a streamed one (`delta`)."""
    if not isinstance(data, dict):
        return Turn(readable=False)
    usage = tokens(data.get("usage"))
    if data.get("error"):
        return Turn(error=error_body(data), usage=usage)
    choices = data.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        return Turn(usage=usage, readable=isinstance(choices, list) or usage is not None)
    inner = first.get(part)
    if not isinstance(inner, dict):
        inner = first.get("message") if isinstance(first.get("message"), dict) else {}
    assert isinstance(inner, dict)
    return Turn(
        _content(inner.get("content")), _text(inner.get("refusal")) or "", _text(first.get("finish_reason")), usage
    )


def _content(content: Any) -> str:
    """Text of a message: a string, or a list of parts as some servers send."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(_text(part.get("text")) or "" for part in parts if isinstance(part, dict))


def tokens(data: Any) -> Tokens | None:
    """A usage block in the words of chat or of images; None when it tells nothing."""
    if not isinstance(data, dict):
        return None
    sent = _count(data.get("prompt_tokens"), data.get("input_tokens"))
    made = _count(data.get("completion_tokens"), data.get("output_tokens"))
    if sent is None and made is None:
        return None
    details = data.get("prompt_tokens_details") or data.get("input_tokens_details")
    inside = details if isinstance(details, dict) else {}
    return Tokens(
        sent, made, _count(inside.get("cached_tokens")), _count(inside.get("text_tokens")),
        _count(inside.get("image_tokens")),
    )  # fmt: skip


def pictures(data: Any) -> Pictures:
    """The files of an image answer: base64, URLs or data URIs."""
    entries = data.get("data") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        return Pictures((), 0, None, readable=False)
    suffix = _text(data.get("output_format"))
    media_type = f"image/{suffix}" if suffix and suffix.isalnum() else None
    size = pixels(data.get("size"))
    files = [_file(entry, media_type, size) for entry in entries]
    good = tuple(file for file in files if file is not None)
    return Pictures(good, len(files) - len(good), tokens(data.get("usage")))


def _file(entry: Any, media_type: str | None, size: tuple[int, int] | None) -> OutputFile | None:
    if not isinstance(entry, dict):
        return None
    width, height = size or (None, None)
    encoded, url = _text(entry.get("b64_json")), _text(entry.get("url"))
    inline = _DATA_URI.fullmatch(encoded or url or "")
    if inline:
        media_type, encoded = inline[1] or media_type, inline[2]
    if encoded:
        try:
            data = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return None
        return OutputFile(data=data, media_type=media_type, width=width, height=height) if data else None
    if url and url.startswith(("https://", "http://")):
        return OutputFile(url=url, media_type=media_type, width=width, height=height)
    return None


def pixels(size: Any) -> tuple[int, int] | None:
    """Width and height of `1024x768`."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size) if isinstance(size, str) else None
    return (int(match[1]), int(match[2])) if match else None


def video(data: Any) -> Video | None:
    """None when there is no id or no status in it."""
    if not isinstance(data, dict):
        return None
    name, status = _text(data.get("id")), _text(data.get("status"))
    if name is None or status is None or not _VIDEO_ID.fullmatch(name):
        return None
    progress = data.get("progress")
    share = progress / 100 if isinstance(progress, int | float) and not isinstance(progress, bool) else None
    failed = data.get("error")
    return Video(
        name,
        status.lower(),
        min(max(share, 0.0), 1.0) if share is not None else None,
        pixels(data.get("size")),
        error_body(data) if failed else None,
    )


def verdicts(data: Any) -> tuple[Verdict, ...]:
    """The results of a moderation; none when it is not one."""
    results = data.get("results") if isinstance(data, dict) else None
    return tuple(_verdict(one) for one in results if isinstance(one, dict)) if isinstance(results, list) else ()


def _verdict(result: Mapping[str, Any]) -> Verdict:
    categories, scores = result.get("categories"), result.get("category_scores")
    return Verdict(
        result.get("flagged") is True,
        frozenset(str(name) for name, on in categories.items() if on is True)
        if isinstance(categories, dict) else frozenset(),
        {
            str(name): min(max(float(score), 0.0), 1.0)
            for name, score in scores.items() if isinstance(score, int | float) and not isinstance(score, bool)
        } if isinstance(scores, dict) else {},
    )  # fmt: skip


def model_names(data: Any) -> tuple[str, ...] | None:
    """The ids of a model list; None when it is not one."""
    entries = data.get("data") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        return None
    names = (_text(entry.get("id")) for entry in entries if isinstance(entry, dict))
    return tuple(name for name in names if name)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _word(value: Any) -> str:
    """A code: a word, or a number as some servers have it."""
    return str(value).lower() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _count(*values: Any) -> int | None:
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool) and v >= 0), None)
