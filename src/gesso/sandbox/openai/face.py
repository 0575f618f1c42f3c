"""What the OpenAI routes share: one tally of faults, one file store, video jobs, the bill, the studio."""

from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from gesso.sandbox.face import Ground
from gesso.sandbox.faults import Tally
from gesso.sandbox.files import FileStore
from gesso.sandbox.films import Films


class OpenAIFace:
    """State of the OpenAI face, and what the sandbox asks of every face."""

    prefix = "/openai"
    name = "openai"

    def __init__(self, ground: Ground, about: str) -> None:
        self.ground = ground
        self.about = about
        self.routes: list[BaseRoute] = []
        self.tally = Tally()
        self.files = FileStore(ground.archive)
        self.videos: dict[str, dict[str, Any]] = {}
        self.films = Films(ground.studio, self.files)

    def base_url(self, request: Request) -> str:
        """The face's address as this client knows it."""
        return self.ground.base_url(request, self.prefix)

    @property
    def hang_seconds(self) -> float:
        return self.ground.pace.hang_seconds

    def resume(self) -> None:
        """Goes on with what an earlier process left undone. In the event loop."""

    def clear(self) -> None:
        """Forget how often faults have struck."""
        self.tally.clear()

    async def close(self) -> None:
        """End what is under way."""
