"""Paying less than the price, or not at all."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import httpx2

from attack.score import Attack, Force
from attack.site import DECLINED, Person, Site, session_of

PACKS = {"credits-50": 499, "credits-250": 1999}
PLANS = {("starter", "month"): 999, ("starter", "year"): 9990, ("pro", "month"): 2999, ("pro", "year"): 29990}
MORE: dict[str, Any] = {
    "price": "price_0", "price_cents": 1, "amount": 1, "amount_total": 1, "unit_amount": 1, "credits": 10**9,
    "quantity": -3, "count": 10**9, "currency": "jpy", "discounts": [{"coupon": "free"}], "trial_period_days": 730,
    "workspace_id": "00000000-0000-0000-0000-000000000000", "customer": "cus_0", "line_items": [{"price": "price_0"}],
    "success_url": "https://evil.example/", "metadata": {"purchase_id": "x"}, "mode": "setup", "state": "paid",
}  # fmt: skip
"""What a form of ours does not have, and Stripe's do."""


async def attacks(site: Site, force: Force) -> list[Attack]:
    """All of them."""
    return [
        await _returns(site, force), await _unpaid(site), await _keys(site), await _amounts(site, force),
        await _moments(site), await _refunded(site, force),
    ]  # fmt: skip


async def _returns(site: Site, force: Force) -> Attack:
    """Many tabs come back from one checkout while its notice arrives, more than once."""
    attack = Attack("double checkout returns racing the webhook")
    ada = await site.person("returner")
    for _ in range(force.rounds):
        before, (_, url) = await ada.balance(), await ada.order()
        session = session_of(url)
        paying = asyncio.create_task(site.till.pay(url))
        answers = await asyncio.gather(*(ada.returns(session) for _ in range(force.crowd)))
        attack.must(await paying, "a good card was declined")
        letter = site.till.signed(await site.till.event(session))
        notices = [site.till.tell(*letter) for _ in range(3)]
        more = await asyncio.gather(*notices, *(ada.returns(session) for _ in range(force.crowd)))
        for answer in (*answers, *more):
            attack.saw(answer)
        await site.till.quiet()
        gained = await ada.balance() - before
        attack.must(gained == 50, f"{gained} credits for one pack of 50")
    attack.found = "50 credits for one pack of 50, each time"
    return attack


async def _unpaid(site: Site) -> Attack:
    """Back from a checkout that was left, declined or closed."""
    attack = Attack("returns from checkouts that were not paid")
    ada = await site.person("leaver")
    before = await ada.balance()
    for kind in ("left", "declined", "closed"):
        urls = [(await ada.order())[1], await ada.subscription("pro", "year")]
        for url in urls:
            session = session_of(url)
            if kind == "declined":
                attack.must(not await site.till.pay(url, DECLINED), "a card that is declined was taken")
            if kind == "closed":
                await site.till.post(f"checkout/sessions/{session}/expire")
            for headers in ({}, {"hx-request": "true"}):
                answer = await ada.returns(session, **headers)
                attack.saw(answer, won="are yours" in answer.text or "You are on" in answer.text, what=kind)
            attack.saw(await ada.http.get("/pricing"))
        attack.must(await ada.balance() == before, f"{kind}, and {await ada.balance() - before} credits")
    for session in ("cs_test_0", "cs_test_a1' OR '1'='1", "{CHECKOUT_SESSION_ID}", "../return", "0" * 300, "%00"):
        answer = await ada.returns(session)
        attack.saw(answer, won=answer.status_code < 400 or answer.status_code >= 500, what=session)
    on = (await ada.http.get("/api/user/subscription")).json()
    attack.must((on["plan"], on["status"]) == ("free", "free"), f"on {on['plan']} without paying")
    return attack


