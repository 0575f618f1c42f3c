"""Headless Chromium for the tests that need a real browser. Import `browser` where the fixture is wanted."""

from collections.abc import AsyncIterator, Sequence

import hatch_build
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.find_programs import chromium

AXE = hatch_build.ROOT / "node_modules/axe-core/axe.min.js"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
PATIENCE = 60_000
"""Milliseconds that a page may take to show what is expected of it: a busy machine draws slowly."""


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A browser for one module, with the front end built."""
    hatch_build.build()
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield found
        await found.close()


async def faults(page: Page, run_only: Sequence[str] = ()) -> list[tuple[str, list[str]]]:
    """What axe has against a page: rule and the beginnings of the elements. All it does by default, or these tags or
    rules alone. Put in from outside, once a page; what it has nothing against it need not describe, which is half
    its work.
    """
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text())
    options = {"resultTypes": ["violations"], **({"runOnly": list(run_only)} if run_only else {})}
    report = await page.evaluate("options => axe.run(document, options)", options)
    return [(found["id"], [node["html"][:200] for node in found["nodes"]]) for found in report["violations"]]
