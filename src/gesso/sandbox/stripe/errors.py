"""Stripe's error envelope, and the faults of one exchange in its shape. Fact sheet, section 1."""

from typing import Any

from starlette.responses import JSONResponse, Response

from gesso.sandbox.faults import Faults, Tally
from gesso.sandbox.transport import strike_before

_DOC = "https://docs.stripe.com/error-codes/"
INVALID, CARD, API, IDEMPOTENCY = "invalid_request_error", "card_error", "api_error", "idempotency_error"


class StripeError(Exception):
    """A refusal. `kept`: what the operation has written stays, as with a payment that was tried and declined."""

    def __init__(self, status: int, kind: str, message: str, *, kept: bool = False, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.kept = kept
        self.more = {name: value for name, value in more.items() if value is not None}

    def body(self, request_id: str) -> dict[str, Any]:
        """The envelope."""
        error: dict[str, Any] = {"message": str(self), "type": self.kind, **self.more}
        if "code" in error:
            error["doc_url"] = _DOC + str(error["code"]).replace("_", "-")
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": error}

    def response(self, request_id: str) -> Response:
        return JSONResponse(self.body(request_id), self.status)


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """400 for a request that makes no sense."""
    return StripeError(400, INVALID, message, param=param, code=code)


def missing(what: str, name: str, param: str | None = None) -> StripeError:
    """404 for an address that names nothing; 400 when a parameter does."""
    status = 404 if param is None else 400
    return StripeError(status, INVALID, f"No such {what}: '{name}'", param=param or "id", code="resource_missing")


def unauthenticated(key: str | None) -> StripeError:
    if not key:
        said = (
            "You did not provide an API key. You need to provide your API key in the Authorization header, "
            "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
        return StripeError(401, INVALID, said)
    return StripeError(401, INVALID, f"Invalid API Key provided: ****{key[-4:]}")


def struck(
    faults: Faults, stage: str, marker: str, tally: Tally, hang_seconds: float, request_id: str
) -> Response | None:
    """The answer of a fault that keeps a request from being carried out, or None. `marker`: what its tries share."""
    for fault in faults.transport(stage):
        if fault.name not in ("429", "500") or not tally.strikes(fault, marker):
            continue
        if fault.name == "429":
            error = StripeError(
                429, INVALID, "Request rate limit exceeded. You can learn more about rate limits here: "
                "https://docs.stripe.com/rate-limits.", code="rate_limit",
            )  # fmt: skip
        else:
            error = StripeError(500, API, "An unknown error occurred")
        response = error.response(request_id)
        if fault.argument:
            response.headers["Retry-After"] = fault.argument
        return response
    others = Faults(fault for fault in faults if fault.name not in ("429", "500"))
    return strike_before(others, stage, marker, tally, hang_seconds)
