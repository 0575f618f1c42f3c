"""Payments by Stripe: hosted checkout and portal, and subscriptions that Stripe renews.

Each step is a short transaction, then the network, then a short transaction. Whatever Stripe was told to do is read
back and applied as its notice will be: pages need not wait for that.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import structlog

from gesso.accounts.mail import Mailer
from gesso.billing import repository
from gesso.billing.changes import Change
from gesso.billing.effects import Effects
from gesso.billing.facts import Fact, Interval
from gesso.billing.inbox import Inbox
from gesso.billing.moves import move
from gesso.billing.port import Buyer, Preview, Received, Taken
from gesso.billing.repository import Subscription
from gesso.billing.stripe import missed, objects, prices, reading
from gesso.billing.stripe.line import Access, CustomerGone, Line, Obj
from gesso.catalog.items import Pack, Plan
from gesso.catalog.registry import Catalog
from gesso.core.clock import Clock
from gesso.core.errors import Conflict, Forbidden, GessoError, NotFound, Unavailable
from gesso.db import Database

log = structlog.get_logger()

NAME: Literal["stripe"] = "stripe"
FIGURES_HOLD = timedelta(hours=1)
"""How long the figures of a preview may be confirmed."""
HEARD_WITHIN = timedelta(hours=2)
"""Stripe draws a renewal an hour after the period has begun."""
PAID_WITHIN = timedelta(minutes=10)
"""How long a checkout is left to its notice and to the page one comes back to."""
LONGEST_PAYMENT = timedelta(days=30)
"""A checkout runs out within a day; a debit made there is settled in two weeks or so."""


class StripePayments:
    """One site's payments. `site_url`: where Stripe sends people back to."""

    name: Literal["manual", "stripe"] = NAME
    sells = True

    def __init__(
        self, access: Access, *, db: Database, catalog: Catalog, clock: Clock, mailer: Mailer, site_url: str,
        grace: timedelta,
    ) -> None:  # fmt: skip
        self._line = Line(access)
        self._db, self._catalog, self._clock, self._site = db, catalog, clock, site_url
        self._effects = Effects(NAME, catalog, clock, grace, mailer, f"{site_url}/billing")
        self._inbox = Inbox(
            db, clock, NAME, lambda event: objects.of_event(self._line, event), reading.names, self._effects
        )

    @property
    def hears(self) -> bool:
        return self._line.can_verify

    # --- buying ----------------------------------------------------------------------------------------

    async def checkout_plan(self, buyer: Buyer, plan: Plan, interval: Interval) -> str:
        price = await prices.plan_price(self._line, plan, interval)
        workspace = str(buyer.workspace_id)
        session = await self._checkout(
            buyer, price, mode="subscription", client_reference_id=workspace, metadata={"workspace_id": workspace},
            subscription_data={"metadata": {"workspace_id": workspace}},
            cancel_url=f"{self._site}/pricing?interval={interval}&left={plan.key}",
        )  # fmt: skip
        values = {
            "provider": NAME, "plan_key": plan.key, "interval": interval, "currency": plan.currency,
            "price_cents": prices.plan_cents(plan, interval), "status": "incomplete",
        }  # fmt: skip
        async with self._db.elevated("billing: somebody is about to subscribe") as tx:
            await repository.lock(tx, buyer.workspace_id)
            unpaid = await repository.open_checkout(tx, buyer.workspace_id, session["id"], values)
        if unpaid is not None:
            await self._expire(unpaid)
        if unpaid == session["id"]:
            raise Conflict("The workspace has a subscription by now. Look at Billing.")
        return str(session["url"])

    async def checkout_pack(self, buyer: Buyer, pack: Pack) -> tuple[UUID, str]:
        async with self._db.workspace(buyer.workspace_id, buyer.user_id) as tx:
            purchase = await repository.add_purchase(
                tx, purchase_id=buyer.request, provider=NAME, pack_key=pack.key, credits=pack.credits,
                price_cents=pack.price_cents, currency=pack.currency, at=self._clock.now(),
            )  # fmt: skip
        if purchase.pack_key != pack.key:
            raise Conflict("The same request was sent for another pack before.")
        price = await prices.pack_price(self._line, pack)
        ours = {"purchase_id": str(purchase.id)}
        session = await self._checkout(
            buyer, price, mode="payment", client_reference_id=str(purchase.id), metadata=ours,
            payment_intent_data={"metadata": ours}, invoice_creation={"enabled": True},
            cancel_url=f"{self._site}/pricing?left={pack.key}",
        )  # fmt: skip
        async with self._db.workspace(buyer.workspace_id, buyer.user_id) as tx:
            await repository.name_checkout(tx, purchase.id, session["id"])
        return purchase.id, str(session["url"])

    async def _checkout(self, buyer: Buyer, price: str, **params: Any) -> Obj:
        params |= {
            "line_items": [{"price": price, "quantity": 1}],
            "success_url": f"{self._site}/billing/return?session_id={{CHECKOUT_SESSION_ID}}",
        }
        customer = await self._customer(buyer)
        key = f"checkout:{buyer.request}"
        try:
            return await self._line.call("checkout.sessions.create", params={**params, "customer": customer}, key=key)
        except CustomerGone:
            customer = await self._customer(buyer, instead=customer)
        key = f"{key}:{customer}"
        return await self._line.call("checkout.sessions.create", params={**params, "customer": customer}, key=key)

    async def _customer(self, buyer: Buyer, instead: str | None = None) -> str:
        """Who the workspace is to Stripe, made once. `instead` of one that Stripe does not know any more."""
        if instead is None:
            async with self._db.workspace(buyer.workspace_id, buyer.user_id) as tx:
                known = await repository.customer(tx, buyer.workspace_id, NAME)
            if known is not None:
                return known
        params = {
            "email": buyer.email, "name": buyer.workspace_name, "metadata": {"workspace_id": str(buyer.workspace_id)}
        }  # fmt: skip
        made = await self._line.call("customers.create", params=params, key=f"customer:{buyer.request}:{instead}")
        async with self._db.elevated("billing: a customer was made") as tx:
            return await repository.keep_customer(tx, buyer.workspace_id, NAME, made["id"], instead)

    async def _expire(self, checkout_ref: str) -> None:
        """Nobody may pay there any more. One that was paid, or has run out, stays as it is."""
        try:
            await self._line.call("checkout.sessions.expire", checkout_ref)
        except GessoError as error:
            log.info("payments.not_expired", checkout=checkout_ref, reason=error.detail)

    async def portal(self, workspace_id: UUID) -> str:
        async with self._db.workspace(workspace_id) as tx:
            customer = await repository.customer(tx, workspace_id, NAME)
        if customer is None:
            raise Conflict("There is nothing to manage yet: nothing was bought.")
        configuration = await objects.portal_configuration(self._line)
        params = {"customer": customer, "return_url": f"{self._site}/billing", "configuration": configuration}
        return str((await self._line.call("billing_portal.sessions.create", params=params))["url"])

    # --- changing --------------------------------------------------------------------------------------

    async def preview(self, workspace_id: UUID, plan: Plan, interval: Interval) -> Preview:
        now = self._clock.now().replace(microsecond=0)
        row = await self._running(workspace_id)
        then = prices.plan_cents(plan, interval)
        if self._move(row, plan, interval) == "down":
            return Preview(None, then, plan.currency, row.period_end, now)
        assert row.ref is not None
        found = await self._line.call("subscriptions.retrieve", row.ref)
        price = await prices.plan_price(self._line, plan, interval)
        moment = await self._moment(found, now)
        details = {
            "items": [{"id": found["items"]["data"][0]["id"], "price": price}],
            "proration_behavior": "always_invoice", "proration_date": int(moment.timestamp()),
        }  # fmt: skip
        params = {"customer": reading.ref(found["customer"]), "subscription": row.ref, "subscription_details": details}
        bill = await self._line.call("invoices.create_preview", params=params)
        return Preview(bill["amount_due"], then, plan.currency, None, moment)

    async def _moment(self, subscription: Obj, now: datetime) -> datetime:
        """Now, where it lies within the period that Stripe counts: on a test clock it is another time."""
        item = subscription["items"]["data"][0]
        start = datetime.fromtimestamp(item["current_period_start"], UTC)
        end = datetime.fromtimestamp(item["current_period_end"], UTC)
        return now if start <= now < end else start

    async def change_plan(self, workspace_id: UUID, plan: Plan, interval: Interval, moment: datetime) -> None:
        row = await self._running(workspace_id)
        assert row.ref is not None
        up = self._move(row, plan, interval) == "up"
        found = await self._line.call("subscriptions.retrieve", row.ref)
        price = await prices.plan_price(self._line, plan, interval)
        params: Obj = {"items": [{"id": found["items"]["data"][0]["id"], "price": price}], **_not_ending(found)}
        if up:
            # It comes back from a browser: a later one would make the upgrade cheap, an earlier one what was used of a
            # month that becomes a year.
            latest = await self._moment(found, self._clock.now())
            if not latest - FIGURES_HOLD <= moment <= latest:
                raise Conflict("What the change costs was worked out a while ago. Look at it once more.")
            await self._say_next(workspace_id, row, None, None)
            params |= {
                "proration_behavior": "always_invoice", "proration_date": int(moment.timestamp()),
                "payment_behavior": "error_if_incomplete",
            }  # fmt: skip
        else:
            await self._say_next(workspace_id, row, plan.key, interval)
            params["proration_behavior"] = "none"
        try:
            key = f"change:{row.ref}:{price}:{int(moment.timestamp())}"
            await self._line.call("subscriptions.update", row.ref, params=params, key=key)
        except GessoError:
            await self._say_next(workspace_id, row, row.next_plan_key, row.next_interval)
            raise
        await self._look(objects.of_subscription, row.ref)

    async def cancel(self, workspace_id: UUID) -> None:
        row = await self._running(workspace_id)
        if row.cancel_at is None:
            assert row.ref is not None
            await self._line.call("subscriptions.update", row.ref, params={"cancel_at_period_end": True})
            await self._look(objects.of_subscription, row.ref)

    async def resume(self, workspace_id: UUID) -> None:
        row = await self._running(workspace_id)
        assert row.ref is not None
        found = await self._line.call("subscriptions.retrieve", row.ref)
        params: Obj = _not_ending(found)
        if row.next_plan_key is not None:
            price = await prices.plan_price(self._line, self._catalog.plan(row.plan_key), row.interval)
            params |= {
                "items": [{"id": found["items"]["data"][0]["id"], "price": price}], "proration_behavior": "none"
            }  # fmt: skip
        if params:
            await self._line.call("subscriptions.update", row.ref, params=params)
            await self._say_next(workspace_id, row, None, None)
            await self._look(objects.of_subscription, row.ref)

    def _move(self, row: Subscription, plan: Plan, interval: Interval) -> Literal["up", "down"]:
        found = move(self._catalog.plan(row.plan_key), row.interval, plan, interval)
        if row.next_plan_key == plan.key and row.next_interval == interval:
            found = "same"
        if found == "same":
            raise Conflict(f"{plan.name} is your plan already.")
        if row.next_plan_key is not None:  # Stripe counts by the next plan's price already
            raise Conflict("Another change is waiting for the end of the period. Keep your plan first.")
        if found == "later":
            raise Conflict(
                "This change waits for the end of what is paid for: cancel your plan, and choose the new one then."
            )
        return found

    async def _running(self, workspace_id: UUID) -> Subscription:
        """The subscription that runs. Raises Conflict without one."""
        async with self._db.workspace(workspace_id) as tx:
            row = await repository.live_subscription(tx, workspace_id)
        if row is None or not row.running or row.ref is None or row.provider != NAME:
            raise Conflict("There is no subscription to change.")
        return row

    async def _say_next(
        self, workspace_id: UUID, row: Subscription, plan_key: str | None, interval: Interval | None
    ) -> None:
        """What the plan is to become with the next period; before Stripe is told, since its notice may be quick."""
        async with self._db.elevated("billing: what a plan becomes next") as tx:
            await repository.lock(tx, workspace_id)
            await repository.update_subscription(
                tx, row.id, {"next_plan_key": plan_key, "next_interval": interval if plan_key else None}
            )

    # --- looking ---------------------------------------------------------------------------------------

    async def settle_return(self, workspace_id: UUID, checkout_ref: str) -> None:
        async with self._db.workspace(workspace_id) as tx:
            if await repository.checkout_state(tx, checkout_ref) is None:
                raise NotFound("There is no such checkout.")
        await self._look(objects.of_checkout, checkout_ref)

    async def receive(self, headers: Mapping[str, str], body: bytes) -> Received:
        await self._line.verify(body, headers.get("stripe-signature", ""))
        try:
            event: Obj = json.loads(body)
            kind, _, _ = event["type"], event["id"], event["data"]["object"]
        except (ValueError, KeyError, TypeError):
            raise Forbidden("This is no notice.") from None
        log.info("payments.notice", type=kind, event_id=event["id"])
        return await self._inbox.receive(event)

    async def take_up(self, event_id: UUID) -> Taken:
        return await self._inbox.take_up(event_id)

    async def read_again(self, subscription_id: UUID) -> tuple[Change, ...]:
        async with self._db.elevated("billing: a subscription is read again") as tx:
            row = await repository.subscription_by_id(tx, subscription_id)
        if row is None or row.provider != NAME:
            raise NotFound("There is no such subscription.")
        if row.ref is not None:
            return await self._look(objects.of_subscription, row.ref)
        return await self._look(objects.of_checkout, row.checkout_ref or "")

    async def give_up(self, subscription_id: UUID) -> None:
        async with self._db.elevated("billing: a grace is over") as tx:
            row = await repository.subscription_by_id(tx, subscription_id)
        if row is None or row.ref is None or row.ended_at is not None:
            return
        found = await self._line.call("subscriptions.retrieve", row.ref)
        if found["status"] in ("past_due", "unpaid", "paused"):
            await self._line.call("subscriptions.cancel", row.ref)
            log.info("payments.given_up", workspace_id=str(row.workspace_id), subscription=row.ref)
        await self._look(objects.of_subscription, row.ref)

    async def look_again(self) -> int:
        now = self._clock.now()
        async with self._db.elevated("billing: what should have been heard of") as tx:
            unpaid = await repository.open_checkouts(tx, NAME, now - LONGEST_PAYMENT, now - PAID_WITHIN)
            late = await repository.late_subscriptions(tx, NAME, now - HEARD_WITHIN)
        wanted = [(objects.of_checkout, ref) for ref in unpaid] + [(objects.of_subscription, ref) for ref in late]
        for read, ref in wanted:
            try:
                await self._look(read, ref)
            except Unavailable:  # the others would wait as long for nothing
                raise
            except Exception:
                log.exception("payments.look_failed", ref=ref)
        return len(wanted)

    async def fetch_missed(self) -> int:
        return await missed.fetch(self._line, self._inbox)

    async def _look(self, read: Callable[[Line, str], Awaitable[list[Fact]]], ref: str) -> tuple[Change, ...]:
        """Apply something of Stripe's as it is now; what that changed."""
        mark = await self._mark()
        return await self._apply(await read(self._line, ref), mark)

    async def _mark(self) -> int:
        async with self._db.elevated("billing: before something is read") as tx:
            return await repository.draw_mark(tx)

    async def _apply(self, facts: list[Fact], mark: int) -> tuple[Change, ...]:
        async with self._db.elevated("billing: what was read") as tx:
            return await self._effects.apply(tx, facts, mark) or ()


def _not_ending(found: Obj) -> Obj:
    """What takes an end that was arranged away: by us it is a flag, by the portal a moment."""
    if found.get("cancel_at_period_end"):
        return {"cancel_at_period_end": False}
    return {"cancel_at": ""} if found.get("cancel_at") else {}
