"""Spending the same credits twice: many at once, and the same request again and again."""

import asyncio
import uuid
from decimal import Decimal

from attack.score import Attack, Force
from attack.site import Site, session_of

HAS = 8
"""Credits somebody has who has just signed up; a sketch costs one."""


async def attacks(site: Site, force: Force) -> list[Attack]:
    """All of them, each by somebody new."""
    return [
        await _parallel(site, force), await _same_key(site, force), await _other_body(site), await _no_key(site, force),
        await _same_order(site, force), await _two_checkouts(site, force),
    ]  # fmt: skip


async def _parallel(site: Site, force: Force) -> Attack:
    attack = Attack("parallel spends of a small balance")
    for _ in range(force.rounds):
        ada = await site.person("spender")
        answers = await asyncio.gather(*(ada.ask() for _ in range(HAS + force.crowd)))
        accepted = 0
        for answer in answers:
            accepted += answer.status_code == 202
            attack.saw(answer, won=answer.status_code == 202 and accepted > HAS)
        left = await ada.settled()
        attack.must(left >= 0 and accepted <= HAS, f"{accepted} pictures for {HAS} credits, {left} left")
        attack.must(left == HAS - accepted, f"{accepted} pictures, but {left} of {HAS} credits left")
    attack.found = f"at most {HAS} accepted of {HAS + force.crowd} at once"
    return attack


async def _same_key(site: Site, force: Force) -> Attack:
    attack = Attack("one request many times, with one Idempotency-Key")
    ada = await site.person("doubler")
    for _ in range(min(force.rounds, HAS)):
        key, before = uuid.uuid4().hex, await ada.settled()
        made = set()
        for answer in await asyncio.gather(*(ada.ask(key=key) for _ in range(force.crowd))):
            if answer.status_code == 202:
                made.add(answer.json()["id"])
            attack.saw(answer, won=len(made) > 1)
        left = await ada.settled()
        attack.must(len(made) == 1 and before - left == 1, f"{len(made)} generations for {before - left} credits")
    attack.found = "one generation and one charge per key"
    return attack


async def _other_body(site: Site) -> Attack:
    attack = Attack("a used Idempotency-Key with another body")
    ada, key = await site.person("swapper"), uuid.uuid4().hex
    first = (await ada.ask(key=key)).json()["id"]
    for body in ({"count": 2}, {"size": "64x64"}, {"prompt": "something else"}):
        answer = await ada.ask(**{"prompt": "dunes at dawn", "key": key, **body})  # type: ignore[arg-type]
        attack.saw(answer, won=answer.status_code == 202, what=str(body))
    attack.must(await ada.settled() == HAS - 1, "the key has paid for another request")
    attack.must(len((await ada.http.get("/api/generate")).json()["items"]) == 1, f"more than {first} was made")
    return attack


async def _no_key(site: Site, force: Force) -> Attack:
    attack = Attack("double submits without a key")
    for _ in range(force.rounds):
        ada = await site.person("clicker")
        answers = await asyncio.gather(*(ada.ask() for _ in range(2)), ada.http.post("/create", data=_form()))
        for answer in answers:
            attack.saw(answer)
        left = await ada.settled()
        made = (await ada.http.get("/api/generate?limit=100")).json()["items"]
        paid = sum((Decimal(one["charged"]["credits"]) for one in made), Decimal(0))
        attack.must(HAS - left == paid == len(made), f"{len(made)} made, {paid} charged, {HAS - left} gone")
    attack.found = "each is a request of its own and is paid for"
    return attack


def _form() -> dict[str, str]:
    return {"model": "sketch", "prompt": "dunes at dawn", "count": "1"}


async def _same_order(site: Site, force: Force) -> Attack:
    attack = Attack("one order many times, with one Idempotency-Key")
    for _ in range(force.rounds):
        ada, key = await site.person("orderer"), {"Idempotency-Key": uuid.uuid4().hex}
        pages = set()
        body = {"pack": "credits-50"}
        for answer in await asyncio.gather(
            *(ada.http.post("/api/payments/purchase-tokens", json=body, headers=key) for _ in range(force.crowd))
        ):
            if answer.status_code == 200:
                pages.add(answer.json()["url"])
            attack.saw(answer, won=len(pages) > 1)
        attack.must(len(pages) == 1, f"{len(pages)} checkouts")
        before = await ada.balance()
        await asyncio.gather(*(site.till.pay(url) for url in pages for _ in range(3)))
        await ada.reaches(before + 50)
        await site.till.quiet()
        attack.must(await ada.balance() == before + 50, f"{await ada.balance() - before} credits for one pack")
    attack.found = "one checkout, one payment, one grant"
    return attack


async def _two_checkouts(site: Site, force: Force) -> Attack:
    """Two tabs, each with a checkout for the plan, both paid in the same moment."""
    attack = Attack("two checkouts for a plan, paid at once")
    for _ in range(force.rounds):
        ada = await site.person("twotabs")
        body = {"plan": "starter"}
        answers = await asyncio.gather(
            *(ada.http.post("/api/payments/create-subscription", json=body) for _ in range(2))
        )
        for answer in answers:
            attack.saw(answer)
        urls = [answer.json()["url"] for answer in answers if answer.status_code == 200]
        paid = await asyncio.gather(*(site.till.pay(url) for url in urls))
        await ada.reaches(Decimal(HAS + 150))
        for url, done in zip(urls, paid, strict=True):
            if done:
                attack.saw(await ada.returns(session_of(url)))
        await site.till.quiet()
        attack.must(await ada.balance() == HAS + 150, f"{await ada.balance() - HAS} credits from {sum(paid)} payments")
        attack.must(sum(paid) == 1, f"{sum(paid)} checkouts of one workspace were paid")
    attack.found = "the later checkout closes the earlier one"
    return attack
