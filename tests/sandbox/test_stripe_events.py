"""Events of the sandbox's Stripe: signed, retried, and in every bad way a product must stand."""

import asyncio
from typing import Any

import pytest
import stripe

from tests.sandbox.stripe_shop import SECRET, Shop, at, shop, shops

__all__ = ["shop", "shops"]


async def until(check: Any) -> None:
    async with asyncio.timeout(20):
        while not check():
            await asyncio.sleep(0.01)


def v1_of(signature: str) -> list[str]:
    return [part for part in signature.split(",") if part.startswith("v1=")]


async def test_an_event_is_signed_for_its_endpoint(shop: Shop) -> None:
    wanted: Any = {"url": shop.hook, "enabled_events": ["customer.created"]}
    endpoint = await shop.do(shop.v1.webhook_endpoints.create, wanted)
    assert endpoint.secret and endpoint.secret.startswith("whsec_")
    again = await shop.do(shop.v1.webhook_endpoints.retrieve, endpoint.id)
    assert "secret" not in again, "a secret is told once"
    customer = await shop.customer()
    await shop.do(shop.v1.customers.update, customer.id, {"name": "not wanted there"})
    await shop.look("idle")
    (letter,) = shop.inbox.letters
    event = shop.api.construct_event(letter.body, letter.signature, endpoint.secret)
    assert (event.type, event.api_version) == ("customer.created", "2026-10-28.endive")
    assert event.data.object["id"] == customer.id and event.pending_webhooks == 1
    with pytest.raises(stripe.SignatureVerificationError):
        shop.api.construct_event(letter.body + b" ", letter.signature, endpoint.secret)
    stored = await shop.do(shop.v1.events.retrieve, event.id)
    assert stored.pending_webhooks == 0
    await shop.do(shop.v1.webhook_endpoints.update, endpoint.id, {"disabled": True})
    await shop.customer()
    await shop.look("idle")
    assert len(shop.inbox.letters) == 1


async def test_a_rolled_secret_signs_twice(shop: Shop) -> None:
    await shop.listen()
    new = (await shop.control("webhook/roll"))["secret"]
    await shop.customer()
    await shop.look("idle")
    (letter,) = shop.inbox.letters
    assert len(v1_of(letter.signature)) == 2
    for secret in (SECRET, new):
        assert shop.api.construct_event(letter.body, letter.signature, secret).type == "customer.created"
    await shop.listen()
    await shop.control("faults", faults="webhook-rolled*1")
    await shop.customer()
    await shop.look("idle")
    assert len(v1_of(shop.inbox.letters[-1].signature)) == 2 and shop.inbox.letters[-1].event


@pytest.mark.parametrize("fault", ["webhook-stale", "webhook-forged"])
async def test_a_bad_signature_comes_first_and_the_good_one_after_a_refusal(shop: Shop, fault: str) -> None:
    await shop.listen()
    await shop.control("faults", faults=f"{fault}*1")
    shop.inbox.answers = [400]
    await shop.customer()
    await until(lambda: len(shop.inbox.letters) == 2)
    bad, good = shop.inbox.letters
    with pytest.raises(stripe.SignatureVerificationError):
        _ = bad.event
    assert good.event.type == "customer.created" and bad.body.split(b'"created"')[0] == good.body.split(b'"created"')[0]
    if fault == "webhook-stale":
        assert stripe.WebhookSignature.verify_header(bad.body.decode(), bad.signature, SECRET), "only too old"


async def test_what_is_not_taken_comes_again_with_growing_gaps(shop: Shop) -> None:
    await shop.listen()
    shop.inbox.answers = [500, 503, 302]
    await shop.customer()
    await until(lambda: len(shop.inbox.letters) == 4)
    assert len({letter.event.id for letter in shop.inbox.letters}) == 1


