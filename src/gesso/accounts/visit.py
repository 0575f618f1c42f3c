"""When and from where a request came: what sessions and the audit log remember."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request


@dataclass(frozen=True)
class Visit:
    """The circumstances of one request. `ip` is an address in text form, or None when unknown."""

    at: datetime
    ip: str | None = None
    user_agent: str = ""


def visit_of(request: Request) -> Visit:
    """The circumstances of this request."""
    return Visit(
        at=request.app.state.clock.now(),
        ip=_address(request.client.host if request.client else ""),
        user_agent=request.headers.get("user-agent", ""),
    )


def _address(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return None
