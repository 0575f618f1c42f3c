"""A zip of pictures, made while it is sent: one piece of one file is in memory at a time."""

import io
import zipfile
from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog

from gesso.core.errors import NotFound
from gesso.media.models import Asset
from gesso.media.storage import Storage
from gesso.media.views import file_name

log = structlog.get_logger()

LIMIT = 200
"""Most pictures in one zip."""


class _Pipe(io.RawIOBase):
    """What the zip writes into and the answer reads from. Not seekable, so sizes follow each file."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """What was written since the last time."""
        taken, self._pieces = b"".join(self._pieces), []
        return taken


async def begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces, the first of them drawn already: what fails until then can still be answered as an error."""
    first = await anext(pieces, b"")

    async def rest() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return rest()


async def zip_of(storage: Storage, assets: Sequence[Asset]) -> AsyncIterator[bytes]:
    """The originals of `assets` under friendly names. One whose file is gone is left out.

    Level 0 deflate rather than "stored": pictures do not shrink, and only deflate tells a reader that streams,
    too, where a file ends.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        for asset in assets:
            try:
                chunks = await storage.stream(asset.storage_key)
            except NotFound:
                log.warning("media.file_missing", asset=str(asset.id))
                continue
            entry = zipfile.ZipInfo(file_name(asset), asset.made_at.timetuple()[:6])
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry._compresslevel = 0  # type: ignore[attr-defined]  # the archive's own is for names only
            with archive.open(entry, "w", force_zip64=asset.size_bytes >= zipfile.ZIP64_LIMIT) as target:
                async for chunk in chunks:
                    target.write(chunk)
                    yield pipe.take()
    yield pipe.take()
