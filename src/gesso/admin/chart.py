"""A day of a connection as bars, drawn on the server. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gesso.calls.history import HOUR, Hour

WIDTH, HEIGHT, FOOT = 400, 96, 18
BARS = 24


@dataclass(frozen=True, slots=True)
class Bar:
    """An hour: its succeeded calls from the ground up, the others on top. Heights in pixels of the drawing."""

    x: float
    width: float
    ok: float
    bad: float
    words: str


@dataclass(frozen=True, slots=True)
class HealthChart:
    """Everything a template needs."""

    width: int
    height: int
    ground: int
    bars: tuple[Bar, ...]
    labels: tuple[tuple[float, str], ...]
    most: int
    summary: str


def health_chart(hours: Sequence[Hour], now: datetime) -> HealthChart:
    """The last 24 hours, the running one included, by UTC hour."""
    end = now.replace(minute=0, second=0, microsecond=0)
    by_hour = {hour.hour: hour for hour in hours}
    starts = [end - HOUR * back for back in range(BARS - 1, -1, -1)]
    most = max((hour.calls for hour in hours), default=0)
    ground, step = HEIGHT - FOOT, WIDTH / BARS
    bars = tuple(
        _bar(by_hour.get(start), start, round(place * step, 1), round(step - 3, 1), (ground - 6) / most if most else 0)
        for place, start in enumerate(starts)
    )
    calls = sum(hour.calls for hour in hours)
    failed = sum(hour.calls - hour.succeeded for hour in hours)
    return HealthChart(
        WIDTH, HEIGHT, ground, bars,
        tuple((round(place * step, 1), f"{starts[place]:%H:%M}") for place in (0, 6, 12, 18)),
        most, f"Calls by hour over a day: {calls:,}, of them {failed:,} without a result",
    )  # fmt: skip


def _bar(hour: Hour | None, start: datetime, x: float, width: float, scale: float) -> Bar:
    span = f"{start:%H:%M}–{start + timedelta(hours=1):%H:%M} UTC"
    if hour is None:
        return Bar(x, width, 0, 0, f"{span}: no calls")
    bad = hour.calls - hour.succeeded
    kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(hour.failures.items()))
    words = (
        f"{span}: {hour.succeeded:,} delivered" + (f", {bad:,} not" if bad else "") + (f" ({kinds})" if kinds else "")
    )
    return Bar(x, width, round(hour.succeeded * scale, 1), round(bad * scale, 1), words)
