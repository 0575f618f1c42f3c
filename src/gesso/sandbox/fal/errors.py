"""fal's two error shapes: model errors (a `detail` list) and request errors (flat, with `error_type`)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

_DOCS = "https://docs.fal.ai/errors"
_LONGEST_ECHO = 5_000

# Request error types and their status (fact sheet, 5.2). A status the sheet leaves open is the nearest known one.
REQUEST_ERRORS: dict[str, int] = {
    "request_timeout": 504,
    "startup_timeout": 504,
    "runner_scheduling_failure": 503,
    "runner_connection_timeout": 503,
    "runner_disconnected": 503,
    "runner_connection_refused": 503,
    "runner_connection_error": 503,
    "runner_incomplete_response": 502,
    "runner_server_error": 500,
    "client_disconnected": 499,
    "client_cancelled": 499,
    "bad_request": 400,
    "internal_error": 500,
}

# Model error types whose status is not 422.
MODEL_ERRORS: dict[str, int] = {
    "internal_server_error": 500,
    "generation_timeout": 504,
    "downstream_service_error": 400,
    "downstream_service_unavailable": 500,
}

_MESSAGES: dict[str, str] = {
    "content_policy_violation": "The content could not be processed because it was flagged by a content checker.",
    "no_media_generated": "The model did not generate any media.",
    "request_timeout": "Request timed out",
    "client_cancelled": "Request was cancelled by the client",
    "internal_server_error": "The model met an unexpected error.",
}


@dataclass(frozen=True)
class Failure:
    """How a request failed: HTTP status, body, and the words the queue's status carries."""

    status: int
    body: dict[str, Any]
    error: str
    error_type: str
    headers: dict[str, str] = field(default_factory=dict)

    def response(self, headers: dict[str, str] | None = None) -> Response:
        return JSONResponse(self.body, self.status, headers={**self.headers, **(headers or {})})


def _headers(error_type: str, status: int) -> dict[str, str]:
    retryable = "true" if status in (502, 503) or error_type == "downstream_service_unavailable" else "false"
    return {"X-Fal-Error-Type": error_type, "X-Fal-Retryable": retryable, "x-fal-billable-units": "0"}


def model_failure(
    error_type: str, *, loc: Sequence[str | int] = ("body",), message: str | None = None, **extra: Any
) -> Failure:
    """A model error with one entry; `extra` may hold `ctx` and `input`."""
    status = MODEL_ERRORS.get(error_type, 422)
    text = message or _MESSAGES.get(error_type, error_type.replace("_", " ").capitalize())
    entry = {"loc": list(loc), "msg": text, "type": error_type, "url": f"{_DOCS}#{error_type}", **extra}
    return Failure(status, {"detail": [entry]}, text, error_type, _headers(error_type, status))


def request_failure(error_type: str, *, headers: dict[str, str] | None = None) -> Failure:
    """A request error of the platform."""
    status = REQUEST_ERRORS[error_type]
    text = _MESSAGES.get(error_type, error_type.replace("_", " ").capitalize())
    body = {"detail": text, "error_type": error_type}
    return Failure(status, body, text, error_type, {**_headers(error_type, status), **(headers or {})})


def failure_of(error_type: str) -> Failure:
    """A failure by the name of its type, whichever shape that has."""
    return request_failure(error_type) if error_type in REQUEST_ERRORS else model_failure(error_type)


def clipped(value: Any) -> Any:
    """A JSON value with long texts (data URIs) and long lists cut short, to be echoed or kept."""
    if isinstance(value, str):
        return value[:_LONGEST_ECHO]
    if isinstance(value, dict):
        return {str(k): clipped(v) for k, v in list(value.items())[:50]}
    if isinstance(value, list):
        return [clipped(v) for v in value[:50]]
    return value


def validation_failure(error: ValidationError) -> Failure:
    """A body that does not fit the model's schema, one entry per fault."""
    entries = []
    for item in error.errors(include_url=False):
        entry: dict[str, Any] = {
            "loc": ["body", *item["loc"]],
            "msg": item["msg"],
            "type": item["type"],
            "url": f"{_DOCS}#{item['type']}",
            "input": clipped(item["input"]),
        }
        if context := item.get("ctx"):
            entry["ctx"] = {k: v if isinstance(v, int | float | str) else str(v) for k, v in context.items()}
        entries.append(entry)
    first = str(entries[0]["type"]) if entries else "value_error"
    return Failure(422, {"detail": entries}, "Invalid status code: 422", first, _headers(first, 422))


def plain(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """The gateway's flat answer."""
    return JSONResponse({"detail": detail}, status, headers=headers)


def not_found(path: str) -> Response:
    return plain(404, f"Path {path} not found")
