"""Making the site believe that something was paid: notices repeated, turned round, forged, old, altered, untrue."""

import asyncio
import copy
import json
import secrets
import time

import httpx2

from attack.score import Attack, Force
from attack.site import Json, Person, Site, session_of

STALE_SECONDS = 600
DISORDER = "webhook-duplicate*12, webhook-twin*3, webhook-reversed*12, webhook-shuffled*6=0.2"


async def attacks(site: Site, force: Force) -> list[Attack]:
    """All of them."""
    return [
        await _replayed(site, force), await _disordered(site, force), await _forged(site), await _old(site),
        await _altered(site), await _untrue(site),
    ]  # fmt: skip


async def _replayed(site: Site, force: Force) -> Attack:
    """True notices of a pack and of a plan again, all at once, in any order."""
    attack = Attack("replayed webhooks")
    ada = await site.person("replayer")
    await site.bought(ada)
    await site.subscribed(ada)
    before = await ada.balance()
    customer = (await site.rows("SELECT ref FROM billing_customer WHERE workspace_id = $1", ada.workspace))[0]["ref"]
    events = [one for one in (await site.till.get("events", limit=100))["data"] if customer in json.dumps(one)]
    for number in range(force.rounds):
        letters = [site.till.signed(one) for one in (events if number % 2 else reversed(events))]
        for answer in await asyncio.gather(*(site.till.tell(*letter) for letter in force.of(letters * 2))):
            attack.saw(answer)
        attack.must(await ada.balance() == before, f"{await ada.balance() - before} credits by replay {number}")
    attack.found = f"{len(events)} notices; the balance stays"
    return attack


async def _disordered(site: Site, force: Force) -> Attack:
    """Bought while Stripe tells everything twice, as two objects, backwards and late."""
    attack = Attack("duplicated, twin, reversed and shuffled webhooks")
    for _ in range(force.rounds):
        ada = await site.person("disorder")
        before = await ada.balance()
        await site.till.control("faults", faults=DISORDER)
        for buy in (ada.order(), ada.order("credits-250")):
            attack.tries += 1
            await site.till.pay((await buy)[1])
        attack.tries += 1
        await site.till.pay(await ada.subscription())
        await ada.reaches(before + 450)
        await site.till.control("faults", faults="")
        await site.till.quiet()
        attack.must(await ada.balance() == before + 450, f"{await ada.balance() - before} credits instead of 450")
    attack.found = "450 credits for 450, each time"
    return attack


async def _unpaid(site: Site, name: str) -> tuple[Person, Json]:
    """Somebody with a checkout that nobody has paid, and the notice that would be told if it were."""
    ada = await site.person(name)
    _, url = await ada.order("credits-250")
    session = await site.till.get(f"checkout/sessions/{session_of(url)}")
    session |= {"status": "complete", "payment_status": "paid", "payment_intent": f"pi_{secrets.token_hex(8)}"}
    notice = {
        "id": f"evt_{secrets.token_hex(12)}", "object": "event", "api_version": "2026-10-28.endive",
        "created": int(time.time()), "livemode": False, "pending_webhooks": 1, "type": "checkout.session.completed",
        "request": {"id": None, "idempotency_key": None}, "data": {"object": session},
    }  # fmt: skip
    return ada, notice


async def _forged(site: Site) -> Attack:
    """Whoever is not Stripe says that a pack was paid."""
    attack = Attack("forged webhooks")
    ada, notice = await _unpaid(site, "forger")
    before = await ada.balance()
    body, good = site.till.signed(notice)
    moment, scheme = good.split(",")[0], good.split("v1=")[1]
    for signature in (
        None, "", "t=1,v1=ab", good.replace("v1=", "v0="), good.replace(scheme, scheme[::-1]), moment,
        f"t=,v1={scheme}", f"t={10**18},v1={scheme}", "v1=" + "0" * 64, f"{moment},v1=", "\x7f" * 40,
        *(site.till.signed(notice, secret)[1] for secret in ("whsec_another", "whsec_", "whsec_test", "x")),
        site.till.signed(notice, site.till.secret.removeprefix("whsec_"))[1],
        site.till.signed(notice, site.till.secret.upper())[1],
    ):  # fmt: skip
        answer = await site.till.tell(body, signature)
        attack.saw(answer, won=answer.status_code < 400, what=f"signature {signature!r}")
    for path in ("/api/webhooks/stripe", "/api/webhooks/fal", "/api/payments/webhook/"):
        answer = await ada.http.post(path, content=body, headers={"stripe-signature": good})
        attack.saw(answer, won=answer.status_code < 300, what=path)
    attack.must(await ada.balance() == before, "a forged notice has granted credits")
    return attack


