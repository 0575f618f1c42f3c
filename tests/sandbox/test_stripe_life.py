"""A customer's whole life at the sandbox's Stripe, with the official SDK and the hosted pages."""

import re
from typing import Any

import stripe

from tests.sandbox.stripe_shop import DAY, DISPUTED, LATER, VISA, Shop, at, shop, shops

__all__ = ["shop", "shops"]


async def portal(shop: Shop, customer: str, prices: list[stripe.Price], **update: Any) -> str:
    """A portal that allows everything; its address."""
    products = [{"product": str(price.product), "prices": [price.id]} for price in prices]
    features: Any = {
        "invoice_history": {"enabled": True}, "payment_method_update": {"enabled": True},
        "subscription_cancel": {"enabled": True, "mode": "at_period_end", "cancellation_reason": {"enabled": True}},
        "subscription_update": {"enabled": True, "default_allowed_updates": ["price"], "products": products,
                                "proration_behavior": "always_invoice", **update},
    }  # fmt: skip
    made = await shop.do(shop.v1.billing_portal.configurations.create, {"features": features})
    params: Any = {"customer": customer, "configuration": made.id, "return_url": "https://shop.test/billing"}
    return (await shop.do(shop.v1.billing_portal.sessions.create, params)).url


async def test_a_customer_s_life(shop: Shop) -> None:
    await shop.listen()
    basic, pro = await shop.price("Basic", 1000), await shop.price("Pro", 3000)
    sub, clock = await shop.subscribed(
        basic, at(2026, 1, 31), subscription_data={"metadata": {"workspace": "w1"}}, client_reference_id="w1"
    )
    item = sub["items"].data[0]
    assert (sub.status, item.current_period_start, item.current_period_end) == (
        "active", at(2026, 1, 31), at(2026, 2, 28)
    )  # fmt: skip
    assert "current_period_end" not in sub and sub.billing_mode.type == "flexible"
    heard = await shop.heard()
    assert heard.index("customer.subscription.created") < heard.index("invoice.paid") < len(heard)
    assert "checkout.session.completed" in heard
    first = next(letter.event for letter in shop.inbox.letters if letter.event.type == "invoice.paid").data.object
    details = first["parent"]["subscription_details"]
    assert details["subscription"] == sub.id and details["metadata"]["workspace"] == "w1"
    assert first["billing_reason"] == "subscription_create" and "subscription" not in first

    # two renewals; the month's last day stays the month's last day
    await shop.advance(clock, at(2026, 3, 31, 14))
    invoices = await shop.invoices(sub.id)
    assert [i.billing_reason for i in invoices] == ["subscription_create"] + 2 * ["subscription_cycle"]
    assert [i.status for i in invoices] == 3 * ["paid"]
    assert [i.lines.data[0].period.start for i in invoices] == [at(2026, 1, 31), at(2026, 2, 28), at(2026, 3, 31)]

    # the card fails from now on: it is tried again, and the customer pays with another card in the portal
    customer = str(sub.customer)
    page = await portal(shop, customer, [basic, pro])
    assert (await shop.pay(f"{page}/method", LATER)).status_code == 303
    await shop.advance(clock, at(2026, 4, 30, 14))
    assert (await shop.subscription(sub.id)).status == "past_due"
    failed = (await shop.invoices(sub.id))[-1]
    assert (failed.status, failed.attempt_count) == ("open", 1)
    assert failed.next_payment_attempt == at(2026, 4, 30, 13) + 3 * DAY
    assert "invoice.payment_failed" in await shop.heard()
    assert (await shop.pay(f"{page}/method", VISA)).status_code == 303
    await shop.advance(clock, at(2026, 5, 4))
    assert (await shop.subscription(sub.id)).status == "active"

    # cancel and think again
    assert "Cancel plan" in (await shop.web.get(page)).text
    question = await shop.web.get(f"{page}/cancel/{sub.id}")
    assert "until 31 May 2026" in question.text and 'value="too_expensive"' in question.text
    await shop.web.post(f"{page}/cancel/{sub.id}", data={"reason": "too_expensive"})
    now = await shop.subscription(sub.id)
    assert now.cancellation_details and now.cancellation_details.feedback == "too_expensive"
    assert now.cancel_at == at(2026, 5, 31) and not now.cancel_at_period_end and now.status == "active"
    assert "Keep plan" in (await shop.web.get(f"{page}/resume/{sub.id}")).text
    await shop.web.post(f"{page}/resume/{sub.id}")
    assert (await shop.subscription(sub.id)).cancel_at is None

    # upgrade in the middle of a period: the page shows what is then charged
    await shop.advance(clock, at(2026, 5, 16) - 43_200)
    shown = await shop.web.get(f"{page}/update/{sub.id}/{pro.id}")
    due = re.search(r"Due today</span><span>\$([\d.]+)<", shown.text)
    await shop.web.post(f"{page}/update/{sub.id}/{pro.id}")
    upgrade = (await shop.invoices(sub.id))[-1]
    left, whole = at(2026, 5, 31) - (at(2026, 5, 16) - 43_200), at(2026, 5, 31) - at(2026, 4, 30)
    expected = round(3000 * left / whole) - round(1000 * left / whole)
    assert (upgrade.billing_reason, upgrade.status, upgrade.amount_paid) == ("subscription_update", "paid", expected)
    assert due is not None and due[1] == f"{expected / 100:.2f}"
    assert [line.parent.subscription_item_details.proration for line in upgrade.lines.data] == [True, True]

    # part of it goes back
    paid = await shop.do(shop.v1.invoice_payments.list, {"invoice": upgrade.id})
    intent = str(paid.data[0].payment.payment_intent)
    refund = await shop.do(shop.v1.refunds.create, {"payment_intent": intent, "amount": 300})
    charge = await shop.do(shop.v1.charges.retrieve, str(refund.charge))
    assert (charge.amount_refunded, charge.refunded) == (300, False)
    back = await shop.do(shop.v1.invoice_payments.list, {
        "payment": {"type": "payment_intent", "payment_intent": intent}
    })  # fmt: skip
    assert [p.invoice for p in back.data] == [upgrade.id]

    # the last renewal is disputed, and the dispute is lost
    assert (await shop.pay(f"{page}/method", DISPUTED)).status_code == 303
    await shop.advance(clock, at(2026, 5, 31, 14))
    dispute = (await shop.do(shop.v1.disputes.list)).data[0]
    assert (dispute.amount, dispute.status, dispute.reason) == (3000, "needs_response", "fraudulent")
    evidence: Any = {"evidence": {"uncategorized_text": "losing_evidence"}}
    assert (await shop.do(shop.v1.disputes.update, dispute.id, evidence)).status == "lost"
    heard = await shop.heard()
    assert {"charge.refunded", "charge.dispute.created", "charge.dispute.closed"} <= set(heard)

    ledger = await shop.look(f"ledger?customer={customer}")
    invoices = await shop.invoices(sub.id)
    assert sum(p["amount"] for p in ledger["payments"]) == sum(i.amount_paid for i in invoices)
    assert ledger["by_customer"][customer]["usd"] == {
        "paid": 4 * 1000 + expected + 3000, "refunded": 300, "disputed": 3000
    }  # fmt: skip
    ended = await shop.do(shop.v1.subscriptions.cancel, sub.id)
    assert ended.status == "canceled" and (await shop.heard())[-1] == "customer.subscription.deleted"
