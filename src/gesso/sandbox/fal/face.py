"""What the fal routes share: one workshop, one file store, one tally of faults."""

from starlette.requests import Request
from starlette.routing import BaseRoute

from gesso.sandbox.courier import Courier
from gesso.sandbox.face import Ground
from gesso.sandbox.fal.jobs import Workshop
from gesso.sandbox.fal.webhooks import ATTEMPTS
from gesso.sandbox.faults import Tally
from gesso.sandbox.files import FileStore


class FalFace:
    """State of the fal face, and what the sandbox asks of every face."""

    prefix = "/fal"

    def __init__(self, ground: Ground, about: str) -> None:
        self._ground = ground
        self.about = about
        self.routes: list[BaseRoute] = []
        self.pace = pace = ground.pace
        self.tally = Tally()
        self.files = FileStore(ground.archive)
        self.uploads: dict[str, str] = {}
        self.courier = Courier(pace, ATTEMPTS, ground.webhook_origin)
        self.workshop = Workshop(
            pace=pace, studio=ground.studio, files=self.files, bill=ground.bill, courier=self.courier,
            archive=ground.archive,
        )  # fmt: skip

    def base_url(self, request: Request) -> str:
        """The face's address as this client knows it."""
        return self._ground.base_url(request, self.prefix)

    def resume(self) -> None:
        """Goes on with what an earlier process left undone. In the event loop."""
        self.workshop.resume()

    def clear(self) -> None:
        """Forget how often faults have struck."""
        self.tally.clear()

    async def close(self) -> None:
        await self.workshop.close()
        await self.courier.close()
