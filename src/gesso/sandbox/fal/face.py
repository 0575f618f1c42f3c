"""What the fal routes share: one workshop, one file store, one tally of faults."""

from gesso.sandbox.face import Ground
from gesso.sandbox.fal.jobs import FalWorkshop
from gesso.sandbox.fal.webhooks import ATTEMPTS
from gesso.sandbox.workshop import WorkshopFace


class FalFace(WorkshopFace[FalWorkshop]):
    """State of the fal face. `uploads`: what has been promised to uploads under way, by token or address."""

    prefix = "/fal"
    name = FalWorkshop.face

    def __init__(self, ground: Ground, about: str) -> None:
        super().__init__(ground, about, FalWorkshop, ATTEMPTS)
        self.uploads: dict[str, str] = {}
