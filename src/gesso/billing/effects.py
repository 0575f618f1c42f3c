"""What follows from what a payment provider says. Everything here is done once however often it is told.

All of it happens in the caller's transaction, under a lock on the workspace's payments. Facts of one object are
ordered by the mark that was drawn before it was read: an older reading never replaces a newer one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from gesso.accounts import repository as accounts
from gesso.accounts.mail import Mailer
from gesso.billing import changes, letters, plans, repository
from gesso.billing.changes import Change, Standing
from gesso.billing.facts import (
    CheckoutFact,
    DisputeFact,
    Fact,
    InvoiceFact,
    PaymentFact,
    PlanCheckoutFact,
    SubscriptionFact,
)
from gesso.billing.repository import Invoice, Purchase, Subscription
from gesso.catalog.registry import Catalog
from gesso.core.clock import Clock
from gesso.core.errors import Conflict
from gesso.credits import freezing
from gesso.credits import service as credits
from gesso.db import ElevatedSession
from gesso.web.events import CHANNEL

log = structlog.get_logger()

_ORDER = (CheckoutFact, PlanCheckoutFact, InvoiceFact, SubscriptionFact, PaymentFact, DisputeFact)
"""A payment is known by the checkout or the invoice it settled, a dispute by its payment."""
_BILLED_EARLY = timedelta(hours=1)
_FROZEN = "A payment of this workspace is disputed. Nothing new can be made until the bank has decided."


@dataclass(frozen=True, slots=True)
class Effects:
    """Applies facts of one provider. `grace`: how long a plan stays when a renewal could not be paid; `mailer` tells
    those who pay so, with the address `billing_url`."""

    provider: str
    catalog: Catalog
    clock: Clock
    grace: timedelta
    mailer: Mailer
    billing_url: str

    async def apply(self, tx: ElevatedSession, facts: Sequence[Fact], mark: int) -> tuple[Change, ...] | None:
        """Do what follows: what it changed, None when none of it is about this site. Raises Conflict for what cannot
        be so."""
        ordered = sorted(facts, key=lambda fact: _ORDER.index(type(fact)))
        refs = changes.refs_of(facts)
        touched: dict[UUID, Standing] = {}
        for fact in ordered:
            workspace_id = await self._whose(tx, fact)
            if workspace_id is None:
                continue
            if workspace_id not in touched:
                await repository.lock(tx, workspace_id)
                touched[workspace_id] = await changes.standing(tx, self.provider, workspace_id, refs)
                _announce(tx, workspace_id)
            await self._one(tx, workspace_id, fact, mark)
        if not touched:
            return None
        done = [await changes.since(tx, self.provider, one, refs, before) for one, before in touched.items()]
        return tuple(change for found in done for change in found)

    async def _whose(self, tx: ElevatedSession, fact: Fact) -> UUID | None:
        match fact:
            case CheckoutFact():
                purchase = await repository.purchase_by_id(tx, fact.purchase_id)
                return purchase.workspace_id if purchase else None
            case PlanCheckoutFact() | SubscriptionFact() | InvoiceFact():
                return await repository.workspace_of(tx, self.provider, fact.customer)
            case PaymentFact():
                if fact.customer is None:
                    return None
                return await repository.workspace_of(tx, self.provider, fact.customer)
            case DisputeFact():
                return await repository.workspace_of_payment(tx, self.provider, fact.payment_ref)

    async def _one(self, tx: ElevatedSession, workspace_id: UUID, fact: Fact, mark: int) -> None:
        match fact:
            case CheckoutFact():
                await self._checkout(tx, fact)
            case PlanCheckoutFact():
                await self._plan_checkout(tx, workspace_id, fact)
            case InvoiceFact():
                await repository.keep_invoice(tx, self.provider, workspace_id, fact, mark)
            case SubscriptionFact():
                await self._subscription(tx, workspace_id, fact, mark)
            case PaymentFact():
                await self._payment(tx, workspace_id, fact, mark)
            case DisputeFact():
                await self._dispute(tx, workspace_id, fact, mark)

    # --- packs -----------------------------------------------------------------------------------------

    async def _checkout(self, tx: ElevatedSession, fact: CheckoutFact) -> None:
        purchase = await repository.purchase_by_id(tx, fact.purchase_id)
        assert purchase is not None
        if purchase.checkout_ref not in (None, fact.ref):
            raise Conflict("This checkout is not the one the purchase was made with.")
        if purchase.lot_id is not None:
            return
        now = self.clock.now()
        if not fact.paid:
            if fact.gone:
                await repository.update_purchase(tx, purchase.id, {"state": "expired", "checkout_ref": fact.ref})
            return
        lot_id = await credits.grant(
            tx, purchase.workspace_id, unit="credit", amount=purchase.credits, source="pack",
            key=f"checkout:{fact.ref}", reason="Credits bought", user_id=purchase.user_id, now=now,
        )  # fmt: skip
        assert lot_id is not None, "a checkout is paid once, and the purchase is locked"
        await repository.update_purchase(
            tx, purchase.id,
            {"state": "paid", "checkout_ref": fact.ref, "payment_ref": fact.payment_ref, "lot_id": lot_id,
             "paid_at": now},
        )  # fmt: skip

    async def _plan_checkout(self, tx: ElevatedSession, workspace_id: UUID, fact: PlanCheckoutFact) -> None:
        """The row of a checkout that has run out ends with it; another one may have taken its place by now."""
        row = await repository.live_subscription(tx, workspace_id)
        if fact.gone and row is not None and row.ref is None and row.checkout_ref == fact.ref:
            values = {"status": "cancelled", "ended_at": self.clock.now()}
            await repository.update_subscription(tx, row.id, values)

    # --- plans -----------------------------------------------------------------------------------------

    async def _subscription(self, tx: ElevatedSession, workspace_id: UUID, fact: SubscriptionFact, mark: int) -> None:
        row = await repository.subscription_by_ref(tx, self.provider, fact.ref)
        if row is not None and (row.read_mark >= mark or row.ended_at is not None):
            return
        if row is None:
            row = await self._place(tx, workspace_id, fact)
        now = self.clock.now()
        values = _mirrored(row, fact) | {"provider": self.provider, "ref": fact.ref, "read_mark": mark}
        paid_until = row.paid_until if row else None
        back = fact.latest_invoice and await repository.invoice_went_back(tx, self.provider, fact.latest_invoice)
        if fact.paid and not back:
            paid_until = max(paid_until or fact.period_end, fact.period_end)
        values["paid_until"] = paid_until
        values["grace_until"] = None
        if fact.status == "past_due":
            values["grace_until"] = (row.grace_until if row else None) or now + self.grace
        if fact.status == "cancelled":
            values["ended_at"] = fact.ended_at or now
        if row is None:
            await repository.insert_subscription(tx, workspace_id, values)
        else:
            await repository.update_subscription(tx, row.id, values)
        if values["grace_until"] is not None and (row is None or row.status != "past_due"):
            await self._write(tx, workspace_id, values["plan_key"], values["grace_until"])
        if fact.status == "cancelled":
            if row is not None and row.ref is not None:
                await plans.change_plan(tx, workspace_id, self.catalog.default_plan.key, self.catalog, now=now)
        elif fact.status != "incomplete" and paid_until is not None:
            await plans.change_plan(
                tx, workspace_id, values["plan_key"], self.catalog, now=now, anchor=fact.anchor, paid_until=paid_until
            )

    async def _place(self, tx: ElevatedSession, workspace_id: UUID, fact: SubscriptionFact) -> Subscription | None:
        """The row a new subscription takes over: that of the checkout it comes from. None: one of its own.

        Raises Conflict beside another one that runs.
        """
        live = await repository.live_subscription(tx, workspace_id)
        if live is not None and live.ref is None and live.status == "incomplete":
            return live
        if live is None or fact.status == "cancelled":
            return None
        raise Conflict(f"The workspace has another subscription, {live.ref}: end one of the two.")

    async def _write(self, tx: ElevatedSession, workspace_id: UUID, plan_key: str, until: datetime) -> None:
        plan = self.catalog.plan(plan_key).name
        for email, name in await accounts.admins(tx, workspace_id):
            mail = letters.renewal_failed(
                brand=self.mailer.brand, recipient=email, name=name, plan=plan, until=until, url=self.billing_url
            )
            self.mailer.send(tx, mail)

    # --- what goes back --------------------------------------------------------------------------------

    async def _payment(self, tx: ElevatedSession, workspace_id: UUID, fact: PaymentFact, mark: int) -> None:
        lost = await repository.dispute_state(tx, self.provider, fact.ref) == "lost"
        purchase = await repository.purchase_by_payment(tx, self.provider, fact.ref)
        if purchase is not None and purchase.read_mark < mark:
            back = purchase.credits * fact.refunded_cents // fact.amount_cents
            await self._take_back(tx, purchase, purchase.credits if lost else back, mark)
            await repository.update_purchase(
                tx, purchase.id, {"refunded_cents": fact.refunded_cents, "read_mark": mark}
            )
        invoice = await repository.invoice_by_payment(tx, self.provider, fact.ref)
        if invoice is None or invoice.read_mark > mark:
            return
        was_whole = invoice.refunded_cents < invoice.total_cents
        await repository.set_invoice_refunded(tx, invoice.id, fact.refunded_cents)
        if invoice.subscription_ref and was_whole and fact.refunded_cents >= invoice.total_cents:
            await self._take_period_back(tx, workspace_id, invoice, invoice.ref)

    async def _take_back(self, tx: ElevatedSession, purchase: Purchase, target: int, mark: int) -> None:
        """Bring what was taken back of a pack to `target` microcredits. Less than before: a refund has failed."""
        assert purchase.lot_id is not None
        change, key = target - purchase.taken_back, f"purchase:{purchase.id}:{mark}:{target}"
        now, values = self.clock.now(), {"taken_back": target}
        if change > 0:
            await credits.refund(
                tx, purchase.workspace_id, purchase.lot_id, amount=change, key=key, reason="Payment taken back", now=now
            )
        elif change < 0:
            await credits.grant(
                tx, purchase.workspace_id, unit="credit", amount=-change, source="pack", key=key,
                reason="A refund did not go through", now=now,
            )  # fmt: skip
        disputed = await repository.dispute_state(tx, self.provider, purchase.payment_ref or "") == "open"
        state = "refunded" if target == purchase.credits else "disputed" if disputed else "paid"
        await repository.update_purchase(tx, purchase.id, values | {"state": state})

    async def _take_period_back(self, tx: ElevatedSession, workspace_id: UUID, invoice: Invoice, why: str) -> None:
        """A plan's payment is gone as a whole. In the period it paid for, so is what the plan granted for this month,
        and what it would yet; of a period that is over, what its months gave: only what was spent is left to be owed.
        """
        assert invoice.subscription_ref is not None
        row = await repository.subscription_by_ref(tx, self.provider, invoice.subscription_ref)
        now = self.clock.now()
        if row is None:
            return
        if row.ended_at is None and not _over(invoice, row):
            await repository.update_subscription(tx, row.id, {"paid_until": now})
            await plans.change_plan(tx, workspace_id, row.plan_key, self.catalog, now=now, paid_until=now)
            lots = await repository.plans_lots(tx, workspace_id, now, None)
        else:
            following = await repository.next_period(tx, workspace_id, invoice.issued_at)
            ends = [end for end in (following, row.ended_at or row.period_start) if end is not None]
            lots = await repository.plans_lots(tx, workspace_id, invoice.issued_at, min(ends))
        for lot_id in lots:
            try:
                await credits.refund(
                    tx, workspace_id, lot_id, key=f"{why}:{lot_id}", reason="Payment taken back", now=now
                )
            except Conflict:  # nothing is left of this grant to be taken back
                log.info("billing.nothing_left", lot=str(lot_id))

    async def _dispute(self, tx: ElevatedSession, workspace_id: UUID, fact: DisputeFact, mark: int) -> None:
        before = await repository.dispute_state(tx, self.provider, fact.payment_ref)
        await repository.keep_dispute(tx, self.provider, workspace_id, fact, mark)
        state = await repository.dispute_state(tx, self.provider, fact.payment_ref)
        purchase = await repository.purchase_by_payment(tx, self.provider, fact.payment_ref)
        if purchase is not None and purchase.lot_id is not None:
            target = purchase.credits if state == "lost" else purchase.taken_back
            await self._take_back(tx, purchase, target, mark)
        invoice = await repository.invoice_by_payment(tx, self.provider, fact.payment_ref)
        if state == "lost" and before != "lost" and invoice is not None and invoice.subscription_ref:
            await self._take_period_back(tx, workspace_id, invoice, f"dispute:{fact.ref}")
        if await repository.disputes_open(tx, workspace_id):
            await freezing.freeze(tx, workspace_id, _FROZEN)
        else:
            await freezing.thaw(tx, workspace_id)


def _mirrored(row: Subscription | None, fact: SubscriptionFact) -> dict[str, Any]:
    """The columns that say what the provider says. A move downwards that waits for the period's end is our own:
    until then the plan that is paid for stays, though the provider bills by the next one's price already."""
    values: dict[str, Any] = {
        "plan_key": fact.plan_key, "interval": fact.interval, "status": fact.status, "price_cents": fact.price_cents,
        "currency": fact.currency, "period_start": fact.period_start, "period_end": fact.period_end,
        "cancel_at": fact.cancel_at, "next_plan_key": None, "next_interval": None,
    }  # fmt: skip
    if row is None or row.next_plan_key is None or row.period_start != fact.period_start:
        return values
    now_or_next = ((row.plan_key, row.interval), (row.next_plan_key, row.next_interval))
    if (fact.plan_key, fact.interval) in now_or_next and fact.status != "cancelled":
        values |= {
            "plan_key": row.plan_key, "interval": row.interval, "price_cents": row.price_cents,
            "next_plan_key": row.next_plan_key, "next_interval": row.next_interval,
        }  # fmt: skip
    return values


def _over(invoice: Invoice, row: Subscription) -> bool:
    """Whether the invoice paid for a period before the one under way: each is billed with its period's start."""
    return row.period_start is not None and invoice.issued_at < row.period_start - _BILLED_EARLY


def _announce(tx: ElevatedSession, workspace_id: UUID) -> None:
    """Let open pages show how the payments stand."""
    tx.notify_after_commit(CHANNEL, {"workspace": str(workspace_id), "type": "billing", "id": str(workspace_id)})
