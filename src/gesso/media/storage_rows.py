"""What the rows know of the files: by it, files are verified."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from gesso.db import Database
from gesso.media.models import Clean

_COLUMNS = "id, storage_key, sha256, size_bytes, clean"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class FileRow:
    """A delivered file as its row has it, and the one behind it where that carries the site's mark."""

    id: UUID
    storage_key: str
    sha256: bytes
    size_bytes: int
    clean: Clean | None = None


async def hashes(db: Database, keys: Sequence[str]) -> dict[str, bytes]:
    """SHA-256 of those of `keys` that are originals with a row."""
    async with db.elevated("storage: what the rows know of these files") as tx:
        rows = await tx.fetch("SELECT storage_key, sha256 FROM asset WHERE storage_key = ANY($1)", list(keys))
    return {row["storage_key"]: row["sha256"] for row in rows}


async def count(db: Database) -> int:
    """How many assets there are, those in the bin left out."""
    async with db.elevated("storage: count assets") as tx:
        return int(await tx.fetchval("SELECT count(*) FROM asset WHERE deleted_at IS NULL"))


async def every(db: Database) -> AsyncIterator[tuple[FileRow, ...]]:
    """All assets, page by page; those in the bin left out, since their files may be on their way out."""
    after = UUID(int=0)
    while True:
        async with db.elevated("storage: list assets") as tx:
            rows = await tx.fetch(
                f"SELECT {_COLUMNS} FROM asset WHERE deleted_at IS NULL AND id > $1 ORDER BY id LIMIT $2",
                after, _PAGE,
            )  # fmt: skip
        if not rows:
            return
        yield tuple(_file(row) for row in rows)
        after = rows[-1]["id"]


async def some(db: Database, size: int) -> tuple[FileRow, ...]:
    """`size` assets by chance."""
    async with db.elevated("storage: choose assets") as tx:
        rows = await tx.fetch(
            f"SELECT {_COLUMNS} FROM asset WHERE deleted_at IS NULL ORDER BY random() LIMIT $1",
            size,
        )
    return tuple(_file(row) for row in rows)


def _file(row: Record) -> FileRow:
    clean = Clean.from_json(row["clean"]) if row["clean"] is not None else None
    return FileRow(row["id"], row["storage_key"], row["sha256"], row["size_bytes"], clean)
