"""Subscriptions and the webhook inbox in the panel: found, counted, replayed; nothing is ever done twice."""

import asyncio
from datetime import timedelta
from typing import Any

from gesso.admin.webhooks_payload import shown
from gesso.billing.manual import ManualPayments
from gesso.billing.stripe.line import Access
from gesso.billing.tasks import try_again
from gesso.core.clock import SystemClock
from gesso.core.ids import new_id
from gesso.credits import service as credits
from tests.admin.conftest import Office
from tests.admin.till import EVENTS, desk, moved, office, one_event, paid_for_but_failed, shop, unreachable
from tests.billing.shop import FAILS_LATER, SECRET, Shop
from tests.billing.test_stripe_plans import Overdue

__all__ = ["desk", "office", "shop"]

SUBSCRIPTIONS = "/api/admin/subscriptions"
LINE = {
    "id", "workspace_id", "workspace", "payer", "provider", "ref", "plan", "interval", "status", "price_cents",
    "currency", "period_start", "period_end", "cancel_at", "next_plan", "next_interval", "grace_until", "created_at",
    "ended_at",
}  # fmt: skip
EVENT = {
    "id", "provider", "ref", "type", "object", "state", "error", "tries", "change_count", "workspace_id", "workspace",
    "created_at", "received_at", "next_try_at", "done_at",
}  # fmt: skip
CHANGE = {"thing", "ref", "name", "before", "after"}
DEEDS = {
    f"POST {room}/{path}": action
    for room in ("/admin", "/api/admin")
    for path, action in (
        ("subscriptions/{subscription_id}/read-again", "subscription.read_again"),
        ("subscriptions/{subscription_id}/cancel", "subscription.cancelled"),
        ("subscriptions/{subscription_id}/resume", "subscription.resumed"),
        ("webhooks/{event_id}/replay", "webhook.replayed"),
        ("webhooks/replay-failed", "webhook.failed_replayed"),
    )
}
DEEDS = {name.replace("/api/admin/webhooks", EVENTS): action for name, action in DEEDS.items()}
"""Every route here that changes something, and what it is written down as."""


async def test_a_subscription_is_found_by_whatever_one_knows_of_it(office: Office, shop: Shop) -> None:
    _, http = await office.operator()
    ada, bea = await shop.person(), await shop.person()
    await shop.subscribe(ada, "pro")
    await shop.subscribe(bea, "starter", "year")
    await shop.buy(ada, "credits-50")
    await shop.catch_up()
    live = await shop.live(ada)
    assert live is not None
    whole = (await http.get(f"{SUBSCRIPTIONS}/{live.id}")).json()
    assert set(whole) == LINE | {
        "customer", "paid_cents", "refunded_cents", "invoices", "purchases", "disputes", "events",
    }  # fmt: skip
    (invoice,), (pack,) = whole["invoices"], whole["purchases"]
    assert (whole["status"], whole["plan"], whole["price_cents"], whole["paid_cents"]) == ("active", "pro", 2999, 2999)
    assert (whole["payer"], whole["ref"]) == (ada.email, live.ref)
    assert (invoice["total_cents"], pack["pack"], pack["state"], pack["credits"]) == (2999, "credits-50", "paid", "50")
    assert {one["type"] for one in whole["events"]} >= {"customer.subscription.created", "invoice.paid"}

    async def found(**query: Any) -> list[str]:
        answer = await http.get(SUBSCRIPTIONS, params=query)
        assert answer.status_code == 200, answer.text
        assert (await http.get("/admin/subscriptions", params=query)).status_code == 200
        return [one["workspace_id"] for one in answer.json()["items"]]

    mine = [str(ada.workspace_id)]
    for known in (ada.email, ada.email[:14], live.ref, whole["customer"], invoice["number"], str(live.id), mine[0]):
        assert await found(q=known) == mine, known
    for known in (ada.email, f"{ada.email}x", "sub_none", "'\"%_\\", str(new_id())):
        assert await found(q=known, plan="starter") == []
    assert await found(q=ada.email, plan="pro", provider="stripe", status="active") == mine
    assert await found(q=ada.email, provider="manual") == await found(q=ada.email, status="past_due") == []

    first = (await http.get(SUBSCRIPTIONS, params={"limit": 1})).json()
    assert set(first) == {"items", "next", "counts"} and set(first["items"][0]) == LINE
    assert set(first["counts"]) == {"active", "past_due", "ending", "incomplete", "cancelled", "first_grace_until"}
    then = (await http.get(SUBSCRIPTIONS, params={"limit": 1, "cursor": first["next"]})).json()["items"]
    assert [first["items"][0]["workspace_id"], then[0]["workspace_id"]] == [str(bea.workspace_id), *mine]
    page = (await http.get(f"/admin/subscriptions/{live.id}")).text
    for words in (
        "$29.99",
        "$4.99",
        "Active",
        f"/admin/workspaces/{mine[0]}",
        "First payment",
        "status",
        str(live.ref),
    ):
        assert words in page, words
    assert f"/admin/subscriptions/{live.id}" in (await http.get(f"/admin/workspaces/{mine[0]}")).text