async def _old(site: Site) -> Attack:
    """A notice that Stripe did sign, ten minutes ago and longer."""
    attack = Attack("stale webhooks")
    ada, notice = await _unpaid(site, "stale")
    before = await ada.balance()
    for age in (STALE_SECONDS, 3600, 10**6, int(time.time())):
        answer = await site.till.tell(*site.till.signed(notice, timestamp=int(time.time()) - age))
        attack.saw(answer, won=answer.status_code < 400, what=f"{age} s old")
    attack.must(await ada.balance() == before, "a stale notice has granted credits")
    return attack


async def _altered(site: Site) -> Attack:
    """A true notice with its true signature, and one thing changed in between."""
    attack = Attack("altered webhooks under a true signature")
    ada = await site.person("alterer")
    purchase, _ = await ada.order("credits-250")
    session = await site.bought(ada)
    before = await ada.balance()
    event = await site.till.event(session)
    body, signature = site.till.signed(event)
    text = body.decode()
    for old, new in (
        (event["data"]["object"]["metadata"]["purchase_id"], str(purchase)), (event["id"], "evt_0"), ("499", "19990"),
        (session, session_of((await ada.order("credits-250"))[1])), ('"usd"', '"jpy"'), ("}", "} "),
    ):  # fmt: skip
        answer = await site.till.tell(text.replace(old, new).encode(), signature)
        attack.saw(answer, won=answer.status_code < 400, what=f"{old} as {new}")
    attack.must(await ada.balance() == before, "an altered notice has granted credits")
    return attack


async def _untrue(site: Site) -> Attack:
    """With the secret stolen: well signed, new, and not so. What is granted is read from Stripe, not from notices."""
    attack = Attack("well-signed webhooks that are not true")
    ada, notice = await _unpaid(site, "liar")
    bea = await site.person("mate")
    theirs = await site.till.get(f"checkout/sessions/{await site.bought(bea)}")
    before, hers = await ada.balance(), await bea.balance()
    own = notice["data"]["object"]
    for kind, told in (
        ("checkout.session.completed", own), ("checkout.session.async_payment_succeeded", own),
        ("checkout.session.completed", theirs | {"metadata": own["metadata"]}),
        ("checkout.session.completed", own | {"id": "cs_test_0"}),
        ("invoice.paid", {"id": "in_0", "object": "invoice", "customer": own["customer"], "status": "paid"}),
        ("customer.subscription.created", {"id": "sub_0", "object": "subscription", "customer": own["customer"]}),
        ("charge.refund.updated", {"id": "re_0", "object": "refund", "payment_intent": own["payment_intent"]}),
    ):  # fmt: skip
        event = copy.deepcopy(notice) | {"id": f"evt_{secrets.token_hex(12)}", "type": kind, "data": {"object": told}}
        answer = await site.till.tell(*site.till.signed(event))
        won = await ada.balance() != before or await bea.balance() != hers
        attack.saw(answer, won=won, what=f"{kind} of {told['id']}")
    for body in (b"", b"null", b"[]", b'{"type": 1}', b"\xff\xfe", b'{"id":"evt_1","type":"x","created":1,"data":{}}'):
        answer = await _raw(site, body)
        attack.saw(answer, won=answer.status_code == 500, what=repr(body))
    attack.must(await ada.balance() == before, "a lie has granted credits")
    attack.found = "stored, read anew, nothing granted"
    return attack


async def _raw(site: Site, body: bytes) -> httpx2.Response:
    try:
        signature: str | None = site.till.signed_text(body.decode())
    except UnicodeDecodeError:
        signature = "t=1,v1=ab"
    return await site.till.tell(body, signature)
