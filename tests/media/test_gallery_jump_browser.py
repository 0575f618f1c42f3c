"""Jumping to a month in a real browser: calendar, scrubber, the way back up, and a page that does not grow."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect

from gesso.accounts.access import Actor
from gesso.core.clock import SystemClock
from gesso.db import Database
from gesso.media import gallery
from gesso.media.service import Ingest
from gesso.media.storage import Storage
from tests.cast import make_user
from tests.chromium import browser, faults
from tests.media.browsing import OpenPage, site, until, visit
from tests.media.conftest import media_app
from tests.media.pictures import add, id_at, row, utc

__all__ = ["browser", "site", "visit"]

pytestmark = pytest.mark.browser

MONTHS = [(2025, 11), (2025, 12), (2026, 1), (2026, 2)]
EACH = 90
TILES = "document.querySelectorAll('#wall .tile').length"
IN_SIGHT = "document.getElementById('scrubber').getAttribute('aria-valuetext')"
ORDER = "[...document.querySelectorAll('#wall .tile')].map((tile) => tile.id)"


@pytest.fixture
def app(db: Database, storage: Storage, ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(gallery, "PAGE", 20)
    return media_app(db, storage, ingest, SystemClock())


@pytest.fixture
async def ada(db: Database) -> Actor:
    """Ada with 360 pictures in four months, three a day; they have no files and stay blurs."""
    ada = await make_user(db, "Ada")
    moments = [utc(year, month, 1 + n % 28, 12, n % 60) for year, month in MONTHS for n in range(EACH)]
    await add(db, ada, *(row(ada, id_at(moment), width=64 + 16 * (moment.day % 4)) for moment in moments))
    return ada


@pytest.fixture
async def wall(visit: OpenPage) -> Any:
    async def at(path: str = "/gallery", **options: Any) -> Page:
        page = await visit(path, **options)
        await until(page, f"{TILES} > 0")
        return page

    return at


async def month_on_top(page: Page) -> str:
    """The month of the first day that is right below the bar."""
    return await page.evaluate(
        """[...document.querySelectorAll("#wall .rows")]
            .find((box) => box.getBoundingClientRect().bottom > 104).dataset.day.slice(0, 7)"""
    )


async def test_the_calendar_jumps_by_pointer_and_by_keys(wall: Any, site: str) -> None:
    page = await wall()
    await page.evaluate("window.stayed = true")
    await page.click("#jump")
    assert await page.evaluate("document.activeElement.dataset.month") == "2026-02"
    await page.keyboard.press("ArrowLeft")
    assert await page.evaluate("document.activeElement.textContent") == "January 2026"
    await page.keyboard.press("ArrowDown")  # over the months in which nothing was made
    assert await page.evaluate("document.activeElement.dataset.month") == "2025-11"
    await page.click("#calendar [data-month='2025-12']")
    await page.wait_for_url(f"{site}/gallery?at=2025-12")
    await until(page, "document.querySelectorAll('#wall .leaf').length >= 2")  # the page above has come by itself
    assert await month_on_top(page) == "2025-12"
    await until(page, f"{IN_SIGHT} === 'December 2025'")
    assert await page.evaluate("window.stayed")
    assert await page.locator("#status").inner_text() == "December 2025"
    await page.reload()  # the address holds the place
    await until(page, "document.querySelectorAll('#wall .leaf').length >= 2 && scrollY > 0")
    assert await month_on_top(page) == "2025-12"


async def test_from_a_month_one_scrolls_up_and_nothing_moves(wall: Any) -> None:
    page = await wall("/gallery?at=2025-12")
    await until(page, "document.querySelectorAll('#wall .leaf').length >= 2")
    for _ in range(30):
        if not await page.locator("#wall > .more-link--up").count():
            break
        moved = await page.evaluate(
            """(async () => {
                const leaves = document.querySelectorAll("#wall .leaf").length;
                scrollTo({ top: 300, behavior: "instant" });
                const tile = [...document.querySelectorAll("#wall .tile")]
                    .find((one) => one.getBoundingClientRect().top > 120);
                const stood = tile.getBoundingClientRect().top;
                for (let frame = 0; frame < 600; frame += 1) {
                    await new Promise(requestAnimationFrame);
                    if (document.querySelectorAll("#wall .leaf").length > leaves) break;
                }
                await new Promise(requestAnimationFrame);
                return Math.abs(tile.getBoundingClientRect().top - stood);
            })()"""
        )
        assert moved < 2
    assert await page.locator("#wall > .more-link--up").count() == 0
    await page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    await until(page, f"{IN_SIGHT} === 'February 2026'")
    order = await page.evaluate(ORDER)
    assert order == sorted(order, reverse=True) and len(order) == len(set(order))
    days = await page.evaluate("[...document.querySelectorAll('#wall .day h2')].map((day) => day.textContent)")
    assert len(days) == len(set(days))  # days that two pages share have one heading


async def test_the_page_holds_few_tiles_however_far_one_scrolls(wall: Any, db: Database, ada: Actor) -> None:
    page = await wall()
    most = 0
    await page.mouse.move(600, 500)
    async with asyncio.timeout(60):
        while await page.locator(".more-link:not(.more-link--up)").count():
            await page.mouse.wheel(0, 3000)
            await asyncio.sleep(0.05)
            most = max(most, await page.evaluate(TILES))
    leaves = await page.evaluate("document.querySelectorAll('#wall .leaf').length")
    assert leaves == len(MONTHS) * EACH // 20
    assert most < len(MONTHS) * EACH * 0.75
    height = await page.evaluate("document.documentElement.scrollHeight")
    await page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    await until(page, "document.querySelector('#wall .leaf').childElementCount > 0")
    await until(page, f"{TILES} < {len(MONTHS) * EACH}")
    assert await page.evaluate("document.documentElement.scrollHeight") == pytest.approx(height, abs=2)
    # a leaf that came back is laid out, painted, and works as before
    first = page.locator("#wall .tile").first
    assert await first.evaluate("tile => tile.style.inlineSize") and await first.locator("img").evaluate(
        "image => image.style.background.includes('data:image')"
    )
    # a picture in a leaf without its tiles is found when the lightbox closes on it
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        oldest = await tx.fetchval("SELECT min(id::text) FROM asset")
    await first.locator(".tile__link").click()
    await page.wait_for_selector(".lightbox")
    assert not await page.evaluate(f"Boolean(document.getElementById('{oldest}'))")
    await page.evaluate(
        f"""(() => {{ const link = document.querySelector('.lightbox__nav[data-dir="next"]');
            link.setAttribute('href', '/gallery/{oldest}'); link.click(); }})()"""
    )
    await until(page, f"document.querySelector('.lightbox').dataset.asset === '{oldest}'")
    await page.keyboard.press("Escape")
    await until(page, f"document.activeElement.closest('.tile')?.id === '{oldest}'")


async def test_the_scrubber_by_keys_and_by_pointer(wall: Any, site: str) -> None:
    page = await wall()
    scrubber = page.locator("#scrubber")
    await scrubber.focus()
    for key, month, words in (
        ("ArrowDown", "2026-01", "January 2026"), ("PageDown", "2025-12", "December 2025"),
        ("End", "2025-11", "November 2025"), ("PageUp", "2026-02", "February 2026"),
        ("ArrowUp", "2026-02", "February 2026"),
    ):  # fmt: skip
        await page.keyboard.press(key)
        assert await scrubber.get_attribute("aria-valuetext") == words
        await page.wait_for_url(f"{site}/gallery?at={month}")
        await until(page, f"document.getElementById('status').textContent === '{words}'")  # the wall has followed
        assert await scrubber.get_attribute("aria-valuetext") == words
    # months pressed faster than they can be shown: the last one counts, and none is undone by one before it
    for key in ("ArrowDown", "ArrowDown", "ArrowUp"):
        await page.keyboard.press(key, delay=120)
    assert await scrubber.get_attribute("aria-valuetext") == "January 2026"
    await until(page, "document.getElementById('status').textContent === 'January 2026'")
    box = await scrubber.bounding_box()
    assert box
    await page.mouse.move(box["x"] + 20, box["y"] + 5)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 20, box["y"] + box["height"] - 4, steps=4)
    await expect(scrubber.locator("output")).to_have_text("November 2025", use_inner_text=True)
    await page.mouse.up()
    await page.wait_for_url(f"{site}/gallery?at=2025-11")
    await until(page, f"{IN_SIGHT} === 'November 2025'")


async def test_turning_far_and_closing_shows_where_one_is(wall: Any, site: str, db: Database, ada: Actor) -> None:
    page = await wall()
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        far = await tx.fetchval("SELECT id::text FROM asset ORDER BY id OFFSET 40 LIMIT 1")
    await page.locator("#wall .tile__link").first.click()
    await page.wait_for_selector(".lightbox")
    await page.evaluate(
        f"""(() => {{ const link = document.querySelector('.lightbox__nav[data-dir="next"]');
            link.setAttribute('href', '/gallery/{far}'); link.click(); }})()"""
    )
    await until(page, f"document.querySelector('.lightbox').dataset.asset === '{far}'")
    await page.keyboard.press("Escape")
    await until(page, f"document.activeElement.closest('.tile')?.id === '{far}'")
    assert page.url == f"{site}/gallery?at={far}"


async def test_neighbours_are_fetched_before_one_turns(visit: OpenPage, db: Database, ada: Actor) -> None:
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        ids = [str(row["id"]) for row in await tx.fetch("SELECT id FROM asset ORDER BY id DESC LIMIT 5")]
    page = await visit("/gallery")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(page.url.replace("/gallery", f"/gallery/{ids[2]}"))
    await page.wait_for_selector(".lightbox .pic")
    async with asyncio.timeout(60):
        while not all(any(f"/media/{one}/" in url for url in asked) for one in (ids[1], ids[3], ids[4])):
            await asyncio.sleep(0.05)


async def test_axe_finds_nothing_where_one_jumps(wall: Any) -> None:
    page = await wall("/gallery?at=2025-12", width=1440, bypass_csp=True)
    await until(page, "document.querySelectorAll('#wall .leaf').length >= 2")
    for step in ("jumped", "calendar"):
        if step == "calendar":
            await page.evaluate("document.getElementById('calendar').showPopover()")
        for width in (390, 1440):
            await page.set_viewport_size({"width": width, "height": 900})
            assert await faults(page) == [], f"{step} at {width}"
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
