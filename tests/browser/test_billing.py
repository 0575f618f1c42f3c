"""One visit to the till: subscribe, buy, lose the card, cancel, be refunded, and no page is loaded anew for it."""

import asyncio
import html
import re
import socket
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hatch_build
import httpx2
import pytest
import uvicorn
from playwright.async_api import BrowserContext, Page, expect

from gesso.app import create_app
from gesso.billing.till import SANDBOX_KEY, WEBHOOK_PATH, sandbox_webhook_secret
from gesso.db.embedded import EmbeddedPostgres
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.cast import PASSWORD
from tests.chromium import AXE
from tests.conftest import create_database
from tests.product import Product, seeded, served, settings_for

pytestmark = pytest.mark.browser
PATIENCE = 90_000
"""How long a page may take on a machine with much else to do, in milliseconds."""


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """What is expected of a page may take its time."""
    expect.set_options(timeout=PATIENCE)
    yield
    expect.set_options(timeout=None)


@pytest.fixture(scope="module")
async def product(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Product]:
    """The product at an address that it knows itself, so that people are sent back to it."""
    hatch_build.build()
    url = await create_database(postgres, f"gesso_till_{uuid.uuid4().hex[:12]}", template)
    async with served(create_sandbox(pace=Pace.instant(), workers=0)) as sandbox:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            settings = settings_for(url, Path(tmp_path_factory.mktemp("till")), sandbox, port=port)
            await seeded(settings)
            config = uvicorn.Config(create_app(settings), log_config=None, timeout_graceful_shutdown=1)
            server = uvicorn.Server(config)
            task = asyncio.create_task(server._serve([listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            made = Product(settings.site.url, sandbox, settings, server.config.app.state.db)  # type: ignore[union-attr]
            await control(made, "webhook", url=f"{made.url}{WEBHOOK_PATH}", secret=sandbox_webhook_secret(settings))
            yield made
            server.should_exit = True
            await task


async def control(product: Product, what: str, **body: object) -> dict[str, object]:
    """A word to the sandbox's Stripe itself."""
    headers = {"Authorization": f"Bearer {SANDBOX_KEY}"}
    async with httpx2.AsyncClient(timeout=30, headers=headers) as http:
        answer = await http.post(f"{product.sandbox_url}/stripe/_control/{what}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else {}


async def stripe(product: Product, method: str, path: str, **form: object) -> dict[str, object]:
    """A call of the account's owner."""
    headers = {"Authorization": f"Bearer {SANDBOX_KEY}"}
    async with httpx2.AsyncClient(timeout=30, headers=headers) as http:
        answer = await http.request(method, f"{product.sandbox_url}/stripe/v1/{path}", data=form or None)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def pay(page: Page, card: str, button: str) -> None:
    await page.wait_for_url("**/stripe/**")
    await page.get_by_label("Card number").fill(card)
    await page.get_by_label("Expiry (MM / YY)").fill("12 / 40")
    await page.get_by_label("Security code").fill("123")
    await page.get_by_label("Name on card").fill("Ada King")
    await page.get_by_role("button", name=button).click()


async def accessible(page: Page) -> None:
    """No violations of WCAG, by axe."""
    rules = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations']}"
    found = await page.evaluate(f"{AXE.read_text()}; axe.run(document, {rules})")
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == []


async def opened(page: Page, path: str) -> None:
    """Go there; what is drawn afterwards is waited for where it matters."""
    await page.goto(path, wait_until="domcontentloaded")


async def test_a_customer_s_visit(context: BrowserContext, page: Page, product: Product) -> None:
    context.set_default_timeout(PATIENCE)
    await opened(page, "/pricing?interval=year")
    await page.get_by_role("link", name="Start with Starter").click()
    await page.get_by_label("Name").fill("Ada King")
    await page.get_by_label("E-mail").fill(f"ada.{uuid.uuid4().hex[:8]}@example.test")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("main").get_by_role("button").last.click()

    # what was looked at is kept; subscribe with a test card: another tab sees the credits arrive, without being touched
    await expect(page.get_by_text("$99.90")).to_be_visible()
    await page.get_by_role("link", name="Monthly").click()
    other = await context.new_page()
    await opened(other, "/billing")
    pill = other.locator("#credits")
    await expect(pill).to_have_text("25")
    await page.get_by_role("button", name="Move to Starter").click()
    await pay(page, "4000000000000341", "Subscribe")
    await expect(page.get_by_role("heading", name="You are on Starter")).to_be_visible()
    await expect(pill).to_have_text("175")
    await expect(other.locator("#billing")).to_contain_text("$9.99 a month · Renews on")
    await accessible(other)

    # a pack; what it cost goes back, and so do its credits
    await opened(page, "/pricing")
    await page.get_by_role("button", name="Buy · $4.99").click()
    await pay(page, "4242424242424242", "Pay")
    await expect(page.get_by_role("heading", name="50 credits are yours")).to_be_visible()
    await expect(pill).to_have_text("225")
    intents = await stripe(product, "GET", "payment_intents?limit=1")
    await stripe(product, "POST", "refunds", payment_intent=intents["data"][0]["id"])  # type: ignore[index]
    await expect(pill).to_have_text("175")
    await expect(other.locator("#billing")).to_contain_text("Refunded")

    # cancel with one question, and think again
    await opened(page, "/billing/cancel")
    await page.get_by_label("It costs too much").check()
    await accessible(page)
    await page.get_by_role("button", name="Cancel Starter").click()
    await expect(page.locator("#billing")).to_contain_text("Starter ends on")
    await expect(other.locator("#billing")).to_contain_text("Starter ends on")
    await page.get_by_role("button", name="Keep Starter").click()
    await expect(page.locator("#billing")).to_contain_text("Renews on")

    # the card fails at the renewal: the page says so by itself
    subscription = (await stripe(product, "GET", "subscriptions?limit=1"))["data"][0]  # type: ignore[index]
    end = subscription["items"]["data"][0]["current_period_end"]
    clock = await control(product, "clock", frozen_time=end - 60)
    await stripe(product, "POST", f"test_helpers/test_clocks/{clock['id']}/advance", frozen_time=end + 7200)
    await expect(other.locator("#billing")).to_contain_text("could not be paid")
    await expect(other.get_by_role("button", name="Change the payment method")).to_be_visible()


async def test_what_is_left_at_a_checkout_is_kept(product: Product) -> None:
    async with product.person() as ada:
        leave = await ada.post("/billing/subscribe", data={"plan": "pro", "interval": "year"})
        checkout = httpx2.URL(html.unescape(re.search(r'href="([^"]+/stripe/[^"]+)"', leave.text)[1]))  # type: ignore[index]
        async with httpx2.AsyncClient(timeout=30) as browser:
            hosted = (await browser.get(checkout)).text
        back = html.unescape(re.search(rf'href="{product.url}([^"]+)"', hosted)[1])  # type: ignore[index]
        said = (await ada.get(back)).text
        assert "You left the checkout of Pro, $299.90 a year" in said and "Go on to payment" in said
        assert "Go on to payment" not in (await ada.get("/pricing?left=free")).text
        assert "250 credits, $19.99" in (await ada.get("/pricing?left=credits-250")).text


async def test_members_are_told_who_buys(product: Product) -> None:
    async with product.person() as ada, product.person("Bea"):
        async with product.db.elevated("test: Bea runs Ada's workspace") as tx:
            await tx.execute_raw(
                "WITH ada AS (UPDATE membership SET role = 'member' WHERE user_id = (SELECT id FROM app_user"
                " WHERE name = 'Ada' ORDER BY id DESC LIMIT 1) RETURNING workspace_id)"
                " INSERT INTO membership (workspace_id, user_id, role) SELECT ada.workspace_id, u.id, 'admin'"
                " FROM ada, app_user u WHERE u.name = 'Bea'"
            )
        page = (await ada.get("/pricing")).text
        assert "buy for it: Bea. Ask them" in page and "/billing/" not in page and "Your plan" in page
        assert (await ada.get("/billing")).status_code == 403
