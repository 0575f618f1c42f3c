"""The product on loopback, with people who signed up there, and the sandbox's Stripe as its owner sees it."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import stripe
from tests.cast import make_user, sign_in
from tests.product import Product, running, served, settings_for

from gesso.billing.renewal import sign_up_grants
from gesso.billing.till import SANDBOX_KEY, WEBHOOK_PATH, sandbox_webhook_secret
from gesso.catalog.registry import Catalog
from gesso.core.clock import SystemClock
from gesso.core.settings import Settings
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace

EDITION = Path(__file__).with_name("edition.toml")
GOOD, DECLINED = "4242424242424242", "4000000000000002"
ENDED = ("succeeded", "failed", "cancelled")
Json = dict[str, Any]


class Broken(Exception):
    """An attack cannot be made, since what comes before it did not work."""


@dataclass
class Person:
    """Somebody with an account, in a browser or a program of their own."""

    email: str
    http: httpx2.AsyncClient
    workspace: UUID

    async def wallet(self) -> tuple[Decimal, Decimal]:
        """(what can be spent, what is held)."""
        found = (await self.http.get("/api/credits")).json()
        return Decimal(found["balance"]), Decimal(found["held"])

    async def balance(self) -> Decimal:
        return (await self.wallet())[0]

    async def settled(self) -> Decimal:
        """The balance, once nothing is held any more."""
        async with asyncio.timeout(120):
            while True:
                balance, held = await self.wallet()
                if not held:
                    return balance
                await asyncio.sleep(0.1)

    async def reaches(self, balance: Decimal) -> None:
        """Wait for credits that are due."""
        async with asyncio.timeout(60):
            while await self.balance() < balance:  # noqa: ASYNC110 - asked over HTTP, as a person would
                await asyncio.sleep(0.05)

    async def ask(self, prompt: str = "dunes at dawn", *, key: str | None = None, **body: Any) -> httpx2.Response:
        headers = {"Idempotency-Key": key} if key else {}
        asked = {"model": "sketch", "prompt": prompt, **body}
        return await self.http.post("/api/generate/image", json=asked, headers=headers)

    async def made(self, prompt: str = "dunes at dawn", **body: Any) -> Json:
        """A generation that has come to its end."""
        asked = await self.ask(prompt, **body)
        if asked.status_code != 202:
            raise Broken(f"a picture was refused: {asked.text[:300]}")
        async with asyncio.timeout(120):
            while True:
                found: Json = (await self.http.get(f"/api/generate/status/{asked.json()['id']}")).json()
                if found["status"] in ENDED:
                    return found
                await asyncio.sleep(0.1)

    async def order(self, pack: str = "credits-50") -> tuple[UUID, str]:
        """A pack's checkout: the purchase and where it is paid."""
        answer = await self.http.post("/api/payments/purchase-tokens", json={"pack": pack})
        found = _known(answer)
        return UUID(found["id"]), str(found["url"])

    async def subscription(self, plan: str = "starter", interval: str = "month") -> str:
        """Where a plan is paid."""
        body = {"plan": plan, "interval": interval}
        return str(_known(await self.http.post("/api/payments/create-subscription", json=body))["url"])

    async def returns(self, session: str, **headers: str) -> httpx2.Response:
        """What the page after a checkout says."""
        return await self.http.get("/billing/return", params={"session_id": session}, headers=headers)


def _known(answer: httpx2.Response) -> Json:
    if answer.status_code != 200:
        raise Broken(f"{answer.request.url.path} was answered {answer.status_code}: {answer.text[:300]}")
    found: Json = answer.json()
    return found


def session_of(url: str) -> str:
    """The checkout session that a hosted page belongs to."""
    found = re.search(r"cs_test_\w+", url)
    if found is None:
        raise Broken(f"not a checkout: {url}")
    return found[0]


