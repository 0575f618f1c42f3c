"""Charts as SVG, drawn on the server: they are there without a script, and the policy needs no exception. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10


@dataclass(frozen=True, slots=True)
class Point:
    """A value at its place. `label` names it ("5 May"), `words` say it ("176 credits")."""

    label: str
    words: str
    value: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A point on the drawing, with the band of width `band` around it that shows its words."""

    x: float
    y: float
    left: float
    band: float
    label: str
    words: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A line or label of an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything a template needs to draw a line with its area."""

    width: int
    height: int
    left: int
    bottom: float
    line: str
    area: str
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    summary: str


_LEFT, _TOP, _FOOT = 40, 14, 24


def line_chart(points: Sequence[Point], *, width: int, height: int, labels: int, what: str) -> Chart:
    """A chart of at least one point, `labels` of them named below. `what` begins the summary for screen readers."""
    top = nice_ceiling(max(point.value for point in points))
    bottom = height - _FOOT
    span = max(len(points) - 1, 1)
    step = (width - _LEFT - 6) / span

    def y(value: float) -> float:
        return round(bottom - (bottom - _TOP) * value / top, 1)

    marks = tuple(
        Mark(
            x=round(_LEFT + index * step, 1), y=y(point.value), left=round(_LEFT + (index - 0.5) * step, 1),
            band=round(step, 1), label=point.label, words=point.words,
        )
        for index, point in enumerate(points)
    )  # fmt: skip
    line = "M" + " ".join(f"{mark.x},{mark.y}" for mark in marks)
    every = max(1, ceil(len(points) / labels))
    highest = max(points, key=lambda point: point.value)
    return Chart(
        width=width, height=height, left=_LEFT, bottom=bottom, line=line,
        area=f"{line} L{marks[-1].x},{bottom} L{marks[0].x},{bottom} Z",
        rows=tuple(Tick(y(top * part / 4), _number(top * part / 4)) for part in range(5)),
        columns=tuple(Tick(mark.x, mark.label) for mark in marks[::every]),
        marks=marks,
        summary=f"{what}, highest {highest.words} on {highest.label}" if highest.value else f"{what}: none",
    )  # fmt: skip


def nice_ceiling(value: float) -> float:
    """The next of 4, 8, 20, 40, 80, 200 … so that four equal steps have round numbers."""
    if value <= 4:
        return 4.0
    scale = 10 ** floor(log10(value / 4))
    return float(next(step * scale * 4 for step in (1, 2, 5, 10) if step * scale * 4 >= value))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
