"""Moving between stores: complete, verified, resumed where it stopped; damage is found and named."""

import asyncio
import hashlib
import itertools
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from gesso.core.settings import SettingsError
from gesso.db import Database
from gesso.media import storage_move, storage_rows
from gesso.media.ingest import THUMB_SIDES
from gesso.media.models import Asset
from gesso.media.service import Ingest, all_keys, take_upload
from gesso.media.storage import PART_BYTES, PROBE, Storage
from gesso.media.storage_check import check_files
from gesso.media.storage_move import Move, survey
from tests.bucket import Bucket, Proxy
from tests.cast import make_user
from tests.conftest import SECRET
from tests.media.pictures import picture

GESSO = str(Path(sys.executable).parent / "gesso")


async def nothing_known(keys: Sequence[str]) -> dict[str, bytes]:
    return {}


async def content(storage: Storage) -> dict[str, bytes]:
    keys = [found.key async for batch in storage.batches() for found in batch if found.key != PROBE]
    return {key: await storage.get(key) for key in keys}


async def filled(storage: Storage, count: int) -> dict[str, bytes]:
    chance = random.Random(7)
    files = {f"w/ü {n}/original": chance.randbytes(chance.randrange(1, 5000)) for n in range(count)}
    files |= {"empty": b"", "large": chance.randbytes(PART_BYTES + 100_000)}
    await asyncio.gather(*(storage.put(key, data) for key, data in files.items()), storage.put(PROBE, b"ok"))
    return files


@pytest.fixture
async def proxy(moto: str) -> AsyncIterator[Proxy]:
    async with Proxy(moto).running() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Storage:
    return Storage.from_url(str(tmp_path / "old files"))


async def test_from_a_folder_to_a_bucket_to_memory_and_back(folder: Storage, bucket: Bucket, tmp_path: Path) -> None:
    files = await filled(folder, 30)
    assert await survey(folder) == (len(files), sum(map(len, files.values())))
    stores = [folder, bucket.storage(), Storage.from_url("memory://"), Storage.from_url(str(tmp_path / "new"))]
    for source, target in itertools.pairwise(stores):
        told: list[int] = []
        moved = await Move(source, target, nothing_known, advance=told.append).run()
        assert (moved.copied, moved.copied_bytes, moved.problems) == (len(files), sum(map(len, files.values())), [])
        assert sum(told) == moved.copied_bytes
        assert await content(target) == files
    again = await Move(folder, stores[1], nothing_known).run()
    assert (again.copied, again.skipped, again.problems) == (0, len(files), [])
    assert await content(folder) == files  # the source is left as it was


async def test_what_is_written_meanwhile_comes_with_the_next_run(folder: Storage, bucket: Bucket) -> None:
    files, target = await filled(folder, 5), bucket.storage()
    await Move(folder, target, nothing_known).run()
    await folder.put("new", b"written while the site ran")
    moved = await Move(folder, target, nothing_known, trust_size=True).run()
    assert (moved.copied, moved.skipped) == (1, len(files))
    assert await target.get("new") == b"written while the site ran"


