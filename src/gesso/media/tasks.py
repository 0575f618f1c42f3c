"""What happens by night: files of deleted pictures go, and what nobody refers to. Every removal is counted.

Each step is safe to repeat and to interrupt: rows outlive their files, never the other way round.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import structlog

from gesso.core.clock import Clock
from gesso.db import Database, ElevatedSession
from gesso.jobs import Tasks
from gesso.media import repository, samples, service
from gesso.media.storage import Storage, StoredObject

log = structlog.get_logger()

BATCH = 500
UNUSED_UPLOADS_KEPT = timedelta(days=30)
ORPHANS_KEPT = timedelta(days=1)
"""A file this young may belong to a transaction that has not committed."""


class Context(Protocol):
    """What the composer hands to every room's tasks."""

    @property
    def db(self) -> Database: ...
    @property
    def storage(self) -> Storage: ...
    @property
    def clock(self) -> Clock: ...


@dataclass(frozen=True, slots=True)
class Removed:
    """What a clean-up removed: rows, files, and the bytes of the originals among them."""

    rows: int = 0
    files: int = 0
    bytes: int = 0

    def __add__(self, other: "Removed") -> "Removed":
        return Removed(self.rows + other.rows, self.files + other.files, self.bytes + other.bytes)


Expected = Callable[[ElevatedSession, Sequence[UUID]], Awaitable[set[UUID]]]
"""Which of these pictures, none of which may have a row, somebody is still going to add."""


def register(tasks: Tasks, ctx: Context, expected: Expected, samples_named: samples.Named) -> None:
    """Every night at 03:00 UTC. `expected` comes from the room that makes pictures, `samples_named` from the one that
    shows samples."""

    async def clean_up() -> None:
        unused = await bin_unused_uploads(ctx.db, ctx.clock)
        deleted = await purge(ctx.db, ctx.storage, ctx.clock)
        orphans = await remove_orphans(ctx.db, ctx.storage, ctx.clock, expected)
        old_samples = await samples.remove_unused(ctx.db, ctx.storage, samples_named, ctx.clock.now() - ORPHANS_KEPT)
        log.info(
            "media.cleaned",
            deleted_assets=deleted.rows, deleted_files=deleted.files, deleted_bytes=deleted.bytes,
            unused_uploads=unused, orphan_files=orphans.files, orphan_bytes=orphans.bytes,
            unused_samples=old_samples,
        )  # fmt: skip

    tasks.every("media.clean_up", "0 3 * * *", clean_up)


async def purge(db: Database, storage: Storage, clock: Clock) -> Removed:
    """Remove files and rows of what was deleted longer ago than `repository.UNDO_PERIOD`.

    `restore` refuses those already, so nobody brings back a picture whose files are being removed.
    """
    total, before = Removed(), clock.now() - repository.UNDO_PERIOD
    while True:
        async with db.elevated("remove deleted pictures") as tx:
            doomed = await repository.due(tx, before, BATCH)
        if not doomed:
            return total
        files = await storage.delete(key for one in doomed for key in service.all_keys(one.storage_key))
        async with db.elevated("remove deleted pictures") as tx:
            rows = await repository.remove(tx, [one.id for one in doomed])
        total += Removed(rows, files, sum(one.size_bytes for one in doomed))


async def bin_unused_uploads(db: Database, clock: Clock) -> int:
    """Put uploads into the bin that served nothing for 30 days. Returns how many."""
    now = clock.now()
    async with db.elevated("clear unused uploads") as tx:
        return await repository.bin_unused_uploads(tx, now - UNUSED_UPLOADS_KEPT, now)


async def remove_orphans(db: Database, storage: Storage, clock: Clock, expected: Expected) -> Removed:
    """Remove files older than a day whose asset has no row: stored, and then the transaction never came.

    Walks the whole store once; only keys of the shape we make are ever touched. Those of `expected` pictures stay:
    after a long outage a worker may be about to store such a one again and to add its row. Also goes what killed
    processes left half written.
    """
    total, before = Removed(), clock.now() - ORPHANS_KEPT
    async for batch in storage.batches(size=1000):
        owners = {found: owner for found in batch if (owner := _owner(found)) and found.modified_at < before}
        if not owners:
            continue
        async with db.elevated("remove files without a row") as tx:
            asked = list(set(owners.values()))
            known = await repository.known(tx, asked) | await expected(tx, asked)
        orphans = [found for found, owner in owners.items() if owner not in known]
        files = await storage.delete(found.key for found in orphans)
        total += Removed(0, files, sum(found.size for found in orphans))
    return total + Removed(0, *await storage.remove_unfinished(before))


def _owner(found: StoredObject) -> UUID | None:
    """The asset a key belongs to: `{workspace}/{yyyy}/{mm}/{asset}/{variant}`."""
    parts = found.key.split("/")
    if len(parts) != 5:
        return None
    try:
        UUID(parts[0])
        return UUID(parts[3])
    except ValueError:
        return None