async def _keys(site: Site) -> Attack:
    """Names of what is not sold, or not so."""
    attack = Attack("foreign keys of packs, plans, prices, intervals")
    ada = await site.person("namer")
    packs: list[Any] = [
        "starter", "price_0", "credits-1000000", "CREDITS-50", "credits-50 ", " ", "", -1, 10**30, None,
        ["credits-50", "credits-250"], {"key": "credits-50"}, "credits-50'--", "x" * 10_000, True,
    ]  # fmt: skip
    for pack in packs:
        answer = await ada.http.post("/api/payments/purchase-tokens", json={"pack": pack})
        attack.saw(answer, won=answer.status_code < 400 or answer.status_code >= 500, what=f"pack {pack!r:.40}")
    plans: list[tuple[Any, Any]] = [
        ("free", "month"), ("house", "month"), ("house", "year"), ("credits-50", "month"), ("nothing", "month"),
        ("STARTER", "month"), ("starter", "day"), ("starter", "week"), ("starter", ""), ("starter", None),
        ("starter", -1), (None, "month"), (["starter"], "month"), ("price_0", "month"), ("", "year"),
    ]  # fmt: skip
    for plan, interval in plans:
        body = {"plan": plan, "interval": interval}
        answer = await ada.http.post("/api/payments/create-subscription", json=body)
        attack.saw(answer, won=answer.status_code < 400 or answer.status_code >= 500, what=str(body)[:60])
        if isinstance(plan, str) and isinstance(interval, str) and interval:
            answer = await ada.http.post("/billing/subscribe", data=body)
            attack.saw(answer, won=answer.status_code < 400 or answer.status_code >= 500, what=f"form {body}")
    attack.must(not (await _sessions(site, ada)), "a checkout was opened for what is not sold")
    return attack


async def _amounts(site: Site, force: Force) -> Attack:
    """The right names, and beside them what the price is to be."""
    attack = Attack("prices, amounts, counts and currencies of one's own")
    people = [await site.person("haggler") for _ in range(2)]  # a workspace may open 60 checkouts an hour
    for number, (name, value) in enumerate(force.of(MORE.items())):
        ada, text = people[number % 2], str(value)
        for answer in (
            await ada.http.post("/api/payments/purchase-tokens", json={"pack": "credits-50", name: value}),
            await ada.http.post("/billing/packs", data={"pack": "credits-50", name: text}),
            await ada.http.post("/api/payments/create-subscription", json={"plan": "starter", name: value}),
            await ada.http.post(f"/billing/subscribe?{name}=1", data={"plan": "starter", name: text}),
        ):
            attack.saw(answer, won=answer.status_code >= 500, what=name)
    asked = [one for person in people for one in await _sessions(site, person)]
    for session in asked:
        right = session["amount_total"] in (499, 999) and session["currency"] == "usd"
        attack.must(right and not session.get("discounts"), f"{session['id']} is over {session['amount_total']}")
        attack.must("evil" not in session["success_url"], "a checkout leads back to another site")
    rows = await site.rows(
        "SELECT count(*) AS n FROM purchase WHERE workspace_id = ANY($1) AND (credits, price_cents, currency, state)"
        " <> (50000000, 499, 'usd', 'open')",
        [person.workspace for person in people],
    )
    attack.must(rows[0]["n"] == 0, "a purchase is for other figures than the pack's")
    for person in people:
        attack.must(await person.balance() == 8, "credits before anything is paid")
    attack.found = f"{len(asked)} checkouts, all over the catalogue's price"
    return attack


async def _sessions(site: Site, person: Person) -> list[dict[str, Any]]:
    known = await site.rows("SELECT ref FROM billing_customer WHERE workspace_id = $1", person.workspace)
    found = []
    for row in known:
        found += (await site.till.get("checkout/sessions", customer=row["ref"], limit=100))["data"]
    return found


