"""Grants, holds, captures and releases, one rule of semantics.md at a time."""

import asyncio
from datetime import timedelta

import pytest

from gesso.core.clock import FixedClock
from gesso.core.errors import Conflict, InvalidInput, NotFound, OutOfCredits
from gesso.core.ids import new_id
from gesso.core.money import MICRO, OutputAsk, OutputPrice
from gesso.credits import service
from gesso.credits.tasks import sweep
from tests.credits.conftest import HOUR, Wallet, credits, image


async def test_price_takes_allowances_first_output_by_output(wallet: Wallet) -> None:
    await wallet.grant(10)
    await wallet.grant(unit="image", uses=3)
    price = await wallet.call(
        service.hold, hold_id=new_id(), subject_id=new_id(), expires_at=wallet.now + HOUR,
        asks=[image(2, uses=2), image(2, uses=2), image(3, uses=1), credits(1)],
    )  # fmt: skip
    assert price.to_json() == {
        "credits": "3",
        "allowances": {"image": 3},
        "outputs": [
            {"credits": "0", "allowances": {"image": 2}},
            {"credits": "2"},
            {"credits": "0", "allowances": {"image": 1}},
            {"credits": "1"},
        ],
    }
    found = await wallet.balances()
    assert (found.balance, found.held) == (7 * MICRO, 3 * MICRO)
    assert (found.allowances, found.allowances_held) == ({}, {"image": 3})


async def test_estimate_says_what_a_hold_would_say_and_changes_nothing(wallet: Wallet) -> None:
    await wallet.grant(3)
    await wallet.grant(5, scope="flux")
    before = await wallet.balances()
    asks = [credits(2), credits(2)]
    price, enough = await wallet.call(service.estimate, asks)
    assert (price.credits, enough) == (4 * MICRO, False)
    price, enough = await wallet.call(service.estimate, asks, scopes=frozenset({"flux"}))
    assert (price.credits, enough) == (4 * MICRO, True)
    assert await wallet.balances() == before


async def test_spending_burns_scoped_then_soonest_then_oldest(wallet: Wallet) -> None:
    lots = {
        "old": await wallet.grant(2),
        "late": await wallet.grant(2, expires_at=wallet.now + 9 * HOUR),
        "soon": await wallet.grant(2, expires_at=wallet.now + 5 * HOUR),
    }
    wallet.now += timedelta(seconds=1)
    lots["new"] = await wallet.grant(2)
    lots["scoped"] = await wallet.grant(2, scope="flux")
    names = {lot: name for name, lot in lots.items()}

    left = []
    for _ in range(5):
        await wallet.hold(credits(2), scopes=frozenset({"flux"}))
        left.append([names[lot.id] for lot in (await wallet.balances()).lots])
    assert left == [["soon", "late", "old", "new"], ["late", "old", "new"], ["old", "new"], ["new"], []]


async def test_a_scoped_lot_pays_for_nothing_else(wallet: Wallet) -> None:
    await wallet.grant(5, scope="flux")
    with pytest.raises(OutOfCredits) as caught:
        await wallet.hold(credits(1), scopes=frozenset({"sdxl"}))
    assert caught.value.facts["balance"] == "0"


async def test_out_of_credits_says_what_is_missing_and_holds_nothing(wallet: Wallet) -> None:
    await wallet.grant(1)
    with pytest.raises(OutOfCredits) as caught:
        await wallet.hold(credits(1), OutputAsk(500_000))
    assert caught.value.facts == {
        "missing": "0.5",
        "price": {"credits": "1.5", "allowances": {}, "outputs": [{"credits": "1"}, {"credits": "0.5"}]},
        "balance": "1",
    }
    assert await wallet.credits() == (1, 0)
    assert [kind for kind, _ in await wallet.journal()] == ["grant"]


async def test_delivered_outputs_are_captured_and_the_rest_released(wallet: Wallet) -> None:
    await wallet.grant(3)
    await wallet.grant(7, expires_at=wallet.now + HOUR)
    hold = await wallet.hold(credits(4), credits(4), credits(1))
    assert await wallet.credits() == (1, 9)
    assert await wallet.capture(hold, 1) == OutputPrice(4 * MICRO)
    await wallet.release(hold)
    assert await wallet.credits() == (6, 0)
    # one hold row per lot, one capture row per output and lot, one release row per lot
    kinds = [kind for kind, _ in await wallet.journal()]
    assert {kind: kinds.count(kind) for kind in kinds} == {"grant": 2, "hold": 2, "capture": 2, "release": 2}


