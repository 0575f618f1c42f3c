"""Files in memory for an hour, result pictures and uploads alike, and the ways a file can go bad."""

import json
import secrets
import struct
import time
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import lru_cache

from gesso.sandbox.archive import Archive
from gesso.sandbox.faults import Faults

KEEP_SECONDS = 3600.0
KEEP_FILES = 500
KEEP_BYTES = 256 * 1024 * 1024
_TOKEN_BYTES = 16
_BOMB_SIDE_PX = 30_000
_CHUNK = bytes(256 * 1024)


@dataclass(frozen=True)
class StoredFile:
    """`prompt` and `faults` are those of the job it came from; `expires_at` is on the monotonic clock."""

    data: bytes
    media_type: str
    expires_at: float
    prompt: str = ""
    faults: Faults = field(default_factory=Faults)


class FileStore:
    """Files by unguessable name; in memory bounded in age, number and bytes (the oldest go first).

    An archive that lasts keeps them too, for as long as they live.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self._bytes = 0

    def add(
        self,
        data: bytes,
        media_type: str,
        file_name: str,
        *,
        keep_seconds: float = KEEP_SECONDS,
        prompt: str = "",
        faults: Faults | None = None,
    ) -> str:
        """Keeps a file; returns its name `<token>/<file_name>`."""
        name = f"{secrets.token_urlsafe(_TOKEN_BYTES)}/{file_name}"
        self.put(name, StoredFile(data, media_type, time.monotonic() + keep_seconds, prompt, faults or Faults()))
        return name

    def put(self, name: str, stored: StoredFile) -> None:
        self.drop(name)
        self._archive.keep_file(
            name,
            stored.data,
            stored.media_type,
            prompt=stored.prompt,
            faults=stored.faults.to_json(),
            seconds=stored.expires_at - time.monotonic(),
        )
        self._files[name] = stored
        self._bytes += len(stored.data)
        now = time.monotonic()
        for old in [n for n, f in self._files.items() if f.expires_at <= now]:
            self.drop(old)
        while len(self._files) > KEEP_FILES or (self._bytes > KEEP_BYTES and len(self._files) > 1):
            self.drop(next(iter(self._files)))

    def drop(self, name: str) -> None:
        if (gone := self._files.pop(name, None)) is not None:
            self._bytes -= len(gone.data)

    def get(self, name: str) -> StoredFile | None:
        stored = self._files.get(name) or self._archived(name)
        return stored if stored is not None and stored.expires_at > time.monotonic() else None

    def _archived(self, name: str) -> StoredFile | None:
        row = self._archive.file(name)
        if row is None:
            return None
        expires_at = time.monotonic() + row["kept_until"] - time.time()
        faults = Faults.from_json(json.loads(row["faults"]))
        return StoredFile(row["data"], row["media_type"], expires_at, row["prompt"], faults)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@lru_cache(maxsize=1)
def bomb_png() -> bytes:
    """A PNG of about half a megabyte that unpacks to 30,000 × 30,000 pixels. Takes a moment: not on the event loop."""
    packer = zlib.compressobj(1)
    row = bytes(1 + _BOMB_SIDE_PX // 8)
    body = b"".join(packer.compress(row) for _ in range(_BOMB_SIDE_PX)) + packer.flush()
    header = struct.pack(">IIBBBBB", _BOMB_SIDE_PX, _BOMB_SIDE_PX, 1, 0, 0, 0, 0)
    chunks = (_png_chunk(b"IHDR", header), _png_chunk(b"IDAT", body), _png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


async def padded(data: bytes, size_bytes: int) -> AsyncIterator[bytes]:
    """The file followed by zeros up to `size_bytes`, in pieces."""
    yield data
    for _ in range(max(0, size_bytes - len(data)) // len(_CHUNK) + 1):
        yield _CHUNK
