"""The room's application in a real browser: fixtures and small helps for the tests of the gallery.

A test module imports `site` and `visit` and brings its own `app` and `ada`.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from playwright.async_api import Browser, Page

from gesso.accounts.access import COOKIE, Actor
from gesso.db import Database
from gesso.web.render import STATIC
from tests.cast import session_token

OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture
async def site(app: FastAPI) -> AsyncIterator[str]:
    """The room's application on a port of its own."""
    app.mount("/static", StaticFiles(directory=STATIC))

    @app.get("/brand.css")
    async def brand() -> Response:
        return PlainTextResponse("", media_type="text/css")

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


@pytest.fixture
async def visit(browser: Browser, site: str, db: Database, ada: Actor) -> AsyncIterator[OpenPage]:
    """Opens a page of Ada's; at the end none of them may have complained."""
    complaints: list[str] = []
    contexts = []

    async def open_page(path: str, *, width: int = 1200, bypass_csp: bool = False, scripts: bool = True) -> Page:
        context = await browser.new_context(
            viewport={"width": width, "height": 800}, bypass_csp=bypass_csp, java_script_enabled=scripts,
            reduced_motion="reduce", timezone_id="UTC",
        )  # fmt: skip
        contexts.append(context)
        await context.add_cookies([{"name": COOKIE, "value": await session_token(db, ada), "url": site}])
        context.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page = await context.new_page()
        await page.goto(site + path)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    # /api/events belongs to another room and is not served here
    assert [text for text in complaints if "404" not in text] == []


async def until(page: Page, condition: str) -> None:
    """Wait until a JavaScript condition holds. Polled from outside: the page's policy forbids eval."""
    async with asyncio.timeout(25):
        while not await page.evaluate(condition):
            await asyncio.sleep(0.05)


async def tiles(page: Page) -> int:
    return await page.locator("#wall .tile").count()