async def test_lost_events_can_be_listed_and_sent_again(shop: Shop) -> None:
    await shop.listen()
    await shop.control("faults", faults="webhook-never*1")
    await shop.customer(name="lost")
    await shop.customer(name="found")
    assert await shop.heard() == ["customer.created"]
    missed = await shop.do(shop.v1.events.list, {"delivery_success": False})
    assert [event.data.object["name"] for event in missed.data] == ["lost"]
    taken = await shop.do(shop.v1.events.list, {"delivery_success": True, "types": ["customer.created"]})
    assert [event.data.object["name"] for event in taken.data] == ["found"]
    assert (await shop.control("retry"))["retried"] == 1
    assert len(await shop.heard()) == 2
    assert (await shop.control("resend", event=missed.data[0].id))["sent"] == 1
    assert len(await shop.heard()) == 3


async def test_duplicates_and_twins(shop: Shop) -> None:
    await shop.listen()
    await shop.control("faults", faults="webhook-duplicate*1")
    await shop.customer()
    await shop.heard()
    assert len(shop.inbox.letters) == 2 and len({letter.event.id for letter in shop.inbox.letters}) == 1
    await shop.do(shop.v1.customers.create, {"name": "twins"}, {"headers": {"X-Sandbox-Fault": "webhook-twin"}})
    await shop.heard()
    twins = [letter.event for letter in shop.inbox.letters[2:]]
    assert len(twins) == 2 and twins[0].id != twins[1].id and twins[0].data.object == twins[1].data.object


async def test_disorder(shop: Shop) -> None:
    await shop.listen()
    price = await shop.price("Pro", 2000)
    await shop.bought(price)
    ordered = [kind for kind in await shop.heard() if not kind.startswith(("product", "price"))]
    assert ordered[0] == "customer.created" and ordered[-1] == "checkout.session.completed"
    shop.inbox.letters.clear()
    await shop.control("faults", faults="webhook-reversed")
    await shop.bought(price)
    assert await shop.heard() == ordered[::-1]
    shop.inbox.letters.clear()
    await shop.control("faults", faults="webhook-shuffled=0.4")
    for _ in range(3):
        await shop.bought(price)
    await until(lambda: len(shop.inbox.letters) == 3 * len(ordered))
    assert shop.inbox.types != 3 * ordered and sorted(shop.inbox.types) == sorted(3 * ordered)
    await shop.control("faults", faults="")
    await shop.control("deliveries", parallel=4)
    shop.inbox.letters.clear()
    await shop.bought(price)
    assert sorted(await shop.heard()) == sorted(ordered)


async def test_a_clock_waits_for_the_events_of_each_moment(shop: Shop) -> None:
    await shop.listen()
    sub, clock = await shop.subscribed(await shop.price("Pro", 2000), at(2026, 1, 10))
    await shop.advance(clock, at(2026, 6, 10, 18))
    paid = [letter.event for letter in shop.inbox.letters if letter.event.type == "invoice.paid"]
    assert [e.created for e in paid] == [at(2026, 1, 10), *(at(2026, month, 10, 13) for month in range(2, 7))]
    kinds = [event.type for event in (letter.event for letter in shop.inbox.letters)]
    assert kinds[-1] == "test_helpers.test_clock.ready", "nothing comes after the clock is ready"
    assert [e.data.object["lines"]["data"][0]["period"]["start"] for e in paid][-1] == at(2026, 6, 10)
    assert (await shop.subscription(sub.id))["items"].data[0].current_period_end == at(2026, 7, 10)


async def test_unknown_faults_and_calls_are_refused(shop: Shop) -> None:
    headers = {"Authorization": f"Bearer {shop.key}"}
    for path, body in (("faults", {"faults": "webhook-nonsense"}), ("faults", {"faults": "500"}), ("nothing", {})):
        answer = await shop.web.post(f"{shop.base}/_control/{path}", json=body, headers=headers)
        assert answer.status_code in (400, 404) and answer.json()["error"]["message"]
    assert (await shop.web.get(f"{shop.base}/_control/ledger")).status_code == 401