@dataclass
class Till:
    """The site's account at the sandbox's Stripe, in its owner's hands; and a pen that signs notices."""

    sandbox: str
    hook: str
    secret: str
    http: httpx2.AsyncClient

    async def get(self, path: str, **params: Any) -> Json:
        return _known(await self.http.get(f"{self.sandbox}/stripe/v1/{path}", params=params))

    async def post(self, path: str, **form: Any) -> Json:
        return _known(await self.http.post(f"{self.sandbox}/stripe/v1/{path}", data=form))

    async def control(self, path: str, **body: Any) -> Json:
        answer = await self.http.post(f"{self.sandbox}/stripe/_control/{path}", json=body)
        return _known(answer)

    async def ledger(self) -> Json:
        return _known(await self.http.get(f"{self.sandbox}/stripe/_control/ledger"))

    async def quiet(self) -> None:
        """Until everything has been told."""
        async with asyncio.timeout(60):
            while (await self.get("events", delivery_success="false"))["data"]:  # noqa: ASYNC110 - only Stripe knows
                await asyncio.sleep(0.05)

    async def pay(self, url: str, card: str = GOOD) -> bool:
        """Fill in a hosted page; whether it was paid."""
        form = {"number": card, "expiry": "12 / 40", "cvc": "123", "name": "Ada Test"}
        answer = await self.http.post(url, data=form)
        return answer.status_code == 303

    async def event(self, session: str, kind: str = "checkout.session.completed") -> Json:
        """The notice that Stripe wrote of a checkout."""
        for found in (await self.get("events", type=kind, limit=100))["data"]:
            if found["data"]["object"]["id"] == session:
                return dict(found)
        raise Broken(f"{kind} of {session} was never told")

    def signed(self, event: Mapping[str, Any], secret: str | None = None, **options: int) -> tuple[bytes, str]:
        """A notice as it goes over the wire, and its signature."""
        body = httpx2.Request("POST", self.hook, json=event).content
        return body, self.signed_text(body.decode(), secret, **options)

    def signed_text(self, body: str, secret: str | None = None, **options: int) -> str:
        """The signature of a notice, now or at the unix time `timestamp`."""
        sign = stripe.WebhookSignature.generate_signature_header
        return str(sign(body, self.secret if secret is None else secret, **options))

    async def tell(self, body: bytes, signature: str | None) -> httpx2.Response:
        """Bring a notice to the site, as whoever."""
        headers = {"content-type": "application/json"} | ({"stripe-signature": signature} if signature else {})
        async with httpx2.AsyncClient(timeout=60) as stranger:
            return await stranger.post(self.hook, content=body, headers=headers)


@dataclass
class Site:
    """Everything that runs."""

    product: Product
    till: Till
    catalog: Catalog
    stack: contextlib.AsyncExitStack

    async def person(self, name: str) -> Person:
        """Somebody who has just signed up, with what the site gives to begin with; without the cost of a password."""
        return await self._come(name)

    async def operator(self) -> Person:
        """Somebody who runs the site."""
        return await self._come("olga", operator=True)

    async def _come(self, name: str, *, operator: bool = False) -> Person:
        http = await self.stack.enter_async_context(self.product.client(limits=httpx2.Limits(max_connections=64)))
        http.timeout = httpx2.Timeout(120)
        gifts = [sign_up_grants(self.catalog, SystemClock())]
        actor = await make_user(self.product.db, name, operator=operator, on_sign_up=gifts)
        await sign_in(http, self.product.db, actor)
        return Person(actor.email, http, actor.workspace_id)

    async def bought(self, person: Person, pack: str = "credits-50") -> str:
        """A pack that has been paid for and given; its checkout session."""
        before = await person.balance()
        _, url = await person.order(pack)
        await self._paid(person, url, before)
        return session_of(url)

    async def subscribed(self, person: Person, plan: str = "starter", interval: str = "month") -> str:
        """A plan that has been paid for and given; its checkout session."""
        before, url = await person.balance(), await person.subscription(plan, interval)
        await self._paid(person, url, before)
        return session_of(url)

    async def _paid(self, person: Person, url: str, before: Decimal) -> None:
        if not await self.till.pay(url):
            raise Broken("a good card was declined")
        await person.reaches(before + Decimal(1))
        await self.till.quiet()

    async def rows(self, sql: str, *args: Any) -> list[Json]:
        """Rows as an operator would see them."""
        async with self.product.db.elevated("attack: look behind") as tx:
            return [dict(row) for row in await tx.fetch(sql, *args)]


def _settings(database_url: str, folder: Path, sandbox_url: str) -> Settings:
    """A pool that many attackers at once can share."""
    settings = settings_for(database_url, folder, sandbox_url, edition=str(EDITION))
    log = settings.log.model_copy(update={"access": False})
    return replace(settings, database=settings.database.model_copy(update={"pool_size": 20}), log=log)


@contextlib.asynccontextmanager
async def opened(database_url: str, folder: Path) -> AsyncIterator[Site]:
    """The site, its worker and its Stripe, on a database that is migrated and empty. `folder`: for its files."""
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(served(create_sandbox(pace=Pace.instant(), workers=0)))
        settings = _settings(database_url, folder, sandbox)
        product = await stack.enter_async_context(running(settings))
        owner = await stack.enter_async_context(
            httpx2.AsyncClient(timeout=120, headers={"Authorization": f"Bearer {SANDBOX_KEY}"})
        )
        till = Till(sandbox, f"{product.url}{WEBHOOK_PATH}", sandbox_webhook_secret(settings), owner)
        await till.control("webhook", url=till.hook, secret=till.secret)
        await till.control("deliveries", parallel=4)
        catalog = await Catalog.load(product.db)
        yield Site(product, till, catalog, await stack.enter_async_context(contextlib.AsyncExitStack()))
