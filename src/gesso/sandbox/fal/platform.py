"""The little of fal's platform API that is useful here: prices, and the list of one's requests."""

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gesso.sandbox.fal.auth import authenticate
from gesso.sandbox.fal.endpoints import ENDPOINTS
from gesso.sandbox.fal.errors import Failure, plain
from gesso.sandbox.fal.face import FalFace
from gesso.sandbox.fal.job import Job

_LARGEST_PAGE = 100


def _asked(request: Request) -> list[str]:
    return [part for value in request.query_params.getlist("endpoint_id") for part in value.split(",") if part]


async def pricing(request: Request, face: FalFace) -> Response:
    """GET /models/pricing?endpoint_id=…: unit prices in USD."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    asked = _asked(request) or list(ENDPOINTS)
    unknown = [name for name in asked if name not in ENDPOINTS]
    if unknown:
        return plain(404, f"Endpoint {unknown[0]} not found")
    prices = [
        {
            "endpoint_id": name,
            "unit_price": ENDPOINTS[name].price_micro_usd / 1_000_000,
            "unit": f"{ENDPOINTS[name].unit}s",
            "currency": "USD",
        }
        for name in asked
    ]
    return JSONResponse({"prices": prices, "next_cursor": None, "has_more": False})


async def requests(request: Request, face: FalFace) -> Response:
    """GET /models/requests/by-endpoint?endpoint_id=…: one's requests, newest first; `expand=payloads` adds bodies."""
    caller = authenticate(request)
    if isinstance(caller, Response):
        return caller
    asked, wanted_id = _asked(request), request.query_params.get("request_id")
    if not asked:
        return plain(422, "endpoint_id is required")
    limit = request.query_params.get("limit", "50")
    offset = request.query_params.get("cursor") or "0"
    if not (limit.isdecimal() and offset.isdecimal() and 1 <= int(limit) <= _LARGEST_PAGE):
        return plain(422, f"limit must be 1 to {_LARGEST_PAGE}")
    found = [
        job
        for job in face.workshop.of(caller.owner)
        if job.endpoint.id in asked and (wanted_id is None or job.id == wanted_id)
    ]
    first, last = int(offset), int(offset) + int(limit)
    payloads = "payloads" in request.query_params.getlist("expand")
    more = len(found) > last
    items = [_item(job, payloads) for job in found[first:last]]
    return JSONResponse({"items": items, "next_cursor": str(last) if more else None, "has_more": more})


def _item(job: Job, payloads: bool) -> dict[str, Any]:
    def moment(at: datetime | None) -> str | None:
        return at.isoformat() if at else None

    ended = job.outcome is not None
    item: dict[str, Any] = {
        "request_id": job.id,
        "endpoint_id": job.endpoint.id,
        "sent_at": moment(job.created_at),
        "started_at": moment(job.started_at),
        "ended_at": moment(job.ended_at),
        "status_code": (job.outcome.status if isinstance(job.outcome, Failure) else 200) if ended else None,
        "duration": round(job.inference_seconds, 3) if ended else None,
    }
    if payloads:
        output = job.outcome.body if isinstance(job.outcome, Failure) else job.outcome
        item |= {"json_input": job.raw, "json_output": output}
    return item
