"""The sandbox as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gesso.core.settings import SandboxSettings
from gesso.sandbox import index
from gesso.sandbox.bill import Bill
from gesso.sandbox.fal.face import Face
from gesso.sandbox.fal.routes import route
from gesso.sandbox.pace import Pace
from gesso.sandbox.studio import Studio


def create_app(*, pace: Pace | None = None, workers: int = 2, public_url: str | None = None) -> Starlette:
    """The application.

    `pace` says how long things take (default: from the environment), `workers` how many processes paint,
    `public_url` the origin to put into URLs (default: the one each client called).
    """
    pace = pace or Pace.of(SandboxSettings())
    studio, bill = Studio(workers), Bill()
    face = Face(pace=pace, studio=studio, bill=bill, public_url=public_url)

    async def front(request: Request) -> Response:
        return HTMLResponse(index.page())

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def read_bill(request: Request) -> Response:
        if request.method == "DELETE":
            bill.clear()
            face.tally.clear()
            return Response(status_code=204)
        return JSONResponse(bill.to_json())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await face.close()
        await studio.close()

    routes = [
        Route("/", front),
        Route("/healthz", health),
        Route("/_bill", read_bill, methods=["GET", "DELETE"]),
        route(face),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def serve(host: str = "127.0.0.1", port: int = 8790) -> None:
    """Runs the sandbox until it is told to stop. Exits with a message when the port is taken."""
    config = uvicorn.Config(
        create_app(), host=host, port=port, log_level="warning", timeout_graceful_shutdown=2, lifespan="on"
    )
    uvicorn.Server(config).run()
