"""Which moves one call to a provider may make. Pure.

::

    started ──► submitted    the provider's operation is stored: it can be polled from anywhere
            ──► succeeded    a provider that answers at once
            ──► failed       refused, or certainly not taken
            ──► uncertain    we do not know whether the provider took it
            ──► cancelled    given up before the provider was asked
    submitted ─► succeeded | failed | cancelled
    uncertain ─► submitted   the provider's own look-up found it
              ─► succeeded   its result turned up later; kept, and free

`started` is committed, with its client key, before the provider is called. So a `started` attempt that no
living worker is working on means that a worker died between asking and noting the answer: it is
`uncertain`, and never sent again blindly.
"""

from typing import Literal, get_args

AttemptState = Literal["started", "submitted", "succeeded", "failed", "uncertain", "cancelled"]
ATTEMPT_STATES: tuple[AttemptState, ...] = get_args(AttemptState)

LIVE: frozenset[AttemptState] = frozenset({"started", "submitted"})

ATTEMPT_MOVES: frozenset[tuple[AttemptState, AttemptState]] = frozenset(
    {
        ("started", "submitted"),
        ("started", "succeeded"),
        ("started", "failed"),
        ("started", "uncertain"),
        ("started", "cancelled"),
        ("submitted", "succeeded"),
        ("submitted", "failed"),
        ("submitted", "cancelled"),
        ("uncertain", "submitted"),
        ("uncertain", "succeeded"),
    }
)


class IllegalAttemptMove(Exception):
    """An attempt cannot go from one state to the other."""


def sources(target: AttemptState) -> tuple[AttemptState, ...]:
    """The states from which `target` can be reached, for `UPDATE … WHERE state = ANY`."""
    found = tuple(before for before in ATTEMPT_STATES if (before, target) in ATTEMPT_MOVES)
    if not found:
        raise IllegalAttemptMove(f"nothing leads to {target!r}")
    return found
