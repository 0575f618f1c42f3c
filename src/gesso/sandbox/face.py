"""What the sandbox's faces have in common: each speaks one provider's wire under a prefix of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from starlette.requests import Request
from starlette.routing import BaseRoute

from gesso.sandbox.archive import Archive
from gesso.sandbox.bill import Bill
from gesso.sandbox.faults import Tally
from gesso.sandbox.pace import Pace
from gesso.sandbox.studio import Studio


@dataclass(frozen=True)
class Ground:
    """What all faces stand on. `public_url`: the sandbox's origin when clients see another one than they call;
    `webhook_origin`: where webhooks go whatever host they name; `payment_webhook`: where every Stripe account's
    events go, and the secret that signs them."""

    pace: Pace
    studio: Studio
    bill: Bill
    archive: Archive
    public_url: str | None = None
    webhook_origin: str | None = None
    payment_webhook: tuple[str, str] | None = None

    def base_url(self, request: Request, prefix: str) -> str:
        """The address of a face as this client knows it."""
        origin = self.public_url.rstrip("/") if self.public_url else f"{request.url.scheme}://{request.url.netloc}"
        return origin + prefix


class Face(Protocol):
    """One provider's stand-in."""

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Its routes, all under its prefix."""
        ...

    @property
    def about(self) -> str:
        """Its section of the index page, as HTML: how to point a client here, which models there are."""
        ...

    def resume(self) -> None:
        """Go on with what an earlier process left undone. In the event loop."""
        ...

    def clear(self) -> None:
        """Forget what counts faults: a new bill has begun."""
        ...

    async def close(self) -> None:
        """End what is under way."""
        ...


class ProviderFace:
    """What the faces keep: the ground, their section of the index page, their routes, and a tally of faults."""

    prefix: ClassVar[str]
    """Where its paths begin, such as `/fal`."""
    name: ClassVar[str]
    """What the bill and the archive call it."""

    def __init__(self, ground: Ground, about: str) -> None:
        self.ground = ground
        self.about = about
        self.routes: Sequence[BaseRoute] = ()
        self.pace = ground.pace
        self.tally = Tally()

    @property
    def hang_seconds(self) -> float:
        """How long a silent answer lasts."""
        return self.pace.hang_seconds

    def base_url(self, request: Request) -> str:
        """The face's address as this client knows it."""
        return self.ground.base_url(request, self.prefix)

    def resume(self) -> None:
        """Goes on with what an earlier process left undone: nothing, where answers come at once or by the clock."""

    def clear(self) -> None:
        """Forget how often faults have struck."""
        self.tally.clear()

    async def close(self) -> None:
        """End what is under way: nothing, where no job outlives its request."""
