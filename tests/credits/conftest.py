"""Wallets for the ledger's tests."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from gesso.accounts.access import Actor
from gesso.core.ids import new_id
from gesso.core.money import MICRO, OutputAsk
from gesso.credits import service
from gesso.credits.types import Balances
from gesso.db import Database
from tests.cast import make_user

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Wallet:
    """Someone's workspace and the ledger's functions in it, each in a transaction of its own.

    `now` is the moment passed to all of them; credits are whole credits here, not microcredits.
    """

    def __init__(self, db: Database, owner: Actor) -> None:
        self.db, self.owner, self.now = db, owner, NOON
        self.workspace_id = owner.workspace_id

    async def call(self, function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        async with self.db.workspace(self.workspace_id, self.owner.user_id) as tx:
            return await function(tx, *args, now=self.now, **kwargs)

    async def grant(self, credits: int = 0, *, unit: str = "credit", uses: int = 0, **kwargs: Any) -> UUID:
        kwargs = {"source": "plan", "key": str(new_id()), **kwargs}
        amount = credits * MICRO or uses
        lot_id = await self.call(service.grant, self.workspace_id, unit=unit, amount=amount, **kwargs)
        assert isinstance(lot_id, UUID)
        return lot_id

    async def hold(self, *asks: OutputAsk, lasting: timedelta = HOUR, **kwargs: Any) -> UUID:
        hold_id = kwargs.pop("hold_id", None) or new_id()
        kwargs = {"subject_id": new_id(), **kwargs}
        await self.call(service.hold, hold_id=hold_id, asks=asks, expires_at=self.now + lasting, **kwargs)
        return hold_id

    async def capture(self, hold_id: UUID, index: int) -> Any:
        return await self.call(service.capture, hold_id, index)

    async def release(self, hold_id: UUID, indexes: list[int] | None = None) -> None:
        await self.call(service.release, hold_id, indexes)

    async def refund(self, lot_id: UUID, **kwargs: Any) -> Any:
        kwargs = {"key": str(new_id()), "reason": "returned", **kwargs}
        return await self.call(service.refund, self.workspace_id, lot_id, **kwargs)

    async def balances(self) -> Balances:
        found = await self.call(service.balances)
        assert isinstance(found, Balances)
        return found

    async def credits(self) -> tuple[float, float]:
        """(balance, held) in credits."""
        found = await self.balances()
        return found.balance / MICRO, found.held / MICRO

    async def journal(self) -> list[tuple[str, int]]:
        """(kind, amount) of every movement, oldest first."""
        async with self.db.workspace(self.workspace_id, self.owner.user_id) as tx:
            return [tuple(row) for row in await tx.fetch("SELECT kind, amount FROM credit_journal ORDER BY id")]


def credits(count: int) -> OutputAsk:
    """An output for so many credits."""
    return OutputAsk(count * MICRO)


def image(count: int, uses: int = 1) -> OutputAsk:
    """An output for `uses` of the image allowance, else so many credits."""
    return OutputAsk(count * MICRO, "image", uses)


@pytest.fixture
async def wallet(db: Database) -> Wallet:
    """Ada's empty wallet."""
    return Wallet(db, await make_user(db, "Ada"))
