"""Keys: `Authorization: Bearer <key>`. `wrong` is nobody's; `fault-…` asks for a fault."""

from starlette.requests import Request

from gesso.sandbox.caller import Caller
from gesso.sandbox.faults import Faults, from_secret

_EVERYBODYS = "sandbox"
"""What a connection without a key sends: the limit on new jobs does not count it."""
_NOBODYS = "wrong"


def authenticate(request: Request) -> Caller | None:
    """The caller; None for one without a good key. Raises UnknownFault for a key that asks for one."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key or key == _NOBODYS:
        return None
    return Caller.of(key, key, from_secret(key))


def is_limited(caller: Caller) -> bool:
    """Whether the limit on new jobs counts this caller's."""
    return caller.owner != Caller.of(_EVERYBODYS, _EVERYBODYS, Faults()).owner
