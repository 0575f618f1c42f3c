"""What subscriptions cost at the sandbox's Stripe: periods, proration, plans changed later, payments that fail."""

from typing import Any

import pytest
import stripe

from tests.sandbox.stripe_shop import ALWAYS_SECURE, DAY, LATER, NO_FUNDS, VISA, Shop, at, shop, shops

__all__ = ["shop", "shops"]


def change(sub: stripe.Subscription, price: stripe.Price, **more: Any) -> Any:
    return {"items": [{"id": sub["items"].data[0].id, "price": price.id}], **more}


async def test_month_ends_and_leap_days(shop: Shop) -> None:
    sub, clock = await shop.subscribed(await shop.price("Pro", 2000), at(2027, 12, 31))
    await shop.advance(clock, at(2028, 4, 30, 18))
    starts = [i.lines.data[0].period.start for i in await shop.invoices(sub.id)]
    assert starts == [at(2027, 12, 31), at(2028, 1, 31), at(2028, 2, 29), at(2028, 3, 31), at(2028, 4, 30)]
    yearly, clock = await shop.subscribed(await shop.price("Year", 9900, "year"), at(2028, 2, 29))
    await shop.advance(clock, at(2029, 3, 1))
    assert (await shop.subscription(yearly.id))["items"].data[0].current_period_end == at(2030, 2, 28)


async def test_a_renewal_is_a_draft_for_an_hour(shop: Shop) -> None:
    sub, clock = await shop.subscribed(await shop.price("Pro", 2000), at(2026, 1, 10))
    await shop.advance(clock, at(2026, 2, 10))
    draft = (await shop.invoices(sub.id))[-1]
    assert (draft.status, draft.billing_reason) == ("draft", "subscription_cycle")
    assert (await shop.subscription(sub.id))["items"].data[0].current_period_start == at(2026, 2, 10)
    await shop.advance(clock, at(2026, 2, 10, 13))
    assert (await shop.invoices(sub.id))[-1].status == "paid"


async def test_a_preview_is_what_is_charged_then(shop: Shop) -> None:
    basic, pro, year = (
        await shop.price("Basic", 999),
        await shop.price("Pro", 2999),
        await shop.price("Y", 29900, "year"),
    )
    sub, clock = await shop.subscribed(basic, at(2026, 1, 1))
    await shop.advance(clock, at(2026, 1, 18, 7))
    for target, behaviour in ((pro, "always_invoice"), (year, "create_prorations")):
        sub = await shop.subscription(sub.id)
        wanted = change(sub, target, proration_behavior=behaviour, proration_date=at(2026, 1, 18, 7))
        preview = await shop.do(
            shop.v1.invoices.create_preview, {"subscription": sub.id, "subscription_details": wanted}
        )
        sub = await shop.do(shop.v1.subscriptions.update, sub.id, wanted | {"expand": ["latest_invoice"]})
        charged = sub.latest_invoice
        assert isinstance(charged, stripe.Invoice) and charged.status == "paid"
        assert (charged.total, charged.billing_reason) == (preview.total, "subscription_update")
        assert [line.amount for line in charged.lines.data] == [line.amount for line in preview.lines.data]
    item = sub["items"].data[0]
    assert (item.current_period_start, item.current_period_end) == (at(2026, 1, 18, 7), at(2027, 1, 18, 7))
    upcoming = await shop.do(shop.v1.invoices.create_preview, {"subscription": sub.id})
    assert (upcoming.total, upcoming.lines.data[0].period.start) == (29900, at(2027, 1, 18, 7))


async def test_prorations_wait_for_the_next_invoice_and_come_once(shop: Shop) -> None:
    basic, pro = await shop.price("Basic", 1000), await shop.price("Pro", 3000)
    sub, clock = await shop.subscribed(basic, at(2026, 4, 1))
    await shop.advance(clock, at(2026, 4, 16))
    await shop.do(shop.v1.subscriptions.update, sub.id, change(sub, pro))
    assert len(await shop.invoices(sub.id)) == 1
    upcoming = await shop.do(shop.v1.invoices.create_preview, {"subscription": sub.id})
    await shop.advance(clock, at(2026, 6, 1, 18))
    first, second, third = await shop.invoices(sub.id)
    assert [line.amount for line in second.lines.data] == [-500, 1500, 3000]
    assert (first.total, second.total, third.total) == (1000, 4000, 3000) and upcoming.total == 4000


