"""Under which names a site answers. A name that somebody else owns may lead here (DNS rebinding, a forged header):
asked under it, the site must not act as itself.
"""

import socket
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address

from gesso.core.settings import SiteSettings

HostRule = Callable[[str], bool]
"""Says of a Host header's value whether it is one of ours."""

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked by machines under an address of their own choosing. They hold nothing of anybody."""


def host_rule(site: SiteSettings) -> HostRule:
    """The rule for these settings: the site's own names; in development any address and this machine's names too.

    An address cannot be rebound: whoever asks for it has typed it.
    """
    names = {site.host_name, *(name.strip().lower() for name in site.extra_hosts.split(","))} - {""}
    if site.development:
        machine = socket.gethostname().lower()
        names |= {"localhost", machine, f"{machine.partition('.')[0]}.local"}

    @lru_cache(64)  # asked for every request, and the answer is nearly always about the same name
    def known(header: str) -> bool:
        name = _name(header)
        return name in names or (site.development and (_is_address(name) or name.endswith(".localhost")))

    return known


def _name(header: str) -> str:
    """`Example.com:8000` → `example.com`, `[::1]:8000` → `::1`; "" for what is neither."""
    if header.startswith("["):
        name, _, rest = header[1:].partition("]")
        port = rest.removeprefix(":")
        return name if not rest or (rest.startswith(":") and port.isdecimal()) else ""
    name, _, port = header.partition(":")
    return name.lower().rstrip(".") if not port or port.isdecimal() else ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
