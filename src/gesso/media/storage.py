"""Where the bytes live: one object store, chosen by URL, behind one small asynchronous face.

| URL | store |
|---|---|
| `/folder`, `file:///folder` | a local folder, made when absent |
| `s3://bucket/prefix` | S3 and whatever speaks it (R2, MinIO); address and key from `GESSO_STORAGE_*` or `AWS_*` |
| `gs://bucket/prefix` | Google Cloud Storage; credentials from `GOOGLE_*` |
| `az://account/container` | Azure Blob Storage; credentials from `AZURE_*` |
| `memory://` | this process's memory, for trying things out: nothing survives, nothing is shared |

A write is whole or absent: the local store writes beside and renames, the others commit on the last byte.
An object's type is not kept here but in the database, since not every store can.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from obstore.exceptions import BaseError

from gesso.core.errors import NotFound, Unavailable
from gesso.core.settings import StorageSettings
from gesso.media.storage_open import open_store

CHUNK_BYTES = 256 * 1024
"""Size of the pieces a stream hands out, so that a slow reader holds little memory."""

_DELETE_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the store knows of one object. `size` in bytes."""

    key: str
    size: int
    modified_at: datetime


class Storage:
    """An object store. Every method raises `Unavailable` when the store does not do its part."""

    def __init__(self, store: Any, *, name: str) -> None:
        self._store = store
        self.name = name
        """The store without credentials, for logs and `/readyz`."""

    @classmethod
    def from_url(cls, url: str, settings: StorageSettings | None = None) -> "Storage":
        """Open the store at `url` (see the module). Raises `SettingsError` when it cannot be understood."""
        opened = open_store(url, settings or StorageSettings())
        return cls(opened.store, name=opened.name)

    async def put(self, key: str, data: bytes) -> None:
        """Write `data` under `key`, replacing what was there."""
        try:
            await self._store.put_async(key, data, use_multipart=False)
        except (BaseError, OSError) as error:
            raise _unavailable("write") from error

    async def get(self, key: str) -> bytes:
        """All bytes of `key`. Raises `NotFound`."""
        try:
            result = await self._store.get_async(key)
            return bytes(await result.bytes_async())
        except (FileNotFoundError, ValueError):  # ValueError: a key that no store could hold
            raise NotFound("This file is not there any more.") from None
        except (BaseError, OSError) as error:
            raise _unavailable("read") from error

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` (exclusive) of `key`, which is opened before this returns.

        Raises `NotFound`, or `Unavailable` (also for a range that starts after the end).
        """
        options: Mapping[str, Any] = {}
        if end is not None:
            options = {"range": (start, end)}
        elif start:
            options = {"range": {"offset": start}}
        try:
            result = await self._store.get_async(key, options=options or None)
        except (FileNotFoundError, ValueError):  # ValueError: a key that no store could hold
            raise NotFound("This file is not there any more.") from None
        except (BaseError, OSError) as error:
            raise _unavailable("read") from error
        return _chunks(result)

    async def head(self, key: str) -> StoredObject:
        """Size and age of `key`. Raises `NotFound`."""
        try:
            meta = await self._store.head_async(key)
        except (FileNotFoundError, ValueError):  # ValueError: a key that no store could hold
            raise NotFound("This file is not there any more.") from None
        except (BaseError, OSError) as error:
            raise _unavailable("read") from error
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

        One request each: a store's bulk call stops at the first absent key.
        """
        gate = asyncio.Semaphore(_DELETE_AT_ONCE)

        async def remove(key: str) -> bool:
            async with gate:
                try:
                    await self._store.head_async(key)
                    await self._store.delete_async(key)
                except FileNotFoundError:
                    return False
                except (BaseError, OSError) as error:
                    raise _unavailable("delete") from error
                return True

        return sum(await asyncio.gather(*(remove(key) for key in keys)))

    async def batches(self, prefix: str | None = None, *, size: int = 1000) -> AsyncIterator[tuple[StoredObject, ...]]:
        """Every object under `prefix` (whole path segments), in batches of `size`."""
        try:
            async for page in self._store.list(prefix, chunk_size=size):
                yield tuple(StoredObject(meta["path"], meta["size"], meta["last_modified"]) for meta in page)
        except (BaseError, OSError) as error:
            raise _unavailable("list") from error

    async def check(self) -> None:
        """Prove that the store takes and gives bytes; for `/readyz`. Raises `Unavailable`."""
        key = "health/probe"
        await self.put(key, b"ok")
        try:
            if await self.get(key) != b"ok":
                raise Unavailable("The file store did not give back what was written.")
        except NotFound:
            raise Unavailable("The file store did not keep what was written.") from None


async def _chunks(result: Any) -> AsyncIterator[bytes]:
    try:
        async for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(chunk)
    except (BaseError, OSError) as error:
        raise _unavailable("read") from error


def _unavailable(verb: str) -> Unavailable:
    # The library's own text carries paths, addresses and headers: it stays in the chained cause, for the log.
    return Unavailable(f"The file store could not {verb} a file. Please try again.")