async def test_what_is_past_due_stands_in_the_order_of_its_grace(office: Office, shop: Shop) -> None:
    _, http = await office.operator()
    await shop.start_clock()
    people = [await shop.person() for _ in range(2)]
    for who in people:
        await shop.subscribe(who, "starter", card=FAILS_LATER)
    await shop.catch_up()
    live = [await shop.live(who) for who in people]
    assert live[0] is not None and live[0].period_end is not None and live[1] is not None
    await shop.travel(live[0].period_end + timedelta(days=2))
    news = await shop.news()
    # the later of the two is told of first: its grace ends first
    for one in reversed(live):
        assert one is not None
        await shop.deliver(event for event in news if str(one.ref) in str(event))
        shop.clock.advance(timedelta(hours=1))
    wanted = [str(live[1].id), str(live[0].id)]
    told = (await http.get(SUBSCRIPTIONS, params={"status": "past_due", "limit": 1})).json()
    assert told["counts"]["past_due"] == 2 and told["items"][0]["id"] == wanted[0]
    assert told["counts"]["first_grace_until"] == told["items"][0]["grace_until"]
    then = (await http.get(SUBSCRIPTIONS, params={"status": "past_due", "cursor": told["next"]})).json()
    assert [one["id"] for one in then["items"]] == wanted[1:] and then["next"] is None
    page = (await http.get("/admin/subscriptions?status=past_due")).text
    assert "first grace ends" in page and page.index(wanted[0]) < page.index(wanted[1])
    assert "The last renewal could not be paid" in (await http.get(f"/admin/subscriptions/{wanted[0]}")).text


