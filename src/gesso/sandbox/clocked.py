"""Jobs whose way is told by the clock, not by a task: what they make is made when it is first asked for.

So a kill of the sandbox loses nothing that the archive holds.
"""

from typing import Any

from gesso.sandbox.archive import Archive
from gesso.sandbox.files import KEEP_SECONDS

_KEEP_JOBS = 500


class ClockedJobs:
    """A face's jobs as JSON objects with `id` and `owner`: the newest 500 in memory, all in an archive that lasts."""

    def __init__(self, archive: Archive, face: str) -> None:
        self._archive, self._face = archive, face
        self._jobs: dict[str, dict[str, Any]] = {}

    def keep(self, job: dict[str, Any]) -> None:
        """Remember a job as it now is."""
        self._jobs[job["id"]] = job
        self._archive.keep_job(self._face, job["id"], job["owner"], job, is_open=False, seconds=KEEP_SECONDS)
        while len(self._jobs) > _KEEP_JOBS:
            del self._jobs[next(iter(self._jobs))]

    def find(self, job_id: str) -> dict[str, Any] | None:
        """A job of whomever."""
        return self._jobs.get(job_id) or self._archive.job(self._face, job_id)

    def of(self, owner: str) -> list[dict[str, Any]]:
        """The owner's jobs in memory, newest first."""
        return [job for job in reversed(self._jobs.values()) if job["owner"] == owner]

    def remove(self, job: dict[str, Any]) -> None:
        """Forget a job: nobody owns it any more."""
        self._jobs.pop(job["id"], None)
        self._archive.keep_job(self._face, job["id"], "", {**job, "owner": ""}, is_open=False, seconds=0)
