"""Copies all objects of one store into another, verified byte for byte, and can be stopped and begun again.

Objects never change once they are written, and a write is whole or absent; so what is in the target already and is
the same is left alone, and a site that goes on writing to the source only needs another run.
"""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from gesso.core.errors import NotFound, Unavailable
from gesso.media.storage import PART_BYTES, PROBE, Storage, StoredObject

Hashes = Callable[[Sequence[str]], Awaitable[Mapping[str, bytes]]]
"""SHA-256 of those keys that the rows know."""

TRIES = 3
PAUSE_SECONDS = 1.0
GIVE_UP_AFTER = 20
"""So many objects in a row that fail mean that a store is away: stop, and let the run be repeated later."""
_DELETE_BATCH = 500


@dataclass
class Moved:
    """What a run did. `problems` are (key, sentence)."""

    copied: int = 0
    copied_bytes: int = 0
    skipped: int = 0
    gone: int = 0
    """Objects that were deleted from the source meanwhile."""
    deleted: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    stopped: bool = False
    """Whether the run was given up because a store does not answer."""


async def survey(source: Storage) -> tuple[int, int]:
    """How many objects the store holds, and how many bytes."""
    count = size = 0
    async for batch in source.batches():
        found = [one for one in batch if one.key != PROBE]
        count, size = count + len(found), size + sum(one.size for one in found)
    return count, size


class Move:
    """One run from `source` to `target`, `parallel` objects at a time.

    `trust_size`: what is in the target with the right size is not read again. `delete_source`: when every object was
    verified, remove from the source what this run has verified. `advance` is told the bytes of each object done.
    """

    def __init__(
        self,
        source: Storage,
        target: Storage,
        hashes: Hashes,
        *,
        parallel: int = 8,
        trust_size: bool = False,
        delete_source: bool = False,
        advance: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._source = source
        self._target = target
        self._hashes = hashes
        self._parallel = parallel
        self._trust_size = trust_size
        self._delete_source = delete_source
        self._advance = advance
        self._failures = 0
        self.result = Moved()

    async def run(self) -> Moved:
        """Copy and verify all, then delete if asked to. Raises `Unavailable` when the source cannot be listed."""
        with tempfile.TemporaryFile("w+") as verified:  # millions of keys fit no memory
            async for batch in self._source.batches():
                await self._batch([one for one in batch if one.key != PROBE], verified)
                if self.result.stopped:
                    return self.result
            if self._delete_source and not self.result.problems:
                verified.seek(0)
                await self._delete(verified)
        return self.result

    async def _batch(self, found: Sequence[StoredObject], verified: IO[str]) -> None:
        known = await self._hashes([one.key for one in found])
        waiting = iter(found)

        async def work() -> None:
            for one in waiting:
                if self.result.stopped:
                    return
                problem = await self._patiently(one, known.get(one.key))
                if problem is None:
                    verified.write(json.dumps(one.key) + "\n")
                else:
                    self.result.problems.append((one.key, problem))
                self._advance(one.size)

        await asyncio.gather(*(work() for _ in range(self._parallel)))

    async def _patiently(self, one: StoredObject, known: bytes | None) -> str | None:
        """What is wrong with one object after several tries; None when it is verified, or gone from the source."""
        for tried in range(1, TRIES + 1):
            try:
                problem = await self._one(one, known)
            except NotFound:
                self.result.gone += 1
                problem = None
            except Unavailable as error:
                if tried < TRIES and not self.result.stopped:
                    await asyncio.sleep(PAUSE_SECONDS * tried)
                    continue
                self._failures += 1
                self.result.stopped = self._failures >= GIVE_UP_AFTER
                return error.detail
            except ValueError:
                return "The target cannot hold an object of this name."
            self._failures = 0
            return problem
        raise AssertionError("the last try returns")

    async def _one(self, one: StoredObject, known: bytes | None) -> str | None:
        if await self._same(one, known):
            self.result.skipped += 1
            return None
        read = await self._copy(one)
        self.result.copied += 1
        self.result.copied_bytes += one.size
        if await digest(self._target, one.key) != read:
            return "The copy differs from the original."
        if known is not None and read != known:
            return "Copied, but the source itself is not what its row says: it was damaged before."
        return None

    async def _same(self, one: StoredObject, known: bytes | None) -> bool:
        """Whether the target has the object already, with the size and the bytes it must have."""
        try:
            if (await self._target.head(one.key)).size != one.size:
                return False
            if self._trust_size:
                return True
            there = await digest(self._target, one.key)
        except NotFound:
            return False
        return there == (known if known is not None else await digest(self._source, one.key))

    async def _copy(self, one: StoredObject) -> bytes:
        """Write the object into the target; SHA-256 of what was read."""
        if one.size <= PART_BYTES:
            data = await self._source.get(one.key)
            await self._target.put(one.key, data)
            return hashlib.sha256(data).digest()
        total, chunks = hashlib.sha256(), await self._source.stream(one.key)

        async def passing() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                total.update(chunk)
                yield chunk

        await self._target.put_stream(one.key, passing(), one.size)
        return total.digest()

    async def _delete(self, verified: IO[str]) -> None:
        keys: list[str] = []
        for line in verified:
            keys.append(json.loads(line))
            if len(keys) == _DELETE_BATCH:
                self.result.deleted += await self._source.delete(keys)
                keys.clear()
        self.result.deleted += await self._source.delete(keys)


async def digest(storage: Storage, key: str) -> bytes:
    """SHA-256 of an object, read as a stream. Raises `NotFound`, `Unavailable`."""
    total = hashlib.sha256()
    async for chunk in await storage.stream(key):
        total.update(chunk)
    return total.digest()
