"""What the fal routes share: one workshop, one file store, one tally of faults."""

from starlette.requests import Request

from gesso.sandbox.bill import Bill
from gesso.sandbox.fal.jobs import Workshop
from gesso.sandbox.fal.webhooks import Courier
from gesso.sandbox.faults import Tally
from gesso.sandbox.files import FileStore
from gesso.sandbox.pace import Pace
from gesso.sandbox.studio import Studio


class Face:
    """State of the fal face. `public_url` is the sandbox's origin when clients see another one than they call."""

    prefix = "/fal"

    def __init__(self, *, pace: Pace, studio: Studio, bill: Bill, public_url: str | None = None) -> None:
        self.pace = pace
        self.tally = Tally()
        self.files = FileStore()
        self.uploads: dict[str, str] = {}
        self.courier = Courier(pace)
        self.workshop = Workshop(pace=pace, studio=studio, files=self.files, bill=bill, courier=self.courier)
        self._public_url = public_url.rstrip("/") if public_url else None

    def base_url(self, request: Request) -> str:
        """The face's address as this client knows it."""
        return (self._public_url or f"{request.url.scheme}://{request.url.netloc}") + self.prefix

    async def close(self) -> None:
        await self.workshop.close()
        await self.courier.close()
