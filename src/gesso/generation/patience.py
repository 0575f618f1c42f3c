"""Waiting for a file store that is away: what a provider has made is paid for and must not be made twice."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from gesso.core.clock import Clock
from gesso.core.errors import Unavailable
from gesso.generation import policy

log = structlog.get_logger()
T = TypeVar("T")

PAUSE_SECONDS = (1.0, 15.0)
"""The first pause and the longest; each is twice the one before."""
GIVE_UP_BEFORE = timedelta(seconds=15)
"""Before the deadline, so that the end can say what was amiss, and a try that hangs has ended."""


async def while_store_is_away(work: Callable[[], Awaitable[T]], *, clock: Clock, deadline: datetime) -> T:
    """The result of `work`, tried again while it raises `Unavailable`; raises that when the deadline is near."""
    pause, longest = PAUSE_SECONDS
    until = deadline - GIVE_UP_BEFORE
    while True:
        try:
            return await work()
        except Unavailable as error:
            left = (until - clock.now()).total_seconds()
            if left <= 0:
                raise
            log.warning("storage.waiting", error=type(error.__cause__).__name__, seconds_left=round(left))
        await asyncio.sleep(policy.jittered(min(pause, left)))
        pause = min(pause * 2, longest)
