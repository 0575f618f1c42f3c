"""`GET /metrics` on the web server's own port: only where GESSO_METRICS_TOKEN is set, and only with it."""

from fastapi import APIRouter, Request, Response

from gesso.core.errors import NotFound

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """This process's metrics."""
    state = request.app.state
    if state.settings.telemetry.token is None:
        raise NotFound("There is nothing at this address.")
    response: Response = await state.metrics.answer(request)
    return response
