"""The tables of moves: what they allow, and that the database refuses the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.calls.state import ATTEMPT_MOVES, ATTEMPT_STATES, LIVE, IllegalAttemptMove, sources
from gesso.generation.state import (
    ENDED,
    GENERATION_EVENTS,
    GENERATION_MOVES,
    GENERATION_STATES,
    OPEN,
    OUTPUT_EVENTS,
    OUTPUT_MOVES,
    OUTPUT_STATES,
    GenerationEvent,
    OutputEvent,
    output_path,
    path,
)


@given(st.lists(st.sampled_from(GENERATION_EVENTS), max_size=8))
def test_a_generation_ends_at_most_once_and_stays_ended(events: list[GenerationEvent]) -> None:
    state, ends = GENERATION_STATES[0], 0
    for event in events:
        before, after = path(event)
        if state not in before:
            continue
        assert state in OPEN
        ends += after in ENDED
        state = after
    assert ends <= 1 and (ends == 1) == (state in ENDED)


@given(st.lists(st.sampled_from(OUTPUT_EVENTS), max_size=8))
def test_an_output_is_delivered_at_most_once(events: list[OutputEvent]) -> None:
    state, delivered = OUTPUT_STATES[0], 0
    for event in events:
        before, after = output_path(event)
        if state in before:
            state = after
            delivered += state == "delivered"
    assert delivered <= 1


def test_an_event_leads_to_one_state_wherever_it_happens() -> None:
    for (_, event), after in GENERATION_MOVES.items():
        assert path(event)[1] == after
    for (_, output_event), output_after in OUTPUT_MOVES.items():
        assert output_path(output_event)[1] == output_after


def test_every_state_can_be_reached_and_left_as_drawn() -> None:
    assert set(GENERATION_MOVES.values()) | {"queued"} == set(GENERATION_STATES)
    assert {before for before, _ in GENERATION_MOVES} == OPEN
    assert set(OUTPUT_MOVES.values()) | {"pending"} == set(OUTPUT_STATES)
    assert set(GENERATION_STATES) == OPEN | ENDED and not OPEN & ENDED


def test_a_call_comes_to_an_end_from_every_live_state() -> None:
    for state in LIVE:
        assert {after for before, after in ATTEMPT_MOVES if before == state} - LIVE
    assert not [move for move in ATTEMPT_MOVES if move[0] in ("succeeded", "failed", "cancelled")]
    assert set(sources("succeeded")) == {"started", "submitted", "uncertain"}
    assert all(sources(state) for state in ATTEMPT_STATES if state != "started")
    with pytest.raises(IllegalAttemptMove):
        sources("started")
