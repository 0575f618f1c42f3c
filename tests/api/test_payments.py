"""The shapes of paying, through the sandbox's Stripe."""

from datetime import datetime

from tests.api.people import Person
from tests.billing.shop import paid_by_card
from tests.product import Product

SUBSCRIPTION = {
    "plan", "interval", "status", "price_cents", "currency", "period_end", "cancel_at", "next_plan", "grace_until",
}  # fmt: skip


async def test_subscribe_buy_cancel(ada: Person, product: Product) -> None:
    free = (await ada.http.get("/api/user/subscription")).json()
    assert set(free) == SUBSCRIPTION and (free["plan"], free["status"], free["interval"]) == ("free", "free", None)
    assert (await ada.http.get("/api/payments/billing-history")).json() == {"items": [], "next": None}
    assert (await ada.http.post("/api/payments/cancel-subscription")).status_code == 409
    wrong = await ada.http.post("/api/payments/create-subscription", json={"plan": "gold"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "plan")

    asked = {"plan": "starter", "interval": "year"}
    keyed = {"Idempotency-Key": "mine"}
    opened = await ada.http.post("/api/payments/create-subscription", json=asked, headers=keyed)
    assert opened.status_code == 200 and set(opened.json()) == {"url"}
    again = await ada.http.post("/api/payments/create-subscription", json=asked, headers=keyed)
    assert again.json() == opened.json()
    other = await ada.http.post("/api/payments/create-subscription", json={"plan": "pro"}, headers=keyed)
    assert other.status_code == 422
    pack = await ada.http.post("/api/payments/purchase-tokens", json={"pack": "credits-50"})
    assert set(pack.json()) == {"id", "url"}

    for url in (opened.json()["url"], pack.json()["url"]):
        back = await paid_by_card(url)
        assert "/billing/return?session_id=cs_test_" in back
        assert (await ada.http.get(f"/billing/return?session_id={back.partition('=')[2]}")).status_code == 200
    paid = (await ada.http.get("/api/user/subscription")).json()
    assert (paid["plan"], paid["interval"], paid["status"], paid["price_cents"]) == ("starter", "year", "active", 9990)
    assert (await ada.http.get("/api/credits")).json()["balance"] == "300"
    assert (await ada.http.post("/api/payments/create-subscription", json=asked)).status_code == 409
    history = (await ada.http.get("/api/payments/billing-history")).json()
    assert history["next"] is None and set(history["items"][0]) == {
        "id", "number", "status", "total_cents", "refunded_cents", "currency", "issued_at", "paid_at", "url", "pdf",
    }  # fmt: skip
    assert (history["items"][0]["status"], history["items"][0]["total_cents"]) == ("paid", 9990)
    ending = (await ada.http.post("/api/payments/cancel-subscription")).json()
    assert set(ending) == SUBSCRIPTION and ending["cancel_at"] == paid["period_end"]
    assert datetime.fromisoformat(ending["cancel_at"]).tzinfo is not None


async def test_notices_are_believed_by_their_signature_only(product: Product, ada: Person) -> None:
    forged = await ada.http.post("/api/payments/webhook", content=b"{}", headers={"Stripe-Signature": "t=1,v1=00"})
    assert forged.status_code == 403
    assert (await ada.http.post("/api/payments/webhook", content=b"x" * (2**20 + 1))).status_code == 413
