"""What the Stripe routes share: the store, the courier of events, time, and how an operation begins and ends.

The SDK is pointed here by `StripeClient(key, base_addresses={"api": "<sandbox>/stripe"})`: it puts the path of a
call (`/v1/…`) behind that address as it stands, so a prefix does no harm, on lists' next pages neither.
"""

import hashlib

from starlette.requests import Request
from starlette.routing import BaseRoute

from gesso.sandbox.courier import Courier
from gesso.sandbox.face import Ground
from gesso.sandbox.faults import Faults, Tally
from gesso.sandbox.stripe import endpoints
from gesso.sandbox.stripe.clocks import Time
from gesso.sandbox.stripe.desk import Desk
from gesso.sandbox.stripe.mail import Mail
from gesso.sandbox.stripe.store import Store


class StripeFace:
    """State of the Stripe face, and what the sandbox asks of every face."""

    prefix = "/stripe"

    def __init__(self, ground: Ground, about: str) -> None:
        self._ground = ground
        self.about = about
        self.routes: list[BaseRoute] = []
        self.pace = ground.pace
        self.tally = Tally()
        self.store = Store(ground.archive)
        self._courier = Courier(ground.pace, 1, ground.webhook_origin)
        self.mail = Mail(self.store, self._courier, ground.pace)
        self.time = Time(self.store, self.mail)
        self.busy: set[tuple[str, str]] = set()
        """Idempotency keys of requests under way: (account, key)."""

    def base_url(self, request: Request) -> str:
        """The face's address as this client knows it."""
        return self._ground.base_url(request, self.prefix)

    def desk(
        self, request: Request, account: str, faults: Faults | None = None, request_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Desk:  # fmt: skip
        """One operation's desk. Call `done` when it has ended."""
        base = self.base_url(request)
        self.time.seen_at(base)
        return Desk(self.store, account, base, self.pace.webhook_late_seconds, faults or Faults(), request_id,
                    idempotency_key)  # fmt: skip

    def done(self, account: str) -> None:
        """Events may have to go out."""
        self.mail.wake(account)

    def welcome(self, key: str) -> str:
        """The account of a secret key; a new one gets the endpoint of the configuration."""
        account = hashlib.sha256(key.encode()).hexdigest()[:24]
        hook = self._ground.payment_webhook
        if hook is not None:
            known = self.store.get(account, endpoints.CONFIGURED)
            if known is None or (known["url"], known["_secret"]) != hook:
                with self.store.transaction():
                    endpoints.configure(Desk(self.store, account, ""), *hook)
        return account

    def resume(self) -> None:
        """Time goes on, and so do deliveries that were cut off. In the event loop."""
        self.time.resume()
        self.mail.resume()

    def clear(self) -> None:
        """Forget how often faults have struck."""
        self.tally.clear()

    async def close(self) -> None:
        await self.time.close()
        await self.mail.close()
        await self._courier.close()
