"""What the Replicate routes share: one workshop, one file store, one tally of faults."""

from gesso.sandbox.face import Ground
from gesso.sandbox.replicate.jobs import ReplicateWorkshop
from gesso.sandbox.replicate.signing import ATTEMPTS
from gesso.sandbox.workshop import WorkshopFace


class ReplicateFace(WorkshopFace[ReplicateWorkshop]):
    """State of the Replicate face."""

    prefix = "/replicate"
    name = ReplicateWorkshop.face

    def __init__(self, ground: Ground, about: str) -> None:
        super().__init__(ground, about, ReplicateWorkshop, ATTEMPTS)