async def test_a_failed_notice_replayed_twice_at_once_grants_once(office: Office, shop: Shop) -> None:
    olga, http = await office.operator()
    ada, event = await paid_for_but_failed(shop)
    kept = await one_event(http, event["id"])
    assert set(kept) == EVENT and (kept["state"], kept["tries"], kept["change_count"]) == ("failed", 1, 0)
    assert "does not answer" in kept["error"] and kept["workspace_id"] == str(ada.workspace_id)
    overview = (await http.get("/admin")).text
    assert "payment event failed" in overview and "/admin/webhooks?state=failed" in overview
    listed = (await http.get("/admin/webhooks")).text
    assert "Replay all 1 failed" in listed and kept["id"] in listed and 'aria-current="page">Failed' in listed

    before = await moved(shop, ada)
    answers = await asyncio.gather(*(http.post(f"{EVENTS}/{kept['id']}/replay") for _ in range(2)))
    bodies = [answer.json() for answer in answers]
    assert [answer.status_code for answer in answers] == [200, 200], bodies
    assert sorted(body["changed"] for body in bodies) == [False, True]
    assert all(body["came_of"] == "done" and body["event"]["state"] == "done" for body in bodies)
    (worked,) = [body for body in bodies if body["changed"]]
    assert set(worked) == {"came_of", "changed", "changes", "detail", "event"} and set(worked["changes"][0]) == CHANGE
    given = [one for one in worked["changes"] if one["thing"] == "credits"]
    assert [(one["name"], one["after"]) for one in given] == [("grant", 50_000_000)]
    assert (await moved(shop, ada), await shop.balance(ada)) == (before + 1, 75)

    again = (await http.post(f"{EVENTS}/{kept['id']}/replay")).json()
    assert (again["changed"], again["changes"]) == (False, []) and "Nothing changed" in again["detail"]
    said = await http.post(f"/admin/webhooks/{kept['id']}/replay")
    assert said.headers["location"] == f"/admin/webhooks/{kept['id']}"
    assert "Nothing%20changed" in said.headers["set-cookie"]
    assert (await moved(shop, ada), await shop.balance(ada)) == (before + 1, 75)
    async with office.db.elevated("test: verify") as tx:
        assert await credits.verify(tx) == ()
    notes = await office.noted(olga, "webhook.replayed")
    assert [(note["webhook_event"], note["came_of"]) for note in notes] == [(kept["id"], "done")] * 4
    assert sorted(bool(note["changes"]) for note in notes) == [False, False, False, True]

    whole = (await http.get(f"{EVENTS}/{kept['id']}")).json()
    assert set(whole) == EVENT | {"subscription_id", "effects", "payload"}
    (effect,) = whole["effects"]
    assert set(effect) == {"at", "changes"} and effect["changes"] == worked["changes"]
    page = (await http.get(f"/admin/webhooks/{kept['id']}")).text
    for words in ("Pack: state", "paid", "Credits: given", "50 credits", olga.email, event["id"]):
        assert words in page, words


async def test_what_still_fails_says_why_and_stays(office: Office, shop: Shop) -> None:
    olga, http = await office.operator()
    ada, event = await paid_for_but_failed(shop)
    kept = await one_event(http, event["id"])
    good = unreachable(shop)
    answer = (await http.post(f"{EVENTS}/{kept['id']}/replay")).json()
    assert (answer["came_of"], answer["changed"], answer["event"]["tries"]) == ("failed", False, 2)
    assert "does not answer" in answer["detail"]
    (note,) = await office.noted(olga, "webhook.replayed")
    assert (note["came_of"], note["error"], note["ip"]) == ("failed", answer["event"]["error"], "192.0.2.9")
    shop.payments._line = good
    assert (await http.post(f"{EVENTS}/{kept['id']}/replay")).json()["changed"] is True
    shop.payments._line = type(good)(Access(shop.key, SECRET, "http://127.0.0.1:9"))
    stands = (await http.post(f"{EVENTS}/{kept['id']}/replay")).json()["event"]
    assert (stands["state"], stands["next_try_at"]) == ("done", None) and stands["error"]
    assert "that stands" in (await http.get(f"/admin/webhooks/{kept['id']}")).text
    assert await shop.balance(ada) == 75


async def test_all_that_failed_is_replayed_by_workers(office: Office, shop: Shop) -> None:
    olga, http = await office.operator()
    people = [await paid_for_but_failed(shop) for _ in range(2)]
    refs = [event["id"] for _, event in people]
    async with office.db.elevated("test: nobody tries it any more") as tx:
        await tx.execute_raw("UPDATE webhook_event SET next_try_at = NULL WHERE ref = $1", refs[0])
    assert "not tried again" in (await http.get("/admin/webhooks")).text
    answer = await http.post(f"{EVENTS}/replay-failed")
    assert (answer.status_code, answer.json()) == (202, {"queued": 2})
    assert "being tried again right now" in (await http.get("/admin/webhooks")).text
    shop.clock.set(SystemClock().now())
    assert await try_again(Overdue(shop)) == 2
    assert [(await one_event(http, ref))["state"] for ref in refs] == ["done", "done"]
    assert [await shop.balance(who) for who, _ in people] == [75, 75]
    assert (await http.post(f"{EVENTS}/replay-failed")).json() == {"queued": 0}
    said = await http.post("/admin/webhooks/replay-failed", data={"back": "state=all"})
    assert said.headers["location"] == "/admin/webhooks?state=all"
    assert [note["count"] for note in await office.noted(olga, "webhook.failed_replayed")] == [2]


