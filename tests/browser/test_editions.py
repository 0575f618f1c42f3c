"""Every product from its start page to a first result, on one running site that is switched from each to the next."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hatch_build
import pytest
from markupsafe import escape
from playwright.async_api import Browser, BrowserContext, Page, expect

from gesso.catalog.editions import Edition, load_edition, parse_edition
from gesso.catalog.service import switch
from gesso.core.ids import new_id
from gesso.db.embedded import EmbeddedPostgres
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.catalog.test_editions import GOOD
from tests.conftest import create_database
from tests.product import Product, running, served, settings_for

pytestmark = pytest.mark.browser

PATIENCE = 30_000
EDITIONS = ("studio", "characters", "imagery", "wrapper", "team", "prompts")


@pytest.fixture(scope="module")
async def product(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Product]:
    """A site of an operator who confirmed that adult models may be offered, with a quick sandbox."""
    hatch_build.build()
    url = await create_database(postgres, f"gesso_editions_{uuid.uuid4().hex[:12]}", template)
    pace = Pace(queue_seconds=0.05, paint_min_seconds=0.05, paint_max_seconds=0.1)
    async with served(create_sandbox(pace=pace, workers=1)) as sandbox:
        folder = Path(tmp_path_factory.mktemp("editions"))
        async with running(settings_for(url, folder, sandbox, adult_content=True)) as found:
            yield found


async def become(product: Product, name: str) -> Edition:
    """Switch the running site, and wait until it is what strangers are shown."""
    edition = load_edition(name)
    async with product.db.elevated("test: another edition") as tx:
        await switch(tx, product.settings, edition)
    async with product.client() as client, asyncio.timeout(PATIENCE / 1000):
        while f"<h1>{escape(edition.face.landing.headline)}</h1>" not in (await client.get("/")).text:
            await asyncio.sleep(0.05)
    return edition


async def sign_up(page: Page, edition: Edition) -> None:
    face = edition.face
    await page.goto("/")
    await expect(page.locator(".site__head .brand")).to_have_text(face.brand.title)
    told = [feature.title for feature in face.landing.features if feature.module in (None, *face.modules)]
    assert await page.locator(".feature h3").all_inner_texts() == told
    for missing in (feature.title for feature in face.landing.features if feature.title not in told):
        await expect(page.get_by_text(missing)).to_have_count(0)
    await page.get_by_role("link", name="Start free").first.click()
    await page.get_by_label("Name").fill("Ada Keller")
    await page.get_by_label("E-mail").fill(f"ada.{new_id().hex}@example.test")
    await page.get_by_label("Password").fill("violet ridges, first light")
    await page.get_by_role("button", name="Make an account").click()
    await page.wait_for_url("**/create")


async def confirm_age(page: Page) -> None:
    """As Create offers it: the models for adults come once somebody has said that they are one."""
    portraits = page.locator("label.model", has_text="Portraits")
    await expect(portraits).to_have_count(0)
    await page.get_by_role("link", name="Confirm that you are 18 or older").click()
    await page.get_by_role("button", name="I am 18 or older").click()
    await page.wait_for_url("**/create")
    await expect(portraits.locator("input")).to_be_checked()


async def improved(page: Page) -> None:
    """Where words are written too: a few words become a prompt."""
    await page.get_by_role("textbox", name="Prompt").fill("a quiet harbour in winter")
    await page.get_by_role("button", name=re.compile("^Improve")).click()
    await expect(page.get_by_role("button", name="Use it")).to_be_visible(timeout=PATIENCE)
    await page.get_by_role("button", name="Discard").click()


async def first_result(page: Page, edition: Edition) -> None:
    """As the page of a newcomer says: take a prompt of the edition, and press the button."""
    face = edition.face
    await expect(page.get_by_role("link", name=face.words["create"]).first).to_be_visible()
    greeting = face.welcome.title or f"Your first {face.words['picture']}"
    await expect(page.get_by_role("heading", name=greeting)).to_be_visible()
    await expect(page.locator("#no-runs")).to_contain_text(face.welcome.create)
    ideas = page.get_by_role("list", name="Prompts to begin with").get_by_role("link")
    assert tuple(await ideas.all_inner_texts()) == face.welcome.image
    await ideas.first.click()
    await expect(page.get_by_role("textbox", name="Prompt")).to_have_value(face.welcome.image[0])
    await page.get_by_role("button", name=re.compile("^Generate")).click()
    await expect(page.locator('.run .tile[data-state="done"]').first).to_be_visible(timeout=PATIENCE)


async def steps_done(page: Page, edition: Edition, done: set[str]) -> None:
    """The first steps are the edition's, and tick themselves off as they are done."""
    steps = edition.face.welcome.steps
    await expect(page.locator(".step b")).to_contain_text([step.title for step in steps])
    expected = [step.title for step in steps if step.do in done]
    await expect(page.locator(".step.is-done b")).to_contain_text(expected, timeout=PATIENCE)


@pytest.fixture
async def stranger(browser: Browser, product: Product) -> AsyncIterator[BrowserContext]:
    """A profile that forgets who it was between the editions; what its pages complain about fails the test."""
    complaints: list[str] = []
    found = await browser.new_context(viewport={"width": 1280, "height": 900}, base_url=product.url)
    found.set_default_timeout(PATIENCE)
    found.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    found.on("weberror", lambda error: complaints.append(str(error.error)))
    yield found
    await found.close()
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


async def test_from_each_start_page_to_a_first_result(product: Product, stranger: BrowserContext) -> None:
    page = await stranger.new_page()
    first: list[Any] = []
    for name in EDITIONS:
        edition = await become(product, name)
        await sign_up(page, edition)
        done = {"image"}
        if edition.face.policy.adult:
            await confirm_age(page)
            done.add("age")
        if any(chain.key == "text" for chain in edition.chains):
            await improved(page)
            done.add("improve")
        await first_result(page, edition)
        await steps_done(page, edition, done)
        first = first or [
            {"name": one["name"], "value": one["value"], "url": product.url} for one in await stranger.cookies()
        ]
        await stranger.clear_cookies()
    # the first person's picture is still there, five editions later, in words of the one in force
    await stranger.add_cookies(first)
    await page.goto("/gallery")
    await expect(page.locator(".tile")).to_have_count(1)
    await expect(page.locator("#credits")).to_contain_text("24")


async def test_what_an_edition_has_not_got_is_not_there(product: Product) -> None:
    small = parse_edition(GOOD.replace('["image", "gallery"]', '["image", "chat"]').encode(), "small.toml")
    async with product.db.elevated("test: an edition of one page") as tx:
        await switch(tx, product.settings, small)
    async with product.person() as client:
        async with asyncio.timeout(PATIENCE / 1000):
            while "/gallery" in (page := (await client.get("/create")).text):
                await asyncio.sleep(0.05)
        for gone in ("/video", "/gallery", "/dashboard", "/billing", "/pricing", "/chat"):
            assert (await client.get(gone)).status_code == 404, gone
            assert f'href="{gone}"' not in page, gone
        assert (await client.get("/")).text.count("/pricing") == 0
        answer = await client.post("/api/generate/video", json={"model": "painter", "prompt": "a lighthouse"})
        assert answer.status_code == 404
