"""The wire of the sandbox's Stripe: shapes, parameters, errors, idempotency, paging, faults of the transport."""

import asyncio
import inspect
import typing
from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe_shop import DECLINED, VISA, Shop, at, shop, shops

__all__ = ["shop", "shops"]


def differences(value: Any, kind: Any, path: str) -> list[str]:
    """Where an answer differs from the SDK's class for it: fields it does not know, or cannot do without."""
    if isinstance(value, stripe.ListObject):
        (inner,) = typing.get_args(kind) or (Any,)
        return [found for n, one in enumerate(value.data) for found in differences(one, inner, f"{path}[{n}]")]
    if isinstance(value, list):
        (inner,) = typing.get_args(kind) or (Any,)
        return [found for n, one in enumerate(value) for found in differences(one, inner, f"{path}[{n}]")]
    if isinstance(value, stripe.APIResource):  # a whole object, in its own place or expanded
        kind = type(value)
    if not isinstance(value, stripe.StripeObject) or not inspect.isclass(kind):
        return []
    if kind.__name__ in ("StripeObject", "UntypedStripeObject"):
        return []
    fields = {}
    for name, hint in inspect.get_annotations(kind).items():
        text = hint if isinstance(hint, str) else str(hint)
        if not name.startswith("_") and "ClassVar" not in text:
            fields[name] = (hint, type(None) in typing.get_args(hint) or "Optional[" in text)
    wrong = [f"{path}.{name} is unknown" for name in value.to_dict() if name not in fields]
    for name, (hint, optional) in fields.items():
        inner_path = f"{path}.{name}"
        if name not in value or value[name] is None:
            wrong += [] if optional else [f"{inner_path} is missing"]
            continue
        wrong += differences(value[name], inner_kind(kind, hint), inner_path)
    return wrong


def inner_kind(kind: Any, hint: Any) -> Any:
    """The class a field's hint names: one of the class's own, or the SDK's."""
    while typing.get_origin(hint) is typing.Union:
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    if isinstance(hint, (str, typing.ForwardRef)):
        name = hint if isinstance(hint, str) else hint.__forward_arg__
        return getattr(kind, name, getattr(stripe, name, None))
    if typing.get_origin(hint) is list:
        return hint
    if typing.get_origin(hint) is stripe.ListObject:
        (inner,) = typing.get_args(hint)
        name = inner.__forward_arg__ if isinstance(inner, typing.ForwardRef) else inner
        found = getattr(stripe, name, None) if isinstance(name, str) else name
        return stripe.ListObject[found] if found else None
    return hint


async def test_objects_have_the_fields_the_sdk_knows(shop: Shop) -> None:
    await shop.listen()
    price = await shop.price("Pro", 2000, lookup_key="pro", tax_behavior="exclusive")
    sub, clock = await shop.subscribed(price, at(2026, 1, 15))
    pack = await shop.bought(
        await shop.price("Pack", 500, None), "4000000000000259", invoice_creation={"enabled": True}
    )
    charges = (await shop.do(shop.v1.charges.list)).data
    refund = await shop.do(shop.v1.refunds.create, {"charge": charges[-1].id, "amount": 1})
    features: Any = {"subscription_cancel": {"enabled": True}, "invoice_history": {"enabled": True}}
    configuration = await shop.do(shop.v1.billing_portal.configurations.create, {"features": features})
    v1 = shop.v1
    found: list[Any] = [
        price, sub, pack, refund, configuration, *charges,
        await shop.do(v1.products.retrieve, str(price.product)),
        await shop.do(v1.customers.retrieve, str(sub.customer)),
        await shop.do(v1.payment_methods.retrieve, str(sub.default_payment_method)),
        await shop.do(v1.checkout.sessions.retrieve, pack.id, {"expand": ["line_items", "invoice", "payment_intent"]}),
        await shop.do(v1.test_helpers.test_clocks.retrieve, clock),
        await shop.do(v1.billing_portal.sessions.create,
                      {"customer": str(sub.customer), "configuration": configuration.id}),
        await shop.do(v1.subscription_schedules.create, {"from_subscription": sub.id}),
        await shop.do(v1.webhook_endpoints.create, {"url": shop.hook, "enabled_events": ["invoice.paid"]}),
        *(await shop.do(v1.invoices.list)).data, *(await shop.do(v1.invoice_payments.list)).data,
        *(await shop.do(v1.payment_intents.list)).data, *(await shop.do(v1.disputes.list)).data,
        *(await shop.do(v1.events.list, {"limit": 3})).data,
        await shop.do(v1.invoices.create_preview, {"subscription": sub.id}),
    ]  # fmt: skip
    kinds = {one.object for one in found}
    assert len(kinds) == 18, kinds
    wrong = [line for one in found for line in differences(one, type(one), one.object)]
    # `plan` and `credited_items` aside, everything is as the SDK has it
    assert wrong == [], "\n".join(sorted(set(wrong)))


