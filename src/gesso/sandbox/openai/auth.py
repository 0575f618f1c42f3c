"""Keys: `Authorization: Bearer <key>`. `wrong` (or `…:wrong`) is nobody's; `fault-…` (or `…:fault-…`) asks for one."""

from starlette.requests import Request
from starlette.responses import Response

from gesso.sandbox.caller import Caller
from gesso.sandbox.faults import Fault, Faults, Tally, from_secret
from gesso.sandbox.openai.errors import INVALID, failure
from gesso.sandbox.transport import strike_before

_NOBODYS = "wrong"


def authenticate(request: Request) -> Caller | Response:
    """The caller, or the 401 to answer with. Raises UnknownFault for a key that asks for one."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    key = key.strip()
    if not key or scheme.lower() != "bearer":
        message = "You didn't provide an API key. You need to provide your API key in an Authorization header."
        return failure(401, message, INVALID)
    secret = key.rpartition(":")[2]
    if secret == _NOBODYS:
        return failure(401, "Incorrect API key provided: *****ong.", INVALID, "invalid_api_key")
    account = key.rpartition(":")[0] or key
    return Caller.of(account, key, from_secret(secret))


def struck(faults: Faults, stage: str, prompt: str, tally: Tally, hang_seconds: float) -> Response | None:
    """The answer of a fault that keeps the request from being carried out, in OpenAI's shapes; or None."""
    if "no-credit" in faults:
        message = "You exceeded your current quota, please check your plan and billing details."
        return failure(429, message, "insufficient_quota", "insufficient_quota", None, {"x-should-retry": "false"})
    if "locked" in faults:
        message = "Your project has reached its spend limit."
        return failure(
            429, message, "insufficient_quota", "project_spend_limit_exceeded", None, {"x-should-retry": "false"}
        )
    if "overloaded" in faults:
        return failure(503, "The server is overloaded. Please try again later.", "server_error", "server_is_overloaded")
    return strike_before(faults, stage, prompt, tally, hang_seconds, _shaped)


def _shaped(fault: Fault) -> Response:
    if fault.name == "500":
        return failure(500, "The server had an error while processing your request. Sorry about that!", "server_error")
    headers = {
        "x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s",
    }  # fmt: skip
    if fault.argument is not None:
        headers["retry-after"] = fault.argument
    message = "Rate limit reached on requests per min (RPM): Limit 500, Used 500, Requested 1."
    return failure(429, message, "requests", "rate_limit_exceeded", None, headers)
