"""The components in a real browser: accessible, within the policy, alive."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, Page

from tests.chromium import browser, faults
from tests.web.conftest import make_site, serving

__all__ = ["browser"]

pytestmark = pytest.mark.browser

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


async def opened(browser: Browser) -> tuple[BrowserContext, list[str]]:
    """A fresh profile, and what its pages say: they must throw nothing and keep to the policy."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    complaints: list[str] = []
    context.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    return context, complaints


def blame(complaints: list[str]) -> list[str]:
    """Without the network's own errors: they are the business of the tests that provoke them."""
    return [text for text in complaints if not text.startswith("Failed to load resource")]


@pytest.fixture
async def context(browser: Browser, address: str) -> AsyncIterator[BrowserContext]:
    """A profile of the test's own. It closes before the site does."""
    context, complaints = await opened(browser)
    yield context
    await context.close()
    assert blame(complaints) == []


@pytest.fixture(scope="module")
def lasting() -> Iterator[str]:
    """A site for all tests that leave nothing on it."""
    with serving(make_site()) as address:
        yield address


@pytest.fixture(scope="module")
async def shared(browser: Browser, lasting: str) -> AsyncIterator[tuple[Page, list[str]]]:
    """One page for those tests: a new profile costs more than most of them."""
    context, complaints = await opened(browser)
    yield await context.new_page(), complaints
    await context.close()


@pytest.fixture
async def styles(shared: tuple[Page, list[str]], lasting: str) -> AsyncIterator[Page]:
    """The style page, ready, as a newcomer sees it."""
    page, complaints = shared
    await page.context.clear_cookies()
    await page.goto(f"{lasting}/styles")
    yield page
    await page.goto("about:blank")  # what is left of it speaks before the next test listens
    said, complaints[:] = complaints[:], []
    assert blame(said) == []


@pytest.fixture
async def own_styles(context: BrowserContext, address: str) -> Page:
    """The style page in a profile of the test's own, on the test's own site."""
    page = await context.new_page()
    await page.goto(f"{address}/styles")
    return page


async def until(page: Page, condition: str) -> None:
    """Wait until a JavaScript condition holds. Polled from outside: the page's policy forbids eval."""
    async with asyncio.timeout(20):
        while not await page.evaluate(condition):
            await asyncio.sleep(0.05)


async def test_axe_finds_nothing_and_nothing_scrolls_sideways_at_320_pixels(browser: Browser, lasting: str) -> None:
    # axe is put in from outside, which the policy of the page would forbid
    context = await browser.new_context(color_scheme="dark", reduced_motion="reduce", bypass_csp=True)
    page = await context.new_page()
    for path in ("/styles", "/?stranger", "/gone"):
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 1280, "height": 720})
        await page.goto(lasting + path)
        assert await faults(page, RULES) == [], f"{path}, dark"
        await page.emulate_media(color_scheme="light")
        assert await faults(page, ["color-contrast"]) == [], f"{path}, light"  # colours are all that changes
        await page.set_viewport_size({"width": 320, "height": 640})
        await page.reload()
        assert await page.evaluate("document.documentElement.scrollWidth") == 320, path
    await context.close()


async def test_the_palette_is_worked_by_keyboard(styles: Page) -> None:
    await styles.keyboard.press("Control+k")
    chosen = "document.querySelector('#palette [aria-selected=true]').textContent.trim()"
    assert await styles.evaluate(chosen) == "Create"
    await styles.keyboard.press("ArrowUp")
    assert await styles.evaluate(chosen) == "Sign out", "from the first to the last"
    await styles.keyboard.type("red door")
    assert await styles.evaluate(chosen) == "Search pictures for “red door”"
    assert await styles.evaluate("document.activeElement.getAttribute('aria-activedescendant')") == "palette-search"
    await styles.keyboard.press("Control+a")
    await styles.keyboard.type("light")
    await styles.keyboard.press("Enter")
    await until(styles, "!document.getElementById('palette').open")
    assert await styles.evaluate("document.documentElement.dataset.theme") == "light"


async def test_the_theme_is_kept_by_the_server(styles: Page) -> None:
    await styles.get_by_role("button", name="Light theme").first.click()
    response = await styles.reload()
    assert response is not None
    assert 'data-theme="light"' in await response.text()
    assert await styles.get_by_role("button", name="Dark theme").first.is_visible()
    assert not await styles.locator(".topbar .theme-light").first.is_visible()


async def test_shapes_are_known_before_any_script(browser: Browser, lasting: str) -> None:
    context = await browser.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.goto(f"{lasting}/styles")
    box = await page.locator('.tile[data-state="pending"]').first.bounding_box()
    assert box is not None
    assert box["width"] / box["height"] == pytest.approx(0.75, abs=0.01)
    await context.close()


async def test_values_reach_browsers_without_typed_attr(styles: Page) -> None:
    read = "name => document.querySelector(name[0]).style.getPropertyValue(name[1])"
    assert await styles.evaluate(read, [".tile[data-ratio]", "--ratio"]) == "0.75"
    assert await styles.evaluate(read, [".progress > [data-value]", "--v"]) == "62%"
    assert await styles.evaluate(read, [".size", "--w"]) == "1"
    assert await styles.evaluate(read, [".run__tiles", "--cols"]) == "6"


