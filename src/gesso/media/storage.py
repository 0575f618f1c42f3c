"""Where the bytes live: one object store, chosen by URL, behind one small asynchronous face.

| URL | store |
|---|---|
| `/folder`, `file:///folder` | a local folder, made when absent |
| `s3://bucket/prefix` | S3 and whatever speaks it (R2, MinIO); address and key from `GESSO_STORAGE_*` or `AWS_*` |
| `gs://bucket/prefix` | Google Cloud Storage; credentials from `GOOGLE_*` |
| `az://container/prefix` | Azure Blob Storage; account and credentials from `AZURE_*` |
| `memory://` | this process's memory, for trying things out: nothing survives, nothing is shared |

A write is whole or absent: the local store writes beside and renames, the others commit on the last byte.
An object's type is not kept here but in the database, since not every store can.

A store that hangs must not hang its callers: every wait ends after `GESSO_STORAGE_TIMEOUT_SECONDS`, and a body gets
as much longer as `SLOWEST` allows. What a store can be expected to mend (a dropped connection, a 503, a body that
breaks off) the library has tried again by then.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import LocalStore

from gesso.core.errors import NotFound, Unavailable
from gesso.core.settings import Settings, SettingsError, StorageSettings
from gesso.core.telemetry import metrics, tracing
from gesso.media.storage_open import Opened, open_store
from gesso.media.storage_refusal import refusal_of
from gesso.media.storage_sign import Signer
from gesso.media.storage_unfinished import remove_unfinished

CHUNK_BYTES = 256 * 1024
"""Size of the pieces a stream hands out, so that a slow reader holds little memory."""
PART_BYTES = 5 * 2**20
"""Larger objects are written in parts of this size, the least that S3 takes; each part has its own time."""
SLOWEST = 256 * 1024
"""Bytes a second below which a store counts as out of order."""
CHECK_SECONDS = 3.0
"""`/readyz` does not wait longer."""

_DELETE_AT_ONCE = 16
_PARTS_AT_ONCE = 2
PROBE = "health/probe"
"""Written and read to see whether the store works; belongs to nobody."""
_GONE = "This file is not there any more."


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the store knows of one object. `size` in bytes."""

    key: str
    size: int
    modified_at: datetime


