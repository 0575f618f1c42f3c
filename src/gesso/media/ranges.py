"""HTTP's conditional and partial requests (RFC 9110 §13, §14), as pure functions."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` to `end` (exclusive)."""

    start: int
    end: int


class Unsatisfiable(Exception):
    """The range lies outside of the file: 416."""


def requested_part(header: str | None, size: int) -> Part | None:
    """The part of `size` bytes that a Range header asks for; None means all of it.

    A header we do not understand, another unit or several ranges count as no header, as the RFC allows.
    Raises `Unsatisfiable` for a range that starts after the end or asks for the last 0 bytes.
    """
    match = _RANGE.fullmatch(header) if header else None
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        length = int(match[2])
        if length == 0:
            raise Unsatisfiable
        return Part(max(0, size - length), size)
    start = int(match[1])
    last = int(match[2]) if match[2] else size - 1
    if match[2] and last < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Part(start, min(last + 1, size))


def unchanged(if_none_match: str | None, etag: str) -> bool:
    """Whether the caller's copies, as named by If-None-Match, include this one."""
    if if_none_match is None:
        return False
    given = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in given or etag in given


def whole_instead(if_range: str | None, etag: str) -> bool:
    """Whether If-Range says that the caller's part belongs to another file. Dates never match: we send none."""
    return if_range is not None and if_range.strip() != etag
