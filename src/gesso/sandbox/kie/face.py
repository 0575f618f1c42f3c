"""What the kie.ai routes share: one workshop, one file store, one tally of faults, one window of new jobs."""

from gesso.sandbox.face import Ground
from gesso.sandbox.kie.jobs import KieWorkshop
from gesso.sandbox.kie.signing import ATTEMPTS
from gesso.sandbox.kie.window import Window
from gesso.sandbox.workshop import WorkshopFace


class KieFace(WorkshopFace[KieWorkshop]):
    """State of the kie.ai face."""

    prefix = "/kie"
    name = KieWorkshop.face

    def __init__(self, ground: Ground, about: str) -> None:
        super().__init__(ground, about, KieWorkshop, ATTEMPTS)
        self.window = Window()
