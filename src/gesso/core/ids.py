"""Time-ordered identifiers."""

import os
import threading
import time
import uuid

_COUNTER_BITS = 12
_lock = threading.Lock()
_last = 0
"""Milliseconds and counter of the id made last, as one number: ids of one process only ever go up."""


def new_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562 §5.7): Unix milliseconds, a 12-bit counter (§6.2, method 1), 62 random bits.

    Ids of one process are in the order they were made, within a millisecond too. Made here and not by the
    database because PostgreSQL has `uuidv7()` only from version 18 and we support 15.
    """
    global _last
    with _lock:
        _last = max(time.time_ns() // 1_000_000 << _COUNTER_BITS, _last + 1)
        tick = _last
    milliseconds, counter = tick >> _COUNTER_BITS, tick & 0xFFF
    value = milliseconds << 80 | 0x7 << 76 | counter << 64 | 0x2 << 62
    return uuid.UUID(int=value | int.from_bytes(os.urandom(8), "big") >> 2)
