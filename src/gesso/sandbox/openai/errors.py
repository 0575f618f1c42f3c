"""OpenAI's one error shape: `{"error": {"message", "type", "param", "code"}}`."""

import secrets
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

INVALID = "invalid_request_error"
_CODES = {"missing": "missing_required_parameter", "extra_forbidden": "unknown_parameter"}


def envelope(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """The body of an error, also of one inside a stream."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def failure(
    status: int, message: str, kind: str = INVALID, code: str | None = None, param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    """An error answer."""
    return JSONResponse(envelope(message, kind, code, param), status, headers={**request_headers(), **(headers or {})})


def request_headers() -> dict[str, str]:
    """What every answer carries."""
    return {
        "x-request-id": f"req_{secrets.token_hex(16)}", "openai-version": "2020-10-01", "openai-processing-ms": "7",
    }  # fmt: skip


def not_valid(error: ValidationError) -> Response:
    """A body that does not fit, told by its first fault."""
    first = error.errors(include_url=False)[0]
    place = [part for part in first["loc"] if not (isinstance(part, str) and part[:1].isupper())]
    param = ""
    for part in place:
        param += f"[{part}]" if isinstance(part, int) else (f".{part}" if param else str(part))
    kind = str(first["type"])
    message = {
        "missing": f"Missing required parameter: '{param}'.",
        "extra_forbidden": f"Unknown parameter: '{param}'.",
    }.get(kind, f"Invalid value for '{param}': {first['msg']}.")
    wrong_type = "_type" in kind or kind.endswith("_parsing")
    return failure(400, message, INVALID, _CODES.get(kind, "invalid_type" if wrong_type else "invalid_value"), param)


def no_model(model: str) -> Response:
    message = f"The model `{model[:80]}` does not exist or you do not have access to it."
    return failure(404, message, INVALID, "model_not_found")


def blocked(stage: str) -> Response:
    """An image prompt, or a picture made, that was refused."""
    message = (
        "Your request was rejected by the safety system. If you believe this is an error, contact us and include the "
        f"request ID. safety_violations=[sandbox] stage={stage}"
    )
    return failure(400, message, "image_generation_user_error", "moderation_blocked")