async def test_capture_again_returns_the_same_and_charges_once(wallet: Wallet) -> None:
    await wallet.grant(5)
    hold = await wallet.hold(credits(2), credits(1))
    first = await wallet.capture(hold, 0)
    assert await wallet.capture(hold, 0) == first == OutputPrice(2 * MICRO)
    await wallet.release(hold, [0])
    assert await wallet.credits() == (2, 1)
    assert (await wallet.journal()).count(("capture", 2 * MICRO)) == 1


async def test_release_again_changes_nothing_and_ends_capture(wallet: Wallet) -> None:
    await wallet.grant(5)
    hold = await wallet.hold(credits(2), credits(1))
    await wallet.release(hold, [0])
    await wallet.release(hold, [0])
    assert await wallet.credits() == (4, 1)
    with pytest.raises(Conflict) as caught:
        await wallet.capture(hold, 0)
    assert caught.value.facts["outcome"] == "released"
    await wallet.release(hold)
    await wallet.release(hold)
    assert await wallet.credits() == (5, 0)


async def test_refused_capture_leaves_its_transaction_usable(wallet: Wallet) -> None:
    """A picture that turns up after its reservation has ended is kept, and given free."""
    await wallet.grant(1)
    hold = await wallet.hold(credits(1))
    await wallet.release(hold)
    async with wallet.db.workspace(wallet.workspace_id) as tx:
        with pytest.raises(Conflict):
            await service.capture(tx, hold, 0, now=wallet.now)
        assert await tx.fetchval("SELECT 1") == 1


async def test_what_was_never_held_is_not_found(wallet: Wallet) -> None:
    await wallet.grant(5)
    hold = await wallet.hold(credits(2))
    for act in (wallet.capture(hold, 1), wallet.capture(new_id(), 0), wallet.release(new_id())):
        with pytest.raises(NotFound):
            await act


async def test_a_free_output_is_held_and_ends_once_like_any_other(wallet: Wallet) -> None:
    hold = await wallet.hold(credits(0), credits(0))
    assert await wallet.capture(hold, 0) == OutputPrice(0)
    await wallet.release(hold)
    with pytest.raises(Conflict):
        await wallet.capture(hold, 1)


async def test_a_hold_is_made_once(wallet: Wallet) -> None:
    await wallet.grant(5)
    hold = await wallet.hold(credits(2))
    with pytest.raises(Conflict):
        await wallet.hold(credits(2), hold_id=hold)
    assert await wallet.credits() == (3, 2)


async def test_a_lot_that_expires_under_a_hold_stays_capturable_and_expires_on_release(wallet: Wallet) -> None:
    await wallet.grant(5, expires_at=wallet.now + HOUR)
    hold = await wallet.hold(credits(2), credits(1), lasting=5 * HOUR)
    wallet.now += 2 * HOUR
    assert await wallet.credits() == (0, 3)
    assert await wallet.capture(hold, 0) == OutputPrice(2 * MICRO)
    await wallet.release(hold)
    assert await wallet.credits() == (0, 0)
    # at once: what was free when the lot expired, and what the hold gave back
    assert (await wallet.journal())[-2:] == [("release", MICRO), ("expire", 3 * MICRO)]


async def test_expired_lots_are_never_spent_even_before_the_sweep(wallet: Wallet) -> None:
    await wallet.grant(5, expires_at=wallet.now + HOUR)
    await wallet.grant(1)
    wallet.now += HOUR
    assert await wallet.credits() == (1, 0)
    with pytest.raises(OutOfCredits):
        await wallet.hold(credits(2))
    await wallet.hold(credits(1))
    assert ("expire", 5 * MICRO) in await wallet.journal()


