"""kie.ai's envelope, errors in both HTTP modes, and the refusals that can be asked for. Fact sheet, sections 1 and 2.

Whether an error has HTTP 200 or its code as the status is not documented: 200 it is, unless `http-errors` is asked for.
"""

from typing import Any

from starlette.responses import JSONResponse, Response

from gesso.sandbox.faults import Fault, Faults, Tally
from gesso.sandbox.transport import strike_before

_NO_CREDIT = "Your credit balance is insufficient. Please top up to continue."
_REFUSALS = (
    ("no-credit", 402, _NO_CREDIT),
    ("locked", 402, "Your account has been suspended. Please contact support."),
    ("capped", 433, "The usage of this key has exceeded its limit."),
    ("maintenance", 455, "The service is under maintenance. Please try again later."),
    ("disabled", 505, "The feature is currently disabled."),
    ("422", 422, "The sandbox was asked to find fault with the prompt."),
    ("blind", 451, "Failed to download the input image."),
)


def answer(data: Any) -> JSONResponse:
    """A success."""
    return JSONResponse({"code": 200, "msg": "success", "data": data})


def refusal(code: int, message: str, faults: Faults) -> Response:
    """An error."""
    status = code if "http-errors" in faults else 200
    return JSONResponse({"code": code, "msg": message, "data": None}, status)


def unauthenticated(faults: Faults) -> Response:
    return refusal(401, "You do not have access permissions", faults)


def too_many(faults: Faults) -> Response:
    return refusal(429, "Your call frequency is too high. Please try again later.", faults)


def no_credit(faults: Faults) -> Response:
    return refusal(402, _NO_CREDIT, faults)


def asked_for(faults: Faults) -> Response | None:
    """The refusal of a new job, when the faults ask for one."""
    return next((refusal(code, message, faults) for name, code, message in _REFUSALS if name in faults), None)


def struck(faults: Faults, stage: str, prompt: str, tally: Tally, hang_seconds: float) -> Response | None:
    """The answer of a fault that keeps a request from being carried out: as kie.ai would say it, or None."""

    def shaped(fault: Fault) -> Response:
        if fault.name == "500":
            return refusal(500, "Server exception, please try again later or contact customer service.", faults)
        response = too_many(faults)
        if fault.argument:
            response.headers["Retry-After"] = fault.argument
        return response

    return strike_before(faults, stage, prompt, tally, hang_seconds, shaped)