async def test_rows_are_justified_and_the_last_is_not_stretched(styles: Page) -> None:
    boxes = await styles.evaluate(
        "[...document.querySelectorAll('.rows > .tile')].map(tile => tile.getBoundingClientRect().toJSON())"
    )
    width = await styles.evaluate("document.querySelector('.rows').clientWidth")
    left = boxes[0]["left"]
    rows: dict[int, list[dict[str, float]]] = {}
    for box in boxes:
        rows.setdefault(round(box["top"]), []).append(box)
    assert len(rows) > 1
    for row in list(rows.values())[:-1]:
        assert row[-1]["right"] - left == pytest.approx(width, abs=1.5)
        assert max(box["height"] for box in row) - min(box["height"] for box in row) < 1
    last = list(rows.values())[-1]
    assert last[0]["height"] < 236 * 1.5


async def test_slider_and_number_say_the_same(styles: Page) -> None:
    await styles.get_by_label("Steps, exact value").fill("50")
    assert await styles.evaluate("document.getElementById('steps').value") == "50"
    assert await styles.evaluate("document.getElementById('steps').style.getPropertyValue('--v')") == "100%"
    await styles.get_by_label("Steps", exact=True).press("Home")
    assert await styles.get_by_label("Steps, exact value").input_value() == "10"


async def test_what_cannot_be_undone_is_asked_once(styles: Page) -> None:
    await styles.get_by_role("button", name="Delete for good").click()
    question = styles.get_by_role("alertdialog", name="Delete 3 pictures?")
    assert await question.is_visible()
    await styles.get_by_role("button", name="Keep it").click()
    assert "deleted" not in styles.url
    await styles.get_by_role("button", name="Delete for good").click()
    await question.get_by_role("button", name="Delete 3 pictures").click()
    await styles.wait_for_url("**/styles?deleted=3")


async def test_errors_stay_until_dismissed_and_undo_undoes(styles: Page) -> None:
    say = "detail => document.dispatchEvent(new CustomEvent('gesso:toast', {detail}))"
    await styles.evaluate(say, {"text": "It failed", "kind": "bad", "detail": "<b>raw</b>"})
    alert = styles.get_by_role("alert").filter(has_text="It failed")
    assert "<b>raw</b>" in await alert.inner_text(), "words are words, not markup"
    await styles.evaluate(say, {"text": "Deleted", "kind": "ok", "undo": "/again"})
    await styles.get_by_role("button", name="Undo").click()
    await until(styles, "document.querySelector('#toasts').textContent.includes('Restored')")
    assert await alert.is_visible()
    await alert.get_by_role("button", name="Dismiss").click()
    assert not await alert.is_visible()


async def test_news_reaches_every_tab_through_one_stream(
    context: BrowserContext, own_styles: Page, site: FastAPI, address: str
) -> None:
    other = await context.new_page()
    await other.goto(f"{address}/styles")
    await until(other, "navigator.locks.query().then(({pending}) => pending.length === 1)")
    assert len(site.state.streams) == 1, "one tab listens for all"
    site.state.balance = 7_000_000
    _send(site, 'id: 5\nevent: credits\ndata: {"id": "x"}\n\n')
    for page in (own_styles, other):
        await until(page, "document.getElementById('credits').textContent.trim() === '7'")


async def test_after_a_gap_the_stream_resumes_and_pages_look_again(own_styles: Page, site: FastAPI) -> None:
    await until(own_styles, "navigator.locks.query().then(({held}) => held.length === 1)")
    async with asyncio.timeout(25):
        while not site.state.streams:
            await asyncio.sleep(0.02)
    _send(site, 'id: 5\nevent: credits\ndata: {"id": "x"}\n\n')
    await own_styles.evaluate("document.addEventListener('gesso:resync', () => (window.resynced = true))")
    site.state.balance = 9_000_000
    _send(site, None)
    await until(own_styles, "window.resynced && document.getElementById('credits').textContent.trim() === '9'")
    assert site.state.resumed == [None, "5"]


async def test_the_next_tab_takes_over_when_the_listening_one_is_closed(
    context: BrowserContext, own_styles: Page, site: FastAPI, address: str
) -> None:
    other = await context.new_page()
    await other.goto(f"{address}/styles")
    await until(other, "navigator.locks.query().then(({pending}) => pending.length === 1)")
    site.state.balance = 3_000_000  # before the close: who takes over asks once, and may do so at once
    await own_styles.close()
    await until(other, "document.getElementById('credits').textContent.trim() === '3'")
    assert len(site.state.streams) == 2


async def test_pictures_fade_in_over_their_blur(styles: Page) -> None:
    painted = "document.querySelector('.tile__blur').style.background"
    assert 'url("data:image/png;base64,' in await styles.evaluate(painted)


def _send(site: FastAPI, line: str | None) -> None:
    """To the newest stream; None ends it. The queue belongs to the server's loop."""
    loop = site.state.loop
    loop.call_soon_threadsafe(site.state.streams[-1].put_nowait, line)
