"""Keys: `Authorization: Bearer <token>`. The token `wrong` is nobody's; `fault-…` asks for a fault."""

import hashlib
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from gesso.sandbox.faults import Faults, from_secret
from gesso.sandbox.replicate.errors import unauthenticated

_NOBODYS = ("wrong", "r8_wrong")


@dataclass(frozen=True)
class Caller:
    """Who calls. `owner` is a digest of the token; `hint` its last four characters; the token itself is not kept."""

    owner: str
    hint: str
    faults: Faults = field(default_factory=Faults)


def authenticate(request: Request) -> Caller | Response:
    """The caller, or the 401 to answer with. Raises UnknownFault for a token that asks for one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() not in ("bearer", "token") or not token or token in _NOBODYS:
        return unauthenticated()
    owner = hashlib.sha256(token.encode()).hexdigest()
    return Caller(owner, token[-4:], from_secret(token.removeprefix("r8_")))
