"""Real files for some of an archive's pictures, so that a person who opens the gallery sees something."""

import asyncio
import io
from functools import cache
from uuid import UUID

import asyncpg

from bench.archive import SHAPES
from gesso.media.ingest import Prepared, prepare
from gesso.media.service import variant_key
from gesso.media.storage import Storage
from gesso.sandbox.painter.paint import RECIPES, paint

_EACH = 4
"""Different paintings per shape. They hang in many places: nobody waits for a million of them."""
_AT_ONCE = 32


@cache
def paintings(shape: tuple[int, int]) -> tuple[tuple[bytes, Prepared], ...]:
    """A few JPEG files of a shape, with thumbnails and blur."""
    recipes, made = sorted(RECIPES), []
    for number in range(_EACH):
        recipe = recipes[(SHAPES.index(shape) * _EACH + number) % len(recipes)]
        out = io.BytesIO()
        paint(f"painting {number}", seed=number, width=shape[0], height=shape[1], recipe=recipe).save(out, "JPEG")
        made.append((out.getvalue(), prepare(out.getvalue())))
    return tuple(made)


def blurs() -> list[bytes]:
    """ThumbHashes for all other pictures."""
    return [prepared.thumbhash for shape in SHAPES[:3] for _, prepared in paintings(shape)]


async def hang(owner: asyncpg.Connection, storage: Storage, workspace: UUID, count: int) -> None:
    """Store files for the newest `count` pictures of a workspace, and let their rows say what the files are."""
    rows = await owner.fetch(
        "SELECT id, storage_key, width, height FROM asset WHERE workspace_id = $1 AND kind = 'image' "
        "AND deleted_at IS NULL ORDER BY id DESC LIMIT $2",
        workspace, count,
    )  # fmt: skip
    changed = []
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(row: asyncpg.Record, data: bytes, prepared: Prepared) -> None:
        async with gate:
            await storage.put(row["storage_key"], data)
            for side, thumb in prepared.thumbs.items():
                await storage.put(variant_key(row["storage_key"], str(side)), thumb)

    async with asyncio.TaskGroup() as group:
        for number, row in enumerate(rows):
            data, prepared = paintings((row["width"], row["height"]))[number % _EACH]
            group.create_task(one(row, data, prepared))
            changed.append((row["id"], prepared.thumbhash, prepared.sha256, len(data)))
    await owner.executemany("UPDATE asset SET thumbhash = $2, sha256 = $3, size_bytes = $4 WHERE id = $1", changed)
