"""By night: deleted files go after a day, unused uploads after thirty, files without a row after one."""

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from gesso.accounts.access import Actor
from gesso.core.clock import FixedClock
from gesso.core.errors import Unavailable
from gesso.db import Database, ElevatedSession
from gesso.media import repository, tasks
from gesso.media.deletions import Count
from gesso.media.service import all_keys
from gesso.media.storage import Storage
from tests.cast import make_user
from tests.media.pictures import keep, picture


async def exist(storage: Storage, key: str) -> set[bool]:
    return {await storage.exists(one) for one in all_keys(key)}


async def nobody(tx: ElevatedSession, ids: Sequence[UUID]) -> set[UUID]:
    """No picture is expected."""
    return set()


DAY = date(2026, 5, 11)


async def rows(db: Database) -> int:
    async with db.elevated("test") as tx:
        count: int = await tx.fetchval("SELECT count(*) FROM asset")
        return count


@pytest.fixture
async def owner(fresh_db: Database) -> Actor:
    return await make_user(fresh_db)


async def test_deleted_pictures_go_after_a_day_with_all_their_files(
    fresh_db: Database, owner: Actor, storage: Storage
) -> None:
    clock = FixedClock(datetime.now(UTC))
    async with fresh_db.workspace(owner.workspace_id, owner.user_id) as tx:
        gone, kept = [await keep(tx, storage, picture(60, 40, seed=n)) for n in (1, 2)]
        await repository.delete(tx, [gone.id], clock.now())
    clock.advance(timedelta(hours=23))
    assert await tasks.purge(fresh_db, storage, clock, DAY, nobody) == Count()
    assert await exist(storage, gone.storage_key) == {True}
    clock.advance(timedelta(hours=2))
    assert await tasks.purge(fresh_db, storage, clock, DAY, nobody) == Count(pictures=1, files=4, bytes=gone.size_bytes)
    assert await exist(storage, gone.storage_key) == {False}
    assert await exist(storage, kept.storage_key) == {True}
    assert await rows(fresh_db) == 1
    async with fresh_db.workspace(owner.workspace_id, owner.user_id) as tx:
        assert await repository.restore(tx, [gone.id], clock.now()) == []
        assert (await repository.usage(tx)).bytes == kept.size_bytes


async def test_many_are_removed_in_batches(
    fresh_db: Database, owner: Actor, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH", 2)
    clock = FixedClock(datetime.now(UTC))
    async with fresh_db.workspace(owner.workspace_id, owner.user_id) as tx:
        made = [await keep(tx, storage, picture(20, 20)) for _ in range(5)]
        await repository.delete(tx, [asset.id for asset in made], clock.now())
    clock.advance(timedelta(days=2))
    assert (await tasks.purge(fresh_db, storage, clock, DAY, nobody)).rows == 5
    assert [found async for found in storage.batches()] == []


async def test_rows_stay_until_their_files_are_gone(fresh_db: Database, owner: Actor, tmp_path: Path) -> None:
    storage = Storage.from_url(str(tmp_path / "files"))
    clock = FixedClock(datetime.now(UTC))
    async with fresh_db.workspace(owner.workspace_id, owner.user_id) as tx:
        asset = await keep(tx, storage, picture(20, 20))
        await repository.delete(tx, [asset.id], clock.now())
    folder = (tmp_path / "files" / asset.storage_key).parent
    folder.rename(tmp_path / "away")
    folder.write_bytes(b"a file where a folder was: the store answers with an error")
    clock.advance(timedelta(days=2))
    with pytest.raises(Unavailable):
        await tasks.purge(fresh_db, storage, clock, DAY, nobody)
    assert await rows(fresh_db) == 1
    folder.unlink()
    (tmp_path / "away").rename(folder)
    assert (await tasks.purge(fresh_db, storage, clock, DAY, nobody)).files == 4
    assert await rows(fresh_db) == 0


async def test_unused_uploads_go_after_thirty_days_and_outputs_never(
    fresh_db: Database, owner: Actor, storage: Storage
) -> None:
    clock = FixedClock(datetime.now(UTC))
    async with fresh_db.workspace(owner.workspace_id, owner.user_id) as tx:
        unused, used = [await keep(tx, storage, picture(20, 20), source="upload") for _ in range(2)]
        output = await keep(tx, storage, picture(20, 20))
        await repository.mark_used(tx, [used.id], clock.now())
    clock.advance(timedelta(days=29))
    assert (await tasks.bin_unused_uploads(fresh_db, clock)).uploads == 0
    clock.advance(timedelta(days=2))
    assert (await tasks.bin_unused_uploads(fresh_db, clock)).uploads == 1
    clock.advance(timedelta(days=2))
    assert (await tasks.purge(fresh_db, storage, clock, DAY, nobody)).rows == 1
    async with fresh_db.workspace(owner.workspace_id, owner.user_id) as tx:
        assert set(await repository.by_ids(tx, [unused.id, used.id, output.id])) == {used.id, output.id}


async def test_files_without_a_row_go_after_a_day(fresh_db: Database, owner: Actor, storage: Storage) -> None:
    async with fresh_db.workspace(owner.workspace_id, owner.user_id) as tx:
        kept, binned = [await keep(tx, storage, picture(20, 20)) for _ in range(2)]
        await repository.delete(tx, [binned.id], datetime.now(UTC))
    with pytest.raises(RuntimeError):
        async with fresh_db.workspace(owner.workspace_id, owner.user_id) as tx:
            lost = await keep(tx, storage, picture(20, 20))
            raise RuntimeError("the transaction never commits")
    await storage.put("health/probe", b"ok")
    await storage.put("somebody/elses/file", b"not ours")
    clock = FixedClock(datetime.now(UTC) + timedelta(hours=23))
    assert (await tasks.remove_orphans(fresh_db, storage, clock, DAY, nobody)).files == 0
    clock.advance(timedelta(hours=2))
    assert (await tasks.remove_orphans(fresh_db, storage, clock, DAY, nobody)).files == 4
    assert await exist(storage, lost.storage_key) == {False}
    for key in (kept.storage_key, binned.storage_key, "health/probe", "somebody/elses/file"):
        assert await storage.exists(key)


async def test_what_a_killed_process_left_half_written_goes_after_a_day(
    fresh_db: Database, owner: Actor, tmp_path: Path
) -> None:
    storage = Storage.from_url(str(tmp_path / "files"))
    async with fresh_db.workspace(owner.workspace_id, owner.user_id) as tx:
        kept = await keep(tx, storage, picture(20, 20))
    place = tmp_path / "files" / kept.storage_key
    half, fresh, other = (place.with_name(name) for name in ("original#1", "320#12", "#notes"))
    for path in (half, fresh, other):
        path.write_bytes(b"half")
    os.utime(half, times=(0, 0))
    os.utime(other, times=(0, 0))
    clock = FixedClock(datetime.now(UTC))
    assert await tasks.remove_orphans(fresh_db, storage, clock, DAY, nobody) == Count(files=1, bytes=4)
    assert (half.exists(), fresh.exists(), other.exists()) == (False, True, True)
    assert await exist(storage, kept.storage_key) == {True}
