"""Keys: `x-api-key: <key>`. `wrong` (or `…:wrong`) is nobody's; `fault-…` (or `…:fault-…`) asks for a fault."""

import hashlib
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from gesso.sandbox.faults import Faults, from_secret
from gesso.sandbox.promptchan.errors import failure

_NOBODYS = "wrong"


@dataclass(frozen=True)
class Caller:
    """Who calls. `owner` is a digest of the key; `hint` its last four characters; the key itself is not kept."""

    owner: str
    hint: str
    faults: Faults = field(default_factory=Faults)


def authenticate(request: Request) -> Caller | Response:
    """The caller, or the 401 to answer with. Raises UnknownFault for a key that asks for one."""
    key = request.headers.get("x-api-key", "").strip()
    secret = key.rpartition(":")[2]
    if not key or secret == _NOBODYS:
        return failure(401, "Invalid API key")
    owner = key.rpartition(":")[0] or key
    return Caller(hashlib.sha256(owner.encode()).hexdigest(), key[-4:], from_secret(secret))
