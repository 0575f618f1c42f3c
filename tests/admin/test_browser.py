"""The panel in a real browser, and a user who notices nothing while the operator replaces the provider."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, BrowserContext, expect

from gesso.accounts.access import COOKIE, Actor
from tests.admin.conftest import Panel
from tests.cast import session_token
from tests.chromium import browser, faults

__all__ = ["browser"]

pytestmark = pytest.mark.browser
PATIENCE = 30_000


async def signed_in(browser: Browser, panel: Panel, who: Actor, width: int = 1440) -> tuple[BrowserContext, list[str]]:
    """A browser of somebody's, and whatever its pages complain about."""
    context = await browser.new_context(viewport={"width": width, "height": 900}, base_url=panel.product.url)
    token = await session_token(panel.product.db, who)
    await context.add_cookies([{"name": COOKIE, "value": token, "url": panel.product.url}])
    complaints: list[str] = []
    context.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    return context, complaints


@pytest.fixture
async def people(browser: Browser, panel: Panel) -> AsyncIterator[tuple[BrowserContext, BrowserContext]]:
    """The operator's browser and the user's; neither may complain."""
    operator, said = await signed_in(browser, panel, panel.olga)
    user, heard = await signed_in(browser, panel, panel.ada)
    yield operator, user
    await operator.close()
    await user.close()
    assert [text for text in said + heard if not text.startswith("Failed to load resource")] == []


async def test_the_provider_is_replaced_while_a_user_generates(
    panel: Panel, people: tuple[BrowserContext, BrowserContext]
) -> None:
    office, studio = [await context.new_page() for context in people]
    await studio.goto("/create")
    prompt = studio.get_by_role("textbox", name="Prompt")
    await prompt.fill("sandbox:slow=3 a lighthouse at dusk")
    await studio.get_by_role("button", name=re.compile("^Generate")).click()
    await expect(studio.locator(".run").first.locator(".tile").first).to_be_visible()

    # meanwhile: another account at the same provider, the model moved to it, the old one switched off for new work
    await office.goto("/admin/connections/new")
    await office.get_by_label("Adapter").select_option("fal")
    await office.get_by_label("Name", exact=True).fill("Second account")
    await office.get_by_label("Short name").fill("second")
    await office.get_by_text("The sandbox", exact=True).click()
    await office.get_by_role("button", name="Add connection").click()
    await office.wait_for_url("**/admin/connections/second")
    await office.get_by_role("button", name="Test", exact=True).click()
    await expect(office.locator("#test")).to_contain_text("It works", timeout=PATIENCE)
    await office.goto("/admin/models/juggernaut-lightning")
    await office.get_by_label("Connection", exact=True).select_option("second")
    await office.get_by_role("button", name="Save changes").click()
    await expect(office.get_by_label("Connection", exact=True)).to_have_value("second")
    await office.goto("/admin/connections")
    await office.get_by_role("switch", name="fal is on").click()
    await expect(office.get_by_role("switch", name="fal is on")).to_have_attribute("aria-checked", "false")

    # the picture that was under way arrives, and the next one comes from the new account
    done = studio.locator('.tile[data-state="done"]')
    await expect(done).not_to_have_count(0, timeout=PATIENCE)
    before = await done.count()
    await prompt.fill("the same lighthouse in the morning")
    await studio.get_by_role("button", name=re.compile("^Generate")).click()
    await expect(done).to_have_count(before * 2, timeout=PATIENCE)
    await expect(studio.locator('.tile[data-state="failed"]')).to_have_count(0)
    async with panel.product.db.elevated("test: calls") as tx:
        rows = await tx.fetch(
            "SELECT DISTINCT c.key, a.state FROM attempt a JOIN connection c ON c.id = a.connection_id"
            " WHERE a.workspace_id = $1 ORDER BY 1",
            panel.ada.workspace_id,
        )
    assert [tuple(row) for row in rows] == [("fal", "succeeded"), ("second", "succeeded")]


async def test_the_live_price_and_the_order_by_keyboard_and_by_hand(
    panel: Panel, people: tuple[BrowserContext, BrowserContext]
) -> None:
    page = await people[0].new_page()
    await page.goto("/admin/models/flux-schnell")
    await page.get_by_label("Price", exact=False).first.fill("7")
    await expect(page.locator('#example [data-part="total"]')).to_have_text("7 credits")
    await page.get_by_label("How many").fill("2")
    await expect(page.locator('#example [data-part="total"]')).to_have_text("14 credits")

    async def keys() -> list[str]:
        return [str(await row.get_attribute("data-key")) for row in await page.locator("tr[data-key]").all()]

    await page.goto("/admin/connections")
    before = await keys()
    await page.get_by_role("button", name=re.compile("^Move .* down$")).first.focus()
    await page.keyboard.press("Enter")
    swapped = [before[1], before[0], *before[2:]]
    async with asyncio.timeout(60):
        while await keys() != swapped:
            await asyncio.sleep(0.05)
    rows = page.locator("tr[data-key]")
    await rows.nth(0).locator("[data-handle]").drag_to(rows.nth(1), target_position={"x": 200, "y": 40})
    async with asyncio.timeout(60):
        while [item["key"] for item in (await panel.operator.get("/api/admin/connections")).json()["items"]] != before:
            await asyncio.sleep(0.05)


PAGES = (
    "/admin", "/admin/connections", "/admin/connections/fal", "/admin/connections/new", "/admin/models",
    "/admin/models/juggernaut-lightning", "/admin/models/juggernaut-lightning/remove", "/admin/models/new",
    "/admin/styles", "/admin/styles/noir", "/admin/chains", "/admin/jobs?state=failed",
    "/admin/jobs?state=all&person=ada", "/admin/users", "/admin/users/{user}", "/admin/workspaces/{workspace}",
    "/admin/plans", "/admin/plans/free", "/admin/packs", "/admin/audit",
)  # fmt: skip


async def test_no_page_of_the_panel_has_an_accessibility_fault(browser: Browser, panel: Panel) -> None:
    asked = await panel.user.post(
        "/api/generate/image", json={"model": "juggernaut-lightning", "prompt": "sandbox:fail a pier", "count": 1}
    )

    async def failed() -> bool:
        return bool((await panel.user.get(f"/api/generate/status/{asked.json()['id']}")).json()["status"] == "failed")

    await panel.until(failed)
    context, complaints = await signed_in(browser, panel, panel.olga)
    page = await context.new_page()
    for path in PAGES:
        await page.set_viewport_size({"width": 1440, "height": 900})
        await page.goto(path.format(user=panel.ada.user_id, workspace=panel.ada.workspace_id))
        for width in (1440, 320):  # one visit: what a page is made of is the same for both
            await page.set_viewport_size({"width": width, "height": 900})
            assert await faults(page) == [], (path, width)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
    # a phone reaches what has no tab of its own
    await page.get_by_role("button", name="More").click()
    await page.get_by_role("link", name="Styles").click()
    await page.wait_for_url("**/admin/styles")
    await context.close()
    assert complaints == []
