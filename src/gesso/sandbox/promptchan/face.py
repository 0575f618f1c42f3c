"""What the Promptchan routes share: the balance in gems, video jobs, files, one tally of faults, and the breaches."""

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from gesso.sandbox.face import Ground
from gesso.sandbox.faults import Faults, Tally
from gesso.sandbox.files import KEEP_SECONDS, FileStore
from gesso.sandbox.films import Films
from gesso.sandbox.promptchan.auth import Caller

GEMS_AT_FIRST = Decimal(1000)
GEM_MICRO_USD = 50_000
"""What a gem is on the sandbox's bill. Theirs depends on the bundle that was bought."""
_JOBS = 500


class PromptchanFace:
    """State of the Promptchan face, and what the sandbox asks of every face."""

    prefix = "/promptchan"
    name = "promptchan"

    def __init__(self, ground: Ground, about: str) -> None:
        self.ground = ground
        self.about = about
        self.routes: list[BaseRoute] = []
        self.tally = Tally()
        self.files = FileStore(ground.archive)
        self.films = Films(ground.studio, self.files)
        self.breaches = 0
        self._jobs: dict[str, dict[str, Any]] = {}
        self._gems: dict[str, Decimal] = {}

    @property
    def hang_seconds(self) -> float:
        return self.ground.pace.hang_seconds

    def base_url(self, request: Request) -> str:
        """The face's address as this client knows it."""
        return self.ground.base_url(request, self.prefix)

    def keep(self, job: dict[str, Any]) -> None:
        """Remember a video job; an archive that lasts does so across restarts."""
        self._jobs[job["id"]] = job
        self.ground.archive.keep_job(self.name, job["id"], job["owner"], job, is_open=False, seconds=KEEP_SECONDS)
        while len(self._jobs) > _JOBS:
            del self._jobs[next(iter(self._jobs))]

    def job(self, job_id: str) -> dict[str, Any] | None:
        """A video job."""
        return self._jobs.get(job_id) or self.ground.archive.job(self.name, job_id)

    def charge(self, caller: Caller, request_id: str, gems: Decimal) -> None:
        """Take gems, and put them on the bill."""
        self._gems[caller.owner] = self.gems(caller.owner) - gems
        self.ground.bill.charge(request_id, gems, int(gems * GEM_MICRO_USD))

    def gems(self, owner: str) -> Decimal:
        """What this caller has left; a restart gives everybody a new purse."""
        return self._gems.get(owner, GEMS_AT_FIRST)

    def told_gems(self, owner: str, faults: Faults) -> dict[str, Any]:
        """The member `gems` of an answer: a whole number, a fraction, or not there."""
        if "gems-untold" in faults:
            return {}
        left = self.gems(owner)
        return {"gems": float(left) - 0.25 if "gems-fraction" in faults else int(left)}

    def resume(self) -> None:
        """Goes on with what an earlier process left undone: nothing, for videos are made when they are asked for."""

    def clear(self) -> None:
        """Forget how often faults have struck, and who sent what must not be sent."""
        self.tally.clear()
        self.breaches = 0

    async def close(self) -> None:
        """End what is under way."""
