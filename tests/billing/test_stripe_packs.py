"""Packs through Stripe: bought once, whoever tells of it and how often; taken back as far as the money went back."""

import asyncio

import pytest

from gesso.billing import service
from gesso.core.errors import Conflict, Frozen, NotFound
from gesso.core.ids import new_id
from gesso.core.money import MICRO, OutputAsk
from gesso.credits import service as credits
from tests.billing.shop import DECLINED, Shop, paid_by_card


async def test_a_pack_is_granted_once_by_notice_and_by_the_page(shop: Shop) -> None:
    ada = await shop.person()
    bought = await shop.buy(ada, "credits-50")
    ref = (await shop.purchase(bought)).checkout_ref
    assert ref is not None and await shop.balance(ada) == 25
    news = await shop.news()
    page = shop.payments.settle_return(ada.workspace_id, ref)
    told = await asyncio.gather(page, *(shop.tell(event) for event in news), *(shop.tell(event) for event in news))
    assert "failed" not in told
    assert await shop.balance(ada) == 75
    found = await shop.purchase(bought)
    assert (found.state, found.credits, found.price_cents) == ("paid", 50 * MICRO, 499)
    assert await shop.deliver(news) == ["known"] * len(news)
    assert await shop.balance(ada) == 75


async def test_nothing_is_granted_for_what_is_not_paid(shop: Shop) -> None:
    ada, bea = await shop.person(), await shop.person()
    who = service.buyer(ada, "test", None)
    bought, url = await service.buy(shop.payments, shop.db, shop.catalog, who, "credits-50")
    assert not await paid_by_card(url, DECLINED)
    ref = (await shop.purchase(bought)).checkout_ref
    assert ref is not None
    await shop.payments.settle_return(ada.workspace_id, ref)
    await shop.catch_up()
    assert (await shop.balance(ada), (await shop.purchase(bought)).state) == (25, "open")
    with pytest.raises(NotFound):
        await shop.payments.settle_return(bea.workspace_id, ref)
    await shop.post(f"checkout/sessions/{ref}/expire")
    await shop.catch_up()
    assert (await shop.purchase(bought)).state == "expired"


async def test_the_same_request_is_one_purchase(shop: Shop) -> None:
    ada = await shop.person()
    who = service.buyer(ada, "packs", "only-once")
    once, twice = [await service.buy(shop.payments, shop.db, shop.catalog, who, "credits-50") for _ in range(2)]
    assert once == twice
    with pytest.raises(Conflict):
        await service.buy(shop.payments, shop.db, shop.catalog, who, "credits-100")
    assert len((await shop.get("customers")).json()["data"]) == 1


async def test_what_is_refunded_is_taken_back_and_the_rest_is_owed(shop: Shop) -> None:
    ada = await shop.person()
    bought = await shop.buy(ada, "credits-100")
    await shop.catch_up()
    assert await shop.balance(ada) == 125
    async with shop.db.workspace(ada.workspace_id, ada.user_id) as tx:
        hold = new_id()
        await credits.hold(tx, hold_id=hold, subject_id=new_id(), asks=[OutputAsk(65 * MICRO)],
                           expires_at=shop.clock.now().replace(year=2050))  # fmt: skip
        await credits.capture(tx, hold, 0)
    payment = (await shop.purchase(bought)).payment_ref
    await shop.post("refunds", payment_intent=payment, amount=450)  # half of 8.99: 50.05… credits
    await shop.catch_up()
    half = 100 * MICRO * 450 // 899
    found = await shop.purchase(bought)
    assert (found.state, found.refunded_cents, found.taken_back) == ("paid", 450, half)
    assert (await shop.balances(ada)).balance == 60 * MICRO - half
    await shop.post("refunds", payment_intent=payment)
    news = await shop.news()
    await shop.deliver([*news, *news])
    found, left = await shop.purchase(bought), await shop.balances(ada)
    assert (found.state, found.refunded_cents, found.taken_back) == ("refunded", 899, 100 * MICRO)
    assert left.balance - left.debt == 60 * MICRO - 100 * MICRO
    await shop.buy(ada, "credits-50")
    await shop.catch_up()
    left = await shop.balances(ada)
    assert (left.balance, left.debt) == (10 * MICRO, 0)


async def test_a_dispute_freezes_until_it_is_decided(shop: Shop) -> None:
    ada = await shop.person()
    bought = await shop.buy(ada, "credits-50")
    await shop.catch_up()
    payment = (await shop.purchase(bought)).payment_ref
    dispute = await shop.control("dispute", payment_intent=payment)
    await shop.catch_up()
    assert (await shop.purchase(bought)).state == "disputed"
    with pytest.raises(Frozen, match="disputed"):
        async with shop.db.workspace(ada.workspace_id, ada.user_id) as tx:
            await credits.hold(tx, hold_id=new_id(), subject_id=new_id(), asks=[OutputAsk(MICRO)],
                               expires_at=shop.clock.now().replace(year=2050))  # fmt: skip
    assert await shop.balance(ada) == 75
    await shop.post(f"disputes/{dispute['id']}/close")  # to close it is to accept that it is lost
    await shop.catch_up()
    assert ((await shop.purchase(bought)).state, await shop.balance(ada)) == ("refunded", 25)
    async with shop.db.workspace(ada.workspace_id, ada.user_id) as tx:
        await credits.hold(tx, hold_id=new_id(), subject_id=new_id(), asks=[OutputAsk(MICRO)],
                           expires_at=shop.clock.now().replace(year=2050))  # fmt: skip