async def test_events_are_narrowed_and_paged(office: Office, shop: Shop) -> None:
    _, http = await office.operator()
    ada = await shop.person()
    await shop.subscribe(ada, "starter")
    await shop.post("customers", email="else@example.test")
    await shop.catch_up()
    live = await shop.live(ada)
    assert live is not None and live.ref is not None

    async def found(**query: Any) -> list[dict[str, Any]]:
        answer = await http.get(EVENTS, params=query)
        assert answer.status_code == 200, answer.text
        assert (await http.get("/admin/webhooks", params=query)).status_code == 200
        return list(answer.json()["items"])

    paid = await found(q=live.ref, type="invoice.paid")
    assert [one["workspace_id"] for one in paid] == [str(ada.workspace_id)]
    assert await found(q=live.ref[4:20]) == await found(q=live.ref) != []
    assert await found(q=live.ref, state="ignored") == await found(q="evt_none") == await found(type="no.such") == []
    assert {one["state"] for one in await found(state="ignored", type="customer.created")} == {"ignored"}
    first = (await http.get(EVENTS, params={"limit": 2})).json()
    assert set(first) == {"items", "next", "counts"} and set(first["counts"]) == {
        "failed", "received", "done", "ignored",
    }  # fmt: skip
    then = (await http.get(EVENTS, params={"limit": 2, "cursor": first["next"]})).json()
    ids = [one["id"] for one in (*first["items"], *then["items"])]
    assert ids == sorted(set(ids), reverse=True) and len(ids) == 4
    older = await http.get(f"/admin/webhooks?state=all&before={ids[1]}")
    assert ids[2] in older.text and ids[0] not in older.text
    assert f"/admin/subscriptions/{live.id}" in (await http.get(f"/admin/webhooks/{paid[0]['id']}")).text


async def test_an_operator_reads_again_ends_and_lets_go_on(office: Office, shop: Shop) -> None:
    olga, http = await office.operator()
    ada = await shop.person()
    await shop.subscribe(ada, "starter")
    await shop.catch_up()
    live = await shop.live(ada)
    assert live is not None
    await shop.post(f"subscriptions/{live.ref}", cancel_at_period_end="true")  # nobody is told
    url = f"{SUBSCRIPTIONS}/{live.id}"
    read = (await http.post(f"{url}/read-again")).json()
    assert set(read) == {"changed", "changes", "subscription"} and read["changed"] is True
    assert [(one["name"], one["before"]) for one in read["changes"]] == [("cancel_at", None)]
    assert read["subscription"]["cancel_at"] == read["subscription"]["period_end"]
    assert (await http.post(f"{url}/read-again")).json()["changes"] == []
    ending = (await http.get(SUBSCRIPTIONS, params={"status": "ending", "q": ada.email})).json()["items"]
    assert [one["id"] for one in ending] == [str(live.id)]
    assert (await http.post(f"{url}/resume")).json()["cancel_at"] is None
    assert "Let it go on" not in (await http.get(f"/admin/subscriptions/{live.id}")).text
    assert (await http.post(f"/admin/subscriptions/{live.id}/cancel")).status_code == 303
    assert (await http.get(url)).json()["cancel_at"] is not None
    notes = await office.noted(olga)
    assert [note["action"] for note in notes] == [
        "subscription.cancelled", "subscription.resumed", "subscription.read_again", "subscription.read_again",
    ]  # fmt: skip
    assert notes[0]["before"] == {"cancel_at": None, "next_plan": None} and notes[0]["after"]["cancel_at"]
    assert {note["subscription"] for note in notes} == {str(live.id)}
    page = (await http.get(f"/admin/subscriptions/{live.id}")).text
    assert "Told to end with its period" in page and olga.email in page
    unreachable(shop)
    refused = await http.post(f"{url}/read-again")
    assert refused.status_code == 503 and refused.headers["content-type"] == "application/problem+json"
    said = await http.post(f"/admin/subscriptions/{live.id}/read-again")
    assert said.status_code == 303 and "does%20not%20answer" in said.headers["set-cookie"]


