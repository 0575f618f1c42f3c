"""A till before the sandbox's Stripe: people who buy there, events as Stripe tells them, and a clock for all of it."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import stripe

from gesso.accounts.access import Actor
from gesso.accounts.mail import Mailer
from gesso.billing import repository, service
from gesso.billing.facts import Interval
from gesso.billing.port import Received
from gesso.billing.renewal import renew_due, sign_up_grants
from gesso.billing.stripe.line import Access, Line
from gesso.billing.stripe.payments import StripePayments
from gesso.catalog.registry import Catalog
from gesso.core.clock import FixedClock
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.core.settings import MailSettings
from gesso.credits import service as credits
from gesso.credits.tasks import sweep
from gesso.credits.types import Balances
from gesso.db import Database
from tests.cast import make_user

SECRET = "whsec_for_tests_only"
GOOD, FAILS_LATER, DECLINED = "4242424242424242", "4000000000000341", "4000000000000002"
ASKS_EACH_TIME = "4000002760003184"
"""Its bank wants to see its holder at every payment."""
SITE = "http://shop.test"


async def paid_by_card(url: str, card: str = GOOD) -> str:
    """Fill in a hosted page; where it leads once it is paid, "" when the card was declined."""
    form = {"number": card, "expiry": "12 / 40", "cvc": "123", "name": "Ada Test"}
    async with httpx2.AsyncClient(timeout=30) as browser:
        answer = await browser.post(url, data=form)
    assert answer.status_code in (303, 402, 410), answer.text
    return answer.headers.get("location", "")


@dataclass
class Shop:
    """One account at the sandbox's Stripe, and the site that sells through it. Nothing is delivered by itself."""

    db: Database
    catalog: Catalog
    clock: FixedClock
    sandbox: str
    key: str = field(default_factory=lambda: f"sk_test_{new_id().hex}")
    last: str | None = None
    test_clock: str | None = None

    def __post_init__(self) -> None:
        self.mailer = Mailer(MailSettings(), self.db, brand=lambda: "gesso", outbox=True)
        access = Access(self.key, SECRET, f"{self.sandbox}/stripe")
        self.payments = StripePayments(
            access, db=self.db, catalog=self.catalog, clock=self.clock, mailer=self.mailer, site_url=SITE,
            grace=timedelta(days=7),
        )  # fmt: skip
        self.http = httpx2.AsyncClient(timeout=30, headers={"Authorization": f"Bearer {self.key}"})

    async def person(self, plan: str = "free") -> Actor:
        grants = [sign_up_grants(self.catalog, self.clock)]
        return await make_user(self.db, "Ada", plan=plan, on_sign_up=grants, at=self.clock.now())

    # --- what people do --------------------------------------------------------------------------------

    async def confirm(self, url: str, card: str) -> None:
        """The same with a card whose bank asks, and is answered."""
        page = str(httpx2.URL(url).join(await paid_by_card(url, card)))
        assert "/authenticate/" in page
        async with httpx2.AsyncClient(timeout=30) as browser:
            assert (await browser.post(page, data={"outcome": "approve"})).status_code == 303

    async def subscribe(self, ada: Actor, plan: str, interval: Interval = "month", card: str = GOOD) -> None:
        who = service.buyer(ada, "test", None)
        url = await service.subscribe(self.payments, self.db, self.catalog, who, plan, interval)
        assert await paid_by_card(url, card)

    async def buy(self, ada: Actor, pack: str, card: str = GOOD) -> UUID:
        who = service.buyer(ada, "test", None)
        purchase_id, url = await service.buy(self.payments, self.db, self.catalog, who, pack)
        assert await paid_by_card(url, card)
        return purchase_id

    # --- what Stripe tells -----------------------------------------------------------------------------

    async def news(self) -> list[dict[str, Any]]:
        """Events that were not handed out yet, oldest first."""
        new: list[dict[str, Any]] = []
        while True:  # the first time from the newest back, then from the last one on
            known = {"ending_before": self.last} if self.last else {"starting_after": new[0]["id"]} if new else {}
            page = (await self.get("events", limit=100, **known)).json()
            rows = page["data"][::-1]
            if self.last:
                new += rows
                self.last = rows[-1]["id"] if rows else self.last
            else:
                new = rows + new
            if not page["has_more"]:
                self.last = self.last or (new[-1]["id"] if new else None)
                return new

    async def deliver(self, events: Iterable[dict[str, Any]]) -> list[Received]:
        """As their notices: signed, and told one after the other."""
        return [await self.tell(event) for event in events]

    async def tell(self, event: dict[str, Any]) -> Received:
        body = httpx2.Request("POST", SITE, json=event).content
        header = stripe.WebhookSignature.generate_signature_header(body.decode(), SECRET)
        return await self.payments.receive({"stripe-signature": header}, body)

    async def catch_up(self) -> list[Received]:
        return await self.deliver(await self.news())

    async def get(self, path: str, **params: Any) -> httpx2.Response:
        return await self.http.get(f"{self.sandbox}/stripe/v1/{path}", params=params)

    async def post(self, path: str, **form: Any) -> dict[str, Any]:
        answer = await self.http.post(f"{self.sandbox}/stripe/v1/{path}", data=form)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"{self.sandbox}/stripe/_control/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else {}

    async def start_clock(self) -> None:
        """All customers go by a test clock from now on."""
        made = await self.control("clock", frozen_time=int(self.clock.now().timestamp()))
        self.test_clock = made["id"]

    async def travel(self, to: datetime) -> None:
        """Let time pass at Stripe and here; the site's own clockwork runs once, Stripe's news are not told."""
        await self.post(f"test_helpers/test_clocks/{self.test_clock}/advance", frozen_time=int(to.timestamp()))
        async with asyncio.timeout(60):
            while (await self.get(f"test_helpers/test_clocks/{self.test_clock}")).json()["status"] != "ready":
                await asyncio.sleep(0.02)
        self.clock.set(to)
        await renew_due(self.db, self.clock, self.catalog)
        await sweep(self.db, self.clock)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Stripe does not take the site's key meanwhile."""
        good = self.payments._line
        self.payments._line = Line(Access(f"{self.key}wrong", SECRET, f"{self.sandbox}/stripe"))
        yield
        self.payments._line = good

    # --- how it stands ---------------------------------------------------------------------------------

    async def balances(self, ada: Actor) -> Balances:
        async with self.db.workspace(ada.workspace_id, ada.user_id) as tx:
            return await credits.balances(tx, now=self.clock.now())

    async def balance(self, ada: Actor) -> int:
        """Whole credits that can be spent."""
        return (await self.balances(ada)).balance // MICRO

    async def plan(self, ada: Actor) -> str:
        async with self.db.workspace(ada.workspace_id, ada.user_id) as tx:
            return str(await tx.fetchval("SELECT plan_key FROM workspace"))

    async def live(self, ada: Actor) -> repository.Subscription | None:
        async with self.db.workspace(ada.workspace_id, ada.user_id) as tx:
            return await repository.live_subscription(tx, ada.workspace_id)

    async def purchase(self, purchase_id: UUID) -> repository.Purchase:
        async with self.db.elevated("test") as tx:
            found = await repository.purchase_by_id(tx, purchase_id)
        assert found is not None
        return found

    async def rows(self, sql: str, *args: Any) -> Sequence[Any]:
        async with self.db.elevated("test") as tx:
            return await tx.fetch(sql, *args)
