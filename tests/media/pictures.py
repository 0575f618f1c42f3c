"""Pictures and rows for the tests of media."""

import io
import random
import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from PIL import Image

from gesso.accounts.access import Actor
from gesso.core.ids import new_id
from gesso.db import Database, WorkspaceSession
from gesso.media import repository
from gesso.media.ingest import prepare
from gesso.media.models import Asset, NewAsset
from gesso.media.service import asset_key, new_asset, store
from gesso.media.storage import Storage


def picture(width: int = 64, height: int = 48, kind: str = "PNG", *, seed: int = 1, **options: Any) -> bytes:
    """A small real picture: a gradient with a coloured block, so that thumbnails have something to show."""
    across = Image.linear_gradient("L").resize((width, height))
    down = across.rotate(180)
    flat = Image.new("L", (width, height), random.Random(seed).randrange(256))
    image = Image.merge("RGB", (across, down, flat))
    image.paste((220, 40, 40), (0, 0, max(1, width // 3), max(1, height // 3)))
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk with its right checksum."""
    return struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body))


def png_claiming(width: int, height: int, pixels: bytes = b"\0" * 64) -> bytes:
    """A well-formed PNG whose header claims a size."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", zlib.compress(pixels)) + png_chunk(b"IEND", b"")


def id_at(moment: datetime) -> UUID:
    """A fresh UUIDv7 that says it was made at `moment`."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (new_id().int & ((1 << 80) - 1)))


_last = UUID(int=0)


def next_id() -> UUID:
    """A fresh id that sorts after all given before; plain ones of the same millisecond come in any order."""
    global _last
    while (fresh := new_id()) <= _last:
        pass
    _last = fresh
    return fresh


def row(actor: Actor, asset_id: UUID | None = None, **fields: Any) -> NewAsset:
    """A row without files, for what only looks at rows."""
    asset_id = asset_id or next_id()
    values: dict[str, Any] = {
        "id": asset_id, "user_id": actor.user_id, "storage_key": asset_key(actor.workspace_id, asset_id),
        "sha256": bytes(32), "media_type": "image/png", "size_bytes": 1000, "width": 64, "height": 48,
        "thumbhash": b"\1\2\3\4\5", "prompt": "violet ridges", "model_key": "flux", "model_name": "Flux",
    }  # fmt: skip
    return NewAsset(**(values | fields))


async def add(db: Database, actor: Actor, *rows: NewAsset) -> list[Asset]:
    """Insert rows, one transaction."""
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        return [await repository.add_asset(tx, new) for new in rows]


async def keep(
    tx: WorkspaceSession, storage: Storage, data: bytes, asset_id: UUID | None = None, **fields: Any
) -> Asset:
    """A real picture with its files, as a worker would store it."""
    asset_id, prepared = asset_id or new_id(), prepare(data)
    stored = await store(storage, tx.workspace_id, asset_id, prepared, data)
    new = new_asset(asset_id, tx.user_id, stored, prepared, source="generated")
    return await repository.add_asset(tx, replace(new, **fields))


def utc(*parts: int) -> datetime:
    """A moment in UTC."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]
