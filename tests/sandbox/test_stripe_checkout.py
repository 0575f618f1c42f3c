"""Hosted checkout, portal and invoice pages of the sandbox's Stripe, as customers meet them."""

import asyncio
import re
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe_shop import (
    BAD_BANK,
    DECLINED,
    GOOD_BANK,
    SECURE,
    VISA,
    Shop,
    alert,
    at,
    shop,
    shops,
)

__all__ = ["shop", "shops"]


async def test_a_pack_is_paid_once_however_often_one_submits(shop: Shop) -> None:
    await shop.listen()
    pack = await shop.price("500 credits", 900, None)
    session = await shop.session(
        pack, "payment", client_reference_id="u1", metadata={"pack": "p500"}, invoice_creation={"enabled": True},
        payment_intent_data={"metadata": {"pack": "p500"}}, customer_creation="always",
    )  # fmt: skip
    answers = await asyncio.gather(*(shop.pay(session.url) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {303}
    paid = await shop.do(
        shop.v1.checkout.sessions.retrieve, session.id, {"expand": ["payment_intent.latest_charge", "line_items"]}
    )
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.customer_details and paid.customer_details.email == "ann@example.com"
    assert paid.line_items and paid.line_items.data[0].description == "500 credits"
    assert isinstance(paid.payment_intent, stripe.PaymentIntent) and paid.payment_intent.metadata["pack"] == "p500"
    assert len((await shop.do(shop.v1.charges.list)).data) == 1
    assert (await shop.heard()).count("checkout.session.completed") == 1
    assert "already paid" in (await shop.web.get(session.url or "")).text


async def test_a_card_that_is_refused_can_be_replaced(shop: Shop) -> None:
    session = await shop.session(await shop.price("Pro", 2000))
    refused = await shop.pay(session.url, DECLINED)
    assert refused.status_code == 402 and alert(refused) == ["Your card was declined."]
    assert DECLINED not in refused.text and 'value="ann@example.com"' in refused.text
    for number, expiry, cvc, said in (
        ("4242424242424241", "12 / 34", "123", "Your card number is invalid."),
        (VISA, "12 / 20", "123", "Your card&#39;s expiration date is in the past."),
        (VISA, "12 / 34", "1", "Your card&#39;s security code is incomplete."),
        ("4111111111111111", "12 / 34", "123", "non test card"),
    ):
        refused = await shop.pay(session.url, number, expiry=expiry, cvc=cvc)
        assert refused.status_code == 402 and said in alert(refused)[0]
    assert (await shop.do(shop.v1.subscriptions.list)).data == []
    assert (await shop.pay(session.url)).status_code == 303
    assert len((await shop.do(shop.v1.payment_intents.list)).data) == 1, "all tries are one payment"


@pytest.mark.parametrize("outcome", ["approve", "refuse"])
async def test_the_bank_s_own_step(shop: Shop, outcome: str) -> None:
    session = await shop.session(await shop.price("Pack", 900, None), "payment")
    bank = (await shop.pay(session.url, SECURE)).headers["location"]
    page = await shop.web.get(bank)
    assert "$9.00" in page.text and "Complete authentication" in page.text
    answers = await asyncio.gather(*(shop.web.post(bank, data={"outcome": outcome}) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers)[1:] == [410, 410], "once, however often one clicks"
    answer = min(answers, key=lambda one: one.status_code)
    now = await shop.do(shop.v1.checkout.sessions.retrieve, session.id)
    if outcome == "approve":
        assert answer.headers["location"] == f"https://shop.test/done?session={session.id}"
        assert now.payment_status == "paid" and (await shop.web.get(bank)).status_code == 410
    else:
        assert answer.status_code == 402 and now.status == "open"
        assert (await shop.pay(session.url)).status_code == 303


@pytest.mark.parametrize(("iban", "event"), [(GOOD_BANK, "succeeded"), (BAD_BANK, "failed")])
async def test_a_bank_debit_ends_later(shop: Shop, iban: str, event: str) -> None:
    await shop.listen()
    session = await shop.session(await shop.price("Pack", 900, None), "payment")
    assert (await shop.pay(session.url, way="bank", iban=iban)).status_code == 303
    waiting = await shop.do(shop.v1.checkout.sessions.retrieve, session.id)
    assert (waiting.status, waiting.payment_status) == ("complete", "unpaid")
    await shop.control("settle", payment_intent=str(waiting.payment_intent))
    now = await shop.do(shop.v1.checkout.sessions.retrieve, session.id)
    assert now.payment_status == ("paid" if event == "succeeded" else "unpaid")
    assert f"checkout.session.async_payment_{event}" in await shop.heard()


async def test_a_session_can_run_out(shop: Shop) -> None:
    await shop.listen()
    session = await shop.session(await shop.price("Pro", 2000))
    assert 'href="https://shop.test/pricing"' in (await shop.web.get(session.url or "")).text
    expired = await shop.do(shop.v1.checkout.sessions.expire, session.id)
    assert (expired.status, expired.url) == ("expired", None)
    page = await shop.pay(session.url)
    assert page.status_code == 410 and "expired" in page.text
    assert (await shop.heard())[-1] == "checkout.session.expired"
    with pytest.raises(stripe.InvalidRequestError, match="are open"):
        await shop.do(shop.v1.checkout.sessions.expire, session.id)
    with pytest.raises(stripe.InvalidRequestError, match="30 minutes"):
        await shop.session(await shop.price("Pro", 2000), expires_at=at(2026, 1, 1))


async def test_what_a_session_cannot_be(shop: Shop) -> None:
    price, pack = await shop.price("Pro", 2000), await shop.price("Pack", 900, None)
    customer = await shop.customer()
    for one, mode, more, said in (
        (price, "payment", {}, "recurring price"),
        (pack, "subscription", {}, "at least one recurring"),
        (pack, "payment", {"customer": customer.id, "customer_email": "b@example.com"}, "only specify one"),
        (pack, "payment", {"ui_mode": "hosted"}, "must be one of"),
        (pack, "payment", {"subscription_data": {"metadata": {"a": "b"}}}, "can not pass"),
        (pack, "payment", {"line_items": [{"price": pack.id}]}, "Quantity is required"),
    ):  # fmt: skip
        wanted: Any = more
        with pytest.raises(stripe.InvalidRequestError, match=said):
            await shop.session(one, mode, **wanted)


async def test_the_portal_does_what_its_configuration_allows(shop: Shop) -> None:
    year, pro, basic = (
        await shop.price("Year", 29900, "year"),
        await shop.price("Pro", 3000),
        await shop.price("B", 1000),
    )
    sub, clock = await shop.subscribed(pro, at(2026, 1, 1))
    params: Any = {"customer": str(sub.customer), "return_url": "https://shop.test/billing"}
    with pytest.raises(stripe.InvalidRequestError, match="No configuration provided"):
        await shop.do(shop.v1.billing_portal.sessions.create, params)
    products = [{"product": str(price.product), "prices": [price.id]} for price in (year, pro, basic)]
    features: Any = {
        "subscription_update": {
            "enabled": True, "default_allowed_updates": ["price"], "products": products,
            "proration_behavior": "always_invoice",
            "schedule_at_period_end": {"conditions": [{"type": "decreasing_item_amount"}]},
        },
    }  # fmt: skip
    made = await shop.do(shop.v1.billing_portal.configurations.create, {"features": features})
    params["configuration"] = made.id
    url = (await shop.do(shop.v1.billing_portal.sessions.create, params)).url
    home = await shop.web.get(url)
    assert "Update plan" in home.text and "Cancel plan" not in home.text and "Update card" not in home.text
    assert (await shop.web.post(f"{url}/cancel/{sub.id}")).status_code == 404
    # cheaper: later; dearer: now
    page = await shop.web.get(f"{url}/update/{sub.id}/{basic.id}")
    assert "Nothing is due today" in page.text
    await shop.web.post(f"{url}/update/{sub.id}/{basic.id}")
    assert "Changes to B on 1 Feb 2026" in (await shop.web.get(url)).text
    assert (await shop.subscription(sub.id))["items"].data[0].price.id == pro.id
    await shop.advance(clock, at(2026, 2, 1, 18))
    assert [i.total for i in await shop.invoices(sub.id)] == [3000, 1000]
    await shop.web.post(f"{url}/update/{sub.id}/{year.id}")
    now = await shop.subscription(sub.id)
    assert now["items"].data[0].price.id == year.id and now.schedule is None
    somebody, _ = await shop.subscribed(pro)
    assert (await shop.web.post(f"{url}/update/{somebody.id}/{basic.id}")).status_code == 404
    # a flow leads back to the shop
    await shop.do(shop.v1.billing_portal.configurations.update, made.id,
                  {"features": {"payment_method_update": {"enabled": True}}})  # fmt: skip
    params["flow_data"] = {"type": "payment_method_update", "after_completion": {
        "type": "redirect", "redirect": {"return_url": "https://shop.test/thanks"}}}  # fmt: skip
    url = (await shop.do(shop.v1.billing_portal.sessions.create, params)).url
    assert (await shop.web.get(url)).headers["location"] == f"{url}/method"
    assert (await shop.pay(f"{url}/method")).headers["location"] == "https://shop.test/thanks"


async def test_an_invoice_is_a_page_and_a_pdf(shop: Shop) -> None:
    sub, _ = await shop.subscribed(await shop.price("Pro", 2000), at(2026, 1, 1))
    (invoice,) = await shop.invoices(sub.id)
    assert invoice.number and invoice.hosted_invoice_url and invoice.invoice_pdf
    page = await shop.web.get(invoice.hosted_invoice_url)
    assert invoice.number in page.text and "$20.00" in page.text and "Paid" in page.text
    data = (await shop.web.get(invoice.invoice_pdf)).content
    assert data.startswith(b"%PDF-1.4") and invoice.number.encode() in data and b"$20.00" in data
    place = int(re.findall(rb"startxref\n(\d+)", data)[0])
    assert data[place:].startswith(b"xref")


async def test_pages_run_no_script_and_fit_a_telephone(shop: Shop) -> None:
    session = await shop.session(await shop.price("Pro", 2000))
    page = await shop.web.get(session.url or "")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script" not in policy.replace("script-src", "")
    assert "<script" not in page.text and "style=" not in page.text and " on" not in re.sub(r">[^<]*<", "><", page.text)
    labels = set(re.findall(r'label for="(\w+)"', page.text))
    assert labels == set(re.findall(r'<input id="(\w+)"', page.text)) == {"email", "number", "expiry", "cvc", "name"}
    assert 'name="viewport"' in page.text
    css = re.findall(r'href="([^"]+\.css)"', page.text)[0]
    assert "prefers-color-scheme: dark" in (await shop.web.get(css)).text
