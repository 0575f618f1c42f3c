"""Rows whose file is not there: found bit by bit, night after night, and told to the operator. Nothing is deleted."""

import asyncio
from datetime import datetime
from uuid import UUID

from gesso.core.errors import NotFound
from gesso.db import Database
from gesso.media.storage import Storage

LOOKED_AT = 5_000
"""Pictures a night: a question each, which some stores count. A million pictures take 200 nights; `gesso storage
check --all` asks for all of them at once."""
_PAGE, _AT_ONCE = 500, 16
_BEGINNING = UUID(int=0)


async def look(
    db: Database, storage: Storage, after: UUID | None, now: datetime, *, most: int = LOOKED_AT
) -> tuple[int, UUID | None]:
    """Look for the files of up to `most` pictures behind `after`: how many miss theirs, and how far it came; None at
    the end, from where it begins anew. Those found again are taken off the list. Raises `Unavailable`."""
    found, place = 0, after or _BEGINNING
    for _ in range(0, most, _PAGE):
        async with db.elevated("storage: pictures to look for") as tx:
            rows = await tx.fetch(
                "SELECT id, workspace_id, storage_key FROM asset WHERE deleted_at IS NULL AND id > $1 "
                "ORDER BY id LIMIT $2",
                place, min(_PAGE, most),
            )  # fmt: skip
        gate = asyncio.Semaphore(_AT_ONCE)

        async def there(key: str, gate: asyncio.Semaphore = gate) -> bool:
            async with gate:
                try:
                    return (await storage.head(key)).size > 0
                except NotFound:
                    return False

        present = await asyncio.gather(*(there(row["storage_key"]) for row in rows))
        lost = [row for row, is_there in zip(rows, present, strict=True) if not is_there]
        async with db.elevated("storage: pictures without a file") as tx:
            await tx.execute_raw(
                "DELETE FROM media_missing WHERE asset_id = ANY($1)",
                [row["id"] for row, is_there in zip(rows, present, strict=True) if is_there],
            )
            await tx.execute_raw(
                "INSERT INTO media_missing (asset_id, workspace_id, storage_key, found_at) "
                "SELECT l.id, l.workspace_id, l.key, $4 FROM unnest($1::uuid[], $2::uuid[], $3::text[]) "
                "l (id, workspace_id, key) JOIN asset a ON a.id = l.id AND a.storage_key = l.key "
                "AND a.deleted_at IS NULL ON CONFLICT (asset_id) DO NOTHING",
                [row["id"] for row in lost], [row["workspace_id"] for row in lost],
                [row["storage_key"] for row in lost], now,
            )  # fmt: skip
        found += len(lost)
        if len(rows) < _PAGE:
            return found, None if len(rows) < min(_PAGE, most) else rows[-1]["id"]
        place = rows[-1]["id"]
    return found, place
