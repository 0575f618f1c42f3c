"""Plans through Stripe, over months on a test clock: every notice in time, late, or never."""

from datetime import UTC, datetime, timedelta

import pytest

from gesso.accounts.access import Actor
from gesso.billing import service
from gesso.billing.renewal import next_grant
from gesso.billing.tasks import end_overdue
from gesso.core.errors import Conflict, PaymentFailed
from gesso.core.money import MICRO
from tests.billing.shop import ASKS_EACH_TIME, FAILS_LATER, GOOD, Shop, paid_by_card

START = datetime(2027, 1, 31, 10, tzinfo=UTC)
HOUR = timedelta(hours=2)
"""Stripe draws the money an hour after a period has begun."""


@pytest.fixture
async def months(shop: Shop) -> Shop:
    """The shop in January 2027, its customers on a test clock."""
    shop.clock.set(START)
    await shop.start_clock()
    return shop


class Overdue:
    """What the task for graces needs of the worker."""

    def __init__(self, shop: Shop) -> None:
        self.db, self.clock, self.catalog, self.payments = shop.db, shop.clock, shop.catalog, shop.payments


async def test_a_month_is_granted_when_it_is_paid(months: Shop) -> None:
    shop = months
    ada = await shop.person()
    await shop.subscribe(ada, "starter")
    assert await shop.plan(ada) == "free"
    await shop.catch_up()
    live = await shop.live(ada)
    assert live is not None and (live.status, live.plan_key, live.interval) == ("active", "starter", "month")
    assert (live.period_end, live.paid_until) == (datetime(2027, 2, 28, 10, tzinfo=UTC),) * 2
    assert (await shop.plan(ada), await shop.balance(ada)) == ("starter", 175)
    with pytest.raises(Conflict):
        await shop.subscribe(ada, "pro")

    await shop.travel(datetime(2027, 2, 28, 10, 30, tzinfo=UTC))  # begun, not paid yet
    await shop.catch_up()
    assert await shop.balance(ada) == 25
    await shop.travel(datetime(2027, 2, 28, 12, tzinfo=UTC))
    await shop.catch_up()
    assert await shop.balance(ada) == 175
    rows = await shop.rows("SELECT status, total_cents, reason FROM invoice WHERE workspace_id = $1 ORDER BY issued_at",
                           ada.workspace_id)  # fmt: skip
    assert [tuple(row) for row in rows] == [
        ("paid", 999, "subscription_create"), ("paid", 999, "subscription_cycle")
    ]  # fmt: skip


async def test_a_year_is_paid_once_and_granted_by_the_month(months: Shop) -> None:
    shop = months
    ada = await shop.person()
    await shop.subscribe(ada, "pro", "year")
    await shop.catch_up()
    assert await shop.balance(ada) == 625
    for month in (3, 4):
        await shop.travel(datetime(2027, month, 30 if month == 4 else 31, 12, tzinfo=UTC))
        assert await shop.balance(ada) == 625
    live = await shop.live(ada)
    assert live is not None and live.paid_until == datetime(2028, 1, 31, 10, tzinfo=UTC)


async def test_upgrade_at_once_downgrade_at_the_end(months: Shop) -> None:
    shop = months
    ada = await shop.person()
    await shop.subscribe(ada, "starter")
    await shop.catch_up()
    await shop.travel(datetime(2027, 2, 14, 10, tzinfo=UTC))
    pro = shop.catalog.plan("pro")
    seen = await shop.payments.preview(ada.workspace_id, pro, "month")
    assert seen.now_cents is not None and 900 < seen.now_cents < 1100 and seen.then_cents == 2999
    await shop.payments.change_plan(ada.workspace_id, pro, "month", seen.moment)
    assert (await shop.plan(ada), await shop.balance(ada)) == ("pro", 625)  # 600, of which 150 were given before
    news = await shop.news()
    await shop.deliver(reversed(news))
    assert await shop.balance(ada) == 625
    paid = await shop.rows("SELECT total_cents FROM invoice WHERE workspace_id = $1 AND reason = 'subscription_update'",
                           ada.workspace_id)  # fmt: skip
    assert [row[0] for row in paid] == [seen.now_cents]

    starter = shop.catalog.plan("starter")
    later = await shop.payments.preview(ada.workspace_id, starter, "month")
    assert (later.now_cents, later.at) == (None, datetime(2027, 2, 28, 10, tzinfo=UTC))
    await shop.payments.change_plan(ada.workspace_id, starter, "month", later.moment)
    await shop.catch_up()
    live = await shop.live(ada)
    assert live is not None and (live.plan_key, live.next_plan_key) == ("pro", "starter")
    assert await shop.plan(ada) == "pro"
    await shop.travel(datetime(2027, 2, 28, 12, tzinfo=UTC))
    await shop.catch_up()
    live = await shop.live(ada)
    assert live is not None and (live.plan_key, live.next_plan_key, live.price_cents) == ("starter", None, 999)
    assert (await shop.plan(ada), await shop.balance(ada)) == ("starter", 175)


