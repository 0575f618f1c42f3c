"""A worker's places shared among connections, so that one provider that hangs does not hold them all.

A call takes a place of its worker until it ends, and a dead provider lets each of its calls last as long as calls may.
So one connection gets at most three quarters of the places while there are others. What finds no place stands by for a
moment where calls come and go; where none has ended for a while it goes back into the queue at once, and for longer.
"""

import time
from collections import Counter
from uuid import UUID

STUCK_SECONDS = 10.0
"""A connection that has its share and had no call end for so long is not worth standing by for."""
STAND_BY_SECONDS = 0.5


class Shares:
    """Counts a process's calls by connection."""

    __slots__ = ("_held", "_most", "_moved")

    def __init__(self, places: int) -> None:
        """`places`: generations this process drives at once, ≥ 1."""
        self._held: Counter[UUID] = Counter()
        self._moved: dict[UUID, float] = {}
        self._most = max(1, places - max(1, places // 4))

    def take(self, connection_id: UUID, *, alone: bool) -> bool:
        """Take a place for a call. False when the connection has its share; never so when it is `alone`."""
        if not alone and self._held[connection_id] >= self._most:
            return False
        if not self._held[connection_id]:
            self._moved[connection_id] = time.monotonic()
        self._held[connection_id] += 1
        return True

    def patience(self, connection_id: UUID) -> float:
        """Seconds to stand by for a place of this connection; 0 when none will come soon."""
        moved = self._moved.get(connection_id, 0.0)
        return STAND_BY_SECONDS if time.monotonic() - moved < STUCK_SECONDS else 0.0

    def give_back(self, connection_id: UUID) -> None:
        """The call has ended, or was not made."""
        self._moved[connection_id] = time.monotonic()
        self._held[connection_id] -= 1
        if self._held[connection_id] <= 0:
            del self._held[connection_id], self._moved[connection_id]
