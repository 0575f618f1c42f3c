"""The store: the same behaviour in memory, in a folder and in a bucket, and nothing of it reaches outside."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gesso.core.errors import NotFound, Unavailable
from gesso.core.ids import new_id
from gesso.core.settings import SettingsError
from gesso.media.ingest import prepare
from gesso.media.service import asset_key, store
from gesso.media.storage import CHUNK_BYTES, PART_BYTES, Storage
from tests.bucket import Bucket
from tests.media.pictures import picture


@pytest.fixture(params=["memory", "folder", "file url", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "memory":
        return Storage.from_url("memory://")
    if request.param == "s3":
        bucket: Bucket = request.getfixturevalue("bucket")
        return bucket.storage()
    folder = tmp_path / "with space" / "files"
    return Storage.from_url(str(folder) if request.param == "folder" else folder.as_uri())


async def gather(storage: Storage, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in await storage.stream(key, start, end)])


async def keys(storage: Storage, prefix: str | None = None) -> set[str]:
    return {found.key async for batch in storage.batches(prefix, size=2) for found in batch}


async def test_what_is_put_comes_back(storage: Storage) -> None:
    await storage.put("a/b/original", b"hello")
    assert await storage.get("a/b/original") == b"hello"
    await storage.put("a/b/original", b"hello again")
    assert await storage.get("a/b/original") == b"hello again"
    head = await storage.head("a/b/original")
    assert (head.key, head.size) == ("a/b/original", 11)
    assert head.modified_at.tzinfo is not None


async def test_ranges_and_chunks(storage: Storage) -> None:
    data = bytes(range(256)) * 4096  # 1 MiB
    await storage.put("big", data)
    assert await gather(storage, "big") == data
    assert await gather(storage, "big", 10, 20) == data[10:20]
    assert await gather(storage, "big", len(data) - 5) == data[-5:]
    sizes = [len(chunk) async for chunk in await storage.stream("big")]
    assert max(sizes) <= 2 * CHUNK_BYTES or storage.name == "memory"


async def test_what_is_absent(storage: Storage) -> None:
    for attempt in (storage.get("nothing"), storage.head("nothing"), storage.stream("nothing")):
        with pytest.raises(NotFound):
            await attempt
    assert not await storage.exists("nothing")


async def test_delete_removes_what_is_there_and_forgives_what_is_not(storage: Storage) -> None:
    for name in ("x/1", "x/2", "y/3"):
        await storage.put(name, b"1")
    assert await storage.delete(["x/1", "x/none", "x/2"]) == 2
    assert await keys(storage) == {"y/3"}


async def test_listing_by_prefix_in_batches(storage: Storage) -> None:
    for n in range(5):
        await storage.put(f"w1/{n}", b"1")
    await storage.put("w10/0", b"1")
    assert await keys(storage, "w1") == {f"w1/{n}" for n in range(5)}


async def test_more_than_a_page_of_objects_is_listed_once_each(storage: Storage) -> None:
    names = {f"many/{n:04}" for n in range(1003)}
    gate = asyncio.Semaphore(16)

    async def put(name: str) -> None:
        async with gate:
            await storage.put(name, b"")

    await asyncio.gather(*(put(name) for name in names))
    listed = [found.key for found in [one async for batch in storage.batches(size=1000) for one in batch]]
    assert (len(listed), set(listed)) == (1003, names)


@pytest.mark.parametrize(
    "key", ["a b/c", "ü/ä😀", "100%25", "a+b&c=d", "quo'te\"d", "what?#no", "back\\slash", "~*(1)"]
)
async def test_odd_names(storage: Storage, key: str) -> None:
    await storage.put(key, key.encode())
    assert await storage.get(key) == key.encode() and await storage.exists(key)
    assert await gather(storage, key, 1) == key.encode()[1:]
    assert await keys(storage) == {key}
    assert await storage.delete([key]) == 1 and await keys(storage) == set()


async def test_nothing_is_something(storage: Storage) -> None:
    await storage.put("empty", b"")
    assert (await storage.get("empty"), (await storage.head("empty")).size) == (b"", 0)
    assert await gather(storage, "empty") == b""


async def test_what_is_large_goes_in_parts(storage: Storage) -> None:
    data = random.Random(1).randbytes(2 * PART_BYTES + 12_345)
    await storage.put("large", data)
    assert (await storage.get("large") == data, (await storage.head("large")).size) == (True, len(data))
    assert await gather(storage, "large", PART_BYTES - 3, PART_BYTES + 3) == data[PART_BYTES - 3 : PART_BYTES + 3]


async def test_a_stream_is_written_whole_or_not_at_all(storage: Storage, tmp_path: Path) -> None:
    async def pieces(count: int, *, fails: bool) -> AsyncIterator[bytes]:
        for number in range(count):
            yield bytes([number]) * 2**20
        if fails:
            raise Unavailable("the source broke off")

    await storage.put_stream("s/whole", pieces(7, fails=False), 7 * 2**20)
    assert (await storage.head("s/whole")).size == 7 * 2**20
    for key in ("s/absent", "s/whole"):
        with pytest.raises(Unavailable, match="broke off"):
            await storage.put_stream(key, pieces(12, fails=True), 12 * 2**20)
    await storage.put_stream("s/empty", pieces(0, fails=False), 0)
    sizes = {found.key: found.size async for batch in storage.batches("s") for found in batch}
    assert sizes == {"s/whole": 7 * 2**20, "s/empty": 0}
    assert {path.name for path in tmp_path.rglob("s/*")} <= {"whole", "empty"}  # no half of a file beside


async def test_a_reader_sees_the_old_or_the_new_never_both(storage: Storage) -> None:
    old, new = b"o" * 3_000_000, b"n" * 3_000_000
    await storage.put("x", old)
    read, _, again = await asyncio.gather(storage.get("x"), storage.put("x", new), storage.get("x"))
    assert {read, again} <= {old, new}
    assert await storage.get("x") == new


async def test_check_proves_writing_and_reading(storage: Storage) -> None:
    await storage.check()


@pytest.mark.parametrize("key", ["../outside", "a/../../outside", "a//b", "/../outside", "a/./b"])
async def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    storage = Storage.from_url(str(tmp_path / "files"))
    with pytest.raises(NotFound):
        await storage.get(key)
    with pytest.raises(ValueError):
        await storage.put(key, b"overwritten")
    assert (tmp_path / "outside").read_bytes() == b"secret"


async def test_a_store_that_cannot_write_says_unavailable(tmp_path: Path) -> None:
    storage = Storage.from_url(str(tmp_path / "files"))
    (tmp_path / "files" / "taken").write_bytes(b"a file where a folder is needed")
    with pytest.raises(Unavailable) as failed:
        await storage.put("taken/original", b"1")
    assert str(tmp_path) not in failed.value.detail


async def test_nothing_half_written_is_left_beside(tmp_path: Path) -> None:
    storage = Storage.from_url(str(tmp_path / "files"))
    await storage.put("a/original", b"1" * 100_000)
    assert [path.name for path in (tmp_path / "files" / "a").iterdir()] == ["original"]


@pytest.mark.parametrize("url", ["ftp://host/x", "gopher:thing", "http://host/bucket"])
def test_unknown_stores_are_refused_by_name(url: str) -> None:
    with pytest.raises(SettingsError, match="GESSO_STORAGE_URL"):
        Storage.from_url(url)


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "gs://bucket/prefix", "az://container/prefix"])
def test_cloud_stores_open_without_a_connection(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    assert Storage.from_url(url).name == url


async def test_an_asset_s_files_stand_together(storage: Storage) -> None:
    workspace, asset = new_id(), new_id()
    data = picture(900, 600)
    prepared = prepare(data)
    stored = await store(storage, workspace, asset, prepared, data)
    folder = stored.key.removesuffix("/original")
    assert stored.key == asset_key(workspace, asset)
    assert stored.key.startswith(f"{workspace}/2")
    assert await keys(storage, folder) == {f"{folder}/{name}" for name in ("original", "320", "640", "1280")}
    assert await storage.get(stored.key) == data
    assert await storage.get(f"{folder}/640") == prepared.thumbs[640]
    assert await store(storage, workspace, asset, prepared, data) == stored  # a repeat changes nothing
