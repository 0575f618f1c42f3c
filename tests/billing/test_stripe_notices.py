"""The inbox: who is believed, what is kept, what is tried again."""

from datetime import timedelta

import pytest
import stripe

from gesso.billing import service
from gesso.billing.inbox import LONGEST_PAUSE, pause
from gesso.billing.stripe.line import Access
from gesso.billing.tasks import try_again
from gesso.billing.till import open_till, stripe_access
from gesso.catalog.editions import load_edition
from gesso.catalog.service import check_policy
from gesso.core.errors import Forbidden, InvalidInput, NotFound, Unavailable
from gesso.core.settings import BillingSettings, Settings, SettingsError
from tests.billing.shop import SECRET, Shop
from tests.billing.test_stripe_plans import Overdue
from tests.catalog.helpers import settings as site_settings

BODY = b'{"id":"evt_1","object":"event","type":"invoice.paid","created":1,"data":{"object":{"id":"in_1"}}}'


def signed(body: bytes, secret: str = SECRET, **options: int) -> dict[str, str]:
    return {"stripe-signature": stripe.WebhookSignature.generate_signature_header(body.decode(), secret, **options)}


async def test_only_stripe_is_believed(shop: Shop) -> None:
    receive = shop.payments.receive
    for headers in ({}, {"stripe-signature": "t=1,v1=ab"}, signed(BODY, "whsec_another"), signed(BODY, timestamp=1)):
        with pytest.raises(Forbidden):
            await receive(headers, BODY)
    with pytest.raises(Forbidden):
        await receive(signed(BODY), BODY + b" ")
    for nonsense in (b"[]", b"{}", b"\xff", b'{"id":1,"type":"x","data":7}'):
        with pytest.raises(Forbidden):
            await receive(signed(nonsense) if nonsense != b"\xff" else signed(BODY), nonsense)
    assert await shop.rows("SELECT FROM webhook_event WHERE ref = 'evt_1'") == []


async def test_without_a_secret_the_door_is_closed(shop: Shop) -> None:
    shop.payments._line._access = Access(shop.key, None, f"{shop.sandbox}/stripe")
    with pytest.raises(NotFound):
        await shop.payments.receive(signed(BODY), BODY)


async def test_what_fails_is_kept_tried_again_and_replayed(shop: Shop) -> None:
    ada = await shop.person()
    bought = await shop.buy(ada, "credits-50")
    news = await shop.news()
    paid = next(event for event in news if event["type"] == "checkout.session.completed")
    good = shop.payments._line
    shop.payments._line = type(good)(Access(shop.key, SECRET, "http://127.0.0.1:9"))
    assert await shop.tell(paid) == "failed"
    kept = "SELECT id, state, error, tries, next_try_at, done_at FROM webhook_event WHERE ref = $1"
    (row,) = await shop.rows(kept, paid["id"])
    assert (row["state"], row["tries"], row["next_try_at"]) == ("failed", 1, shop.clock.now() + timedelta(seconds=10))
    assert "does not answer" in row["error"] and shop.key not in row["error"]
    assert (await shop.purchase(bought)).state == "open"
    shop.payments._line = good
    assert await try_again(Overdue(shop)) == 0
    shop.clock.advance(timedelta(seconds=11))
    assert await try_again(Overdue(shop)) == 1
    (row,) = await shop.rows(kept, paid["id"])
    assert (row["state"], row["error"], row["tries"], row["next_try_at"]) == ("done", None, 2, None)
    assert await shop.balance(ada) == 75
    again = await shop.payments.take_up(row["id"])
    assert (again.received, again.changes) == ("done", ())
    assert await shop.balance(ada) == 75


async def test_payments_that_nobody_told_of_are_found(shop: Shop) -> None:
    await shop.start_clock()
    ada, bea, cyd = await shop.person(), await shop.person(), await shop.person()
    await shop.buy(ada, "credits-50")
    await shop.subscribe(bea, "starter")
    left = await service.subscribe(
        shop.payments, shop.db, shop.catalog, service.buyer(cyd, "test", None), "starter", "month"
    )
    await shop.post(f"checkout/sessions/{left.rpartition('/')[2]}/expire")
    shop.clock.advance(timedelta(minutes=9))
    await shop.payments.look_again()
    assert [await shop.balance(one) for one in (ada, bea)] == [25, 25], "people come back from a checkout themselves"
    shop.clock.advance(timedelta(minutes=2))
    await shop.payments.look_again()
    assert [await shop.balance(one) for one in (ada, bea, cyd)] == [75, 175, 25]
    assert [(await shop.plan(one), bool(await shop.live(one))) for one in (bea, cyd)] == [
        ("starter", True), ("free", False)
    ], "a checkout that has run out is over"  # fmt: skip
    live = await shop.live(bea)
    assert live is not None and live.period_end is not None
    await shop.travel(live.period_end + timedelta(minutes=90))
    assert await shop.balance(bea) == 25
    shop.clock.advance(timedelta(minutes=40))
    await shop.payments.look_again()
    assert await shop.balance(bea) == 175, "a renewal that is paid is a month"
    await shop.payments.cancel(bea.workspace_id)
    live = await shop.live(bea)
    assert live is not None and live.period_end is not None
    await shop.travel(live.period_end + timedelta(hours=3))
    await shop.payments.look_again()
    assert (await shop.plan(bea), await shop.live(bea)) == ("free", None)


