"""Keys: `Authorization: Bearer <key>`. `wrong` is nobody's; `fault-…` asks for a fault."""

import hashlib
from dataclasses import dataclass, field

from starlette.requests import Request

from gesso.sandbox.faults import Faults, from_secret

UNLIMITED = "sandbox"
"""What a connection without a key sends: everybody's, so the limit on new jobs does not count it."""
_NOBODYS = "wrong"


@dataclass(frozen=True)
class Caller:
    """Who calls. `owner` is a digest of the key; `hint` its last four characters; the key itself is not kept."""

    owner: str
    hint: str
    limited: bool = True
    faults: Faults = field(default_factory=Faults)


def authenticate(request: Request) -> Caller | None:
    """The caller; None for one without a good key. Raises UnknownFault for a key that asks for one."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key or key == _NOBODYS:
        return None
    return Caller(hashlib.sha256(key.encode()).hexdigest(), key[-4:], key != UNLIMITED, from_secret(key))
