"""Which moves a generation and its outputs may make. Pure.

A generation::

                 start            succeed
    queued ──────────► running ───────────► succeeded
      │                   │
      │ fail              ├── fail ───────► failed
      ├───────────────────┤
      │ cancel            └── cancel ─────► cancelled
      └──────────────────────────────────►

`queued` covers both waiting for a place of the workspace's own and waiting for a worker (`dispatched_at`
tells them apart). A worker that hands over, or dies, leaves the generation `running`: the next one
resumes from the rows, so there is no move back.

An output::

    pending ──► delivered      stored and charged, in one transaction
            ──► failed         given back
            ──► cancelled      given back
    failed  ──► delivered      a result that turned up after we had given up: kept, and free (`late`)
"""

from typing import Literal, get_args

GenerationState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
GenerationEvent = Literal["start", "succeed", "fail", "cancel"]
OutputState = Literal["pending", "delivered", "failed", "cancelled"]
OutputEvent = Literal["deliver", "fail", "cancel", "late"]

GENERATION_STATES: tuple[GenerationState, ...] = get_args(GenerationState)
GENERATION_EVENTS: tuple[GenerationEvent, ...] = get_args(GenerationEvent)
OUTPUT_STATES: tuple[OutputState, ...] = get_args(OutputState)
OUTPUT_EVENTS: tuple[OutputEvent, ...] = get_args(OutputEvent)

OPEN: frozenset[GenerationState] = frozenset({"queued", "running"})
ENDED: frozenset[GenerationState] = frozenset({"succeeded", "failed", "cancelled"})

GENERATION_MOVES: dict[tuple[GenerationState, GenerationEvent], GenerationState] = {
    ("queued", "start"): "running",
    ("queued", "fail"): "failed",
    ("queued", "cancel"): "cancelled",
    ("running", "succeed"): "succeeded",
    ("running", "fail"): "failed",
    ("running", "cancel"): "cancelled",
}

OUTPUT_MOVES: dict[tuple[OutputState, OutputEvent], OutputState] = {
    ("pending", "deliver"): "delivered",
    ("pending", "fail"): "failed",
    ("pending", "cancel"): "cancelled",
    ("failed", "late"): "delivered",
}


class IllegalMove(Exception):
    """The event cannot happen in this state. Attributes: state, event."""

    def __init__(self, state: str, event: str) -> None:
        super().__init__(f"{event!r} cannot happen to something {state!r}")
        self.state = state
        self.event = event


def move(current: GenerationState, event: GenerationEvent) -> GenerationState:
    """The state after `event`. Raises IllegalMove."""
    try:
        return GENERATION_MOVES[current, event]
    except KeyError:
        raise IllegalMove(current, event) from None


def move_output(current: OutputState, event: OutputEvent) -> OutputState:
    """The output's state after `event`. Raises IllegalMove."""
    try:
        return OUTPUT_MOVES[current, event]
    except KeyError:
        raise IllegalMove(current, event) from None
