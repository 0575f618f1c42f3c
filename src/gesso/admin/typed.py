"""JSON typed by people: parsed, or told by line what is wrong. Pure."""

import json
from collections.abc import Callable, Iterable, Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from gesso.core.errors import InvalidInput

Path = tuple[str | int, ...]
_SPACE = " \t\r\n"


def json_object(text: str, field: str) -> dict[str, Any]:
    """The object that `text` spells; blank is an empty one. Raises InvalidInput on `field`, naming the line."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        reason = f"Line {error.lineno}, column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]}."
        raise InvalidInput(reason, fields={field: reason}) from None
    except (ValueError, RecursionError) as error:
        reason = f"{error}." if isinstance(error, ValueError) else "It is nested too deeply."
        raise InvalidInput(reason, fields={field: reason}) from None
    if not isinstance(value, dict):
        reason = "Line 1: this must be an object, { … }."
        raise InvalidInput(reason, fields={field: reason})
    return value


def shown(value: Mapping[str, Any]) -> str:
    """An object as it is put into a form; an empty one leaves the field empty."""
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""


def at_lines(text: str, problems: Iterable[tuple[Path, str]]) -> str:
    """Problems inside an object that `json_object` has read, one a line: “Line 7: count needs …”."""
    lines = lines_of(text)
    return "\n".join(f"Line {_line(lines, path)}: {reason}." for path, reason in problems)


def lines_of(text: str) -> dict[Path, int]:
    """Where each member and element of a valid JSON text begins: path → line, counted from 1."""
    found: dict[Path, int] = {(): 1}
    _walk(text, _skip(text, 0), (), found)
    return found


def _line(lines: Mapping[Path, int], path: Path) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines[path]


def _walk(text: str, at: int, path: Path, found: dict[Path, int]) -> int:
    """Note what lies in the value that begins at `at`; returns where it ends."""
    if text[at] == '"':
        return int(scanstring(text, at + 1)[1])
    if text[at] == "{":
        return _members(text, at, path, found, _named)
    if text[at] == "[":
        return _members(text, at, path, found, None)
    while at < len(text) and text[at] not in ",]}" + _SPACE:
        at += 1
    return at


def _members(
    text: str, at: int, path: Path, found: dict[Path, int], name: Callable[[str, int], tuple[str, int]] | None
) -> int:
    closing, number = ("}" if name else "]"), 0
    at = _skip(text, at + 1)
    while text[at] != closing:
        begin, key = at, number
        here: Path = (*path, key)
        if name is not None:
            label, at = name(text, at)
            here = (*path, label)
        found[here] = text.count("\n", 0, begin) + 1
        at = _skip(text, _walk(text, at, here, found))
        number += 1
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1


def _named(text: str, at: int) -> tuple[str, int]:
    label, end = scanstring(text, at + 1)
    return label, _skip(text, _skip(text, end) + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _refuse(word: str) -> None:
    raise ValueError(f"“{word}” is no JSON number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"“{name}” stands twice in one object")
        seen.add(name)
    return dict(pairs)
