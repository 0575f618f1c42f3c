"""How people pay: what every way of paying can do. `manual` and `stripe` are the two.

Whoever calls these holds no transaction: they talk to the network. Who may call them is decided before
(`service`). They raise Unavailable when the provider cannot be reached, PaymentFailed when a card was declined,
Conflict when what is asked for is not possible any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from gesso.billing.changes import Change
from gesso.billing.facts import Interval
from gesso.catalog.items import Pack, Plan


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who pays for a workspace. `request`: names the request, so that the same one sent twice is done once."""

    workspace_id: UUID
    workspace_name: str
    user_id: UUID
    email: str
    request: UUID


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change of plan means. `now_cents`: charged at once (negative: kept as credit with the provider);
    None: nothing happens before `at`. `at`: when the new plan holds, None: at once. `moment`: when the figures were
    made, to be given back with the change."""

    now_cents: int | None
    then_cents: int
    currency: str
    at: datetime | None
    moment: datetime


Received = Literal["done", "known", "ignored", "failed"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a notice that was taken up. `changes`: nothing, where all that follows from it had been done before.
    `error`: why it failed."""

    received: Received
    changes: tuple[Change, ...] = ()
    error: str | None = None


class Payments(Protocol):
    """A way of paying."""

    @property
    def name(self) -> Literal["manual", "stripe"]:
        """What its rows are marked with."""
        ...

    @property
    def sells(self) -> bool:
        """Whether anything can be bought on the site."""
        ...

    @property
    def hears(self) -> bool:
        """Whether notices can come in: without a secret to check them by, none does."""
        ...

    async def checkout_plan(self, buyer: Buyer, plan: Plan, interval: Interval) -> str:
        """The address of a page where the plan can be paid for. An earlier one of the workspace stops working."""
        ...

    async def checkout_pack(self, buyer: Buyer, pack: Pack) -> tuple[UUID, str]:
        """The purchase, and the address of a page where it can be paid for."""
        ...

    async def portal(self, workspace_id: UUID) -> str:
        """The address of a page with the payment method and old invoices; made anew for each visit."""
        ...

    async def preview(self, workspace_id: UUID, plan: Plan, interval: Interval) -> Preview:
        """What moving the subscription would cost."""
        ...

    async def change_plan(self, workspace_id: UUID, plan: Plan, interval: Interval, moment: datetime) -> None:
        """Move the subscription: upwards at once, with what is left of the old price taken off; else at its end."""
        ...

    async def cancel(self, workspace_id: UUID) -> None:
        """Let the subscription end with what is paid for."""
        ...

    async def resume(self, workspace_id: UUID) -> None:
        """Take back `cancel`, and a move downwards that has not happened yet."""
        ...

    async def settle_return(self, workspace_id: UUID, checkout_ref: str) -> None:
        """Look at a checkout of the workspace and do what follows from it, as its notice would. Raises NotFound."""
        ...

    async def receive(self, headers: Mapping[str, str], body: bytes) -> Received:
        """A notice from the provider, as it came. Raises NotFound while closed, Forbidden when not the provider's."""
        ...

    async def take_up(self, event_id: UUID) -> Taken:
        """Do once more what follows from a stored notice, whatever became of it. Raises NotFound."""
        ...

    async def read_again(self, subscription_id: UUID) -> tuple[Change, ...]:
        """Ask the provider how a subscription stands, and do what follows; what that changed. Raises NotFound."""
        ...

    async def give_up(self, subscription_id: UUID) -> None:
        """End a subscription whose grace is over, unless it has been paid meanwhile."""
        ...

    async def look_again(self) -> int:
        """Read anew what a notice should have told of by now: subscriptions past what is paid, and checkouts that are
        still open. How many were looked at; one that fails is looked at next time."""
        ...

    async def fetch_missed(self) -> int:
        """Take the notices that never came, as far back as the provider keeps them; how many."""
        ...
