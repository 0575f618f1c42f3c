"""Network addresses as limits see them."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

UNKNOWN = "unknown"


def plain_address(host: str) -> str | None:
    """An IP address in its usual spelling, IPv4 where it is one in disguise; None for anything else."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def network_of(address: str | None) -> str:
    """Whom a limit per network address counts: an IPv4 address, or an IPv6 /64, which one subscriber holds whole.

    Visits whose address nobody can read share one count: a header that hides it must not lift the limit.
    `address` as `plain_address` gives it.
    """
    if address is None:
        return UNKNOWN
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(IPv6Network((int(parsed) >> 64 << 64, 64)))