async def test_a_downgrade_gives_credit_that_pays_what_comes(shop: Shop) -> None:
    basic, pro = await shop.price("Basic", 1000), await shop.price("Pro", 3000)
    sub, clock = await shop.subscribed(pro, at(2026, 4, 1))
    await shop.advance(clock, at(2026, 4, 16))
    await shop.do(shop.v1.subscriptions.update, sub.id, change(sub, basic, proration_behavior="always_invoice"))
    given = (await shop.invoices(sub.id))[-1]
    assert (given.total, given.amount_due, given.status) == (-1000, 0, "paid")
    customer = await shop.do(shop.v1.customers.retrieve, str(sub.customer))
    assert customer.balance == -1000
    await shop.advance(clock, at(2026, 5, 1, 18))
    renewed = (await shop.invoices(sub.id))[-1]
    assert (renewed.total, renewed.starting_balance, renewed.amount_due, renewed.ending_balance) == (1000, -1000, 0, 0)


async def test_none_changes_the_price_from_the_next_period_on(shop: Shop) -> None:
    basic, pro = await shop.price("Basic", 1000), await shop.price("Pro", 3000)
    sub, clock = await shop.subscribed(pro, at(2026, 4, 1))
    await shop.advance(clock, at(2026, 4, 16))
    await shop.do(shop.v1.subscriptions.update, sub.id, change(sub, basic, proration_behavior="none"))
    await shop.advance(clock, at(2026, 5, 1, 18))
    assert [i.total for i in await shop.invoices(sub.id)] == [3000, 1000]


@pytest.mark.parametrize("interval", ["month", "year"])
async def test_a_schedule_changes_the_plan_at_the_period_s_end(shop: Shop, interval: str) -> None:
    pro = await shop.price("Pro", 3000, interval)
    basic = await shop.price("Basic", 1000)
    sub, clock = await shop.subscribed(pro, at(2026, 1, 31))
    schedule = await shop.do(shop.v1.subscription_schedules.create, {"from_subscription": sub.id})
    now = schedule.phases[0]
    phases: Any = [
        {"items": [{"price": pro.id, "quantity": 1}], "start_date": now.start_date, "end_date": now.end_date},
        {"items": [{"price": basic.id, "quantity": 1}], "proration_behavior": "none"},
    ]
    plan: Any = {"phases": phases, "end_behavior": "release"}
    schedule = await shop.do(shop.v1.subscription_schedules.update, schedule.id, plan)
    assert len(schedule.phases) == 2 and schedule.phases[1].start_date == now.end_date
    with pytest.raises(stripe.InvalidRequestError, match="managed by the subscription schedule"):
        await shop.do(shop.v1.subscriptions.update, sub.id, {"cancel_at_period_end": True})
    await shop.advance(clock, now.end_date + 2 * 3600)
    sub = await shop.subscription(sub.id)
    assert sub["items"].data[0].price.id == basic.id and sub.schedule == schedule.id
    assert [i.total for i in await shop.invoices(sub.id)] == [3000, 1000]
    await shop.advance(clock, now.end_date + 40 * DAY)
    sub = await shop.subscription(sub.id)
    assert sub.schedule is None and [i.total for i in await shop.invoices(sub.id)] == [3000, 1000, 1000]
    assert (await shop.do(shop.v1.subscription_schedules.retrieve, schedule.id)).status == "released"


async def test_a_released_schedule_changes_nothing(shop: Shop) -> None:
    pro, basic = await shop.price("Pro", 3000), await shop.price("Basic", 1000)
    sub, clock = await shop.subscribed(pro, at(2026, 1, 1))
    schedule = await shop.do(shop.v1.subscription_schedules.create, {"from_subscription": sub.id})
    items: Any = [{"items": [{"price": pro.id}]}, {"items": [{"price": basic.id}]}]
    await shop.do(shop.v1.subscription_schedules.update, schedule.id, {"phases": items})
    await shop.do(shop.v1.subscription_schedules.release, schedule.id)
    await shop.advance(clock, at(2026, 2, 1, 18))
    assert [i.total for i in await shop.invoices(sub.id)] == [3000, 3000]


