"""When and from where a request came: what sessions and the audit log remember."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from gesso.web.networks import network_of, plain_address


@dataclass(frozen=True)
class Visit:
    """The circumstances of one request. `ip` is an address in text form, or None when unknown."""

    at: datetime
    ip: str | None = None
    user_agent: str = ""

    @property
    def network(self) -> str:
        """Whom limits per network address count."""
        return network_of(self.ip)


def visit_of(request: Request) -> Visit:
    """The circumstances of this request."""
    return Visit(
        at=request.app.state.clock.now(),
        ip=plain_address(request.client.host) if request.client else None,
        user_agent=request.headers.get("user-agent", ""),
    )
