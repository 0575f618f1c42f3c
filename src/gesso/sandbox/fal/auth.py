"""Keys: `Authorization: Key <id>:<secret>`. The secret `wrong` is nobody's; `fault-…` asks for a fault."""

from starlette.requests import Request
from starlette.responses import Response

from gesso.sandbox.caller import Caller
from gesso.sandbox.fal.errors import plain
from gesso.sandbox.faults import Faults, from_secret

_NOBODYS_SECRET = "wrong"  # noqa: S105 - not a secret: the one that is never accepted
_LOCKED = {
    "no-credit": "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.",
    "locked": "User is locked. Reason: Admin lock.",
}


def authenticate(request: Request) -> Caller | Response:
    """The caller, or the 401 to answer with. Raises UnknownFault for a key that asks for one."""
    header = request.headers.get("authorization", "")
    scheme, _, key = header.partition(" ")
    if not header:
        return plain(401, "Authentication is required to access this application.")
    key_id, colon, secret = key.strip().partition(":")
    if scheme.lower() != "key" or not (key_id and colon and secret):
        return plain(401, "Invalid Key Authorization header format. Expected '<key_id>:<key_secret>'.")
    if secret == _NOBODYS_SECRET:
        return plain(401, "No user found for Key ID and Secret")
    return Caller.of(key_id, secret, from_secret(secret))


def locked(faults: Faults) -> Response | None:
    """The 403 of a locked account, when the faults ask for one. Status calls do not ask."""
    for name, detail in _LOCKED.items():
        if name in faults:
            return plain(403, detail)
    return None
