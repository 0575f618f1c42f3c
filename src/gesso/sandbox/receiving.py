"""Reading what a client sends, up to a limit."""

import json
from typing import Any

from starlette.requests import Request


class TooLarge(ValueError):
    """The body is larger than a face takes."""


async def read(request: Request, limit_bytes: int) -> bytes:
    """The body. Raises TooLarge, without having read on."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise TooLarge
    return bytes(body)


async def read_object(request: Request, limit_bytes: int) -> dict[str, Any] | None:
    """The body as a JSON object, or None when it is none. Raises TooLarge."""
    body = await read(request, limit_bytes)
    try:
        raw = json.loads(body)
    except ValueError:
        return None
    return raw if isinstance(raw, dict) else None
