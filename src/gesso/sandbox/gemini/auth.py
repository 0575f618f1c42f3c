"""Keys: header `x-goog-api-key`, or `?key=`. `wrong` (or `…:wrong`) is nobody's; `fault-…` (or `…:fault-…`) asks."""

import hashlib
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from gesso.sandbox.faults import Fault, Faults, Tally, from_header, from_prompt, from_secret
from gesso.sandbox.gemini import errors
from gesso.sandbox.transport import strike_before

_NOBODYS = "wrong"
_OWN = ("429", "500")


@dataclass(frozen=True)
class Caller:
    """Who calls. `hint`: the last four characters of the key; the key itself is not kept. `owner`: a digest of it."""

    owner: str
    hint: str
    faults: Faults = field(default_factory=Faults)


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
    return Caller(hashlib.sha256(key.encode()).hexdigest(), key[-4:], from_secret(secret))


def faults_of(request: Request, caller: Caller, prompt: str, tally: Tally) -> Faults:
    """What the key, a header or the prompt ask for. Raises UnknownFault."""
    asked = caller.faults + from_header(request.headers.get("x-sandbox-fault"), "submit") + from_prompt(prompt)
    return tally.due(asked, prompt)


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
    for fault in faults.transport(stage):
        if fault.name in _OWN and tally.strikes(fault, prompt):
            return _shaped(fault)
    others = Faults(fault for fault in faults if fault.name not in _OWN)
    return strike_before(others, stage, prompt, tally, hang_seconds)


def _shaped(fault: Fault) -> Response:
    if fault.name == "500":
        return errors.failure(500, "An internal error has occurred. Please retry or report it.")
    message = "Resource has been exhausted (e.g. check quota)."
    name = errors.quota("GenerateRequestsPerMinutePerProjectPerModel")
    return errors.failure(429, message, name, *([errors.wait(fault.argument)] if fault.argument else []))