async def test_the_moment_of_an_upgrade_is_nobody_s_choice(months: Shop) -> None:
    shop = months
    ada = await shop.person()
    await shop.subscribe(ada, "starter", "year")
    await shop.catch_up()
    pro, now = shop.catalog.plan("pro"), shop.clock.now()
    for moment in (datetime(2028, 1, 31, 9, tzinfo=UTC), now + HOUR, now - HOUR, datetime(1970, 1, 1, tzinfo=UTC)):
        with pytest.raises(Conflict, match="once more"):
            await shop.payments.change_plan(ada.workspace_id, pro, "year", moment)
    assert (await shop.plan(ada), await shop.balance(ada)) == ("starter", 175)
    seen = await shop.payments.preview(ada.workspace_id, pro, "year")
    shop.clock.advance(timedelta(minutes=50))
    await shop.payments.change_plan(ada.workspace_id, pro, "year", seen.moment)
    assert (await shop.plan(ada), await shop.balance(ada)) == ("pro", 625)


async def promised(shop: Shop, who: Actor) -> int:
    """How many credits the next month is said to give."""
    async with shop.db.workspace(who.workspace_id, who.user_id) as tx:
        found = await next_grant(tx, shop.catalog, shop.clock.now())
    assert found is not None
    return found.amounts["credit"] // MICRO


async def test_cancel_and_resume_and_the_end(months: Shop) -> None:
    shop = months
    ada = await shop.person()
    await shop.subscribe(ada, "starter")
    await shop.catch_up()
    end = datetime(2027, 2, 28, 10, tzinfo=UTC)
    await shop.payments.cancel(ada.workspace_id)
    live = await shop.live(ada)
    assert live is not None and (live.cancel_at, live.status) == (end, "active")
    assert await promised(shop, ada) == 10  # Free's month, not Starter's
    await shop.payments.resume(ada.workspace_id)
    live = await shop.live(ada)
    assert live is not None and live.cancel_at is None
    assert await promised(shop, ada) == 150
    await shop.payments.cancel(ada.workspace_id)
    await shop.payments.cancel(ada.workspace_id)
    assert (await shop.plan(ada), await shop.balance(ada)) == ("starter", 175)
    await shop.travel(end + HOUR)
    assert await shop.balance(ada) == 25  # nothing of a month that is not paid, even while nobody has told the end
    news = await shop.news()
    await shop.deliver([*reversed(news), *news])
    assert await shop.live(ada) is None
    assert (await shop.plan(ada), await shop.balance(ada)) == ("free", 35)


async def test_a_failed_renewal_has_a_grace_and_then_the_free_plan(months: Shop) -> None:
    shop = months
    ada = await shop.person()
    await shop.subscribe(ada, "starter", card=FAILS_LATER)
    await shop.catch_up()
    await shop.travel(datetime(2027, 2, 28, 12, tzinfo=UTC))
    await shop.catch_up()
    live = await shop.live(ada)
    assert live is not None and live.status == "past_due"
    assert live.grace_until == datetime(2027, 3, 7, 12, tzinfo=UTC)
    assert (await shop.plan(ada), await shop.balance(ada)) == ("starter", 25)
    await shop.mailer.drain()
    (mail,) = await shop.rows("SELECT subject, body_text AS body FROM outbox_mail WHERE recipient = $1", ada.email)
    assert "could not be renewed" in mail["subject"] and "until 7 March 2027" in " ".join(mail["body"].split())
    await shop.travel(datetime(2027, 3, 7, 11, tzinfo=UTC))
    await shop.catch_up()
    assert await end_overdue(Overdue(shop)) == 0
    await shop.travel(datetime(2027, 3, 7, 13, tzinfo=UTC))
    assert await end_overdue(Overdue(shop)) == 1
    assert (await shop.plan(ada), await shop.live(ada)) == ("free", None)
    assert await shop.balance(ada) == 35
    await shop.catch_up()
    assert (await shop.plan(ada), await shop.balance(ada)) == ("free", 35)
    await shop.subscribe(ada, "starter", card=GOOD)  # one may come back
    await shop.catch_up()
    assert await shop.plan(ada) == "starter"


