"""Keys: header `x-goog-api-key`, or `?key=`. `wrong` (or `…:wrong`) is nobody's; `fault-…` (or `…:fault-…`) asks."""

from starlette.requests import Request
from starlette.responses import Response

from gesso.sandbox.caller import Caller
from gesso.sandbox.faults import Fault, Faults, Tally, from_secret
from gesso.sandbox.gemini import errors
from gesso.sandbox.transport import strike_before

_NOBODYS = "wrong"


def authenticate(request: Request) -> Caller | Response:
    """The caller, or the answer to nobody: a bad key is 400, not 401. Raises UnknownFault for a key that asks so."""
    key = (request.headers.get("x-goog-api-key") or request.query_params.get("key") or "").strip()
    if not key:
        message = "Method doesn't allow unregistered callers (callers without established identity)."
        return errors.failure(403, message)
    secret = key.rpartition(":")[2]
    if secret == _NOBODYS:
        message = "API key not valid. Please pass a valid API key."
        return errors.failure(400, message, errors.reason("API_KEY_INVALID"))
    return Caller.of(key, key, from_secret(secret))


def struck(faults: Faults, stage: str, prompt: str, tally: Tally, hang_seconds: float) -> Response | None:
    """The answer of a fault that keeps the request from being carried out, in Google's shapes; or None."""
    if "no-credit" in faults:
        message = "Billing is not enabled for this project. Please enable billing to use this model."
        return errors.failure(400, message, status="FAILED_PRECONDITION")
    if "locked" in faults:
        message = "The project has been denied access."
        return errors.failure(403, message, errors.reason("CONSUMER_SUSPENDED"))
    if "daily-quota" in faults:
        message = "You exceeded your current quota, please check your plan and billing details."
        name = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
        return errors.failure(429, message, errors.quota(name), errors.wait("41"))
    if "overloaded" in faults:
        return errors.failure(503, "The model is overloaded. Please try again later.")
    if "timeout" in faults:
        return errors.failure(504, "The request timed out. Please try again.")
    return strike_before(faults, stage, prompt, tally, hang_seconds, _shaped)


def _shaped(fault: Fault) -> Response:
    if fault.name == "500":
        return errors.failure(500, "An internal error has occurred. Please retry or report it.")
    message = "Resource has been exhausted (e.g. check quota)."
    name = errors.quota("GenerateRequestsPerMinutePerProjectPerModel")
    return errors.failure(429, message, name, *([errors.wait(fault.argument)] if fault.argument else []))
