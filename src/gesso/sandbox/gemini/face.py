"""What the Gemini routes share: one tally of faults, the bill, the studio."""

from starlette.routing import BaseRoute

from gesso.sandbox.face import Ground
from gesso.sandbox.faults import Tally


class GeminiFace:
    """State of the Gemini face, and what the sandbox asks of every face. Answers come at once: no job outlives one."""

    prefix = "/gemini"
    name = "gemini"

    def __init__(self, ground: Ground, about: str) -> None:
        self.ground = ground
        self.about = about
        self.routes: list[BaseRoute] = []
        self.tally = Tally()

    @property
    def hang_seconds(self) -> float:
        return self.ground.pace.hang_seconds

    def resume(self) -> None:
        """Nothing is left undone between requests."""

    def clear(self) -> None:
        """Forget how often faults have struck."""
        self.tally.clear()

    async def close(self) -> None:
        """Nothing is under way between requests."""
