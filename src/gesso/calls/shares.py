"""A worker's places shared among connections, so that one provider that hangs does not hold them all.

A call takes a place of its worker until it ends, and a dead provider lets each of its calls last as long as calls may.
So one connection gets at most three quarters of the places while there are others. What finds no place goes back into
the queue for a few seconds, and its worker turns to somebody else's.
"""

from collections import Counter
from uuid import UUID


class Shares:
    """Counts a process's calls by connection."""

    __slots__ = ("_held", "_most")

    def __init__(self, places: int) -> None:
        """`places`: generations this process drives at once, ≥ 1."""
        self._held: Counter[UUID] = Counter()
        self._most = max(1, places - max(1, places // 4))

    def take(self, connection_id: UUID, *, alone: bool) -> bool:
        """Take a place for a call. False when the connection has its share; never so when it is `alone`."""
        if not alone and self._held[connection_id] >= self._most:
            return False
        self._held[connection_id] += 1
        return True

    def give_back(self, connection_id: UUID) -> None:
        """The call has ended, or was not made."""
        self._held[connection_id] -= 1
        if self._held[connection_id] <= 0:
            del self._held[connection_id]
