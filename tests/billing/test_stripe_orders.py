"""Stripe's notices in any order, repeated, some before and some after the money went back: one grant, the same end."""

from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gesso.billing.stripe import objects
from tests.billing.shop import Shop

_SETTINGS = settings(
    max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def shuffled(chance: Random, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A permutation of the events, some of them twice or thrice."""
    twice = chance.choices(events, k=chance.randrange(6)) if events else []
    return chance.sample([*events, *twice], k=len(events) + len(twice))


@_SETTINGS
@given(seed=st.integers(0, 2**32))
async def test_a_purchase_and_its_refund_in_any_order(shop: Shop, seed: int) -> None:
    chance = Random(seed)
    ada = await shop.person()
    await shop.news()
    bought = await shop.buy(ada, "credits-50")
    first = await shop.news()
    told_before = chance.randint(0, len(first))
    first = shuffled(chance, first)
    await shop.deliver(first[:told_before])
    refunded = chance.choice([0, 100, 499])
    if refunded:
        payment = (await shop.get("payment_intents", limit=1)).json()["data"][0]["id"]
        await shop.post("refunds", payment_intent=payment, amount=refunded)
    told = await shop.deliver(shuffled(chance, [*first[told_before:], *await shop.news()]))
    assert "failed" not in told
    left = 50_000_000 - 50_000_000 * refunded // 499
    found, balances = await shop.purchase(bought), await shop.balances(ada)
    assert (balances.balance, balances.debt) == (25_000_000 + left, 0)
    assert found.state == ("refunded" if refunded == 499 else "paid")
    lots = await shop.rows("SELECT count(*) FROM credit_lot WHERE workspace_id = $1 AND source = 'pack'",
                           ada.workspace_id)  # fmt: skip
    assert lots[0][0] == 1


@_SETTINGS
@given(seed=st.integers(0, 2**32))
async def test_a_subscription_its_change_and_its_end_in_any_order(shop: Shop, seed: int) -> None:
    chance = Random(seed)
    ada = await shop.person()
    await shop.news()
    await shop.subscribe(ada, "starter")
    first = shuffled(chance, await shop.news())
    told_before = chance.randint(0, len(first))
    await shop.deliver(first[:told_before])
    sub = (await shop.get("subscriptions", limit=1)).json()["data"][0]["id"]
    ends = chance.random() < 0.5
    if ends:
        assert (await shop.http.delete(f"{shop.sandbox}/stripe/v1/subscriptions/{sub}")).status_code == 200
    told = await shop.deliver(shuffled(chance, [*first[told_before:], *await shop.news()]))
    assert "failed" not in told
    live = await shop.live(ada)
    if ends:
        assert (await shop.plan(ada), live) == ("free", None)
    else:
        assert live is not None and (await shop.plan(ada), live.status) == ("starter", "active")
        assert await shop.balance(ada) == 175
    granted = await shop.rows("SELECT count(*) FROM credit_lot WHERE workspace_id = $1 AND amount = 150000000",
                              ada.workspace_id)  # fmt: skip
    assert granted[0][0] <= 1


async def test_what_was_read_earlier_does_not_come_back(shop: Shop) -> None:
    """A slow process read a subscription before it was cancelled, and writes what it read afterwards."""
    ada = await shop.person()
    await shop.subscribe(ada, "starter")
    await shop.catch_up()
    live = await shop.live(ada)
    assert live is not None and live.ref is not None
    slow = await shop.payments._mark()
    before = await objects.of_subscription(shop.payments._line, live.ref)
    await shop.payments.cancel(ada.workspace_id)
    await shop.payments._apply(before, slow)
    live = await shop.live(ada)
    assert live is not None and live.cancel_at == live.period_end
