"""Pictures the operator gives to models and styles: what people see when they choose.

They belong to the site, not to a workspace: public, small, and named by their content, so that an address never
changes its picture and may be kept for good.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime

from fastapi import APIRouter, Request, Response

from gesso.core.errors import NotFound
from gesso.db import Database, ElevatedSession
from gesso.media.service import Ingest
from gesso.media.storage import Storage
from gesso.web.security import FILE_POLICY

router = APIRouter(prefix="/samples", include_in_schema=False)

SIDE = 640
"""Longer side in pixels: the largest card is 300 wide, twice that for fine screens."""
FOLDER = "samples"
_NAME = re.compile(r"[0-9a-f]{64}")
_GONE = "This picture is not here."

Named = Callable[[ElevatedSession], Awaitable[frozenset[str]]]
"""The names of the pictures that something shows; from the room that knows models and styles."""


async def keep(storage: Storage, pool: Ingest, data: bytes, declared_type: str | None) -> str:
    """Take a picture in as people's uploads are (checked, made anew from its pixels) and return its name.

    Do this before the transaction that names it. Raises `HostileFile`, `Unavailable`.
    """
    name, picture = await pool.prepare_sample(data, SIDE, declared_type=declared_type)
    await storage.put(_key(name), picture)
    return name


async def remove_unused(
    db: Database, storage: Storage, named: Named, before: datetime, *, dry_run: bool = False
) -> int:
    """Remove what was stored before a moment and is shown by nothing. Returns how many. `dry_run`: only count."""
    async with db.elevated("samples: which are shown") as tx:
        shown = {_key(name) for name in await named(tx)}
    removed = 0
    async for batch in storage.batches(FOLDER):
        unused = [found.key for found in batch if found.key not in shown and found.modified_at < before]
        removed += len(unused) if dry_run else await storage.delete(unused)
    return removed


def _key(name: str) -> str:
    return f"{FOLDER}/{name}.webp"


@router.get("/{file}")
async def sample_file(request: Request, file: str) -> Response:
    """A picture, to anybody: landing pages show them too. Raises NotFound."""
    name = file.removesuffix(".webp")
    if not file.endswith(".webp") or not _NAME.fullmatch(name):
        raise NotFound(_GONE)
    headers = {
        "ETag": f'"{name[:32]}"',
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Security-Policy": FILE_POLICY,
    }
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(await request.app.state.storage.get(_key(name)), media_type="image/webp", headers=headers)
