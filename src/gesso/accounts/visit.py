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

    @property
    def network(self) -> str:
        """Whom limits per network address count: an IPv4 address, or an IPv6 /64, which one subscriber holds whole.

        Visits whose address nobody can read share one count: a header that hides it must not lift the limit.
        """
        if self.ip is None:
            return "unknown"
        address = ipaddress.ip_address(self.ip)
        if isinstance(address, ipaddress.IPv4Address):
            return str(address)
        return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


def visit_of(request: Request) -> Visit:
    """The circumstances of this request."""
    return Visit(
        at=request.app.state.clock.now(),
        ip=_address(request.client.host if request.client else ""),
        user_agent=request.headers.get("user-agent", ""),
    )


def _address(host: str) -> str | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
