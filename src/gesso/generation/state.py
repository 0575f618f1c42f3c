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


def path(event: GenerationEvent) -> tuple[tuple[GenerationState, ...], GenerationState]:
    """The states in which `event` can happen, and the one it leads to: for `UPDATE … WHERE state = ANY`."""
    before = tuple(state for state, happens in GENERATION_MOVES if happens == event)
    return before, GENERATION_MOVES[before[0], event]


def output_path(event: OutputEvent) -> tuple[tuple[OutputState, ...], OutputState]:
    """The same for an output."""
    before = tuple(state for state, happens in OUTPUT_MOVES if happens == event)
    return before, OUTPUT_MOVES[before[0], event]
