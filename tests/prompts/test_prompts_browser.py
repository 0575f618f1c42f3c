"""The helpers at the prompt as people use them: by keyboard, on a wide and a narrow page, heard and seen."""

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from gesso.accounts.access import COOKIE
from tests.cast import session_token
from tests.chromium import browser, faults
from tests.generation.house import Person
from tests.media.pictures import picture

__all__ = ["browser"]
pytestmark = pytest.mark.browser


async def opened(browser: Browser, ada: Person, width: int, scheme: Any) -> Page:
    page = await browser.new_page(
        viewport={"width": width, "height": 844}, color_scheme=scheme, base_url=ada.house.url
    )  # fmt: skip
    token = await session_token(ada.house.db, ada.actor)
    await page.context.add_cookies([{"name": COOKIE, "value": token, "url": ada.house.url}])
    await page.goto("/create")
    return page


async def sound(page: Page) -> None:
    """axe finds nothing, and nothing scrolls sideways."""
    assert await faults(page) == []
    assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
async def test_improve_use_undo_discard_by_keyboard(browser: Browser, ada: Person, width: int, scheme: str) -> None:
    page = await opened(browser, ada, width, scheme)
    prompt, panel = page.get_by_role("textbox", name="Prompt", exact=True), page.locator("#suggestion")
    improve = page.locator("#tool-improve")
    await expect(improve).to_contain_text("0.2 credits")
    await prompt.fill("a lighthouse at dusk")
    await improve.focus()
    await page.keyboard.press("Enter")
    await expect(panel).to_have_attribute("data-stage", "ready", timeout=20_000)
    await expect(page.get_by_role("button", name="Use it")).to_be_focused()
    await expect(page.get_by_role("status").first).to_have_text("The prompt is written. Use it or discard it.")
    await sound(page)
    better = await panel.locator(".suggestion__text").inner_text()
    assert "lighthouse" in better and len(better) > 40 and await prompt.input_value() == "a lighthouse at dusk"
    await page.keyboard.press("Enter")
    assert await prompt.input_value() == better
    await page.keyboard.press("Enter")  # on Undo
    await expect(prompt).to_have_value("a lighthouse at dusk")
    await page.get_by_role("button", name="Discard").click()
    await expect(panel).to_be_hidden()
    await expect(improve).to_be_focused()
    assert await ada.wallet() == ("99.8", "0")
    await page.close()


async def test_a_file_is_described_and_what_fails_costs_nothing(browser: Browser, ada: Person) -> None:
    page = await opened(browser, ada, 1440, "light")
    prompt, panel = page.get_by_role("textbox", name="Prompt", exact=True), page.locator("#suggestion")
    await page.get_by_role("button", name="Describe a picture").click()
    dialog = page.get_by_role("dialog", name="Describe a picture")
    await expect(dialog.get_by_text("Nothing here yet")).to_be_visible()
    await sound(page)
    await page.set_input_files(
        "#describe-file", files=[{"name": "a.png", "mimeType": "image/png", "buffer": picture(200, 120)}]
    )
    await expect(panel).to_have_attribute("data-stage", "ready", timeout=20_000)
    await expect(dialog).to_be_hidden()
    await page.get_by_role("button", name="Use it").click()
    assert len(await prompt.input_value()) > 30
    await prompt.fill("sandbox:cut a boat on a calm sea in the evening light, far from any coast")
    await page.locator("#tool-improve").click()
    await expect(page.get_by_role("alert")).to_contain_text("broke off")
    await expect(panel).to_be_hidden()
    await prompt.fill("")
    await page.locator("#tool-improve").click()
    await expect(prompt).to_be_focused()
    assert await ada.wallet() == ("99.8", "0")
    await page.close()