@pytest.mark.parametrize(("choice", "ends"), [("cancel", "canceled"), ("unpaid", "unpaid"), ("past_due", "past_due")])
async def test_a_payment_that_keeps_failing(shop: Shop, choice: str, ends: str) -> None:
    await shop.listen()
    await shop.control("dunning", end=choice)
    sub, clock = await shop.subscribed(await shop.price("Pro", 2000), at(2026, 1, 1), LATER)
    attempts = [at(2026, 2, 1, 13)]
    for days in (3, 5, 7):
        attempts.append(attempts[-1] + days * DAY)
    for number, moment in enumerate(attempts, 1):
        await shop.advance(clock, moment + 60)
        invoice = (await shop.invoices(sub.id))[-1]
        assert (invoice.attempt_count, invoice.status) == (number, "open")
        assert (await shop.subscription(sub.id)).status == (ends if number == 4 else "past_due")
    assert invoice.next_payment_attempt is None
    assert (await shop.heard()).count("invoice.payment_failed") == 4
    ended = await shop.subscription(sub.id)
    if choice == "cancel":
        assert ended.cancellation_details and ended.cancellation_details.reason == "payment_failed"
        await shop.advance(clock, at(2026, 4, 1))
        assert len(await shop.invoices(sub.id)) == 2, "nothing is billed any more"
        return
    await shop.do(shop.v1.payment_methods.attach, "pm_card_visa", {"customer": str(sub.customer)})
    paid = await shop.do(shop.v1.invoices.pay, invoice.id, {"payment_method": "pm_card_visa"})
    assert paid.status == "paid" and (await shop.subscription(sub.id)).status == "active"


async def test_a_bank_that_wants_to_see_its_customer(shop: Shop) -> None:
    await shop.listen()
    customer = await shop.customer((await shop.clock(at(2026, 1, 1))).id)
    session = await shop.session(await shop.price("Pro", 2000), customer=customer.id)
    answer = await shop.pay(session.url, ALWAYS_SECURE)
    assert (await shop.do(shop.v1.checkout.sessions.retrieve, session.id)).status == "open"
    answer = await shop.web.post(answer.headers["location"], data={"outcome": "approve"})
    assert answer.headers["location"].startswith("https://shop.test/done?session=cs_test_")
    paid = await shop.do(shop.v1.checkout.sessions.retrieve, session.id)
    await shop.advance(str(customer.test_clock), at(2026, 2, 1, 18))
    assert (await shop.subscription(str(paid.subscription))).status == "past_due"
    assert "invoice.payment_action_required" in await shop.heard()
    invoice = (await shop.invoices(str(paid.subscription)))[-1]
    answer = await shop.pay(invoice.hosted_invoice_url, ALWAYS_SECURE)
    assert "/authenticate/" in answer.headers["location"]
    await shop.web.post(answer.headers["location"], data={"outcome": "approve"})
    assert (await shop.subscription(str(paid.subscription))).status == "active"


async def test_a_change_that_waits_for_its_payment(shop: Shop) -> None:
    basic, pro = await shop.price("Basic", 1000), await shop.price("Pro", 3000)
    sub, clock = await shop.subscribed(basic, at(2026, 1, 1), LATER)
    broke = await shop.do(
        shop.v1.payment_methods.attach, "pm_card_chargeDeclinedInsufficientFunds", {"customer": str(sub.customer)}
    )
    await shop.do(shop.v1.subscriptions.update, sub.id, {"default_payment_method": broke.id})
    for first_time in (True, False):
        wanted = change(sub, pro, proration_behavior="always_invoice", payment_behavior="pending_if_incomplete")
        waiting = await shop.do(shop.v1.subscriptions.update, sub.id, wanted)
        assert waiting["items"].data[0].price.id == basic.id and waiting.status == "active"
        assert waiting.pending_update is not None
        invoice = (await shop.invoices(sub.id))[-1]
        if first_time:
            await shop.advance(clock, at(2026, 1, 2))
            assert (await shop.subscription(sub.id)).pending_update is None
            assert (await shop.invoices(sub.id))[-1].status == "void"
    await shop.do(shop.v1.invoices.pay, invoice.id, {"payment_method": "pm_card_visa", "off_session": False})
    applied = await shop.subscription(sub.id)
    assert applied["items"].data[0].price.id == pro.id and applied.pending_update is None
    top = await shop.price("Top", 9000)
    wanted = change(sub, top, billing_cycle_anchor={"type": "now"}, payment_behavior="error_if_incomplete")
    with pytest.raises(stripe.CardError):
        await shop.do(shop.v1.subscriptions.update, sub.id, wanted)
    assert (await shop.subscription(sub.id))["items"].data[0].price.id == pro.id, "as if nothing had been asked"


