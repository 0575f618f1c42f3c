"""Charts as SVG, drawn on the server: they are there without a script, and the policy needs no exception. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, floor, log10


@dataclass(frozen=True, slots=True)
class Column:
    """What stands at one place of the axis. `label` names it ("5 May"), `words` say its sum ("176 credits"); `parts`
    are its values, `part_words` what each is called there ("Videos 12"), one for each kind, 0 and "" for none."""

    label: str
    words: str
    parts: tuple[float, ...]
    part_words: tuple[str, ...]

    @property
    def value(self) -> float:
        """The sum."""
        return sum(self.parts)


@dataclass(frozen=True, slots=True)
class Piece:
    """One colour of a column: the outline to fill, and which colour."""

    path: str
    number: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line of words in a sign. `number` is the colour of its dot, None for none."""

    y: float
    text: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Sign:
    """What is shown for a column while the pointer is on its band, or keys have chosen it; `said` is the same aloud."""

    band_x: float
    band_width: float
    x: float
    y: float
    width: float
    height: float
    lines: tuple[Line, ...]
    said: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A line or label of an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything a template needs to draw columns of several colours."""

    width: int
    height: int
    left: float
    bottom: float
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    pieces: tuple[Piece, ...]
    signs: tuple[Sign, ...]


_TOP, _RIGHT, _FOOT = 14, 6, 24
_WIDEST, _SHARE = 36.0, 0.7
"""A column is at most so wide, and takes at most this share of its place."""
_GAP, _ROUND, _LETTER = 1.5, 4.0, 6.3


def columns_chart(
    columns: Sequence[Column], numbers: Sequence[int], *, width: int, height: int, labels: int, whole: bool
) -> Chart:
    """At least one column, about `labels` of them named below. `numbers` are the colours of the parts, lowest first.

    `whole`: what is counted comes in whole numbers only, so does the axis.
    """
    top = nice_ceiling(max(column.value for column in columns), whole=whole)
    rows = [top * part / 4 for part in range(5)]
    left = 16 + _LETTER * max(len(_number(value)) for value in rows)
    bottom, place = height - _FOOT, (width - left - _RIGHT) / len(columns)
    thick = min(_WIDEST, place * _SHARE)

    def y(value: float) -> float:
        return round(bottom - (bottom - _TOP) * value / top, 1)

    pieces: list[Piece] = []
    signs: list[Sign] = []
    for index, column in enumerate(columns):
        begin = left + index * place
        x = begin + (place - thick) / 2
        ends = [y(value) for value in accumulate(column.parts, initial=0.0)]
        filled = [number for number, part in enumerate(column.parts) if part > 0]
        pieces += [
            Piece(_outline(x, ends[part], ends[part + 1], thick, top=part == filled[-1]), numbers[part])
            for part in filled
        ]
        signs.append(_sign(column, numbers, begin, place, (x, thick), ends[-1], width, bottom))
    every = max(1, ceil(len(columns) / labels))
    return Chart(
        width=width, height=height, left=round(left, 1), bottom=bottom,
        rows=tuple(Tick(y(value), _number(value)) for value in rows),
        columns=tuple(
            Tick(round(left + (index + 0.5) * place, 1), columns[index].label)
            for index in range((len(columns) - 1) % every, len(columns), every)  # the last one always has its name
        ),
        pieces=tuple(pieces), signs=tuple(signs),
    )  # fmt: skip


def _outline(x: float, low: float, high: float, thick: float, *, top: bool) -> str:
    """From `low` up to `high` (both measured from above): rounded when it is the topmost, else a gap above it."""
    x, width = round(x, 1), round(thick, 1)
    if not top:
        return f"M{x},{low}h{width}V{min(round(high + _GAP, 1), low)}h-{width}Z"
    high = min(high, round(low - 1, 1))  # what is there is seen
    bend = round(min(_ROUND, thick / 2, low - high), 1)
    return (
        f"M{x},{low}V{round(high + bend, 1)}q0,-{bend} {bend},-{bend}h{round(width - 2 * bend, 1)}"
        f"q{bend},0 {bend},{bend}V{low}Z"
    )


def _sign(
    column: Column, numbers: Sequence[int], begin: float, place: float, bar: tuple[float, float], high: float,
    width: int, bottom: float,
) -> Sign:  # fmt: skip
    """Beside the column, on the side where there is more room."""
    parts = [(words, numbers[at]) for at, words in enumerate(column.part_words) if words]
    texts: list[tuple[str, int | None]] = [(column.label, None), (column.words, None)]
    texts += parts if len(parts) > 1 else []
    lines = tuple(Line(17 + 15 * at, text, number) for at, (text, number) in enumerate(texts))
    aloud = f" ({', '.join(words for words, _ in parts)})" if len(parts) > 1 else ""
    across = round(24 + max(_LETTER * len(text) + (12 if number else 0) for text, number in texts), 1)
    tall = 10 + 15 * len(lines)
    x, thick = bar
    beside = x + thick + 8 if x + thick / 2 < width / 2 else x - across - 8
    return Sign(
        band_x=round(begin, 1), band_width=round(place, 1),
        x=round(min(max(beside, 0), width - across), 1), y=round(min(max(high - 6, 0), bottom - tall - 4), 1),
        width=across, height=tall, lines=lines,
        said=f"{column.label}: {column.words}{aloud}",
    )  # fmt: skip


def nice_ceiling(value: float, *, whole: bool = True) -> float:
    """The next of …, 4, 8, 20, 40, 80, 200 … so that four equal steps have round numbers; at least 4 when `whole`."""
    if value <= (4 if whole else 0):
        return 4.0
    scale = 10.0 ** floor(log10(value / 4))
    found = next(step * scale * 4 for step in (1, 2, 5, 10) if step * scale * 4 >= value * (1 - 1e-9))
    return round(found, 9)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.6f}".rstrip("0")