async def test_notices_that_never_came_are_taken(shop: Shop) -> None:
    await shop.start_clock()
    ada = await shop.person()
    bought = await shop.buy(ada, "credits-50")
    await shop.catch_up()
    payment = (await shop.purchase(bought)).payment_ref
    shop.clock.advance(timedelta(minutes=1))
    await shop.payments.fetch_missed()
    await shop.post("refunds", payment_intent=payment, amount=100)
    await shop.payments.fetch_missed()
    assert (await shop.purchase(bought)).state == "paid", "it may be on its way"
    shop.clock.advance(timedelta(minutes=6))
    with shop.cut_off(), pytest.raises(Unavailable):
        await shop.payments.fetch_missed()
    assert await shop.payments.fetch_missed() == 1
    assert (await shop.purchase(bought)).refunded_cents == 100
    assert await shop.payments.fetch_missed() == 0
    told = await shop.deliver(await shop.news())
    assert (told.count("known"), "failed" in told) == (1, False), "it came in the end"
    assert await shop.balance(ada) == 75 - 50 * 100 // 499 - 1
    await shop.control("dispute", payment_intent=payment)
    shop.clock.advance(timedelta(days=29))  # the site was down for long
    await shop.payments.fetch_missed()
    assert (await shop.purchase(bought)).state == "disputed"


async def test_what_is_not_about_this_site_is_put_aside(shop: Shop) -> None:
    await shop.post("customers", email="else@example.test")
    news = await shop.news()
    assert await shop.deliver(news) == ["ignored"] * len(news)


def test_pauses_grow_up_to_a_limit() -> None:
    assert [pause(n).total_seconds() for n in (1, 2, 3, 4)] == [10, 20, 40, 80]
    assert pause(30) == LONGEST_PAUSE


async def test_which_till_a_site_has(shop: Shop) -> None:
    def access(
        env: str = "development", *, adult: bool = False, sandbox: bool = True, **billing: object
    ) -> Access | None:
        site = site_settings(env).site.model_copy(update={"sandbox_url": "http://box" if sandbox else None})
        return stripe_access(Settings(site=site, billing=BillingSettings.model_validate(billing)), adult=adult)

    box = access()
    assert box is not None and (box.base_url, box.webhook_secret is not None) == ("http://box/stripe", True)
    assert access("production") is None and access(sandbox=False) is None and access(adult=True) is None
    assert access(provider="manual", secret_key="sk_test_1") is None
    real = access("production", secret_key="sk_live_1")
    assert real is not None and (real.base_url, real.webhook_secret) == (None, None)
    assert "sk_live_1" not in repr(real)
    with pytest.raises(SettingsError, match="STRIPE_SECRET_KEY"):
        access("production", provider="stripe")


async def test_stripe_is_refused_where_models_are_for_adults() -> None:
    edition = load_edition("studio")
    grown_up = type(edition)(**{**vars(edition), "face": edition.face.__class__(**{
        **vars(edition.face), "policy": edition.face.policy.__class__("adult")})})  # fmt: skip
    site = site_settings().site.model_copy(update={"adult_content": True})
    check_policy(grown_up, Settings(site=site))
    with pytest.raises(InvalidInput, match="Stripe"):
        check_policy(grown_up, Settings(site=site, billing=BillingSettings.model_validate({"secret_key": "sk_1"})))
    check_policy(edition, Settings(site=site, billing=BillingSettings.model_validate({"secret_key": "sk_1"})))


async def test_by_hand_nothing_is_sold(shop: Shop) -> None:
    site = site_settings("production").site
    till = open_till(Settings(site=site), shop.db, shop.catalog, shop.clock, shop.mailer)
    assert (till.name, till.sells) == ("manual", False)
    ada = await shop.person()
    for refused in (till.portal(ada.workspace_id), till.cancel(ada.workspace_id), till.resume(ada.workspace_id)):
        with pytest.raises(Forbidden, match="operator"):
            await refused
    with pytest.raises(NotFound):
        await till.receive({}, b"")
