"""All attacks, one after the other, and the figures at the end."""

from collections.abc import Callable

from attack import limits, notices, prices, spending, strangers, verdict
from attack.score import Attack, Force
from attack.site import Site

ROOMS = (spending, notices, prices, strangers, limits)


async def attacked(site: Site, force: Force, tell: Callable[[str], None] = lambda _: None) -> list[Attack]:
    """Try everything, then judge what the site has given and what it was paid."""
    found: list[Attack] = []
    for room in ROOMS:
        tell((room.__doc__ or "").splitlines()[0])
        found += await room.attacks(site, force)
    return [*found, *await verdict.lines(site)]
