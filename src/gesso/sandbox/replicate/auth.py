"""Keys: `Authorization: Bearer <token>`. The token `wrong` is nobody's; `fault-…` asks for a fault."""

from starlette.requests import Request
from starlette.responses import Response

from gesso.sandbox.caller import Caller
from gesso.sandbox.faults import from_secret
from gesso.sandbox.replicate.errors import unauthenticated

_NOBODYS = ("wrong", "r8_wrong")


def authenticate(request: Request) -> Caller | Response:
    """The caller, or the 401 to answer with. Raises UnknownFault for a token that asks for one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() not in ("bearer", "token") or not token or token in _NOBODYS:
        return unauthenticated()
    return Caller.of(token, token, from_secret(token.removeprefix("r8_")))
