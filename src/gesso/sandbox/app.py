"""The sandbox as an ASGI application."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gesso.core.settings import SandboxSettings
from gesso.sandbox import index
from gesso.sandbox.archive import Archive
from gesso.sandbox.bill import Bill
from gesso.sandbox.comfyui.routes import face as comfyui
from gesso.sandbox.face import Face, Ground
from gesso.sandbox.fal.routes import face as fal
from gesso.sandbox.gemini.routes import face as gemini
from gesso.sandbox.kie.routes import face as kie
from gesso.sandbox.openai.routes import face as openai
from gesso.sandbox.pace import Pace
from gesso.sandbox.promptchan.routes import face as promptchan
from gesso.sandbox.replicate.routes import face as replicate
from gesso.sandbox.stripe.routes import face as stripe
from gesso.sandbox.studio import Studio

FACES: tuple[Callable[[Ground], Face], ...] = (fal, openai, replicate, gemini, promptchan, comfyui, kie, stripe)


def create_app(
    *,
    pace: Pace | None = None,
    workers: int = 2,
    public_url: str | None = None,
    folder: Path | None = None,
    webhook_origin: str | None = None,
    payment_webhook: tuple[str, str] | None = None,
) -> Starlette:
    """The application.

    `pace` says how long things take (default: from the environment), `workers` how many processes paint (0: a
    thread), `public_url` the origin to put into URLs (default: the one each client called), `folder` where jobs,
    files and bill are kept across restarts, `webhook_origin` where webhooks go whatever host they name,
    `payment_webhook` where every Stripe account's events go, and the secret that signs them.
    """
    pace = pace or Pace.of(SandboxSettings())
    archive = Archive(folder)
    studio, bill = Studio(workers), Bill(archive)
    ground = Ground(pace, studio, bill, archive, public_url, webhook_origin, payment_webhook)
    faces = [make(ground) for make in FACES]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        for face in faces:
            face.resume()
        yield
        for face in faces:
            await face.close()
        await studio.close()
        archive.close()

    routes = [*_own_routes(faces, bill), *(route for face in faces for route in face.routes)]
    return Starlette(routes=routes, lifespan=lifespan)


def _own_routes(faces: Sequence[Face], bill: Bill) -> list[Route]:
    """What belongs to no provider: the front page, health, and the bill."""

    async def front(request: Request) -> Response:
        return HTMLResponse(index.page([face.about for face in faces]))

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def read_bill(request: Request) -> Response:
        if request.method == "DELETE":
            bill.clear()
            for face in faces:
                face.clear()
            return Response(status_code=204)
        return JSONResponse(bill.to_json())

    async def bill_as_table(request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:  # in the loop's own thread, as the archive wants it
            for piece in bill.to_csv(request.query_params.get("provider")):
                yield piece

        return StreamingResponse(pieces(), media_type="text/csv")

    return [
        Route("/", front),
        Route("/healthz", health),
        Route("/_bill", read_bill, methods=["GET", "DELETE"]),
        Route("/_bill.csv", bill_as_table),
    ]


def serve(host: str = "127.0.0.1", port: int = 8790) -> None:
    """Runs the sandbox until it is told to stop. Exits with a message when the port is taken."""
    settings = SandboxSettings()
    app = create_app(
        workers=settings.painters, folder=settings.folder, webhook_origin=settings.webhook_origin,
        payment_webhook=settings.payment_webhook,
    )  # fmt: skip
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=2, lifespan="on")
    uvicorn.Server(config).run()