async def test_a_hold_never_outlives_its_deadline(wallet: Wallet) -> None:
    await wallet.grant(5)
    hold = await wallet.hold(credits(2), credits(1), lasting=HOUR)
    await wallet.capture(hold, 1)
    wallet.now += HOUR
    with pytest.raises(Conflict) as caught:
        await wallet.capture(hold, 0)
    assert caught.value.facts["outcome"] == "expired"
    assert await wallet.capture(hold, 1) == OutputPrice(MICRO)
    await sweep(wallet.db, FixedClock(wallet.now))
    assert await wallet.credits() == (4, 0)
    with pytest.raises(Conflict):
        await wallet.call(service.extend, hold, wallet.now + HOUR)


async def test_extending_moves_the_deadline(wallet: Wallet) -> None:
    await wallet.grant(5)
    hold = await wallet.hold(credits(2), lasting=HOUR)
    await wallet.call(service.extend, hold, wallet.now + 3 * HOUR)
    wallet.now += 2 * HOUR
    await sweep(wallet.db, FixedClock(wallet.now))
    assert await wallet.capture(hold, 0) == OutputPrice(2 * MICRO)


async def test_the_sweep_skips_a_wallet_in_use_and_finds_it_later(wallet: Wallet) -> None:
    await wallet.grant(5, expires_at=wallet.now + HOUR)
    wallet.now += HOUR
    async with wallet.db.workspace(wallet.workspace_id) as tx:
        await service.lock(tx)
        async with asyncio.timeout(5):
            await sweep(wallet.db, FixedClock(wallet.now))
    assert len(await wallet.journal()) == 1
    await sweep(wallet.db, FixedClock(wallet.now))
    assert (await wallet.journal())[-1] == ("expire", 5 * MICRO)


async def test_a_grant_happens_once_per_key_however_many_try(wallet: Wallet) -> None:
    async def grant() -> object:
        return await wallet.call(
            service.grant, wallet.workspace_id, unit="credit", amount=MICRO, source="plan", key="plan:2030-01"
        )

    lots = await asyncio.gather(*(grant() for _ in range(12)))
    assert len([lot for lot in lots if lot]) == 1
    assert await wallet.credits() == (1, 0)


async def test_first_grants_of_different_units_at_once(wallet: Wallet) -> None:
    units = ["credit", "image", "video", "chat", "prompt"]
    await asyncio.gather(*(wallet.grant(unit=unit, uses=1) for unit in units * 2))
    assert (await wallet.balances()).allowances == {"image": 2, "video": 2, "chat": 2, "prompt": 2}


async def test_the_lock_holds_in_a_workspace_that_was_never_granted_anything(wallet: Wallet) -> None:
    counted = 0

    async def count() -> None:
        nonlocal counted
        async with wallet.db.workspace(wallet.workspace_id) as tx:
            await service.lock(tx)
            seen = counted
            await asyncio.sleep(0.01)
            counted = seen + 1

    await asyncio.gather(*(count() for _ in range(8)))
    assert counted == 8


async def test_an_unknown_workspace_is_not_found(wallet: Wallet) -> None:
    with pytest.raises(NotFound):
        async with wallet.db.elevated("test") as tx:
            await service.grant(tx, new_id(), unit="credit", amount=1, source="operator", key="k")
    with pytest.raises(NotFound):
        async with wallet.db.elevated("test") as tx:
            await service.refund(tx, new_id(), new_id(), key="k", reason="returned")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": 10**15 + 1}, "amount"),
        ({"unit": "gem"}, "unit"),
        ({"source": "luck"}, "source"),
        ({"expires_at": "now"}, "expires_at"),
    ],
)
async def test_a_senseless_grant_is_refused(wallet: Wallet, wrong: dict[str, object], field: str) -> None:
    if "expires_at" in wrong:
        wrong = {"expires_at": wallet.now}
    with pytest.raises(InvalidInput) as caught:
        await wallet.call(
            service.grant,
            wallet.workspace_id,
            **{"unit": "credit", "amount": 1, "source": "plan", "key": "k", **wrong},
        )
    assert list(caught.value.fields) == [field]


async def test_senseless_asks_are_a_programming_error(wallet: Wallet) -> None:
    for ask in (OutputAsk(-1), OutputAsk(1, "image", 0), OutputAsk(1, "credit", 1)):
        with pytest.raises(ValueError, match="no output can cost"):
            await wallet.hold(ask)
    with pytest.raises(ValueError, match="nothing is asked for"):
        await wallet.hold()
