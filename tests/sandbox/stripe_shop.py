"""A shop that sells through the sandbox's Stripe: the official SDK as it is, and a place where its events arrive."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx2
import pytest
import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gesso.sandbox.pace import Pace
from tests.sandbox.server import running_sandbox, serving

T = TypeVar("T")
SECRET = "whsec_of_the_shop"
VISA, DECLINED, NO_FUNDS, LATER = "4242424242424242", "4000000000000002", "4000000000009995", "4000000000000341"
SECURE, ALWAYS_SECURE, DISPUTED = "4000002500003155", "4000002760003184", "4000000000000259"
GOOD_BANK, BAD_BANK = "AT611904300234573201", "AT861904300235473202"
DAY = 86_400


def at(year: int, month: int, day: int, hour: int = 12) -> int:
    """A moment in UTC, in unix seconds."""
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())


@dataclass
class Letter:
    """An event as it arrived."""

    body: bytes
    signature: str

    @property
    def event(self) -> stripe.Event:
        """Checked as products do it. Raises SignatureVerificationError."""
        return stripe.Webhook.construct_event(self.body, self.signature, SECRET)


@dataclass
class Inbox:
    """Where events arrive. `answers`: what to say to the next ones (then 200)."""

    letters: list[Letter] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    @property
    def types(self) -> list[str]:
        return [letter.event.type for letter in self.letters]


class Post:
    """All inboxes, by name, behind one real server."""

    def __init__(self) -> None:
        self.inboxes: dict[str, Inbox] = {}
        self.origin = ""

    async def take(self, request: Request) -> Response:
        inbox = self.inboxes[request.path_params["name"]]
        inbox.letters.append(Letter(await request.body(), request.headers["stripe-signature"]))
        return Response(status_code=inbox.answers.pop(0) if inbox.answers else 200)


class Shop:
    """One account with an inbox."""

    def __init__(self, origin: str, web: httpx2.AsyncClient, post: Post) -> None:
        name = uuid.uuid4().hex
        self.key = f"sk_test_{name}"
        self.base = f"{origin}/stripe"
        self.web = web
        self.inbox = post.inboxes[name] = Inbox()
        self.hook = f"{post.origin}/{name}"
        self.api = stripe.StripeClient(self.key, base_addresses={"api": self.base}, max_network_retries=0)
        self.v1 = self.api.v1

    async def do(self, call: Callable[..., T], *arguments: Any, **more: Any) -> T:
        """An SDK call, which blocks, beside the event loop."""
        return await asyncio.to_thread(call, *arguments, **more)

    async def control(self, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = await self.web.post(f"{self.base}/_control/{path}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def look(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        return (await self.web.get(f"{self.base}/_control/{path}", headers=headers)).json()

    async def listen(self) -> None:
        await self.control("webhook", url=self.hook, secret=SECRET)

    async def heard(self) -> list[str]:
        """The types of all events that have arrived, once everything due was tried."""
        await self.look("idle")
        return self.inbox.types

    async def price(self, name: str, cents: int, interval: str | None = "month", **more: Any) -> stripe.Price:
        product = await self.do(self.v1.products.create, {"name": name})
        params: Any = {"product": product.id, "currency": "usd", "unit_amount": cents} | more
        if interval:
            params["recurring"] = {"interval": interval}
        return await self.do(self.v1.prices.create, params)

    async def clock(self, moment: int) -> stripe.test_helpers.TestClock:
        return await self.do(self.v1.test_helpers.test_clocks.create, {"frozen_time": moment})

    async def customer(self, clock: str | None = None, **more: Any) -> stripe.Customer:
        params: Any = {"email": "ann@example.com"} | ({"test_clock": clock} if clock else {}) | more
        return await self.do(self.v1.customers.create, params)

    async def advance(self, clock: str, moment: int) -> None:
        """Let time pass until then, and its events arrive."""
        clocks = self.v1.test_helpers.test_clocks
        await self.do(clocks.advance, clock, {"frozen_time": moment})
        async with asyncio.timeout(60):
            while (await self.do(clocks.retrieve, clock)).status != "ready":
                await asyncio.sleep(0.01)

    async def session(self, price: stripe.Price, mode: str = "subscription", **more: Any) -> stripe.checkout.Session:
        params: Any = {
            "mode": mode, "line_items": [{"price": price.id, "quantity": 1}],
            "success_url": "https://shop.test/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://shop.test/pricing",
        } | more  # fmt: skip
        return await self.do(self.v1.checkout.sessions.create, params)

    async def pay(self, url: str | None, number: str = VISA, **more: str) -> httpx2.Response:
        """Fill in the hosted form."""
        assert url is not None
        form = {"number": number, "expiry": "12 / 34", "cvc": "123", "name": "Ann Lee", "email": "ann@example.com"}
        return await self.web.post(url, data=form | more)

    async def bought(self, price: stripe.Price, number: str = VISA, **more: Any) -> stripe.checkout.Session:
        """A session that was paid by card."""
        session = await self.session(price, "subscription" if price.recurring else "payment", **more)
        answer = await self.pay(session.url, number)
        assert answer.status_code == 303, alert(answer)
        return await self.do(self.v1.checkout.sessions.retrieve, session.id)

    async def subscribed(
        self, price: stripe.Price, moment: int | None = None, number: str = VISA, **more: Any
    ) -> tuple[stripe.Subscription, str]:
        """A subscription through checkout by a customer on a clock; with the clock's id ("": the wall clock)."""
        clock = (await self.clock(moment)).id if moment else ""
        customer = await self.customer(clock or None)
        session = await self.bought(price, number, customer=customer.id, **more)
        return await self.do(self.v1.subscriptions.retrieve, str(session.subscription)), clock

    async def subscription(self, name: str) -> stripe.Subscription:
        return await self.do(self.v1.subscriptions.retrieve, name)

    async def invoices(self, subscription: str) -> list[stripe.Invoice]:
        """Oldest first."""
        found = await self.do(self.v1.invoices.list, {"subscription": subscription, "limit": 100})
        return found.data[::-1]


def alert(answer: httpx2.Response) -> list[str]:
    """What a page complains about."""
    return re.findall(r'role="alert">(.*?)<', answer.text)


@asynccontextmanager
async def open_shops() -> AsyncIterator[Callable[[], Shop]]:
    """A sandbox and a post office; each call gives a shop with an account of its own."""
    post = Post()
    app = Starlette(routes=[Route("/{name}", post.take, methods=["POST"])])
    calm = replace(Pace.instant(), webhook_late_seconds=60.0)  # a bank debit ends when the test says so
    async with (
        running_sandbox(calm) as origin,
        serving(app) as post.origin,
        httpx2.AsyncClient(timeout=20, trust_env=False) as web,
    ):
        yield lambda: Shop(origin, web, post)


@pytest.fixture(scope="module")
async def shops() -> AsyncIterator[Callable[[], Shop]]:
    """Makes shops."""
    async with open_shops() as make:
        yield make


@pytest.fixture
def shop(shops: Callable[[], Shop]) -> Shop:
    """One shop."""
    return shops()
