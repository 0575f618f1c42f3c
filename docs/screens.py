"""Takes the README's pictures of a running product: `make up`, then `python -m docs.screens [address]`."""

import asyncio
import io
import re
import sys
from pathlib import Path
from secrets import token_hex

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright, expect
from tests.chromium import ARGUMENTS
from tests.find_programs import chromium

FOLDER = Path(__file__).parent / "screens"
WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
PROMPTS = [
    ("Stained glass sunrise over a lagoon, lead lines, radial composition", 2),
    ("Layered paper mountains at golden hour, pine silhouettes", 3),
    ("Bauhaus poster, primary colours, circles and quarter arcs", 2),
    ("Ink wash gorge with a red sun, paper texture", 3),
    ("Amber glass bottle on a travertine plinth, warm side light, long soft shadow", 3),
    ("Aurora over a quiet fjord, stars, mirrored lake", 4),
]


async def main(address: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        context = await browser.new_context(viewport=WIDE, base_url=address, color_scheme="dark", bypass_csp=True)
        page = await context.new_page()
        await sign_up(page)
        for number, (prompt, count) in enumerate(PROMPTS):
            await make(page, prompt, count, shape=number % 6)
        await keep(page, "create")
        await page.goto("/gallery")
        await keep(page, "gallery")
        await page.locator(".tile__link").nth(4).click()
        await expect(page.locator(".lightbox")).to_be_visible()
        await keep(page, "lightbox")
        await page.goto("/dashboard")
        await keep(page, "dashboard")
        await phones(browser, address, await context.storage_state())
        await browser.close()


async def sign_up(page: Page) -> None:
    await page.goto("/signup")
    await page.get_by_label("Name").fill("Ada Keller")
    await page.get_by_label("E-mail").fill(f"ada.{token_hex(6)}@example.test")
    await page.get_by_label("Password").fill("violet ridges, first light")
    await page.get_by_role("button", name="Make an account").click()
    await page.wait_for_url("**/create")


async def make(page: Page, prompt: str, count: int, shape: int) -> None:
    """Ask for pictures, and wait for them."""
    await page.get_by_role("textbox", name="Prompt").fill(prompt)
    await page.get_by_role("group", name="Size").locator("label").nth(shape).click()
    await page.get_by_role("group", name="Pictures").get_by_text(str(count), exact=True).click()
    await page.get_by_role("button", name=re.compile(rf"^Generate\W*{count} credits$")).click()
    run = page.locator(".run").first
    await expect(run).to_contain_text(prompt[:24])
    await expect(run.locator('.tile[data-state="done"]')).to_have_count(count, timeout=60_000)


async def keep(page: Page, name: str) -> None:
    """The screen as it is, once its pictures are there, at 1200 pixels."""
    shot = await still(page)
    shot.resize((1200, 750), Image.Resampling.LANCZOS).save(FOLDER / f"{name}.webp", quality=82, method=6)


async def still(page: Page) -> Image.Image:
    await page.wait_for_load_state("networkidle")
    await page.wait_for_function("[...document.images].every(image => image.complete || image.loading === 'lazy')")
    return Image.open(io.BytesIO(await page.screenshot(animations="disabled"))).convert("RGB")


async def phones(browser: Browser, address: str, state: object) -> None:
    """Create and the gallery on a phone, side by side."""
    context = await browser.new_context(
        viewport=PHONE, base_url=address, color_scheme="dark", bypass_csp=True, storage_state=state, has_touch=True
    )  # type: ignore[arg-type]
    page = await context.new_page()
    both = Image.new("RGB", (PHONE["width"] * 2 + 20, PHONE["height"]))
    for number, path in enumerate(("/create", "/gallery")):
        await page.goto(path)
        both.paste(await still(page), (number * (PHONE["width"] + 20), 0))
    both.save(FOLDER / "phone.webp", quality=82, method=6)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000"))
