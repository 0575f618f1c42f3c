"""Many at once: nothing is sold twice, nobody waits for each other in a circle."""

import asyncio
import contextlib
import random
from uuid import UUID

from gesso.core.errors import Conflict, OutOfCredits
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.credits import service
from gesso.db import Database
from tests.cast import make_user
from tests.credits.conftest import HOUR, Wallet, credits, image


async def test_200_parallel_holds_on_a_balance_of_1(wallet: Wallet) -> None:
    await wallet.grant(1)

    async def attempt() -> bool:
        try:
            await wallet.hold(credits(1))
        except OutOfCredits as error:
            assert error.facts["missing"] == "1"
            return False
        return True

    assert sum(await asyncio.gather(*(attempt() for _ in range(200)))) == 1
    assert await wallet.credits() == (0, 1)


async def test_40_parallel_captures_of_one_output_charge_once(wallet: Wallet) -> None:
    await wallet.grant(5)
    hold = await wallet.hold(credits(2))
    prices = await asyncio.gather(*(wallet.capture(hold, 0) for _ in range(40)))
    assert {price.credits for price in prices} == {2 * MICRO}
    assert await wallet.credits() == (3, 0)


async def test_capture_and_release_race_to_one_end(wallet: Wallet) -> None:
    await wallet.grant(40)
    for _ in range(20):
        before = sum(await wallet.credits())
        hold = await wallet.hold(credits(2))

        async def captured(hold: UUID = hold) -> bool:
            try:
                await wallet.capture(hold, 0)
            except Conflict:
                return False
            return True

        charged, _ = await asyncio.gather(captured(), wallet.release(hold))
        assert sum(await wallet.credits()) == before - (2 if charged else 0)


async def test_mixed_operations_by_16_connections(fresh_db: Database) -> None:
    """Three wallets, so that most of it is contended; afterwards every figure of the ledger is right."""
    wallets = [Wallet(fresh_db, await make_user(fresh_db, name)) for name in ("Ada", "Ben", "Cleo")]
    held: list[tuple[Wallet, UUID]] = []
    chance = random.Random(7)

    async def one_of_everything(worker: int) -> None:
        for step in range(30):
            wallet = chance.choice(wallets)
            match (worker + step) % 6:
                case 0:
                    lot = await wallet.grant(
                        chance.randint(1, 4), source="pack", expires_at=wallet.now + HOUR * chance.randint(1, 4)
                    )
                    if chance.random() < 0.3:
                        with contextlib.suppress(Conflict):  # expired meanwhile
                            await wallet.refund(lot)
                case 1:
                    await wallet.grant(unit=chance.choice(["image", "video"]), uses=2)
                case 2 | 3:
                    hold = new_id()
                    try:
                        await wallet.hold(image(1), credits(1), image(0), hold_id=hold, lasting=HOUR * 2)
                    except OutOfCredits:
                        continue
                    held.append((wallet, hold))
                case 4 if held:
                    wallet, hold = chance.choice(held)
                    try:
                        await wallet.capture(hold, chance.randint(0, 2))
                    except Conflict:
                        await wallet.release(hold)
                case _:
                    wallet.now += HOUR / 4
                    async with fresh_db.elevated("test: sweep") as tx:
                        await service.expire_due(tx, wallet.now)
                    if held:
                        wallet, hold = chance.choice(held)
                        await wallet.release(hold, [chance.randint(0, 2)])

    await asyncio.gather(*(one_of_everything(worker) for worker in range(16)))
    async with fresh_db.elevated("test: verify") as tx:
        assert await service.verify(tx) == ()
        kinds = {row["kind"] for row in await tx.fetch("SELECT DISTINCT kind FROM credit_journal")}
    assert kinds >= {"grant", "hold", "capture", "release", "expire", "refund"}