async def refusal(shop: Shop, call: Callable[..., Any], *arguments: Any, **more: Any) -> stripe.StripeError:
    with pytest.raises(stripe.StripeError) as caught:
        await shop.do(call, *arguments, **more)
    return caught.value


async def test_refusals_are_stripe_s(shop: Shop) -> None:
    v1 = shop.v1
    error = await refusal(shop, v1.customers.create, {"emial": "a@example.com"})
    assert isinstance(error, stripe.InvalidRequestError) and error.http_status == 400
    assert (error.code, error.param) == ("parameter_unknown", "emial") and error.request_id
    error = await refusal(shop, v1.prices.create, {"product": "prod_x", "unit_amount": 5})
    assert (error.code, error.param) == ("parameter_missing", "currency")
    error = await refusal(shop, v1.prices.create, {"product": "prod_x", "unit_amount": "five", "currency": "usd"})
    assert error.code == "parameter_invalid_integer"
    error = await refusal(shop, v1.customers.retrieve, "cus_none")
    assert (error.http_status, error.code) == (404, "resource_missing")
    error = await refusal(shop, v1.subscriptions.create, {"customer": "cus_none", "items": [{"price": "price_none"}]})
    assert (error.http_status, error.param) == (400, "customer")
    error = await refusal(shop, v1.coupons.create, {"percent_off": 5})
    assert error.http_status == 404 and "Unrecognized request URL" in str(error)
    error = await refusal(shop, v1.invoices.create_preview, {"customer": "cus_none", "discounts": [{"coupon": "x"}]})
    assert "does not model the parameter discounts" in str(error)
    wrong = stripe.StripeClient("sk_test_wrong", base_addresses={"api": shop.base}, max_network_retries=0)
    assert isinstance(await refusal(shop, wrong.v1.products.list), stripe.AuthenticationError)
    old = stripe.StripeClient(shop.key, base_addresses={"api": shop.base}, stripe_version="2024-06-20")
    assert "2026-10-28.endive" in str(await refusal(shop, old.v1.products.list))
    other = stripe.StripeClient("sk_test_somebody_else", base_addresses={"api": shop.base})
    customer = await shop.customer()
    assert (await refusal(shop, other.v1.customers.retrieve, customer.id)).http_status == 404


async def test_a_declined_card_is_a_card_error(shop: Shop) -> None:
    params: Any = {"amount": 700, "currency": "usd", "confirm": True, "payment_method": "pm_card_chargeDeclined"}
    error = await refusal(shop, shop.v1.payment_intents.create, params)
    assert isinstance(error, stripe.CardError) and error.http_status == 402
    assert (error.code, error.error.decline_code) == ("card_declined", "generic_decline")
    intent = (await shop.do(shop.v1.payment_intents.list)).data[0]
    assert intent.status == "requires_payment_method", "what was tried is written down"
    intent = await shop.do(shop.v1.payment_intents.confirm, intent.id, {"payment_method": "pm_card_visa"})
    assert intent.status == "succeeded"
    error = await refusal(shop, shop.v1.refunds.create, {"payment_intent": intent.id, "amount": 701})
    assert error.param == "amount"
    await shop.do(shop.v1.refunds.create, {"payment_intent": intent.id})
    error = await refusal(shop, shop.v1.refunds.create, {"payment_intent": intent.id})
    assert error.code == "charge_already_refunded"