async def test_an_interrupted_move_goes_on_where_it_stopped(
    folder: Storage, bucket: Bucket, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_move, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(storage_move, "GIVE_UP_AFTER", 3)
    files = await filled(folder, 60)
    through = Bucket(proxy.url, bucket.name).storage(timeout_seconds=1)
    done = 0

    def advance(size: int) -> None:
        nonlocal done
        done += 1
        if done == 20:
            proxy.mode = "refuse"

    first = await Move(folder, through, nothing_known, parallel=4, delete_source=True, advance=advance).run()
    assert first.stopped and 20 <= first.copied < len(files) and first.problems and first.deleted == 0
    assert await content(folder) == files
    proxy.mode = "pass"
    second = await Move(folder, through, nothing_known).run()
    assert second.skipped >= first.copied and second.copied + second.skipped == len(files) and not second.problems
    assert await content(bucket.storage()) == files


async def test_a_damaged_copy_is_found_and_made_again(folder: Storage, bucket: Bucket) -> None:
    files, target = await filled(folder, 10), bucket.storage()
    await Move(folder, target, nothing_known).run()
    victim = "w/ü 3/original"
    bucket.overwrite(victim, b"x" * len(files[victim]))  # the same size, other bytes
    assert (await Move(folder, target, nothing_known, trust_size=True).run()).copied == 0
    moved = await Move(folder, target, nothing_known).run()
    assert (moved.copied, moved.skipped, moved.problems) == (1, len(files) - 1, [])
    assert await content(target) == files


async def test_a_target_that_keeps_something_else_is_reported(folder: Storage, bucket: Bucket) -> None:
    """A store that damages what it takes: nothing is called verified, nothing is deleted."""
    files = await filled(folder, 5)

    class Damaging(Storage):
        async def put(self, key: str, data: bytes) -> None:
            await super().put(key, data[::-1])

    target = Damaging.from_url(bucket.url, bucket.settings())
    moved = await Move(folder, target, nothing_known, delete_source=True).run()
    assert {key for key, _ in moved.problems} == {key for key in files if key.startswith("w/") and len(files[key]) > 1}
    assert moved.deleted == 0 and await content(folder) == files


async def test_the_rows_know_what_the_source_has_lost(folder: Storage, bucket: Bucket) -> None:
    await folder.put("good", b"good")
    await folder.put("bad", b"bad!")

    async def known(keys: Sequence[str]) -> dict[str, bytes]:
        return {key: hashlib.sha256(b"good").digest() for key in keys}

    moved = await Move(folder, bucket.storage(), known, delete_source=True).run()
    [(key, words)] = moved.problems
    assert key == "bad" and "damaged before" in words and moved.deleted == 0
    assert await content(bucket.storage()) == {"good": b"good", "bad": b"bad!"}  # better than nothing


async def test_the_source_goes_only_after_all_was_verified(folder: Storage, bucket: Bucket) -> None:
    files = await filled(folder, 20)
    moved = await Move(folder, bucket.storage(), nothing_known, delete_source=True).run()
    assert moved.deleted == len(files) and await content(folder) == {}
    assert await content(bucket.storage()) == files


def test_stores_that_lie_inside_each_other_are_known(tmp_path: Path) -> None:
    at = {name: Storage.from_url(str(tmp_path / name)) for name in ("a", "a/b", "ab")}
    assert at["a"].overlaps(at["a/b"]) and at["a/b"].overlaps(at["a"]) and at["a"].overlaps(at["a"])
    assert not at["a"].overlaps(at["ab"])
    here, there = Bucket("http://127.0.0.1:1", "art", "p"), Bucket("http://127.0.0.1:2", "art", "p")
    assert here.storage().overlaps(Bucket(here.endpoint, "art", "p/q").storage())
    assert not here.storage().overlaps(there.storage())
    with pytest.raises(SettingsError, match="--to: 'ftp' is not a store"):
        Storage.from_url("ftp://x", named="--to")


# --- with rows, and as an operator types it -----------------------------------------------------------


@pytest.fixture
async def assets(fresh_db: Database, ingest: Ingest, folder: Storage) -> list[Asset]:
    ada = await make_user(fresh_db, "Ada")
    return [
        await take_upload(
            fresh_db, folder, ingest, workspace_id=ada.workspace_id, user_id=ada.user_id,
            data=picture(200 + n, 100), declared_type="image/png",
        )
        for n in range(3)
    ]  # fmt: skip


async def test_checking_files_against_their_rows(fresh_db: Database, assets: list[Asset], folder: Storage) -> None:
    assert (await check_files(folder, storage_rows.every(fresh_db))).problems == []
    first, second, third = assets
    await folder.put(first.storage_key, b"\0" * first.size_bytes)
    await folder.put(second.storage_key, b"short")
    await folder.delete([all_keys(third.storage_key)[1]])
    checked = await check_files(folder, storage_rows.every(fresh_db))
    words = dict(checked.problems)
    assert checked.assets == 3 and len(words) == 3
    assert "checksum" in words[first.storage_key] and "5 bytes" in words[second.storage_key]
    assert words[all_keys(third.storage_key)[1]] == "It is not there."


async def gesso(database_url: str, folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """A command against this test's database, with `folder` as the site's store unless told otherwise."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GESSO_", "AWS_"))}
    own = {
        "DATABASE_URL": database_url, "GESSO_SECRET_KEY": SECRET, "GESSO_STORAGE_URL": str(folder / "old files"),
        "GESSO_DATA_DIR": str(folder / "data"), "COLUMNS": "200",
    }  # fmt: skip
    run = partial(subprocess.run, capture_output=True, text=True, timeout=60, check=False)
    done = await asyncio.to_thread(run, [GESSO, *arguments], env=kept | own | environment)
    text = done.stdout + done.stderr
    assert "Traceback" not in text, text
    return done.returncode, text


async def test_the_commands(
    fresh_database_url: str, fresh_db: Database, assets: list[Asset], folder: Storage, bucket: Bucket, tmp_path: Path
) -> None:
    run = partial(gesso, fresh_database_url, tmp_path)
    files = len(assets) * (1 + len(THUMB_SIDES))
    keys = {name.replace("STORAGE_", "STORAGE_TO_"): value for name, value in bucket.environment().items()}
    to = {name: value for name, value in keys.items() if name != "GESSO_STORAGE_TO_URL"}

    code, text = await run("storage", "move", "--to", bucket.url, **to)
    assert code == 0 and f"{files} copied" in text and "Every file was verified" in text, text
    assert await content(bucket.storage()) == await content(folder)

    bucket.overwrite(assets[0].storage_key, b"\0" * assets[0].size_bytes)
    code, text = await run("storage", "check", "--all", **bucket.environment())
    assert (
        code == 1
        and "3 pictures looked at" in text
        and assets[0].storage_key in text
        and "1 files are missing or damaged" in text
    ), text
    old = str(tmp_path / "old files")
    code, text = await run("storage", "move", "--from", old, "--delete-source", **bucket.environment())
    assert code == 0 and "1 copied" in text and f"{files} deleted from the source" in text, text
    assert await content(folder) == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("storage", "move", "--to", "s3://nowhere", "--delete-source"), "still uses"),
        (("storage", "move", "--to", "s3://nowhere"), "no such bucket"),
        (("up",), "GESSO_STORAGE_REDIRECT needs an s3:// store"),
    ],
)
async def test_what_is_refused_is_said(
    fresh_database_url: str, bucket: Bucket, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    environment = {name: value for name, value in bucket.environment().items() if name != "GESSO_STORAGE_URL"}
    if arguments == ("up",):
        environment["GESSO_STORAGE_REDIRECT"] = "all"
    code, text = await gesso(fresh_database_url, tmp_path, *arguments, **environment)
    assert code == 1 and words in text, text
