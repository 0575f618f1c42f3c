"""Films that are made when they are first asked for, once, however many ask at the same time."""

import asyncio
from collections import OrderedDict

from gesso.sandbox.faults import Faults
from gesso.sandbox.files import FileStore, StoredFile
from gesso.sandbox.studio import FilmOrder, Studio

_KEPT = 200


class Films:
    """The newest films, by the job they belong to."""

    def __init__(self, studio: Studio, files: FileStore) -> None:
        self._studio, self._files = studio, files
        self._names: OrderedDict[str, str] = OrderedDict()
        self._making: dict[str, asyncio.Lock] = {}

    async def name_of(self, job_id: str, order: FilmOrder, faults: Faults | None = None) -> str:
        """The film's name in the file store; made now if it is not there (any more)."""
        async with self._making.setdefault(job_id, asyncio.Lock()):
            name = self._names.get(job_id)
            if name is None or self._files.get(name) is None:
                film = await self._studio.film(order)
                name = self._files.add(film, "video/mp4", "video.mp4", prompt=order.prompt, faults=faults)
                self._names[job_id] = name
                while len(self._names) > _KEPT:
                    self._names.popitem(last=False)
        self._making.pop(job_id, None)
        return name

    async def data_of(self, job_id: str, order: FilmOrder) -> bytes:
        """The film itself."""
        stored: StoredFile | None = None
        while stored is None:  # it may be dropped for newer files the moment it was made
            stored = self._files.get(await self.name_of(job_id, order))
        return stored.data
