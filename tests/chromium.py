"""Headless Chromium for the tests that need a real browser. Import `browser` where the fixture is wanted."""

from collections.abc import AsyncIterator

import hatch_build
import pytest
from playwright.async_api import Browser, async_playwright

from tests.find_programs import chromium

AXE = hatch_build.ROOT / "node_modules/axe-core/axe.min.js"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A browser for one module, with the front end built."""
    hatch_build.build()
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield found
        await found.close()
