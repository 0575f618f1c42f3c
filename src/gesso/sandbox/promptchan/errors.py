"""Promptchan's errors: no codes, the text under `error` or under `message`; and the faults of one exchange."""

from starlette.responses import JSONResponse, Response

from gesso.sandbox.faults import Fault, Faults, Tally
from gesso.sandbox.transport import strike_before


def failure(status: int, text: str, *, under: str = "error") -> Response:
    """An error answer."""
    return JSONResponse({under: text}, status)


def struck(faults: Faults, stage: str, prompt: str, tally: Tally, hang_seconds: float) -> Response | None:
    """The answer of a fault that keeps the request from being carried out, in Promptchan's shapes; or None."""
    if stage == "submit" and (refused := _refused(faults)) is not None:
        return refused
    return strike_before(faults, stage, prompt, tally, hang_seconds, _shaped)


def _shaped(fault: Fault) -> Response:
    if fault.name == "500":
        return failure(500, "Internal server error", under="message")
    # No headers are known; one is sent only where it is asked for.
    answer = failure(429, "Too many requests")
    if fault.argument is not None:
        answer.headers["retry-after"] = fault.argument
    return answer


def _refused(faults: Faults) -> Response | None:
    if (poor := faults.get("no-credit")) is not None:
        if int(poor.number(402)) == 400:
            return failure(400, "Insufficient gems. Please buy more gems.", under="message")
        return failure(402, "Not enough gems")
    if "locked" in faults:
        return failure(403, "Your plan does not include API access. Upgrade your plan.")
    if "422" in faults:
        return failure(422, "Invalid value for style", under="message")
    if "safety" in faults or "nsfw" in faults:
        return failure(400, "Your prompt contains a banned word.")
    if "error-inside" in faults:
        return failure(200, "Generation failed, please try again later.")
    return None
