"""Keys: `x-api-key: <key>`. `wrong` (or `…:wrong`) is nobody's; `fault-…` (or `…:fault-…`) asks for a fault."""

from starlette.requests import Request
from starlette.responses import Response

from gesso.sandbox.caller import Caller
from gesso.sandbox.faults import from_secret
from gesso.sandbox.promptchan.errors import failure

_NOBODYS = "wrong"


def authenticate(request: Request) -> Caller | Response:
    """The caller, or the 401 to answer with. Raises UnknownFault for a key that asks for one."""
    key = request.headers.get("x-api-key", "").strip()
    secret = key.rpartition(":")[2]
    if not key or secret == _NOBODYS:
        return failure(401, "Invalid API key")
    account = key.rpartition(":")[0] or key
    return Caller.of(account, key, from_secret(secret))
