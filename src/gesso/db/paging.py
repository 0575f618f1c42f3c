"""Keyset paging: opaque cursors instead of page numbers."""

import base64
import binascii
import json
from typing import Any
from uuid import UUID

from gesso.core.errors import InvalidInput


def encode_cursor(*parts: Any) -> str:
    """An opaque, URL-safe cursor that carries `parts` (values that JSON or `str` can hold)."""
    text = json.dumps(parts, separators=(",", ":"), default=str)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, length: int) -> list[Any]:
    """The parts of a cursor. Raises InvalidInput on field `cursor` for anything we did not make."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        parts = None
    if not isinstance(parts, list) or len(parts) != length:
        raise _not_ours()
    return parts


def cursor_id(cursor: str | None) -> UUID | None:
    """The id that a cursor carries alone; None for no cursor. Raises InvalidInput as `decode_cursor`."""
    if not cursor:
        return None
    (part,) = decode_cursor(cursor, 1)
    try:
        return UUID(str(part))
    except ValueError:
        raise _not_ours() from None


def _not_ours() -> InvalidInput:
    return InvalidInput(
        "This cursor is not one of ours. Leave it out to start at the beginning.",
        fields={"cursor": "Use the value of `next` from the page before."},
    )
