"""Handing out a result's file, or what the faults of its job made of it."""

import asyncio

from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from gesso.sandbox.faults import Faults, Tally
from gesso.sandbox.files import StoredFile, bomb_png, padded
from gesso.sandbox.transport import DroppedResponse, strike_before

_METADATA = "http://169.254.169.254/latest/meta-data/"


_PAGE = "<!doctype html><title>Not a picture</title><script>alert(1)</script><p>This is a web page.</p>"


async def spoilt_bytes(data: bytes, faults: Faults) -> bytes:
    """A file that goes inside an answer, or what a fault made of it."""
    if "wrong-bytes" in faults:
        return _PAGE.encode()
    if "truncated" in faults:
        return data[: len(data) // 2]
    if "bomb" in faults:
        return await asyncio.to_thread(bomb_png)
    if (huge := faults.get("huge")) is not None:
        return b"".join([piece async for piece in padded(data, int(huge.number(64) * 2**20))])
    return data


async def deliver(stored: StoredFile | None, tally: Tally, hang_seconds: float) -> Response | None:
    """The file, or its fault's answer; None when it is not (or no longer) there."""
    if stored is None or "gone" in stored.faults:
        return None
    struck = strike_before(stored.faults, "file", stored.prompt, tally, hang_seconds)
    if struck is not None:
        return struck
    if any(f.name == "drop" and tally.strikes(f, stored.prompt) for f in stored.faults.transport("file")):
        return DroppedResponse()
    return await _spoilt(stored) or Response(stored.data, media_type=stored.media_type)


async def _spoilt(stored: StoredFile) -> Response | None:
    faults = stored.faults
    if "private-redirect" in faults:
        return RedirectResponse(_METADATA, 302)
    if "wrong-bytes" in faults:
        return HTMLResponse(_PAGE, headers={"content-type": stored.media_type})
    if "truncated" in faults:
        return Response(stored.data[: len(stored.data) // 2], media_type=stored.media_type)
    if huge := faults.get("huge"):
        size = int(huge.number(64) * 1024 * 1024)
        return StreamingResponse(padded(stored.data, size), media_type=stored.media_type)
    if "bomb" in faults:
        return Response(await asyncio.to_thread(bomb_png), media_type="image/png")
    return None
