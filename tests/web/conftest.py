"""A small site of the room's own routes, signed in or not."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles

from gesso.catalog.editions.edition import DemoPicture, Feature
from gesso.core.clock import FixedClock
from gesso.core.errors import NotFound
from gesso.web import errors, shell, stylepage
from gesso.web.brand import Brand, brand_css
from gesso.web.landing import StartPage, landing, start
from gesso.web.render import STATIC, fragment, page, problem_page, redirect, toast
from gesso.web.security import SecurityMiddleware

NOW = datetime(2026, 5, 12, 10, 42, tzinfo=UTC)
NAV = (
    shell.NavItem("Create", "/create", "sparkle"),
    shell.NavItem("Gallery", "/gallery", "image"),
    shell.NavItem("Dashboard", "/dashboard", "chart-column"),
)
START = StartPage(
    headline="From a thought to a finished picture", lead="See the price before you press.",
    placeholder="A perfume bottle on wet slate",
    rows=[
        [DemoPicture("still-noir", "Dark bottle", 480, 640), DemoPicture("dunes-dawn", "Dunes", 640, 400)],
        [DemoPicture("ink-gorge", "Mountains", 480, 640, row=2)],
    ],
    features=[Feature("layers", "Every model, one form", "Controls are drawn from what each model can do.")],
    idea="Rose serum on a plaster plinth", offer="25 credits to start. No card.", total="3 credits",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """A plan that can be had."""

    name: str = "Free"
    text: str = "Look around."
    price: str = "$0"
    period: str = "for good"
    ticks: Sequence[tuple[str, bool]] = (("25 credits at sign-up", True), ("Advanced options", False))
    action: str = "Start free"
    href: str = "/signup"
    best: bool = False


async def someone(request: Request) -> shell.Shell | None:
    """Ada, unless the request says ?stranger."""
    if "stranger" in request.query_params:
        return None
    balance = request.app.state.balance
    return shell.Shell("Ada <i>", "ada@example.org", "Ada’s workspace", balance, balance < 1_000_000, False, NAV)


@pytest.fixture
def site() -> FastAPI:
    return make_site()


def make_site() -> FastAPI:
    """The routes of this room, and a few that use its answers."""
    app = FastAPI()
    app.state.shell, app.state.clock = someone, FixedClock(NOW)
    app.state.balance, app.state.brand = 1_284_000_000, Brand()
    app.state.streams, app.state.resumed = [], []
    app.state.modules = lambda: ("image", "gallery", "dashboard")
    errors.install(app, problem_page)
    app.add_middleware(SecurityMiddleware, origin="http://testserver", secure=False, max_body_bytes=10_000)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.include_router(shell.router)
    app.include_router(stylepage.router)
    app.get("/start")(start)

    @app.get("/")
    async def index(request: Request) -> Response:
        return await landing(request, START, [Plan()])

    @app.get("/brand.css")
    async def brand(request: Request) -> Response:
        return Response(brand_css(request.app.state.brand.colours), media_type="text/css")

    @app.get("/leave")
    async def leave(request: Request) -> Response:
        return toast(redirect(request, "/styles"), "Saved “näme”", "ok", detail="Seen everywhere.")

    @app.get("/part")
    async def part(request: Request) -> Response:
        frame = await someone(request)
        return toast(fragment(request, "_credits.html", shell=frame), "Näh", "bad", undo="/again")

    @app.get("/gone")
    async def gone(request: Request) -> Response:
        raise NotFound("This picture was deleted.")

    @app.post("/again")
    async def again(request: Request) -> Response:
        return toast(Response(status_code=204), "Restored", "ok")

    @app.get("/api/events")
    async def events(request: Request) -> Response:
        """As generation's stream is: named events with ids, and what was missed after a reconnect."""
        app.state.loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        app.state.streams.append(queue)
        app.state.resumed.append(request.headers.get("last-event-id"))

        async def lines() -> AsyncIterator[str]:
            yield "retry: 50\n\n"
            while (line := await queue.get()) is not None:
                yield line

        return StreamingResponse(lines(), media_type="text/event-stream")

    @app.get("/page")
    async def broken(request: Request) -> Response:
        return await page(request, "error.html", problem=None)

    return app


@pytest.fixture
def address(site: FastAPI) -> Iterator[str]:
    with serving(site) as found:
        yield found


@contextlib.contextmanager
def serving(site: FastAPI) -> Iterator[str]:
    """The site, served on a port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(site, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        for stream in site.state.streams:
            site.state.loop.call_soon_threadsafe(stream.put_nowait, None)
        server.should_exit = True
        server.force_exit = True
        thread.join(10)
