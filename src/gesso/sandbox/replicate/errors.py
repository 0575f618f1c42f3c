"""Replicate's error bodies, and the faults of one exchange in their shape. Fact sheet, section 4."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from gesso.sandbox.faults import Fault, Faults, Tally
from gesso.sandbox.transport import strike_before

_PROBLEM = "application/problem+json"
_WORDS = {
    "missing": "required",
    "less_than_equal": "number_lte",
    "greater_than_equal": "number_gte",
    "literal_error": "enum",
    "extra_forbidden": "additional_property_not_allowed",
    "multiple_of": "number_multiple_of",
}
_SAYS = {
    "missing": "{0} is required",
    "less_than_equal": "Must be less than or equal to {1}",
    "greater_than_equal": "Must be greater than or equal to {1}",
    "literal_error": "Must be one of: {1}",
    "extra_forbidden": "Additional property {0} is not allowed",
    "multiple_of": "Must be a multiple of {1}",
}


def problem(status: int, title: str | None, detail: str, **more: Any) -> Response:
    """An answer of the shape title, detail, status."""
    body = ({"title": title} if title else {}) | {"detail": detail, "status": status} | more
    headers = more.pop("headers", None)
    body.pop("headers", None)
    return JSONResponse(body, status, headers=headers, media_type=_PROBLEM)


def unauthenticated() -> Response:
    return problem(401, "Unauthenticated", "You did not pass a valid authentication token")


def not_found(what: str = "The requested resource could not be found.") -> Response:
    return problem(404, None, what)


def bad_version() -> Response:
    detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
    return problem(422, "Invalid version or not permitted", detail)


def locked(faults: Faults) -> Response | None:
    """The refusal of an account, when the faults ask for one."""
    if "no-credit" in faults:
        detail = (
            "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to "
            "purchase credit. Once you purchase credit, please wait a few minutes before trying again."
        )
        return problem(402, "Insufficient credit", detail)
    if "locked" in faults:
        return problem(403, "Forbidden", "You do not have permission to perform this action.")
    return None


def invalid(fields: Sequence[tuple[str, str, str]], *, with_fields: bool = True) -> Response:
    """422 for fields given as (dotted name, type, description)."""
    lines = []
    for name, kind, description in fields:
        where = name.rpartition(".")[0] or name if kind in ("required", "additional_property_not_allowed") else name
        lines.append(f"- {where}: {description}\n")
    more = {"invalid_fields": [{"type": k, "field": n, "description": d} for n, k, d in fields]} if with_fields else {}
    return problem(422, "Input validation failed", "".join(lines), **more)


def of_validation(error: ValidationError, base: str = "input") -> Response:
    """422 for an input that does not fit its model's schema."""
    fields = []
    for item in error.errors(include_url=False):
        loc = [str(part) for part in item["loc"] if not re.search(r"[^\w]", str(part))]
        kind, context = item["type"], item.get("ctx", {})
        limit = next((context[name] for name in ("le", "ge", "expected", "multiple_of") if name in context), "")
        said = _SAYS.get(kind, "Invalid type. {2}").format(loc[-1] if loc else base, limit, item["msg"])
        fields.append((".".join(part for part in (base, *loc) if part), _WORDS.get(kind, "invalid_type"), said))
    return invalid(fields)


def struck(faults: Faults, stage: str, prompt: str, tally: Tally, hang_seconds: float) -> Response | None:
    """The answer of a fault that keeps a request from being carried out: as Replicate would say it, or None."""
    return strike_before(faults, stage, prompt, tally, hang_seconds, _shaped)


def _shaped(fault: Fault) -> Response:
    if fault.name == "500":
        return problem(500, "Internal Server Error", "An unexpected error occurred.")
    seconds = fault.argument or "30"
    named = {"Retry-After": fault.argument} if fault.argument else {}
    headers = {"ratelimit-remaining": "0", "ratelimit-reset": seconds, **named}
    return problem(429, None, f"Request was throttled. Your rate limit resets in ~{seconds}s.", headers=headers)
