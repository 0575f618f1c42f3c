"""Jobs that run beside the requests that ask for them: taken on, worked at, told of, and gone on with after a kill."""

import asyncio
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from gesso.core import crashpoints
from gesso.sandbox.courier import Courier
from gesso.sandbox.face import Ground, ProviderFace
from gesso.sandbox.files import FileStore

KEEP_JOBS = 500


class Job(Protocol):
    """What a workshop has to know of a job, whatever else its provider tells of one."""

    @property
    def id(self) -> str: ...

    @property
    def owner(self) -> str: ...

    @property
    def is_over(self) -> bool:
        """Whether it has come to an end, of whichever kind."""
        ...


J = TypeVar("J", bound=Job)


class Workshop(ABC, Generic[J]):
    """Runs a face's jobs and keeps the newest in memory; an archive that lasts keeps all of them for `keep_seconds`.

    What was taken on is on the bill. A job stays open in the archive until it has ended and its end has been told.
    """

    face: ClassVar[str]
    """The face's name on the bill and in the archive."""
    keep_seconds: ClassVar[float]

    def __init__(self, ground: Ground, files: FileStore, courier: Courier) -> None:
        self._pace, self._studio, self._bill, self._archive = ground.pace, ground.studio, ground.bill, ground.archive
        self._files, self._courier = files, courier
        self._jobs: OrderedDict[str, J] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def resume(self) -> None:
        """Starts again what an earlier process had not finished, and tells of what it had not told."""
        for data in self._archive.open_jobs(self.face):
            job = self._read(data)
            if job.is_over:
                self._announce_end(job)
            else:
                self._start(job)

    def find(self, job_id: str, owner: str) -> J | None:
        """A job of this owner's."""
        job = self._jobs.get(job_id)
        if job is None and (data := self._archive.job(self.face, job_id)) is not None:
            job = self._read(data)
        return job if job and job.owner == owner else None

    def of(self, owner: str) -> list[J]:
        """The owner's jobs, newest first."""
        known = [job for job in reversed(self._jobs.values()) if job.owner == owner]
        kept = (self._read(data) for data in self._archive.jobs_of(self.face, owner, KEEP_JOBS))
        return known + [job for job in kept if job.id not in self._jobs]

    async def close(self) -> None:
        """Drops what is under way; `resume` begins it again."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take_on(self, job: J, *, endpoint: str, key_hint: str, prompt: str, webhook: str | None) -> None:
        """Opens its line on the bill and starts it."""
        with self._archive.transaction():
            self._bill.open(
                request_id=job.id, provider=self.face, endpoint=endpoint, key_hint=key_hint, prompt=prompt,
                webhook=webhook,
            )  # fmt: skip
            self._keep(job, is_open=True)
        crashpoints.reach("sandbox.accepted")
        self._forget_old()
        self._start(job)

    def _forget_old(self) -> None:
        for job_id, job in list(self._jobs.items())[: max(0, len(self._jobs) - KEEP_JOBS)]:
            if job.is_over:
                del self._jobs[job_id]

    def _start(self, job: J) -> None:
        self._jobs[job.id] = job
        self._tasks[job.id] = task = asyncio.create_task(self._run(job))
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    def _keep(self, job: J, *, is_open: bool) -> None:
        """Writes it down. `is_open`: something is left to do."""
        self._archive.keep_job(
            self.face, job.id, job.owner, self._written(job), is_open=is_open, seconds=self.keep_seconds
        )

    @abstractmethod
    def _written(self, job: J) -> dict[str, Any]:
        """The job as JSON, for `_read`."""

    @abstractmethod
    def _read(self, data: dict[str, Any]) -> J:
        """The job as it was written down; one that had not ended stands at the beginning again."""

    @abstractmethod
    async def _run(self, job: J) -> None:
        """Works at it to its end, writes that down, and announces it."""

    @abstractmethod
    def _announce_end(self, job: J) -> None:
        """Tells who wants to know; once that is told, the job is kept as closed."""


W = TypeVar("W", bound=Workshop[Any])


class WorkshopFace(ProviderFace, Generic[W]):
    """A face whose jobs outlive their requests: with a workshop, its files, and a courier of webhooks."""

    def __init__(
        self, ground: Ground, about: str, workshop: Callable[[Ground, FileStore, Courier], W], webhook_attempts: int
    ) -> None:
        super().__init__(ground, about)
        self.files = FileStore(ground.archive)
        self.courier = Courier(ground.pace, webhook_attempts, ground.webhook_origin)
        self.workshop = workshop(ground, self.files, self.courier)

    def resume(self) -> None:
        """Goes on with what an earlier process left undone. In the event loop."""
        self.workshop.resume()

    async def close(self) -> None:
        await self.workshop.close()
        await self.courier.close()