async def test_trials(shop: Shop) -> None:
    await shop.listen()
    price = await shop.price("Pro", 2000)
    sub, clock = await shop.subscribed(price, at(2026, 1, 1), subscription_data={"trial_period_days": 14})
    assert (sub.status, sub.trial_end) == ("trialing", at(2026, 1, 15))
    first = (await shop.invoices(sub.id))[0]
    assert (first.total, first.status) == (0, "paid")
    await shop.advance(clock, at(2026, 1, 15, 18))
    assert (await shop.subscription(sub.id)).status == "active"
    assert [i.total for i in await shop.invoices(sub.id)] == [0, 2000]
    assert "customer.subscription.trial_will_end" in await shop.heard()


async def test_ways_to_end(shop: Shop) -> None:
    price = await shop.price("Pro", 3000)
    sub, clock = await shop.subscribed(price, at(2026, 4, 1))
    sub = await shop.do(shop.v1.subscriptions.update, sub.id, {"cancel_at_period_end": True})
    assert sub.cancel_at_period_end and sub.cancel_at == at(2026, 5, 1)
    sub = await shop.do(shop.v1.subscriptions.update, sub.id, {"cancel_at_period_end": False})
    assert sub.cancel_at is None and sub.canceled_at is None
    sub = await shop.do(shop.v1.subscriptions.update, sub.id, {"cancel_at": "min_period_end"})
    assert sub.cancel_at == at(2026, 5, 1) and not sub.cancel_at_period_end
    await shop.advance(clock, at(2026, 5, 1))
    sub = await shop.subscription(sub.id)
    assert (sub.status, sub.ended_at) == ("canceled", at(2026, 5, 1)) and len(await shop.invoices(sub.id)) == 1
    with pytest.raises(stripe.InvalidRequestError, match="canceled subscription"):
        await shop.do(shop.v1.subscriptions.update, sub.id, {"cancel_at": ""})
    other = await shop.bought(price, customer=str(sub.customer))
    await shop.advance(clock, at(2026, 5, 16))
    ended = await shop.do(shop.v1.subscriptions.cancel, str(other.subscription), {"prorate": True, "invoice_now": True})
    assert ended.status == "canceled"
    assert (await shop.invoices(ended.id))[-1].total == -round(3000 * 16 / 31)


async def test_subscriptions_made_by_the_api(shop: Shop) -> None:
    price = await shop.price("Pro", 2000)
    customer = await shop.customer((await shop.clock(at(2026, 1, 1))).id)
    params: Any = {"customer": customer.id, "items": [{"price": price.id}]}
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        await shop.do(shop.v1.subscriptions.create, params)
    sub = await shop.do(shop.v1.subscriptions.create, params | {"payment_behavior": "default_incomplete"})
    assert sub.status == "incomplete"
    await shop.advance(str(customer.test_clock), at(2026, 1, 2))
    assert (await shop.subscription(sub.id)).status == "incomplete_expired"
    method = await shop.do(shop.v1.payment_methods.attach, "pm_card_visa", {"customer": customer.id})
    sub = await shop.do(shop.v1.subscriptions.create, params | {"default_payment_method": method.id})
    assert sub.status == "active" and sub.latest_invoice
    gone = await shop.do(shop.v1.customers.delete, customer.id)
    assert gone.deleted and (await shop.subscription(sub.id)).status == "canceled"
    assert (await shop.do(shop.v1.customers.retrieve, customer.id)).deleted


@pytest.mark.parametrize("number", [NO_FUNDS, VISA])
async def test_a_clock_for_everybody(shop: Shop, number: str) -> None:
    before = await shop.customer()
    clock = await shop.control("clock", frozen_time=at(2026, 1, 1))
    assert (await shop.do(shop.v1.customers.retrieve, before.id)).test_clock == clock["id"]
    session = await shop.session(await shop.price("Pro", 2000))
    answer = await shop.pay(session.url, number)
    assert answer.status_code == (303 if number == VISA else 402)
    if number == VISA:
        paid = await shop.do(shop.v1.checkout.sessions.retrieve, session.id)
        await shop.advance(clock["id"], at(2026, 3, 1, 18))
        assert len(await shop.invoices(str(paid.subscription))) == 3
