"""Whether the files are what the rows say: originals by size and hash, thumbnails by being there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from gesso.core.errors import NotFound
from gesso.media.service import all_keys
from gesso.media.storage import Storage
from gesso.media.storage_move import digest
from gesso.media.storage_rows import FileRow

AT_ONCE = 8


@dataclass
class Checked:
    """What was looked at, and what is wrong: (key, sentence)."""

    assets: int = 0
    bytes: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)


async def check_files(
    storage: Storage, pages: AsyncIterator[tuple[FileRow, ...]], advance: Callable[[], None] = lambda: None
) -> Checked:
    """Read every file of these rows. Raises `Unavailable` when the store does not answer: that proves nothing."""
    checked = Checked()
    async for page in pages:
        waiting = iter(page)

        async def work(waiting: Iterator[FileRow] = waiting) -> None:
            for row in waiting:
                checked.problems += await _problems(storage, row)
                checked.assets += 1
                checked.bytes += row.size_bytes
                advance()

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return checked


async def _problems(storage: Storage, row: FileRow) -> Sequence[tuple[str, str]]:
    original, *thumbs = all_keys(row.storage_key)
    found = await _wrong(storage, original, row.size_bytes, row.sha256)
    if row.clean is not None:
        found += await _wrong(storage, row.clean.key, row.clean.size_bytes, row.clean.sha256)
    for key in thumbs:
        try:
            if not (await storage.head(key)).size:
                found.append((key, "It is empty."))
        except NotFound:
            found.append((key, "It is not there."))
    return found


async def _wrong(storage: Storage, key: str, size_bytes: int, sha256: bytes) -> list[tuple[str, str]]:
    try:
        size = (await storage.head(key)).size
        if size != size_bytes:
            return [(key, f"It has {size:,} bytes instead of {size_bytes:,}.")]
        if await digest(storage, key) != sha256:
            return [(key, "It is not what was stored: the checksum differs.")]
    except NotFound:
        return [(key, "It is not there.")]
    return []
