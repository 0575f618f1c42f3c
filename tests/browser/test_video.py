"""Films, as a person makes them: a picture, 'Make video', a film that plays; then the gallery and the download."""

import asyncio
import re
import zipfile

import pytest
from playwright.async_api import Page, Response, expect

from tests.browser.test_story import sign_up
from tests.chromium import PATIENCE, faults
from tests.product import Product

pytestmark = pytest.mark.browser
MAKE = re.compile(r"^Make video\W*(\d+) credits$")
WORDS = "Aurora over a quiet fjord, stars sandbox:small"
SHOWS = """video => new Promise((done, failed) => {
  const tell = () => done([video.videoWidth, video.videoHeight, video.duration]);
  if (video.readyState >= 1) return tell();
  video.addEventListener("loadedmetadata", tell, { once: true });
  video.addEventListener("error", () => failed(new Error(video.error.message)), { once: true });
  video.load();
})"""
PLAYS = """async video => {
  video.muted = true;
  await video.play();
  const start = performance.now();
  while (video.currentTime < 0.2) {
    if (performance.now() - start > 15000) throw new Error("it does not go on");
    await new Promise((done) => setTimeout(done, 50));
  }
  video.pause();
  video.currentTime = 3.5;
  await new Promise((done) => video.addEventListener("seeked", done, { once: true }));
  return video.currentTime;
}"""


async def test_from_a_picture_to_a_film_that_plays(page: Page, product: Product) -> None:
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    await sign_up(page)
    await page.get_by_role("textbox", name="Prompt").fill(WORDS)
    await page.locator("#foot button[type=submit]").click()
    picture = page.locator('.run .tile[data-state="done"]').first
    await expect(picture).to_be_visible(timeout=PATIENCE)
    await picture.locator(".tile__link").click()
    await page.get_by_role("link", name="Make video").click()

    # the form has the picture and its words; the price follows the length
    await page.wait_for_url("**/video?input=*")
    await expect(page.locator("#references .slot")).to_have_count(1)
    await expect(page.get_by_role("textbox", name="Prompt")).to_have_value(WORDS)
    await page.locator("label.model", has_text="Kling 3").click()
    await expect(page.get_by_role("button", name=MAKE)).to_contain_text("5 credits")
    await page.get_by_role("group", name="Length").get_by_text("6 s", exact=True).click()
    await expect(page.get_by_role("button", name=MAKE)).to_contain_text("8 credits")
    await page.get_by_role("group", name="Length").get_by_text("4 s", exact=True).click()
    await expect(page.get_by_role("button", name=MAKE)).to_contain_text("5 credits")
    await page.get_by_role("button", name=MAKE).click()
    await expect(page.locator(".run .tile").first.get_by_role("button", name="Cancel")).to_be_visible()
    video = page.locator('.run .tile[data-state="done"] video')
    await expect(video).to_be_visible(timeout=3 * PATIENCE)
    await expect(page.locator("#status")).to_contain_text("1 of 1 videos ready")
    width, height, seconds = await video.evaluate(SHOWS)
    assert width == height, "the film has the picture's shape"
    assert 3.9 < seconds < 4.1
    assert await video.evaluate(PLAYS) == pytest.approx(3.5, abs=0.2)
    assert any(answer.status == 206 for answer in answers), "films come in parts"
    await expect(page.locator("#credits")).to_contain_text("19")
    assert await faults(page) == []

    # the gallery shows poster and length, and tells films from pictures
    await page.goto("/gallery")
    await expect(page.locator(".tile")).to_have_count(2)
    await page.get_by_role("button", name="Everything").click()
    await page.get_by_role("link", name="Videos", exact=True).click()
    await expect(page.locator(".tile")).to_have_count(1)
    await expect(page.locator(".tile__length")).to_contain_text("0:04")
    assert await faults(page) == []
    await page.locator(".tile__link").click()
    shown = page.locator("#lightbox video")
    await expect(shown).to_be_visible()
    assert await shown.evaluate(PLAYS) == pytest.approx(3.5, abs=0.2)
    await expect(page.locator("#lightbox .details")).to_contain_text("4 s")
    assert await faults(page) == []
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download").click()
    assert (await download.value).suggested_filename.endswith(".mp4")

    # keys play it; the arrows still turn pages
    await page.get_by_role("heading", level=1, name="Aurora").click()
    await page.keyboard.press("j")
    assert await shown.evaluate("video => video.currentTime") == pytest.approx(2.5, abs=0.2)
    await page.keyboard.press("m")
    assert not await shown.evaluate("video => video.muted"), "it was muted before"
    await page.keyboard.press("m")
    await page.keyboard.press("Space")
    await page.wait_for_function("() => !document.querySelector('#lightbox video').paused")
    await page.keyboard.press("Space")
    await page.wait_for_function("() => document.querySelector('#lightbox video').paused")
    await page.keyboard.press("Escape")
    await expect(page.locator("#lightbox")).to_be_hidden()

    # both in one zip; the bin says what went, and gives it back
    await page.goto("/gallery")
    await page.get_by_role("button", name="Select").click()
    for tile in await page.locator(".tile__pick").all():
        await tile.check()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download").click()
    packed = await download.value
    assert packed.suggested_filename.startswith("gallery-")
    with zipfile.ZipFile(await packed.path()) as archive:
        assert archive.testzip() is None
        assert {name.rsplit(".", 1)[1] for name in archive.namelist()} >= {"mp4"} and len(archive.namelist()) == 2
    await page.get_by_role("button", name="Delete").click()
    await expect(page.locator("#toasts")).to_contain_text("1 picture and 1 video deleted")
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator("#toasts")).to_contain_text("1 picture and 1 video brought back")


async def test_a_film_from_words_that_fails_says_why_and_costs_nothing(page: Page, product: Product) -> None:
    await sign_up(page)
    await page.goto("/video")
    await expect(page.get_by_role("heading", name="Your first video")).to_be_visible()
    assert await faults(page) == []
    await page.get_by_role("textbox", name="Prompt").fill("waves sandbox:safety")
    await page.get_by_role("button", name=MAKE).click()
    failed = page.locator('.run .tile[data-state="failed"]')
    await expect(failed).to_be_visible(timeout=PATIENCE)
    await expect(failed).to_contain_text("Nothing was charged.")
    await expect(page.locator("#credits")).to_contain_text("25")
    await page.goto("/create")
    await expect(page.get_by_role("heading", name="Your first picture")).to_be_visible()


async def test_parts_of_a_film_are_served_as_asked(product: Product) -> None:
    async with product.person() as ada:
        asked = await ada.post("/api/generate/video", json={"model": "kling", "prompt": "slow waves sandbox:small"})
        assert asked.status_code == 202, asked.text
        async with asyncio.timeout(60):
            while not (made := (await ada.get(f"/api/generate/status/{asked.json()['id']}")).json())["finished_at"]:
                await asyncio.sleep(0.1)
        url = made["assets"][0]["url"]
        whole = await ada.get(url)
        part = await ada.get(url, headers={"Range": "bytes=100-299"})
        last = await ada.get(url, headers={"Range": "bytes=-50"})
        beyond = await ada.get(url, headers={"Range": "bytes=999999999-"})
    assert whole.status_code == 200 and whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    assert (part.status_code, part.content) == (206, whole.content[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(whole.content)}"
    assert (last.status_code, last.content, beyond.status_code) == (206, whole.content[-50:], 416)
