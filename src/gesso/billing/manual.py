"""No provider: nothing is sold on the site; its operator sets plans and tops up."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NoReturn
from uuid import UUID

from gesso.billing.changes import Change
from gesso.billing.facts import Interval
from gesso.billing.port import Buyer, Preview, Received, Taken
from gesso.catalog.items import Pack, Plan
from gesso.core.errors import Conflict, Forbidden, NotFound


class ManualPayments:
    """The default without keys."""

    name: Literal["manual", "stripe"] = "manual"
    sells = False
    hears = False

    async def checkout_plan(self, buyer: Buyer, plan: Plan, interval: Interval) -> str:
        _refuse()

    async def checkout_pack(self, buyer: Buyer, pack: Pack) -> tuple[UUID, str]:
        _refuse()

    async def portal(self, workspace_id: UUID) -> str:
        _refuse()

    async def preview(self, workspace_id: UUID, plan: Plan, interval: Interval) -> Preview:
        _refuse()

    async def change_plan(self, workspace_id: UUID, plan: Plan, interval: Interval, moment: datetime) -> None:
        _refuse()

    async def cancel(self, workspace_id: UUID) -> None:
        _refuse()

    async def resume(self, workspace_id: UUID) -> None:
        _refuse()

    async def settle_return(self, workspace_id: UUID, checkout_ref: str) -> None:
        raise NotFound("There is no such checkout.")

    async def receive(self, headers: Mapping[str, str], body: bytes) -> Received:
        raise NotFound("There is nothing at this address.")

    async def take_up(self, event_id: UUID) -> Taken:
        raise Conflict("Notices are taken up again once payments are set up.")

    async def read_again(self, subscription_id: UUID) -> tuple[Change, ...]:
        raise Conflict("Payments are not set up on this site: there is nobody to ask.")

    async def give_up(self, subscription_id: UUID) -> None:
        """Nothing is ever owed."""

    async def look_again(self) -> int:
        return 0

    async def fetch_missed(self) -> int:
        return 0


def _refuse() -> NoReturn:
    raise Forbidden("Nothing is sold on this site. Its operator sets plans and tops up credits: ask them.")
