"""Google's error shape: `{"error": {"code", "message", "status", "details": [{"@type": …}]}}`."""

from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

Detail = dict[str, Any]

_STATUS = {
    400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL",
    503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip


def envelope(code: int, message: str, *details: Detail, status: str | None = None) -> dict[str, Any]:
    """The body of an error, also of one inside a stream."""
    told: dict[str, Any] = {"code": code, "message": message, "status": status or _STATUS[code]}
    return {"error": told | ({"details": list(details)} if details else {})}


def failure(code: int, message: str, *details: Detail, status: str | None = None) -> Response:
    """An error answer."""
    return JSONResponse(envelope(code, message, *details, status=status), code)


def reason(name: str) -> Detail:
    """ErrorInfo."""
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": name, "domain": "googleapis.com"}


def wait(seconds: str) -> Detail:
    """RetryInfo."""
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds}s"}


def quota(name: str) -> Detail:
    """QuotaFailure."""
    metric = "generativelanguage.googleapis.com/generate_content_requests"
    violation = {"quotaMetric": metric, "quotaId": name}
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


def invalid(field: str, message: str) -> Response:
    """A member that does not fit."""
    violation = {"field": field, "description": message}
    detail = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
    return failure(400, message, detail)


def not_valid(error: ValidationError) -> Response:
    """A body that does not fit, told by its first fault."""
    first = error.errors(include_url=False)[0]
    *above, last = [str(part) for part in first["loc"]]
    place = ".".join(above)
    if first["type"] == "extra_forbidden":
        where = f" at '{place}'" if place else ""
        return invalid(place, f'Invalid JSON payload received. Unknown name "{last}"{where}: Cannot find field.')
    return invalid(".".join((*above, last)), f"Invalid value at '{'.'.join((*above, last))}': {first['msg']}")


def no_model(model: str, version: str) -> Response:
    """A model that was never there, or that was retired."""
    message = f"models/{model[:80]} is not found for API version {version}, or is not supported for generateContent."
    return failure(404, message)
