"""A worker's places shared among connections, so that providers that hang do not hold them all.

A call takes a place of its worker until it ends, and a dead provider lets each of its calls last as long as calls may.
So a connection may have three quarters of the places while there are others, and never more than thrice what is left
free: one that hangs leaves a quarter to all others, two leave a seventh, and so on. What finds no place comes again
later, and gives its own up; a few stand by for a moment where calls come and go.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

STUCK_SECONDS = 10.0
"""A connection that has its share and had no call end for so long is not worth standing by for."""
STAND_BY_SECONDS = 0.5
COME_AGAIN_SECONDS = (2.0, 15.0)
"""After which time to look again for a place: where calls come and go, and where they hang."""
EAGERNESS = 3
"""How many times what is left free a connection may hold."""


class Shares:
    """Counts a process's calls by connection."""

    __slots__ = ("_held", "_most", "_moved", "_places", "_standing", "_standing_most")

    def __init__(self, places: int) -> None:
        """`places`: generations this process drives at once, ≥ 1."""
        self._held: Counter[UUID] = Counter()
        self._moved: dict[UUID, float] = {}
        self._places = places
        self._most = max(1, places - max(1, places // 4))
        self._standing = 0
        self._standing_most = places // 8

    def take(self, connection_id: UUID, *, alone: bool) -> bool:
        """Take a place for a call. False when the connection has its share; never so when it is `alone`."""
        if not alone and not self._has_room(connection_id):
            return False
        if not self._held[connection_id]:
            self._moved[connection_id] = time.monotonic()
        self._held[connection_id] += 1
        return True

    def give_back(self, connection_id: UUID) -> None:
        """The call has ended, or was not made."""
        self._moved[connection_id] = time.monotonic()
        self._held[connection_id] -= 1
        if self._held[connection_id] <= 0:
            del self._held[connection_id], self._moved[connection_id]

    def patience(self, connection_id: UUID) -> float:
        """Seconds to stand by for a place of this connection; 0 when none will come soon, or enough stand by."""
        return STAND_BY_SECONDS if self._moves(connection_id) and self.may_stand_by() else 0.0

    def may_stand_by(self) -> bool:
        """Whether one more may wait in its place of the worker's: an eighth of the places is for such."""
        return self._standing < self._standing_most

    def crowded(self, connection_id: UUID, *, alone: bool) -> bool:
        """Whether a call could neither be made now nor stand by: there is no point in beginning anything for it."""
        return not alone and not self._has_room(connection_id) and not self.patience(connection_id)

    def come_again(self, connection_id: UUID) -> float:
        """Seconds after which to look again for a place."""
        return COME_AGAIN_SECONDS[0 if self._moves(connection_id) else 1]

    @contextmanager
    def standing_by(self) -> Iterator[None]:
        """Somebody waits for a place, in a place of the worker's, for as long as the block lasts."""
        self._standing += 1
        try:
            yield
        finally:
            self._standing -= 1

    def _has_room(self, connection_id: UUID) -> bool:
        held = self._held.get(connection_id, 0)
        # Calls taken over from a worker that died may be more than there are places.
        free = max(1, self._places - self._held.total())
        return held < self._most and held < EAGERNESS * free

    def _moves(self, connection_id: UUID) -> bool:
        return time.monotonic() - self._moved.get(connection_id, 0.0) < STUCK_SECONDS
