"""A real Chromium against the whole running product."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import hatch_build
import pytest
from playwright.async_api import Browser, BrowserContext, Page

from gesso.db.embedded import EmbeddedPostgres
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.chromium import browser
from tests.conftest import create_database
from tests.product import Product, running, served, settings_for

__all__ = ["browser"]


@pytest.fixture(scope="module")
async def product(
    postgres: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Product]:
    """The product with a sandbox that takes its time, on a database of its own."""
    hatch_build.build()
    url = await create_database(postgres, f"gesso_browser_{uuid.uuid4().hex[:12]}", template)
    pace = Pace(queue_seconds=0.2, paint_min_seconds=0.4, paint_max_seconds=1.2)
    async with served(create_sandbox(pace=pace, workers=1)) as sandbox:
        async with running(settings_for(url, Path(tmp_path_factory.mktemp("product")), sandbox)) as found:
            yield found


@pytest.fixture
async def context(browser: Browser, product: Product) -> AsyncIterator[BrowserContext]:
    """A stranger's profile. Whatever its pages complain about, policy included, fails the test."""
    found = await browser.new_context(viewport={"width": 1440, "height": 900}, base_url=product.url)
    complaints: list[str] = []
    found.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    found.on("weberror", lambda error: complaints.append(str(error.error)))
    yield found
    await found.close()
    # answers such as 402 are told by the browser too; they are what a test may be about
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


@pytest.fixture
async def page(context: BrowserContext) -> Page:
    """An open page."""
    return await context.new_page()