class Storage:
    """An object store. Every method raises `Unavailable` when the store does not do its part in time."""

    def __init__(self, opened: Opened, settings: StorageSettings) -> None:
        self._store = opened.store
        self._opened = opened
        self._seconds = settings.timeout_seconds
        self.name = opened.name
        """The store without credentials, for logs and `/readyz`."""
        place = opened.s3
        self.signer = (
            Signer(place, place.credentials, settings.public_endpoint) if place and place.credentials else None
        )
        """Signs addresses of objects; None where the store cannot, or we do not hold its key."""

    @classmethod
    def from_url(
        cls, url: str, settings: StorageSettings | None = None, *, named: str = "GESSO_STORAGE_URL"
    ) -> "Storage":
        """Open the store at `url` (see the module), which came from `named`.

        Raises `SettingsError` when it cannot be understood.
        """
        settings = settings or StorageSettings()
        return cls(open_store(url, settings, named), settings)

    def overlaps(self, other: "Storage") -> bool:
        """Whether both are the same store, or one lies inside the other."""
        mine, theirs = self._opened.root, other._opened.root
        return mine.startswith(theirs) or theirs.startswith(mine)

    async def put(self, key: str, data: bytes) -> None:
        """Write `data` under `key`, replacing what was there. Raises `ValueError` for a key no store could hold."""
        in_parts = len(data) > PART_BYTES
        with _failing("write"):
            async with asyncio.timeout(self._time_for(len(data))):
                await self._store.put_async(
                    key, data, use_multipart=in_parts, chunk_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE
                )

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes], size: int) -> None:
        """Write what `chunks` yields under `key`; about `size` bytes. When `chunks` raises, nothing is written."""
        with _failing("write"):
            async with asyncio.timeout(2 * self._time_for(size)):  # reading takes its time, too
                await self._store.put_async(
                    key, chunks, use_multipart=True, chunk_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE
                )

    async def get(self, key: str) -> bytes:
        """All bytes of `key`. Raises `NotFound`."""
        with _failing("read", absent=True):
            async with asyncio.timeout(self._seconds) as limit:
                result = await self._store.get_async(key)
                limit.reschedule(asyncio.get_running_loop().time() + self._time_for(result.meta["size"]))
                return bytes(await result.bytes_async())

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` (exclusive) of `key`, which is opened before this returns.

        Raises `NotFound`, or `Unavailable` (also for a range that starts after the end).
        """
        options: Mapping[str, Any] = {}
        if end is not None:
            options = {"range": (start, end)}
        elif start:
            options = {"range": {"offset": start}}
        with _failing("read", absent=True):
            async with asyncio.timeout(self._seconds):
                result = await self._store.get_async(key, options=options or None)
        return self._chunks(result)

    async def head(self, key: str) -> StoredObject:
        """Size and age of `key`. Raises `NotFound`."""
        with _failing("read", absent=True):
            async with asyncio.timeout(self._seconds):
                meta = await self._store.head_async(key)
        return StoredObject(meta["path"], meta["size"], meta["last_modified"])

    async def exists(self, key: str) -> bool:
        """Whether `key` is there."""
        try:
            await self.head(key)
        except NotFound:
            return False
        return True

    async def delete(self, keys: Iterable[str]) -> int:
        """Remove `keys`; one that is absent already is no error. Returns how many were there to remove.

        One request each: a store's bulk call stops at the first absent key, and not every store has one.
        """
        gate = asyncio.Semaphore(_DELETE_AT_ONCE)

        async def remove(key: str) -> bool:
            async with gate:
                try:
                    with _failing("delete", absent=True):
                        async with asyncio.timeout(self._seconds):
                            await self._store.head_async(key)
                            await self._store.delete_async(key)
                except NotFound:
                    return False
                return True

        return sum(await asyncio.gather(*(remove(key) for key in keys)))

    async def batches(self, prefix: str | None = None, *, size: int = 1000) -> AsyncIterator[tuple[StoredObject, ...]]:
        """Every object under `prefix` (whole path segments), in batches of `size`."""
        pages = aiter(self._store.list(prefix, chunk_size=size))
        while True:
            with _failing("list"):
                async with asyncio.timeout(3 * self._seconds):
                    page = await anext(pages, None)
            if page is None:
                return
            yield tuple(StoredObject(meta["path"], meta["size"], meta["last_modified"]) for meta in page)

    async def remove_unfinished(self, before: datetime) -> tuple[int, int]:
        """Remove what killed processes left half written before a moment; (files, bytes). Only folders hold any."""
        if not isinstance(self._store, LocalStore):
            return 0, 0
        with _failing("clear"):
            return await asyncio.to_thread(remove_unfinished, Path(self._opened.root), before)

    async def check(self, within: float = CHECK_SECONDS) -> None:
        """Prove that the store takes and gives bytes `within` seconds. Raises `Unavailable`."""
        try:
            async with asyncio.timeout(within):
                await self.put(PROBE, b"ok")
                if await self.get(PROBE) != b"ok":
                    raise Unavailable("The file store did not give back what was written.")
        except TimeoutError:
            raise Unavailable("The file store does not answer.") from None
        except NotFound:
            raise Unavailable("The file store did not keep what was written.") from None

    async def refusal(self) -> str | None:
        """Why the store will never work as it is set up, as a sentence naming what to look at; else None.

        A store that is only away for a while refuses nothing: whoever starts may start.
        """
        try:
            await self.check(within=3 * self._seconds)
        except Unavailable as error:
            return refusal_of(error.__cause__, self._opened)
        return None

    def _time_for(self, size: int) -> float:
        return self._seconds + size / SLOWEST

    async def _chunks(self, result: Any) -> AsyncIterator[bytes]:
        pieces = aiter(result.stream(min_chunk_size=CHUNK_BYTES))
        while True:
            with _failing("read"):
                async with asyncio.timeout(self._seconds):
                    piece = await anext(pieces, None)
            if piece is None:
                return
            yield bytes(piece)


def redirect_origin(settings: Settings) -> str | None:
    """Where browsers fetch files from besides the web server; None when they do not.

    Raises `SettingsError` when they should and the store cannot sign.
    """
    if settings.storage.redirect == "none":
        return None
    signer = Storage.from_url(settings.storage_url, settings.storage).signer
    if signer is None:
        raise SettingsError(
            "GESSO_STORAGE_REDIRECT needs an s3:// store and its key in GESSO_STORAGE_ACCESS_KEY_ID or "
            "AWS_ACCESS_KEY_ID: nothing else can sign addresses. Set it to none, or give the key."
        )
    return signer.origin


@contextlib.contextmanager
def _failing(verb: str, *, absent: bool = False) -> Iterator[None]:
    """The library's errors as ours: `NotFound` where an `absent` object is meant, else `Unavailable`.

    Its own texts carry paths, addresses and headers: they stay in the chained cause, for the log.
    """
    failed = f"The file store could not {verb} a file. Please try again."
    try:
        with tracing.span(f"storage.{verb}"), metrics.STORAGE_SECONDS.labels(verb).time():
            yield
    except FileNotFoundError as error:
        if absent and "NoSuchBucket" not in str(error):
            raise NotFound(_GONE) from None
        metrics.STORAGE_ERRORS.labels(verb).inc()
        raise Unavailable(failed) from error
    except ValueError:  # a key that no store could hold
        if not absent:
            raise
        raise NotFound(_GONE) from None
    except (BaseError, OSError) as error:  # TimeoutError is an OSError
        metrics.STORAGE_ERRORS.labels(verb).inc()
        raise Unavailable(failed) from error