async def _moments(site: Site) -> Attack:
    """The page that confirms a change sends along when its figures were made: what is left of the period is paid."""
    attack = Attack("a moment of one's own for the proration of an upgrade")
    now = int(time.time())
    month, year = 30 * 86400, 365 * 86400
    for start, there, moments in (
        ("month", "month", (now + month - 7200, now + month // 2, now + 3600, 0, 2**40)),
        ("month", "year", (now + month - 7200, now - 86400)),
        ("year", "year", (now + year - 86400, now + 300)),
    ):
        ada = await site.person("timer")
        await site.subscribed(ada, "starter", start)
        paid, before = await _paid(site, ada), await ada.balance()
        for moment in moments:
            form = {"plan": "pro", "interval": there, "moment": str(moment)}
            answer = await ada.http.post("/billing/change", data=form)
            cost = await _paid(site, ada) - paid
            won = await ada.balance() > before and cost < _upgrade(start, there) * 98 // 100
            attack.saw(answer, won=won, what=f"{start} to {there}, {moment - now} s from now, for {cost} cents")
            attack.must(answer.status_code < 500, f"a moment broke the page: {answer.text[:100]}")
    return attack


def _upgrade(interval: str, there: str) -> int:
    """What going from starter to pro costs just after having paid."""
    return PLANS["pro", there] - PLANS["starter", interval]


async def _paid(site: Site, person: Person) -> int:
    """All that somebody has paid, in cents."""
    (row,) = await site.rows("SELECT ref FROM billing_customer WHERE workspace_id = $1", person.workspace)
    return int((await site.till.ledger())["by_customer"].get(row["ref"], {}).get("usd", {}).get("paid", 0))


async def _refunded(site: Site, force: Force) -> Attack:
    """Spend while the money goes back, and afterwards."""
    attack = Attack("spends during and after a refund")
    for _ in range(force.rounds):
        ada = await site.person("refunder")
        session = await site.till.get(f"checkout/sessions/{await site.bought(ada)}")
        for _ in range(4):
            await ada.made(count=2)
        refund = asyncio.create_task(site.till.post("refunds", payment_intent=session["payment_intent"]))
        during = await asyncio.gather(*(ada.ask() for _ in range(force.crowd)))
        await refund
        await site.till.quiet()
        left, spent = await ada.settled(), 8 + sum(answer.status_code == 202 for answer in during)
        debt = await _debt(site, ada)
        attack.must(left - debt == 8 - spent, f"{left} left and {debt} owed after {spent} of 8 + 50 − 50")
        after = await asyncio.gather(*(ada.ask() for _ in range(force.crowd)))
        accepted = 0
        for answer in during:
            attack.saw(answer)
        for answer in after:
            accepted += answer.status_code == 202
            attack.saw(answer, won=answer.status_code == 202 and accepted > left)
        await _again(site, attack, ada, str(session["payment_intent"]), debt)
    attack.found = "what is spent is owed, and paid back first"
    return attack


async def _again(site: Site, attack: Attack, ada: Person, payment: str, debt: Decimal) -> None:
    """The refund told anew changes nothing; the next pack settles the debt first."""
    before = await ada.settled()
    for one in (await site.till.get("events", limit=100))["data"]:
        if one["data"]["object"].get("payment_intent") == payment:
            attack.saw(await site.till.tell(*site.till.signed(one)))
    attack.must(
        await ada.balance() == before and await _debt(site, ada) == debt, "a refund counts again when told again"
    )
    if debt:
        answer: httpx2.Response = await ada.ask()
        attack.saw(answer, won=answer.status_code == 202, what="in debt")
    await site.bought(ada)
    attack.must(
        await ada.balance() == before + 50 - debt, f"{await ada.balance() - before} of 50 after a debt of {debt}"
    )


async def _debt(site: Site, person: Person) -> Decimal:
    """Credits owed."""
    rows = await site.rows(
        "SELECT debt FROM credit_balance WHERE workspace_id = $1 AND unit = 'credit'", person.workspace
    )
    return Decimal(rows[0]["debt"]) / 1_000_000