async def test_each_deed_leaves_its_trace(office: Office, shop: Shop) -> None:
    olga, http = await office.operator()
    ada, event = await paid_for_but_failed(shop)
    await shop.subscribe(ada, "starter")
    await shop.catch_up()
    live, kept = await shop.live(ada), await one_event(http, event["id"])
    assert live is not None
    for name, action in DEEDS.items():
        async with office.db.elevated("test: it fails anew") as tx:
            await tx.execute_raw("UPDATE webhook_event SET state = 'failed' WHERE ref = $1", event["id"])
        before = len(await office.noted(olga, action))
        path = name.removeprefix("POST ").format(subscription_id=live.id, event_id=kept["id"])
        answer = await http.post(path)
        assert answer.status_code < 400, (name, answer.text)
        assert "%22kind%22%3A%20%22bad%22" not in answer.headers.get("set-cookie", ""), name
        noted = await office.noted(olga, action)
        assert (len(noted), noted[0]["ip"]) == (before + 1, "192.0.2.9"), name
    shown = (await http.get(f"/admin/audit?about={kept['id']}")).text
    assert f"/admin/webhooks/{kept['id']}" in shown
    assert f"/admin/subscriptions/{live.id}" in (await http.get(f"/admin/audit?about={live.id}")).text


async def test_without_a_secret_or_a_provider_the_panel_says_the_way_out(office: Office, shop: Shop) -> None:
    _, http = await office.operator()
    assert "STRIPE_WEBHOOK_SECRET" not in (await http.get("/admin")).text
    ada, event = await paid_for_but_failed(shop)
    await shop.subscribe(ada, "starter")
    kept, live = await one_event(http, event["id"]), await shop.live(ada)
    assert live is not None
    shop.payments._line = type(shop.payments._line)(Access(shop.key, None, f"{shop.sandbox}/stripe"))
    for page in ("/admin", "/admin/webhooks", f"/admin/webhooks/{kept['id']}"):
        assert "STRIPE_WEBHOOK_SECRET is not set" in (await http.get(page)).text, page
    office.app.state.payments = ManualPayments()
    assert "STRIPE_WEBHOOK_SECRET" not in (await http.get("/admin")).text
    for refused in (f"{EVENTS}/{kept['id']}/replay", f"{EVENTS}/replay-failed", f"{SUBSCRIPTIONS}/{live.id}/cancel"):
        answer = await http.post(refused)
        assert answer.status_code == 409 and answer.json()["detail"], refused
    listed, one = [(await http.get(f"/admin/webhooks{path}")).text for path in ("", f"/{kept['id']}")]
    assert "/replay" not in listed and "/replay" not in one
    assert "not set up on this site" in (await http.get(f"/admin/subscriptions/{live.id}")).text


