"""Months as people count them: the anchor's day, or the month's last."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gesso.billing.periods import period_at

moments = st.integers(946_684_800, 4_102_444_800).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)  # 2000 … 2100
spans = st.timedeltas(timedelta(0), timedelta(days=3000))


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("anchor", "at", "start", "end"),
    [
        ("2026-01-31T10:00", "2026-01-31T10:00", "2026-01-31T10:00", "2026-02-28T10:00"),
        ("2026-01-31T10:00", "2026-02-28T09:59", "2026-01-31T10:00", "2026-02-28T10:00"),
        ("2026-01-31T10:00", "2026-02-28T10:00", "2026-02-28T10:00", "2026-03-31T10:00"),
        ("2026-01-31T10:00", "2026-04-30T12:00", "2026-04-30T10:00", "2026-05-31T10:00"),
        ("2027-12-31T00:00", "2028-02-29T00:00", "2028-02-29T00:00", "2028-03-31T00:00"),
        ("2028-02-29T08:00", "2029-02-28T08:00", "2029-02-28T08:00", "2029-03-29T08:00"),
        ("2026-05-15T00:00", "2026-12-31T23:59", "2026-12-15T00:00", "2027-01-15T00:00"),
    ],
)
def test_known_months(anchor: str, at: str, start: str, end: str) -> None:
    period = period_at(day(anchor), day(at))
    assert (period.start, period.end) == (day(start), day(end))


@given(anchor=moments, span=spans)
def test_periods_follow_each_other_without_gap_or_overlap(anchor: datetime, span: timedelta) -> None:
    at = anchor + span
    period = period_at(anchor, at)
    assert period.start <= at < period.end
    assert timedelta(days=28) <= period.end - period.start <= timedelta(days=31)
    following = period_at(anchor, period.end)
    assert following.start == period.end
    assert period_at(anchor, period.end - timedelta(microseconds=1)) == period


@given(anchor=moments, span=spans)
def test_the_anchors_day_and_time_are_kept(anchor: datetime, span: timedelta) -> None:
    start = period_at(anchor, anchor + span).start
    assert start.timetz() == anchor.timetz()
    assert start.day == min(anchor.day, monthrange(start.year, start.month)[1])


@given(anchor=moments, back=spans)
def test_before_the_anchor_is_its_first_month(anchor: datetime, back: timedelta) -> None:
    assert period_at(anchor, anchor - back) == period_at(anchor, anchor)
