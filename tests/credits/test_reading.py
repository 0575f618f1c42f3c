"""Balances, history and totals."""

from datetime import timedelta

import pytest

from gesso.core.errors import InvalidInput
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.credits import service
from gesso.credits.types import Balances, HistoryItem, MemberTotals, UnitTotals
from tests.cast import add_member, make_user
from tests.credits.conftest import HOUR, Wallet, credits, image


async def _history(wallet: Wallet, **kwargs: object) -> tuple[tuple[HistoryItem, ...], str | None]:
    async with wallet.db.workspace(wallet.workspace_id) as tx:
        return await service.history(tx, **kwargs)  # type: ignore[arg-type]


async def test_a_workspace_that_was_never_granted_anything_has_nothing(wallet: Wallet) -> None:
    assert await wallet.balances() == Balances()
    assert await _history(wallet) == ((), None)


async def test_history_has_one_line_per_hold_and_adds_up(wallet: Wallet) -> None:
    await wallet.grant(10, reason="Welcome", source="sign_up")
    await wallet.grant(unit="image", uses=2)
    await wallet.grant(3, expires_at=wallet.now + HOUR)
    subject = new_id()
    hold = await wallet.hold(image(1), image(1), credits(4), credits(2), subject_id=subject, lasting=3 * HOUR)
    for index in (0, 2, 3):
        await wallet.capture(hold, index)
    await wallet.release(hold)
    wallet.now += HOUR
    await wallet.grant(1, expires_at=wallet.now + HOUR)
    wallet.now += HOUR
    other = await wallet.hold(credits(1))

    items, following = await _history(wallet)
    lines = [(item.kind, item.credits // MICRO, dict(item.allowances)) for item in items]
    assert following is None
    assert lines == [
        ("expire", -1, {}), ("grant", 1, {}), ("spend", -6, {"image": -1}),
        ("grant", 3, {}), ("grant", 0, {"image": 2}), ("grant", 10, {}),
    ]  # fmt: skip
    spend, welcome = items[2], items[5]
    assert (spend.subject_id, spend.outputs, spend.user_id) == (subject, 3, wallet.owner.user_id)
    assert (welcome.source, welcome.reason) == ("sign_up", "Welcome")
    found = await wallet.balances()
    assert sum(item.credits for item in items) == found.balance + found.held
    # a later capture joins its line only when it is the same hold
    await wallet.capture(other, 0)
    assert [item.kind for item in (await _history(wallet))[0]][:2] == ["spend", "expire"]


async def test_history_pages_meet_without_gap_or_overlap(wallet: Wallet) -> None:
    await wallet.grant(20)
    for _ in range(6):
        hold = await wallet.hold(credits(1), credits(1))
        await wallet.capture(hold, 0)
        await wallet.capture(hold, 1)
    whole, _ = await _history(wallet)
    paged: list[HistoryItem] = []
    cursor: str | None = None
    while True:
        items, cursor = await _history(wallet, cursor=cursor, limit=3)
        paged.extend(items)
        if cursor is None:
            break
    assert tuple(paged) == whole
    assert len(whole) == 7


@pytest.mark.parametrize("cursor", ["nonsense", "WyJhIl0", "Wy0xXQ", "W251bGxd", "é", "WzFlOTld"])
async def test_a_cursor_we_did_not_make_is_refused(wallet: Wallet, cursor: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await _history(wallet, cursor=cursor)
    assert "cursor" in caught.value.fields


async def test_totals_per_workspace_and_member(wallet: Wallet) -> None:
    ben = Wallet(wallet.db, await add_member(wallet.db, wallet.owner, await make_user(wallet.db, "Ben")))
    assert ben.workspace_id == wallet.workspace_id
    await wallet.grant(10)
    await wallet.grant(2, expires_at=wallet.now + HOUR)
    await wallet.capture(await wallet.hold(credits(3)), 0)
    kept = await ben.hold(credits(2), credits(1))
    await ben.capture(kept, 0)
    wallet.now += timedelta(minutes=90)
    await wallet.hold(credits(1))

    async with wallet.db.workspace(wallet.workspace_id) as tx:
        totals = await service.totals(tx)
    assert totals.units == {"credit": UnitTotals(12 * MICRO, 5 * MICRO, 2 * MICRO, 0)}
    assert {member.user_id: member for member in totals.members} == {
        wallet.owner.user_id: MemberTotals(wallet.owner.user_id, "credit", 12 * MICRO, 3 * MICRO, MICRO),
        ben.owner.user_id: MemberTotals(ben.owner.user_id, "credit", 0, 2 * MICRO, MICRO),
    }
    only_ben, _ = await _history(wallet, only_user=ben.owner.user_id)
    assert [(item.kind, item.credits // MICRO) for item in only_ben] == [("spend", -2), ("grant", 2), ("grant", 10)]
