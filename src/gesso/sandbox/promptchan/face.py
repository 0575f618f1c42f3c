"""What the Promptchan routes share: the balance in gems, video jobs, files, one tally of faults, and the breaches."""

from decimal import Decimal
from typing import Any

from gesso.sandbox.caller import Caller
from gesso.sandbox.clocked import ClockedJobs
from gesso.sandbox.face import Ground, ProviderFace
from gesso.sandbox.faults import Faults
from gesso.sandbox.files import FileStore
from gesso.sandbox.films import Films

GEMS_AT_FIRST = Decimal(1000)
GEM_MICRO_USD = 50_000
"""What a gem is on the sandbox's bill. Theirs depends on the bundle that was bought."""


class PromptchanFace(ProviderFace):
    """State of the Promptchan face. `breaches`: how often a request came without the age of an adult."""

    prefix = "/promptchan"
    name = "promptchan"

    def __init__(self, ground: Ground, about: str) -> None:
        super().__init__(ground, about)
        self.files = FileStore(ground.archive)
        self.videos = ClockedJobs(ground.archive, self.name)
        self.films = Films(ground.studio, self.files)
        self.breaches = 0
        self._gems: dict[str, Decimal] = {}

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

    def clear(self) -> None:
        """Forget how often faults have struck, and who sent what must not be sent."""
        super().clear()
        self.breaches = 0
