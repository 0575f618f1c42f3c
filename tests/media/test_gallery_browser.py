"""The gallery in a real browser: lightbox with its history and keys, filters in place, selection, undo."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from playwright.async_api import Page

from gesso.accounts.access import Actor
from gesso.core.clock import SystemClock
from gesso.db import Database
from gesso.media import gallery
from gesso.media.service import Ingest
from gesso.media.storage import Storage
from tests.cast import make_user
from tests.chromium import browser, faults
from tests.media.browsing import OpenPage, site, tiles, until, visit
from tests.media.conftest import media_app
from tests.media.pictures import id_at, keep, picture

__all__ = ["browser", "site", "visit"]

pytestmark = pytest.mark.browser

SHAPES = ((160, 120), (120, 160), (128, 128), (192, 108))
TODAY, EARLIER = 5, 9


@pytest.fixture
def app(db: Database, storage: Storage, ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(gallery, "PAGE", 8)  # so that 14 pictures need a second page, in the middle of a day
    return media_app(db, storage, ingest, SystemClock())


@pytest.fixture
async def ada(db: Database, storage: Storage) -> Actor:
    """Ada with 14 pictures: 5 of today, 9 of three days ago."""
    ada = await make_user(db, "Ada")
    now = datetime.now(UTC).replace(hour=0, minute=0, second=30)
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        for n in range(TODAY + EARLIER):
            moment = now - timedelta(seconds=n, days=0 if n < TODAY else 3)
            width, height = SHAPES[n % 4]
            await keep(
                tx, storage, picture(width, height, seed=n), id_at(moment),
                prompt=f"{'teal' if n % 2 else 'amber'} picture number {n}", model_key="flux", model_name="Flux",
            )  # fmt: skip
    return ada


async def everything(page: Page) -> int:
    """Scroll until all pictures are there."""
    await page.mouse.move(600, 400)
    await page.mouse.wheel(0, 5000)
    await until(page, f"document.querySelectorAll('#wall .tile').length === {TODAY + EARLIER}")
    await page.evaluate("scrollTo(0, 0)")
    return TODAY + EARLIER


async def test_rows_fill_their_width_and_nothing_jumps(visit: OpenPage) -> None:
    page = await visit(f"/gallery?from={datetime.now(UTC).date()}")
    shifts = """new Promise(done => new PerformanceObserver(list => done(
        list.getEntries().reduce((sum, entry) => sum + entry.value, 0))).observe({type: "layout-shift", buffered: true})
        || setTimeout(() => done(0), 400))"""
    assert await page.evaluate(shifts) < 0.01
    edges = "[...document.querySelectorAll('#wall .tile')].map(tile => tile.getBoundingClientRect().right)"
    assert max(await page.evaluate(edges)) == pytest.approx(
        await page.evaluate("document.querySelector('#wall .rows').getBoundingClientRect().right"), abs=2
    )


async def test_scrolling_joins_the_days(visit: OpenPage) -> None:
    page = await visit("/gallery")
    await everything(page)
    assert await page.locator("#wall .leaf").count() == 2
    assert await page.locator("#wall .day").count() == 2
    # the second page goes on in the middle of a day: no heading, no ragged row, no gap but that between rows
    joint = await page.evaluate(
        """(() => {
            const [above, below] = [...document.querySelectorAll("#wall .rows")].slice(-2)
                .map((box) => ({ box: box.getBoundingClientRect(), day: box.dataset.day,
                    edge: box.lastElementChild.getBoundingClientRect().right }));
            return { days: [above.day, below.day], ragged: above.box.right - above.edge,
                gap: below.box.top - above.box.bottom };
        })()"""
    )
    assert joint["days"][0] == joint["days"][1]
    assert joint["ragged"] < 2 and joint["gap"] == pytest.approx(8, abs=1)
    assert await page.locator("#wall .day span").all_inner_texts() == [str(TODAY), str(EARLIER)]
    assert await page.locator(".more-link").count() == 0


async def test_the_lightbox_has_its_place_in_the_history(visit: OpenPage, site: str) -> None:
    page = await visit("/gallery")
    third = page.locator("#wall .tile__link").nth(2)
    await third.click()
    await until(page, "document.querySelector('.lightbox__bar span')?.textContent === '3 of 14'")
    assert re.fullmatch(rf"{site}/gallery/[0-9a-f-]{{36}}", page.url)
    assert await page.evaluate("document.querySelector('main').inert")
    assert await page.evaluate("document.activeElement.getAttribute('aria-label')") == "Close"

    shown = page.url
    await page.keyboard.press("ArrowRight")
    await until(page, "document.querySelector('.lightbox__bar span')?.textContent === '4 of 14'")
    await page.wait_for_url(lambda url: url != shown)  # the address follows the picture
    fourth = page.url
    await page.keyboard.press("ArrowLeft")
    await until(page, "document.querySelector('.lightbox__bar span')?.textContent === '3 of 14'")
    await page.keyboard.press("f")
    await until(page, "document.querySelector('.btn--heart').getAttribute('aria-pressed') === 'true'")
    await page.keyboard.press("?")
    await until(page, "document.getElementById('keys').open")
    await page.keyboard.press("Escape")  # closes the list, not the picture
    assert await page.locator(".lightbox").count() == 1
    async with page.expect_download() as download:
        await page.keyboard.press("d")
    assert (await download.value).suggested_filename.startswith("amber-picture-number-2-")

    await page.keyboard.press("Escape")
    await until(page, "!document.querySelector('.lightbox')")
    assert page.url == f"{site}/gallery"
    assert await third.evaluate("link => link === document.activeElement")
    assert not await page.evaluate("document.querySelector('main').inert")
    await page.go_forward()
    await until(page, "document.querySelector('.lightbox__bar span')?.textContent === '3 of 14'")
    await page.go_back()
    await until(page, "!document.querySelector('.lightbox')")
    await page.goto(fourth)
    assert await page.locator(".lightbox__bar span").inner_text() == "4 of 14"
    await page.keyboard.press("ArrowRight")
    await until(page, "document.querySelector('.lightbox__bar span')?.textContent === '5 of 14'")


async def test_deleting_in_the_lightbox_goes_on_and_undo_brings_it_back(visit: OpenPage) -> None:
    page = await visit("/gallery")
    before = await everything(page)
    await page.locator("#wall .tile__link").first.click()
    await until(page, "document.querySelector('.lightbox__bar span')?.textContent === '1 of 14'")
    first = await page.locator(".lightbox").get_attribute("data-asset")
    await page.keyboard.press("Delete")
    await until(page, "document.querySelector('.lightbox__bar span')?.textContent === '1 of 13'")
    assert await tiles(page) == before - 1
    assert await page.locator(".lightbox").get_attribute("data-asset") != first
    await page.locator("#toasts [data-undo]").click()
    await until(page, f"document.querySelectorAll('#wall .tile').length === {before}")
    assert await page.locator("#wall .tile").first.get_attribute("id") == first


async def test_filters_change_the_wall_in_place(visit: OpenPage, site: str) -> None:
    page = await visit("/gallery")
    await page.evaluate("window.stayed = true")
    await page.fill("#gallery-q", "teal")
    await until(page, "document.querySelectorAll('#wall .tile').length === 7")
    assert page.url == f"{site}/gallery?q=teal"
    assert await page.evaluate("document.activeElement.id") == "gallery-q"
    await page.click("text=Favourites")
    await page.wait_for_selector("text=Nothing found")
    await page.click("text=Clear")
    await until(page, "document.querySelectorAll('#wall .tile').length >= 8")
    assert (page.url, await page.input_value("#gallery-q")) == (f"{site}/gallery", "")
    await page.click("button.filter:has-text('Any time')")
    await page.click(".menu__item:has-text('Today')")
    await until(page, f"document.querySelectorAll('#wall .tile').length === {TODAY}")
    height = "document.querySelector('#wall .tile').getBoundingClientRect().height"
    medium = await page.evaluate(height)
    await page.click("text=Large")
    await until(page, f"{height} > {medium}")
    assert await page.evaluate("window.stayed")


async def test_selecting_downloading_and_deleting_several(visit: OpenPage) -> None:
    page = await visit("/gallery")
    await page.click("[data-select]")
    assert await page.locator("[data-verb=delete]").is_disabled()
    links = page.locator("#wall .tile__link")
    await links.nth(1).click()
    await links.nth(4).click(modifiers=["Shift"])
    await links.nth(2).click()
    assert await page.locator("[data-selected]").inner_text() == "3 selected"
    async with page.expect_download() as download:
        await page.click("[data-verb=download]")
    assert (await download.value).suggested_filename.endswith(".zip")
    assert await page.locator(".is-busy").count() == 0
    before = await everything(page)
    await page.click("[data-verb=delete]")
    await until(page, f"document.querySelectorAll('#wall .tile').length === {before - 3}")
    assert "3 pictures deleted" in await page.locator("#toasts").inner_text()
    await page.locator("#toasts [data-undo]").click()
    await until(page, f"document.querySelectorAll('#wall .tile').length === {before}")
    assert await page.locator(".tile.is-selected").count() == 0
    assert not await page.locator(".actionbar").is_visible()


async def test_without_scripts_it_is_pages_and_forms(visit: OpenPage, site: str) -> None:
    page = await visit("/gallery", scripts=False)
    await page.get_by_role("link", name="Older").click()
    assert await tiles(page) == 6
    await page.goto(f"{site}/gallery?select=1")
    await page.locator(".tile__pick").nth(0).check()
    await page.locator(".tile__pick").nth(1).check()
    await page.click("[data-verb=delete]")
    assert "2 pictures deleted" in await page.locator("#toasts").inner_text()
    assert await page.locator("#wall .day span").first.inner_text() == str(TODAY - 2)
    await page.locator("#wall .tile__link").first.click()
    assert await page.locator(".lightbox__bar span").inner_text() == "1 of 12"
    await page.click("[data-dir=next]")
    assert await page.locator(".lightbox__bar span").inner_text() == "2 of 12"
    await page.click(".lightbox__bar [aria-label=Close]")
    assert page.url == f"{site}/gallery"


async def test_axe_finds_nothing_and_nothing_scrolls_sideways(visit: OpenPage, site: str) -> None:
    page = await visit("/gallery", width=1440, bypass_csp=True)
    for path in ("/gallery", "/gallery?select=1", "/gallery?q=nowhere", "overlay", "lightbox"):
        if path == "overlay":
            await page.goto(f"{site}/gallery")
            await page.locator("#wall .tile__link").first.click()
            await page.wait_for_selector(".lightbox .pic")
        elif path == "lightbox":
            await page.goto(page.url)
        else:
            await page.goto(site + path)
        for width in (320, 390, 1440):
            await page.set_viewport_size({"width": width, "height": 900})
            async with asyncio.timeout(60):  # what was laid out for another width has a moment to follow
                while not await page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                    await asyncio.sleep(0.05)
            if width == 320:
                continue
            assert await faults(page) == [], f"{path} at {width}"


async def test_new_pictures_are_told_and_move_nothing_until_asked(
    visit: OpenPage, db: Database, storage: Storage, ada: Actor
) -> None:
    page = await visit("/gallery")
    before = await page.locator("#wall .tile").first.get_attribute("id")
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        for n in range(2):
            await keep(tx, storage, picture(128, 128, seed=50 + n), id_at(datetime.now(UTC) + timedelta(seconds=n + 1)))
    await page.evaluate("document.dispatchEvent(new CustomEvent('gesso:generation', {detail: {id: ''}}))")
    await page.locator("#news:visible").wait_for()
    assert await page.locator("#news").inner_text() == "2 new pictures"
    assert await page.locator("#wall .tile").first.get_attribute("id") == before
    await page.locator("#news").click()
    await until(page, f"document.querySelector('#wall .tile').id !== '{before}'")
    assert await page.locator("#news").is_hidden()
    filtered = await visit("/gallery?q=teal")
    await filtered.evaluate("document.dispatchEvent(new CustomEvent('gesso:generation', {detail: {id: ''}}))")
    await asyncio.sleep(1.5)
    assert await filtered.locator("#news").is_hidden()


async def test_a_heart_given_in_the_lightbox_shows_on_the_wall(visit: OpenPage) -> None:
    page = await visit("/gallery")
    first = page.locator("#wall .tile").first
    assert await first.locator(".tile__heart").is_hidden()
    await first.locator(".tile__link").click()
    await page.locator("#lightbox .pic").wait_for()
    await page.keyboard.press("f")
    await page.locator('#lightbox .btn--heart[aria-pressed="true"]').wait_for()
    await page.keyboard.press("Escape")
    await first.locator(".tile__heart").wait_for(state="visible")
    await page.reload()
    assert await first.locator(".tile__heart").is_visible()
