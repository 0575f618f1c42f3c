"""The main job, as a person does it: sign up, write a prompt, watch pictures arrive, find them, see what they cost."""

import re

import pytest
from playwright.async_api import Browser, Page, expect

from gesso.core.ids import new_id
from gesso.credits import service as credits
from tests.chromium import PATIENCE, faults
from tests.product import Product

pytestmark = pytest.mark.browser


async def sign_up(page: Page) -> None:
    await page.goto("/")
    await page.get_by_role("link", name="Start free").first.click()
    await page.get_by_label("Name").fill("Ada Keller")
    await page.get_by_label("E-mail").fill(f"ada.{new_id().hex}@example.test")
    await page.get_by_label("Password").fill("violet ridges, first light")
    await page.get_by_role("button", name="Make an account").click()
    await page.wait_for_url("**/create")


def generate(page: Page, price: str) -> object:
    """The one main button with its price."""
    return page.get_by_role("button", name=re.compile(rf"^Generate\W*{re.escape(price)}$"))


async def choose(page: Page, model: str, count: int, price: str) -> None:
    """Choose model and count, and wait until the button says the price."""
    await page.locator("label.model", has_text=model).first.click()
    await expect(page.locator("label.model", has_text=model).first.locator("input")).to_be_checked()
    await page.wait_for_load_state("networkidle")
    await page.get_by_role("group", name="Pictures").get_by_text(str(count), exact=True).click()
    await expect(generate(page, price)).to_be_visible()  # type: ignore[arg-type]


async def test_the_whole_story(page: Page, product: Product) -> None:
    await sign_up(page)
    await expect(page.locator("#credits")).to_contain_text("25")

    # four pictures, each in its own time
    await page.get_by_role("textbox", name="Prompt").fill("Aurora over a quiet fjord, stars, mirrored lake")
    await choose(page, "Juggernaut Lightning", 4, "4 credits")
    await generate(page, "4 credits").click()  # type: ignore[attr-defined]
    run = page.locator(".run").first
    tiles = run.locator(".tile")
    await expect(tiles).to_have_count(4)
    boxes = [await tiles.nth(index).bounding_box() for index in range(4)]
    done = run.locator('.tile[data-state="done"]')
    await expect(done.first).to_be_visible(timeout=PATIENCE)
    await expect(done).to_have_count(4, timeout=PATIENCE)
    assert [await tiles.nth(index).bounding_box() for index in range(4)] == boxes, "pictures moved the page"
    await expect(page.locator("#credits")).to_contain_text("21")
    await expect(page.locator("#status")).to_contain_text("4 of 4 pictures ready")

    # a reload and a second tab show the same truth
    await page.reload()
    await expect(page.locator(".run").first.locator('.tile[data-state="done"]')).to_have_count(4)
    second = await page.context.new_page()
    await second.goto("/gallery")
    await expect(second.locator(".tile")).to_have_count(4)

    # gallery, lightbox, keys
    await second.locator(".tile__link").first.click()
    lightbox = second.locator(".lightbox")
    await expect(lightbox).to_be_visible()
    await expect(lightbox).to_contain_text("Juggernaut Lightning")
    await expect(lightbox).to_contain_text("1 credit")
    first = second.url
    await second.keyboard.press("ArrowRight")
    await expect(second).not_to_have_url(first)
    await second.keyboard.press("Escape")
    await expect(lightbox).to_have_count(0)

    # what it cost
    await second.goto("/dashboard")
    await expect(second.locator(".stats")).to_contain_text("21")
    row = second.locator("#history tbody tr").first
    await expect(row).to_contain_text("Aurora over a quiet fjord")
    await expect(row).to_contain_text("Delivered")
    await expect(row.locator("td.num").first).to_have_text("4")
    await second.close()

    # a provider that fails: nothing charged, said so
    await page.get_by_role("textbox", name="Prompt").fill("sandbox:fail a bauhaus poster")
    await choose(page, "Juggernaut Lightning", 1, "1 credit")
    await generate(page, "1 credit").click()  # type: ignore[attr-defined]
    failed = page.locator(".run").first.locator('.tile[data-state="failed"]')
    await expect(failed).to_contain_text("Nothing was charged", timeout=PATIENCE)
    await expect(page.locator("#credits")).to_contain_text("21")

    # out of credits: what is missing, when more come, and what was typed stays
    await page.get_by_role("textbox", name="Prompt").fill("Dunes at dawn")
    await choose(page, "FLUX Ultra", 4, "12 credits")
    await generate(page, "12 credits").click()  # type: ignore[attr-defined]
    await expect(page.locator("#credits")).to_contain_text("9", timeout=PATIENCE)
    await expect(page.locator("#short")).to_contain_text("3 credits short", timeout=PATIENCE)
    await expect(page.locator("#short")).to_contain_text("10 credits more come on")
    await page.get_by_role("button", name=re.compile("^Generate")).click()
    await expect(page.get_by_role("textbox", name="Prompt")).to_have_value("Dunes at dawn")
    await expect(page.locator(".run").first.locator('.tile[data-state="done"]')).to_have_count(4, timeout=PATIENCE)
    await expect(page.locator("#credits")).to_contain_text("9")
    async with product.db.elevated("test: verify") as tx:
        assert await credits.verify(tx) == ()


async def test_no_page_has_an_accessibility_fault_or_scrolls_sideways(browser: Browser, product: Product) -> None:
    context = await browser.new_context(base_url=product.url, reduced_motion="reduce", bypass_csp=True)
    page = await context.new_page()
    for path in ("/", "/login", "/signup", "/reset", "/api/docs"):
        await check(page, path)
    await sign_up(page)
    await page.get_by_role("textbox", name="Prompt").fill("A paper-cut valley at golden hour")
    await generate(page, "1 credit").click()  # type: ignore[attr-defined]
    await expect(page.locator('.tile[data-state="done"]')).to_have_count(1, timeout=PATIENCE)
    asset = await page.locator(".tile__link").first.get_attribute("href")
    for path in ("/create", "/gallery", f"{asset}", "/dashboard", "/settings", "/nothing-here"):
        await check(page, path)
    await context.close()


async def check(page: Page, path: str) -> None:
    """axe finds nothing at 1440 px, dark and light, and at 320 px nothing scrolls sideways."""
    await page.set_viewport_size({"width": 1440, "height": 900})
    await page.goto(path)
    await page.emulate_media(color_scheme="dark")
    assert await faults(page) == [], f"{path}, dark"
    await page.emulate_media(color_scheme="light")
    assert await faults(page, ["color-contrast"]) == [], f"{path}, light"  # colours are all that changes
    await page.set_viewport_size({"width": 320, "height": 640})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320, path
