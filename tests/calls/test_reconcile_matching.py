"""Our calls against a bill: drift that was put in is found, all of it, and nothing else."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.calls.attempts import CostState
from gesso.calls.reconcile.bills import table
from gesso.calls.reconcile.matching import AFTER, BEFORE, Call, Line, Matching, Missing, Phantom
from gesso.core.errors import InvalidInput

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
APART = AFTER + BEFORE + timedelta(seconds=1)
"""Calls that lie so far apart cannot be taken for each other, even where only time tells."""

FATES = ("right", "right", "removed", "changed", "doubled", "open")
KNOWN_BY = ("reference", "key", "time")


def call(
    number: int, *, reference: str | None, cost: int | None = 3000, state: CostState = "actual", due: bool = True
) -> Call:
    return Call(
        id=UUID(int=number), connection="fal" if number % 3 else "fal-2", reference=reference,
        client_key=f"key-{number}",
        at=BEGIN + number * APART, model=f"model-{number % 2}", cost_micro_usd=cost,
        cost_state=state, due=due,
    )  # fmt: skip


def found(lines: list[Line], calls: list[Call], **how: float) -> tuple[Matching, set[tuple[str, object]]]:
    """Everything that is wrong, as (kind, call's number or line's reference and moment)."""
    matching = Matching(**how)
    for line in lines:
        matching.line(line)
    drift = [wrong for one in calls if (wrong := matching.call(one)) is not None]
    drift += matching.end()
    names: list[tuple[str, object]] = []
    for one in drift:
        if isinstance(one, Phantom):
            names.append((one.why, (one.line.reference, one.line.at)))
        else:
            names.append(("missing" if isinstance(one, Missing) else "priced", one.call.id.int))
    assert len(names) == len(set(names)), "said twice"
    return matching, set(names)


jobs = st.lists(
    st.tuples(st.sampled_from(FATES), st.sampled_from(KNOWN_BY), st.integers(0, 50_000), st.integers(2, 10_000)),
    max_size=40,
)


@given(jobs, st.lists(st.integers(0, 40), max_size=6, unique=True), st.randoms(use_true_random=False))
def test_seeded_drift_is_found_completely_and_nothing_else(
    truth: list[tuple[str, str, int, int]], strangers: list[int], shuffled: random.Random
) -> None:
    calls, lines, expected = [], [], set()
    for number, (fate, known_by, cost, more) in enumerate(truth):
        reference = f"job-{number}" if known_by == "reference" or fate == "doubled" else None
        ours = call(number, reference=reference, cost=cost, due=fate != "open")
        line = Line(
            reference, ours.at + timedelta(seconds=number), cost, model=ours.model,
            client_key=ours.client_key if known_by == "key" else None,
        )  # fmt: skip
        calls.append(ours)
        if fate == "changed":
            line = Line(reference, line.at, cost + more, line.model, line.client_key)
            expected.add(("priced", number))
        if fate == "removed":
            expected.add(("missing", number))
        elif fate != "open":
            lines.append(line)
        if fate == "doubled":
            again = Line(reference, line.at + timedelta(seconds=1), cost, line.model, line.client_key)
            lines.append(again)
    for number in strangers:  # of jobs that nobody here asked for
        stranger = Line(f"stranger-{number}", BEGIN - (number + 2) * APART, 7, model="model-0")
        lines.append(stranger)
        expected.add(("unknown", (stranger.reference, stranger.at)))
    shuffled.shuffle(lines)
    shuffled.shuffle(calls)
    matching, names = found(lines, calls)
    doubled = {name for name in names if name[0] == "twice"}
    assert names - doubled == expected
    assert sorted(str(where[0]) for _, where in doubled) == sorted(  # type: ignore[index]
        f"job-{number}" for number, (fate, *_) in enumerate(truth) if fate == "doubled"
    )
    assert sum(day.lines for day in matching.days.values()) == len(lines)
    assert sum(day.theirs_micro_usd for day in matching.days.values()) == sum(line.cost_micro_usd for line in lines)
    assert sum(day.calls for day in matching.days.values()) == len(calls)


@given(st.integers(0, 12), st.integers(0, 12), st.randoms(use_true_random=False))
def test_calls_that_came_at_once_are_counted_right_however_close(
    ours: int, theirs: int, shuffled: random.Random
) -> None:
    """Which one is missing cannot be known where nothing but the time tells; how many are, can."""
    calls = [
        Call(UUID(int=n), "openai", None, f"key-{n}", BEGIN + timedelta(seconds=n), "gpt", 100 + n % 3, "actual")
        for n in range(ours)
    ]
    lines = [Line(f"chatcmpl-{n}", BEGIN + timedelta(seconds=n + 1), 100 + n % 3, "gpt") for n in range(theirs)]
    shuffled.shuffle(lines)
    _, names = found(lines, calls)
    kinds = [kind for kind, _ in names]
    assert kinds.count("missing") == max(0, ours - theirs) and kinds.count("unknown") == max(0, theirs - ours)
    assert "priced" not in kinds


def test_what_may_differ_and_what_may_not() -> None:
    estimated = call(1, reference="a", cost=1000, state="estimated")
    assert found([Line("a", estimated.at, 1040)], [estimated], tolerance=0.05)[1] == set()
    assert found([Line("a", estimated.at, 1100)], [estimated], tolerance=0.05)[1] == {("priced", 1)}
    assert found([Line("a", estimated.at, 1001)], [estimated])[1] == set(), "a micro-dollar is rounding"
    assert found([Line("a", estimated.at, 0, settled=False)], [estimated])[1] == set(), "it may cost something yet"
    unknown = call(1, reference="a", cost=None, state="unknown")
    matching, names = found([Line("a", unknown.at, 1040)], [unknown])
    assert names == set() and next(iter(matching.days.values())).unknown == 1
    uncertain = call(1, reference=None, cost=1000, state="estimated", due=False)
    for billed in (0, 1000):
        assert found([Line("x", uncertain.at, billed)], [uncertain])[1] == set(), "it may have been taken"
    refused = call(1, reference="a", cost=0, state="estimated", due=False)
    assert found([], [refused])[1] == set()
    assert found([Line("a", refused.at, 500)], [refused])[1] == {("priced", 1)}
    failed = replace(uncertain, failed=True)
    for billed, wrong in ((0, 0), (1000, 0), (999, 1)):
        assert len(found([Line("x", failed.at, billed)], [failed])[1]) == wrong, "a stranger's job at the same time"
    outside = replace(refused, listed=False, cost_micro_usd=9)
    assert found([Line("a", outside.at, 500)], [outside])[1] == set(), "another day's comparison tells that"
    assert found([Line("z", outside.at, 500, listed=False)], [])[1] == set()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "columns"),
        ("reference,cost\n", "cost_usd and at is missing"),
        ("at,cost_usd\n2026-11-21T10:00:00Z,$1", "Line 2"),
        ("at,cost_usd\n2026-11-21T10:00:00Z,-1", "Line 2"),
        ("at,cost_usd\n\n2026-11-21T10:00:00Z,nan", "Line 3"),
        ("at,cost_usd\nyesterday,1", "“yesterday” is no time"),
    ],
)
def test_a_bill_that_cannot_be_read_says_where(text: str, wrong: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        list(table(iter([line.split(",") if line else [] for line in text.split("\n")] if text else [])))
    assert wrong in caught.value.detail


def test_a_bill_is_read_as_it_stands() -> None:
    rows = [
        ["At", " cost_usd ", "reference", "webhook", "status", "more"],
        ["2026-11-21T10:00:00", "0.0031", "job-1", "https://x.example/api/webhooks/fal?call=abc", "done", "?"],
        ["2026-11-21T12:00:00+02:00", "0", "", "", "RUNNING"],
        [],
    ]
    at = datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert list(table(iter(rows))) == [
        Line("job-1", at, 3100, client_key="abc"), Line(None, at, 0, settled=False),
    ]  # fmt: skip