async def test_others_find_nothing_there(office: Office, shop: Shop) -> None:
    ada, event = await paid_for_but_failed(shop)
    _, http = await office.operator()
    kept = await one_event(http, event["id"])
    for client, status in ((await office.client(ada), 404), (await office.client(), 401)):
        for method, path in (
            ("GET", SUBSCRIPTIONS), ("GET", EVENTS), ("GET", f"{EVENTS}/{kept['id']}"),
            ("POST", f"{EVENTS}/{kept['id']}/replay"), ("POST", f"{EVENTS}/replay-failed"),
        ):  # fmt: skip
            answer = await client.request(method, path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
    assert (await one_event(http, event["id"]))["state"] == "failed"
    for path in (f"{SUBSCRIPTIONS}/{new_id()}", f"{EVENTS}/{new_id()}", "/admin/webhooks/x", "/admin/subscriptions/x"):
        assert (await http.get(path)).status_code in (404, 422)
    for path in (
        f"{SUBSCRIPTIONS}?cursor=%FF",
        f"{SUBSCRIPTIONS}?status=odd",
        f"{EVENTS}?cursor=x",
        f"{EVENTS}?limit=0",
    ):
        assert (await http.get(path)).status_code == 422
    for path in (f"{EVENTS}/{new_id()}/replay", f"{SUBSCRIPTIONS}/{new_id()}/read-again"):
        assert (await http.post(path)).status_code == 404


async def test_a_payload_shows_no_secret_and_nothing_personal(office: Office, shop: Shop) -> None:
    _, http = await office.operator()
    ada = await shop.person()
    await shop.subscribe(ada, "starter")
    news = await shop.news()
    await shop.deliver(news)
    raw = "".join(str(one) for one in news)
    assert ada.email in raw and "hosted_invoice_url" in raw
    for one in (await http.get(EVENTS, params={"limit": 30})).json()["items"]:
        whole = (await http.get(f"{EVENTS}/{one['id']}")).text + (await http.get(f"/admin/webhooks/{one['id']}")).text
        payload = whole.partition('"payload"')[2].partition("</html>")[0]
        assert "http://127.0.0.1" not in payload and one["ref"] in payload
        if one["workspace_id"] == str(ada.workspace_id):
            assert ada.email not in whole and SECRET not in whole and shop.key not in whole
    deep: dict[str, Any] = {"id": "pi_1", "client_secret": "pi_1_secret_abc", "livemode": False, "email": None}
    for _ in range(12):
        deep = {"inner": [deep], "billing_details": {"name": "Ada"}, "receipt_url": "https://x.test/1"}
    text = str(shown(deep))
    assert "pi_1_secret" not in text and "Ada" not in text and "x.test" not in text
    assert "'id': 'pi_1'" in text and "'email': None" in text and "'livemode': False" in text


async def test_a_disputed_payment_is_told_on_the_overview_and_where_it_holds_everything_up(
    office: Office, shop: Shop
) -> None:
    _, http = await office.operator()
    ada = await shop.person()
    await shop.buy(ada, "credits-50")
    await shop.catch_up()
    page = f"/admin/workspaces/{ada.workspace_id}"
    assert "On hold" not in (await http.get(page)).text
    (payment,) = await shop.rows("SELECT payment_ref FROM purchase WHERE workspace_id = $1", ada.workspace_id)
    await shop.control("dispute", payment_intent=payment["payment_ref"])
    await shop.catch_up()
    (dispute,) = await shop.rows("SELECT ref FROM dispute WHERE workspace_id = $1", ada.workspace_id)
    told = (await http.get("/admin")).text
    assert "payment disputed" in told and "type=charge.dispute.created" in told
    held = (await http.get(page)).text
    assert "On hold: a payment is disputed" in held and dispute["ref"] in held and "$4.99" in held
    whole = (await http.get(f"/api{page}")).json()
    assert whole["on_hold"] and [one["ref"] for one in whole["disputes"]] == [dispute["ref"]]
    assert [one["state"] for one in whole["purchases"]] == ["disputed"]
    inbox = await http.get("/admin/webhooks?state=all&type=charge.dispute.created")
    assert str(ada.workspace_id) in inbox.text
