"""Taking a purchase back: its lot first, debt for the rest."""

import pytest

from gesso.core.errors import Conflict, NotFound
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.credits.types import Refunded
from tests.credits.conftest import HOUR, Wallet, credits


async def _spend(wallet: Wallet, count: int) -> None:
    await wallet.capture(await wallet.hold(credits(count)), 0)


async def test_an_unspent_pack_is_simply_taken_back(wallet: Wallet) -> None:
    pack = await wallet.grant(10, source="pack")
    assert await wallet.refund(pack) == Refunded(taken=10 * MICRO, owed=0)
    assert (await wallet.balances()).debt == 0
    assert await wallet.credits() == (0, 0)


async def test_what_was_spent_becomes_debt_that_only_purchases_repay(wallet: Wallet) -> None:
    pack = await wallet.grant(10, source="pack")
    await _spend(wallet, 7)
    assert await wallet.refund(pack) == Refunded(taken=3 * MICRO, owed=7 * MICRO)

    await wallet.grant(5, source="plan")
    assert await wallet.credits() == (5, 0)
    assert (await wallet.balances()).debt == 7 * MICRO
    await wallet.grant(4, source="pack")
    assert await wallet.credits() == (5, 0)
    assert (await wallet.balances()).debt == 3 * MICRO
    await wallet.grant(4, source="pack")
    assert await wallet.credits() == (6, 0)
    assert (await wallet.balances()).debt == 0


async def test_what_a_hold_gives_back_to_a_refunded_pack_is_not_spendable(wallet: Wallet) -> None:
    pack = await wallet.grant(10, source="pack")
    hold = await wallet.hold(credits(4), credits(5))
    assert await wallet.refund(pack) == Refunded(taken=MICRO, owed=9 * MICRO)
    await wallet.release(hold, [0])
    assert await wallet.credits() == (0, 5)
    assert (await wallet.balances()).debt == 5 * MICRO
    await wallet.capture(hold, 1)
    assert (await wallet.balances()).debt == 5 * MICRO


async def test_debt_repaid_meanwhile_is_not_taken_from_the_hold_again(wallet: Wallet) -> None:
    pack = await wallet.grant(10, source="pack")
    hold = await wallet.hold(credits(10))
    await wallet.refund(pack)
    await wallet.grant(10, source="pack")
    assert (await wallet.balances()).debt == 0
    await wallet.release(hold)
    assert await wallet.credits() == (10, 0)


async def test_part_of_a_pack_then_the_rest(wallet: Wallet) -> None:
    pack = await wallet.grant(10, source="pack")
    assert await wallet.refund(pack, amount=4 * MICRO) == Refunded(4 * MICRO, 0)
    with pytest.raises(Conflict):
        await wallet.refund(pack, amount=7 * MICRO)
    assert await wallet.refund(pack) == Refunded(6 * MICRO, 0)
    with pytest.raises(Conflict):
        await wallet.refund(pack)


async def test_the_same_refund_again_changes_nothing(wallet: Wallet) -> None:
    pack = await wallet.grant(10, source="pack")
    await _spend(wallet, 6)
    first = await wallet.refund(pack, amount=5 * MICRO, key="re_1")
    assert await wallet.refund(pack, amount=5 * MICRO, key="re_1") == first == Refunded(4 * MICRO, MICRO)
    assert (await wallet.balances()).debt == MICRO


async def test_what_expired_is_not_taken_back(wallet: Wallet) -> None:
    lot = await wallet.grant(10, source="operator", expires_at=wallet.now + 2 * HOUR)
    await _spend(wallet, 3)
    wallet.now += 2 * HOUR
    assert await wallet.refund(lot) == Refunded(taken=0, owed=3 * MICRO)


async def test_an_unknown_lot_is_not_found(wallet: Wallet) -> None:
    with pytest.raises(NotFound):
        await wallet.refund(new_id())


async def test_a_refund_claims_its_part_from_holds_once(wallet: Wallet) -> None:
    other = await wallet.grant(3, source="pack")
    await _spend(wallet, 3)
    pack = await wallet.grant(10, source="pack")
    hold = await wallet.hold(credits(3), credits(2))
    assert await wallet.refund(pack, amount=7 * MICRO) == Refunded(taken=5 * MICRO, owed=2 * MICRO)
    await wallet.refund(other)
    await wallet.release(hold, [0])
    assert (await wallet.balances()).debt == 3 * MICRO
    await wallet.release(hold, [1])
    assert (await wallet.balances()).debt == 3 * MICRO
    assert await wallet.credits() == (3, 0)
