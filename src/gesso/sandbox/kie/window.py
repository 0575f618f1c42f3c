"""The limit on new jobs. Fact sheet, section 1."""

import time
from collections import OrderedDict, deque

WINDOW_SECONDS, WINDOW_REQUESTS = 10.0, 20
_MOST_KEYS = 1_000


class Window:
    """20 new jobs per 10 seconds and key; what is over is refused, not queued."""

    def __init__(self) -> None:
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()

    def is_full(self, owner: str) -> bool:
        """Whether one more is too many now; counts it otherwise."""
        now, taken = time.monotonic(), self._taken.setdefault(owner, deque())
        self._taken.move_to_end(owner)
        while taken and taken[0] <= now - WINDOW_SECONDS:
            taken.popleft()
        if len(taken) >= WINDOW_REQUESTS:
            return True
        taken.append(now)
        while len(self._taken) > _MOST_KEYS:
            self._taken.popitem(last=False)
        return False
