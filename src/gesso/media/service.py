"""Files and rows together: taking a picture in, and the pools that keep decoding within bounds."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

from gesso.core import crashpoints
from gesso.core.ids import new_id
from gesso.core.telemetry import metrics, tracing
from gesso.db import Database
from gesso.media import ingest, repository
from gesso.media.ingest import CleanFile, HostileFile, Limits, Prepared
from gesso.media.marking import Marking
from gesso.media.models import Asset, Clean, Kind, NewAsset, Source
from gesso.media.storage import Storage
from gesso.media.video import VideoLimits, prepare_video

T = TypeVar("T")


def _beside(name: str, variant: str | int) -> str:
    return str(variant) if name == "original" else f"{name}-{variant}"


CLEAN = "clean"
"""Name of the file behind a marked one."""
NAMES = frozenset(
    name for first in ("original", CLEAN) for name in (first, *(_beside(first, side) for side in ingest.THUMB_SIDES))
)
"""What an asset's files are called, the last part of their keys."""


@dataclass(frozen=True, slots=True)
class StoredFiles:
    """Where `store` put things: `key` of the file to deliver (thumbnails stand beside it), and all `keys`. `clean`:
    the one behind it, where that carries the site's mark."""

    key: str
    keys: tuple[str, ...]
    clean: Clean | None = None


def asset_key(workspace_id: UUID, asset_id: UUID, variant: str = "original") -> str:
    """`{workspace}/{yyyy}/{mm}/{asset}/{variant}`; the month is the id's, so the same asset has the same key."""
    made = datetime.fromtimestamp((asset_id.int >> 80) / 1000, UTC)
    return f"{workspace_id}/{made:%Y}/{made:%m}/{asset_id}/{variant}"


def variant_key(storage_key: str, variant: str) -> str:
    """The key beside an original's `storage_key`. Beside a file that was behind a marked one, names say so."""
    if variant == "original":
        return storage_key
    folder, _, name = storage_key.rpartition("/")
    return f"{folder}/{_beside(name, variant)}"


def all_keys(storage_key: str) -> tuple[str, ...]:
    """A file to deliver and its thumbnails."""
    return (storage_key, *(variant_key(storage_key, str(side)) for side in ingest.THUMB_SIDES))


async def store(storage: Storage, workspace_id: UUID, asset_id: UUID, prepared: Prepared, data: bytes) -> StoredFiles:
    """Write the original and its thumbnails. Safe to repeat; touches no database. Raises `Unavailable`.

    Do this before the transaction that adds the row: a file without a row is cleared away by night, a row without
    a file would be a broken picture.
    """
    key = asset_key(workspace_id, asset_id)
    delivered = data if prepared.marked is None else prepared.marked
    files = {key: delivered} | {variant_key(key, str(side)): thumb for side, thumb in prepared.thumbs.items()}
    clean = None
    if prepared.clean is not None:
        told = prepared.clean
        clean = Clean(asset_key(workspace_id, asset_id, CLEAN), told.sha256, told.size_bytes, told.media_type)
        files[clean.key] = data

    async def put(name: str, content: bytes) -> None:
        await storage.put(name, content)
        crashpoints.reach("file.stored")

    await asyncio.gather(*(put(name, content) for name, content in files.items()))
    return StoredFiles(key, tuple(files), clean)


class Ingest:
    """A few threads that decode pictures, so that neither the event loop nor the memory suffers.

    One per process. `threads` bounds how many pictures are decoded at once (see `ingest` for their memory). Films are
    marked in processes of their own, half as many at once, so that no picture waits for them.
    """

    def __init__(
        self,
        threads: int,
        *,
        outputs: Limits | None = None,
        uploads: Limits | None = None,
        films: VideoLimits | None = None,
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ingest")
        self._marking = Marking(max(1, threads // 2))
        self.outputs = outputs or Limits()
        self.uploads = uploads or Limits(max_bytes=20 * 2**20)
        self.films = films or VideoLimits()

    async def prepare(
        self, data: bytes, *, kind: Kind = "image", declared_type: str | None = None, words: str | None = None
    ) -> Prepared:
        """`ingest.prepare`, or `video.prepare_video`, of a provider's file. Raises `HostileFile`.

        With `words` it is marked with them, a film in a process of its own.
        """
        if kind == "video":
            film = await self._run("output", partial(prepare_video, data, limits=self.films))
            return film if words is None else await self._marked(film, data, words)
        return await self._run(
            "output", partial(ingest.prepare, data, declared_type=declared_type, limits=self.outputs, words=words)
        )

    async def _marked(self, film: Prepared, data: bytes, words: str) -> Prepared:
        """A film that was checked, with the mark: poster and thumbnails are the marked one's."""
        marked = await self._marking.mark(data, words)
        prepared = await self._run("output", partial(prepare_video, marked, limits=self.films))
        return replace(prepared, marked=marked, clean=CleanFile(film.media_type, film.sha256, film.size_bytes))

    async def prepare_upload(self, data: bytes, *, declared_type: str | None = None) -> tuple[bytes, Prepared]:
        """A person's file made anew without EXIF and GPS, and what is known of it. Raises `HostileFile`."""

        def work() -> tuple[bytes, Prepared]:
            clean = ingest.clean_upload(data, declared_type=declared_type, limits=self.uploads)
            return clean, ingest.prepare(clean)

        return await self._run("upload", work)

    async def prepare_sample(self, data: bytes, side: int, *, declared_type: str | None = None) -> tuple[str, bytes]:
        """A person's file made anew as WebP of at most `side` pixels, and its SHA-256. Raises `HostileFile`."""
        return await self._run(
            "upload", partial(ingest.small, data, side, declared_type=declared_type, limits=self.uploads)
        )

    async def _run(self, source: str, work: Callable[[], T]) -> T:
        begun, outcome = time.perf_counter(), "taken"
        try:
            with tracing.span("ingest", gesso__source=source):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except HostileFile:
            outcome = "refused"
            raise
        except BaseException:
            outcome = "failed"
            raise
        finally:
            metrics.INGEST_SECONDS.labels(source, outcome).observe(time.perf_counter() - begun)

    def close(self) -> None:
        """Let running work end, drop what waits."""
        self._pool.shutdown(wait=False, cancel_futures=True)


async def take_upload(
    db: Database,
    storage: Storage,
    pool: Ingest,
    *,
    workspace_id: UUID,
    user_id: UUID,
    data: bytes,
    declared_type: str | None,
) -> Asset:
    """Take a person's reference picture in: cleaned, stored, its row committed. Raises `HostileFile`."""
    clean, prepared = await pool.prepare_upload(data, declared_type=declared_type)
    asset_id = new_id()
    stored = await store(storage, workspace_id, asset_id, prepared, clean)
    async with db.workspace(workspace_id, user_id) as tx:
        return await repository.add_asset(tx, new_asset(asset_id, user_id, stored, prepared, source="upload"))


def new_asset(
    asset_id: UUID, user_id: UUID | None, stored: StoredFiles, prepared: Prepared, *, source: Source
) -> NewAsset:
    """A row for stored files. What the file cannot know (prompt, model, …) comes by `dataclasses.replace`."""
    return NewAsset(
        id=asset_id,
        user_id=user_id,
        storage_key=stored.key,
        sha256=prepared.sha256,
        media_type=prepared.media_type,
        size_bytes=prepared.size_bytes,
        width=prepared.width,
        height=prepared.height,
        thumbhash=prepared.thumbhash,
        duration_ms=prepared.duration_ms,
        clean=stored.clean,
        source=source,
    )