async def test_idempotency_keys(shop: Shop) -> None:
    create = shop.v1.customers.create
    first = await shop.do(create, {"email": "a@example.com"}, {"idempotency_key": "order-1"})
    again = await shop.do(create, {"email": "a@example.com"}, {"idempotency_key": "order-1"})
    assert first.id == again.id and again.last_response.headers["idempotent-replayed"] == "true"
    error = await refusal(shop, create, {"email": "b@example.com"}, {"idempotency_key": "order-1"})
    assert isinstance(error, stripe.IdempotencyError) and error.http_status == 400
    await refusal(shop, create, {"nonsense": "x"}, {"idempotency_key": "order-2"})
    await shop.do(create, {"email": "c@example.com"}, {"idempotency_key": "order-2"})
    assert len((await shop.do(shop.v1.customers.list)).data) == 2
    for number in range(20):  # until the slow one was there first
        key = f"order-3-{number}"
        slow: Any = {"idempotency_key": key, "headers": {"X-Sandbox-Fault": "slow=0.5"}}
        under_way = asyncio.create_task(shop.do(create, {"name": "slow"}, slow))
        try:
            await shop.do(create, {"name": "slow"}, {"idempotency_key": key})
        except stripe.StripeError as refused:
            assert refused.http_status == 409 and "in-progress" in str(refused)
            await under_way
            break
        await under_way
    else:
        pytest.fail("two requests with one key were never under way at once")


async def test_a_lost_answer_is_made_good_by_trying_again(shop: Shop) -> None:
    patient = stripe.StripeClient(shop.key, base_addresses={"api": shop.base}, max_network_retries=2)
    for number, fault in enumerate(("500*1", "503*1", "drop*1")):
        params: Any = {"email": f"{fault[:3]}@example.com"}
        options: Any = {"headers": {"X-Sandbox-Fault": fault}, "idempotency_key": f"once-{number}"}
        if fault == "drop*1":  # the SDK leaves this one to its caller, who has given the key for that
            assert isinstance(
                await refusal(shop, patient.v1.customers.create, params, options), stripe.APIConnectionError
            )
        fine = await shop.do(patient.v1.customers.create, params, options)
        assert fine.email == params["email"]
        assert len((await shop.do(shop.v1.customers.list)).data) == number + 1, "once, however often it was sent"
    error = await refusal(shop, shop.v1.customers.list, None, {"headers": {"X-Sandbox-Fault": "429"}})
    assert isinstance(error, stripe.RateLimitError) and error.http_status == 429


async def test_lists_are_paged(shop: Shop) -> None:
    made = [(await shop.customer(name=str(n))).id for n in range(7)]
    page = await shop.do(shop.v1.customers.list, {"limit": 3})
    assert [one.id for one in page.data] == made[:3:-1] and page.has_more
    everybody = await asyncio.to_thread(lambda: [one.id for one in page.auto_paging_iter()])
    assert everybody == made[::-1]
    before = await shop.do(shop.v1.customers.list, {"limit": 2, "ending_before": made[0]})
    assert [one.id for one in before.data] == [made[2], made[1]] and before.has_more
    assert (await refusal(shop, shop.v1.customers.list, {"limit": 101})).param == "limit"
    late = await shop.do(shop.v1.customers.list, {"created": {"gt": 9_999_999_999}})
    assert late.data == []


async def test_a_lookup_key_moves_to_the_new_price(shop: Shop) -> None:
    old = await shop.price("Pro", 1000, lookup_key="pro_monthly")
    params: Any = {"product": str(old.product), "currency": "usd", "unit_amount": 1200, "lookup_key": "pro_monthly",
                   "recurring": {"interval": "month"}}  # fmt: skip
    assert (await refusal(shop, shop.v1.prices.create, params)).param == "lookup_key"
    new = await shop.do(shop.v1.prices.create, params | {"transfer_lookup_key": True})
    found = await shop.do(shop.v1.prices.list, {"lookup_keys": ["pro_monthly"], "expand": ["data.product"]})
    assert [one.id for one in found.data] == [new.id] and found.data[0].product.name == "Pro"  # type: ignore[union-attr]
    await shop.do(shop.v1.prices.update, old.id, {"active": False, "metadata": {"replaced": "yes"}})
    lines: Any = [{"price": old.id, "quantity": 1}]
    params = {"mode": "subscription", "line_items": lines, "success_url": "https://shop.test/ok"}
    assert "inactive" in str(await refusal(shop, shop.v1.checkout.sessions.create, params))


async def test_what_leaves_the_sandbox_says_nothing_of_its_insides(shop: Shop) -> None:
    await shop.listen()
    price = await shop.price("Pro", 2000)
    session = await shop.session(price)
    await shop.pay(session.url, DECLINED)
    await shop.pay(session.url, VISA)
    await shop.heard()
    answer = await shop.web.get(f"{shop.base}/v1/events?limit=100", headers={"Authorization": f"Bearer {shop.key}"})
    assert '"_' not in answer.text and VISA not in answer.text and DECLINED not in answer.text
    assert all(b'"_' not in letter.body for letter in shop.inbox.letters)