async def test_an_upgrade_that_cannot_be_paid_changes_nothing(months: Shop) -> None:
    shop = months
    ada = await shop.person()
    who = service.buyer(ada, "test", None)
    url = await service.subscribe(shop.payments, shop.db, shop.catalog, who, "starter", "month")
    await shop.confirm(url, ASKS_EACH_TIME)
    await shop.catch_up()
    await shop.travel(datetime(2027, 2, 10, 10, tzinfo=UTC))
    pro = shop.catalog.plan("pro")
    seen = await shop.payments.preview(ada.workspace_id, pro, "month")
    with pytest.raises(PaymentFailed):
        await shop.payments.change_plan(ada.workspace_id, pro, "month", seen.moment)
    await shop.catch_up()
    assert (await shop.plan(ada), await shop.balance(ada)) == ("starter", 175)


async def test_a_refunded_month_is_taken_back(months: Shop) -> None:
    shop = months
    ada = await shop.person()
    await shop.subscribe(ada, "starter")
    await shop.catch_up()
    rows = await shop.rows("SELECT payment_ref FROM invoice WHERE workspace_id = $1", ada.workspace_id)
    await shop.post("refunds", payment_intent=rows[0][0])
    news = await shop.news()
    await shop.deliver([*news, *news])
    left = await shop.balances(ada)
    assert (await shop.balance(ada), left.debt) == (25, 0)


async def test_a_year_whose_dispute_is_lost_gives_no_more_months(months: Shop) -> None:
    shop = months
    ada = await shop.person()
    await shop.subscribe(ada, "starter", "year")
    await shop.catch_up()
    rows = await shop.rows("SELECT payment_ref FROM invoice WHERE workspace_id = $1", ada.workspace_id)
    dispute = await shop.control("dispute", payment_intent=rows[0][0])
    await shop.post(f"disputes/{dispute['id']}/close")
    await shop.catch_up()
    assert await shop.balance(ada) == 25
    shop.clock.advance(3 * HOUR)
    await shop.payments.look_again()  # Stripe still counts the year as paid
    await shop.travel(datetime(2027, 2, 28, 12, tzinfo=UTC))
    assert await shop.balance(ada) == 25


async def test_a_second_checkout_closes_the_first(months: Shop) -> None:
    shop = months
    ada = await shop.person()
    who = service.buyer(ada, "test", None)
    first = await service.subscribe(shop.payments, shop.db, shop.catalog, who, "starter", "month")
    who = service.buyer(ada, "test", None)
    second = await service.subscribe(shop.payments, shop.db, shop.catalog, who, "pro", "month")
    assert not await paid_by_card(first)
    assert await paid_by_card(second)
    await shop.catch_up()
    assert await shop.plan(ada) == "pro"
    assert len((await shop.get("subscriptions")).json()["data"]) == 1


async def test_a_new_price_is_a_new_one_there(months: Shop) -> None:
    shop = months
    ada, bea = await shop.person(), await shop.person()
    await shop.subscribe(ada, "starter")
    await shop.catch_up()
    try:
        async with shop.db.elevated("test") as tx:
            await tx.execute_raw("UPDATE plan SET month_cents = 1299 WHERE key = 'starter'")
        await shop.catalog.refresh()
        await shop.subscribe(bea, "starter")
        await shop.catch_up()
        prices = (await shop.get("prices", product=(await shop.get("products")).json()["data"][0]["id"])).json()["data"]
        assert [(one["unit_amount"], one["active"], bool(one["lookup_key"])) for one in prices] == [
            (1299, True, True), (999, False, False)
        ]  # fmt: skip
        await shop.travel(datetime(2027, 2, 28, 12, tzinfo=UTC))
        await shop.catch_up()
        hers, his = await shop.live(ada), await shop.live(bea)
        assert hers is not None and his is not None and (hers.price_cents, his.price_cents) == (999, 1299)
        assert hers.status == his.status == "active" and await shop.balance(ada) == 175
    finally:
        async with shop.db.elevated("test") as tx:
            await tx.execute_raw("UPDATE plan SET month_cents = 999 WHERE key = 'starter'")
        await shop.catalog.refresh()
