"""The dashboard in a real browser: the chart read by keys, the history filtered in place, nothing for axe to find."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from gesso.accounts.access import COOKIE
from gesso.core.money import MICRO
from gesso.credits import service as credits
from tests.cast import make_user, session_token, sign_in
from tests.chromium import browser, faults
from tests.product import running, settings_for

__all__ = ["browser"]

pytestmark = pytest.mark.browser


@pytest.fixture
async def page(database_url: str, tmp_path: Path, browser: Browser) -> AsyncIterator[Page]:
    """Somebody's dashboard who has asked for two pictures and a video a moment ago, on a phone."""
    async with running(settings_for(database_url, tmp_path, "http://127.0.0.1:9"), worker=False) as product:
        ada = await make_user(product.db, "Ada")
        async with product.db.workspace(ada.workspace_id) as tx:
            await credits.grant(
                tx, ada.workspace_id, unit="credit", amount=100 * MICRO, source="operator", key="test", reason="for it"
            )
        async with product.client() as client:
            await sign_in(client, product.db, ada)
            for kind, model in (("image", "flux-schnell"), ("image", "flux-schnell"), ("video", "kling")):
                asked = {"model": model, "prompt": f"sea and sky, {kind}"}
                answer = await client.post(f"/api/generate/{kind}", json=asked)
                assert answer.status_code == 202, answer.text
        context = await browser.new_context(
            base_url=product.url, viewport={"width": 390, "height": 844}, bypass_csp=True
        )
        token = await session_token(product.db, ada)
        await context.add_cookies([{"name": COOKIE, "value": token, "url": product.url}])
        yield await context.new_page()
        await context.close()


async def test_read_by_keys_and_filter_in_place(page: Page) -> None:
    await page.goto("/dashboard")
    assert "days=" not in page.url
    chart, said = page.locator("[data-chart]"), page.locator("[data-chart-said]")
    await chart.focus()
    await page.keyboard.press("ArrowLeft")
    assert await said.text_content() == await page.locator("svg.narrow .chart__at").last.get_attribute("data-said")
    assert "3 requests (Pictures 2, Videos 1)" in (await said.text_content() or "")
    assert await page.locator("svg.narrow .chart__sign").last.is_visible()
    await page.keyboard.press("ArrowLeft")
    assert "0 requests" in (await said.text_content() or "")
    await page.keyboard.press("Escape")
    assert await said.text_content() == ""

    assert await page.locator("#history tbody tr").count() == 3
    await page.evaluate("window.stayed = true")
    await page.get_by_role("button", name="Every kind").click()
    await page.get_by_role("link", name="Videos").click()
    await page.locator("#history tbody tr").nth(1).wait_for(state="detached")
    assert await page.locator("#history tbody tr").count() == 1
    assert await page.evaluate("window.stayed") and "kind=video" in page.url
    assert await page.evaluate("document.activeElement.textContent.trim()") == "Videos"
    await page.reload()
    assert await page.locator("#history tbody tr").count() == 1

    await page.get_by_text("As a table").click()
    assert await faults(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
