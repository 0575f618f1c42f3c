"""What the kie.ai routes share: one workshop, one file store, one tally of faults, one window of new jobs."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.routing import BaseRoute

from gesso.sandbox.courier import Courier
from gesso.sandbox.face import Ground
from gesso.sandbox.faults import Tally
from gesso.sandbox.files import FileStore
from gesso.sandbox.kie.jobs import Workshop
from gesso.sandbox.kie.signing import ATTEMPTS
from gesso.sandbox.kie.window import Window


class KieFace:
    """State of the kie.ai face, and what the sandbox asks of every face."""

    prefix = "/kie"
    name = "kie"

    def __init__(self, ground: Ground, about: str) -> None:
        self.ground = ground
        self.about = about
        self.window = Window()
        self.routes: Sequence[BaseRoute] = ()
        self.pace = ground.pace
        self.tally = Tally()
        self.files = FileStore(ground.archive)
        self.courier = Courier(ground.pace, ATTEMPTS, ground.webhook_origin)
        self.workshop = Workshop(
            pace=ground.pace, studio=ground.studio, files=self.files, bill=ground.bill, courier=self.courier,
            archive=ground.archive,
        )  # fmt: skip

    def base_url(self, request: Request) -> str:
        """The face's address as this client knows it."""
        return self.ground.base_url(request, self.prefix)

    def resume(self) -> None:
        """Goes on with what an earlier process left undone. In the event loop."""
        self.workshop.resume()

    def clear(self) -> None:
        """Forget how often faults have struck."""
        self.tally.clear()

    async def close(self) -> None:
        await self.workshop.close()
        await self.courier.close()
