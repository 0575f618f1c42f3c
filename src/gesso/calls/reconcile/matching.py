"""Which line of a provider's bill belongs to which of our calls. Pure.

A line and a call belong together when they name the same job (`reference`), or else the same `client_key`. Where one
of them names no job (an answer that came at once has none), they may belong together when they are of one model and
lie close in time: first those of equal price, then the rest, oldest first. Each line belongs to one call at most, so a
job that is billed twice leaves a line over.

Feed all lines first, then all calls, in any order: `Matching.line`, `Matching.call`, `Matching.end`. In memory are
the lines, and of the calls only those that have found no line of theirs.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from gesso.calls.attempts import CostState

BEFORE, AFTER = timedelta(minutes=1), timedelta(minutes=15)
"""How far from the beginning of a call its line may lie when only time and model tell that they belong together."""

Why = Literal["unknown", "twice"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a bill: one job. `model`: as the provider calls it. `settled`: its price will not change any more.

    `listed`: it lies in the time that is looked at; others only explain calls near its edges.
    """

    reference: str | None
    at: datetime
    cost_micro_usd: int
    model: str | None = None
    client_key: str | None = None
    settled: bool = True
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """One of our calls. `due`: it must be on the bill; one whose end is not known, or that failed, may be. `failed`:
    where only time tells, it explains no more than a line that costs nothing, or exactly what we noted.

    `listed`: it lies in the time that is looked at; others only explain lines near its edges.
    """

    id: UUID
    connection: str
    reference: str | None
    client_key: str
    at: datetime
    model: str
    cost_micro_usd: int | None
    cost_state: CostState
    due: bool = True
    failed: bool = False
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Missing:
    """We have it, they do not."""

    call: Call


@dataclass(frozen=True, slots=True)
class Phantom:
    """They have it, we do not; or they have it twice."""

    line: Line
    why: Why


@dataclass(frozen=True, slots=True)
class Priced:
    """Both have it, with different prices."""

    call: Call
    line: Line


Drift = Missing | Phantom | Priced


@dataclass(slots=True)
class Day:
    """Sums of one connection on one day (UTC). `unknown`: calls whose cost we were never told nor could estimate.

    What nobody here asked for belongs to no connection, and stands under its day with the connection "".
    """

    calls: int = 0
    lines: int = 0
    ours_micro_usd: int = 0
    theirs_micro_usd: int = 0
    unknown: int = 0


@dataclass
class Matching:
    """One comparison. `tolerance`: the share by which prices may differ, such as 0.05; a micro-dollar always may."""

    tolerance: float = 0.0
    days: dict[tuple[str, date], Day] = field(default_factory=lambda: defaultdict(Day))
    _lines: list[Line] = field(default_factory=list)
    _taken: bytearray = field(default_factory=bytearray)
    _by_reference: dict[str, list[int]] = field(default_factory=dict)
    _by_key: dict[str, list[int]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _open: list[Call] = field(default_factory=list)

    def line(self, line: Line) -> None:
        """Take a line of the bill."""
        number = len(self._lines)
        self._lines.append(line)
        self._taken.append(0)
        if line.reference is not None:
            self._by_reference.setdefault(line.reference, []).append(number)
        if line.client_key is not None:
            self._by_key.setdefault(line.client_key, []).append(number)

    def call(self, call: Call) -> Priced | None:
        """Take a call of ours, after all lines; what is wrong with its price."""
        if call.reference is not None:
            self._seen.add(call.reference)
        self._count(call)
        number = self._named(call)
        if number is None:
            self._open.append(call)
            return None
        return self._pair(call, number)

    def end(self) -> Iterator[Drift]:
        """After all calls: what only time and model bring together, then what is missing, then what is left over."""
        for call, number in self._by_time():
            wrong = self._pair(call, number)
            if wrong is not None:
                yield wrong
        for call in self._open:
            if call.due and call.listed:
                yield Missing(call)
        for number, line in enumerate(self._lines):
            if not self._taken[number] and line.listed:
                self._bill("", line)
                yield Phantom(line, "twice" if line.reference in self._seen else "unknown")

    def _named(self, call: Call) -> int | None:
        """The first free line that names this call. One that names another job is another job's."""
        for number in self._by_reference.get(call.reference or "", ()):
            if not self._taken[number]:
                return number
        for number in self._by_key.get(call.client_key, ()):
            foreign = call.reference is not None and self._lines[number].reference not in (None, call.reference)
            if not self._taken[number] and not foreign:
                return number
        return None

    def _pair(self, call: Call, number: int) -> Priced | None:
        line = self._lines[number]
        self._taken[number] = 1
        self._bill(call.connection if call.listed else None, line)
        if not line.settled or call.cost_micro_usd is None or not call.listed:
            return None
        if not call.due and call.cost_state == "estimated" and line.cost_micro_usd <= call.cost_micro_usd:
            return None  # it may have cost so much, and we said so
        allowed = max(1, int(max(call.cost_micro_usd, line.cost_micro_usd) * self.tolerance))
        return Priced(call, line) if abs(call.cost_micro_usd - line.cost_micro_usd) > allowed else None

    def _by_time(self) -> Iterator[tuple[Call, int]]:
        """Calls and lines of which one names no job, brought together by model and time; those calls are closed."""
        free = [number for number, taken in enumerate(self._taken) if not taken]
        closed: set[UUID] = set()
        for equal_price in (True, False):
            groups: dict[tuple[str | None, int | None], tuple[list[Call], list[int]]] = {}
            models = all(self._lines[number].model is not None for number in free)
            for call in self._open:
                if call.id not in closed:
                    key = (call.model if models else None, call.cost_micro_usd if equal_price else None)
                    groups.setdefault(key, ([], []))[0].append(call)
            for number in free:
                line = self._lines[number]
                key = (line.model if models else None, line.cost_micro_usd if equal_price else None)
                if not self._taken[number] and key in groups:
                    groups[key][1].append(number)
            for calls, numbers in groups.values():
                for call, number in self._close(calls, numbers):
                    closed.add(call.id)
                    yield call, number
        self._open = [call for call in self._open if call.id not in closed]

    def _close(self, calls: Sequence[Call], numbers: Iterable[int]) -> Iterator[tuple[Call, int]]:
        """Pairs close in time. Lines oldest first, each with the oldest call that still may be its own."""
        waiting = deque(sorted(calls, key=lambda call: (call.at, call.id)))
        for number in sorted(numbers, key=lambda number: self._lines[number].at):
            line = self._lines[number]
            while waiting and line.at > waiting[0].at + AFTER:
                waiting.popleft()
            for place, call in enumerate(waiting):
                if line.at < call.at - BEFORE:
                    break
                if _may_be(call, line):
                    del waiting[place]
                    yield call, number
                    break

    def _count(self, call: Call) -> None:
        if call.listed:
            day = self.days[call.connection, call.at.date()]
            day.calls += 1
            day.ours_micro_usd += call.cost_micro_usd or 0
            day.unknown += call.cost_micro_usd is None

    def _bill(self, connection: str | None, line: Line) -> None:
        if connection is not None:
            day = self.days[connection, line.at.date()]
            day.lines += 1
            day.theirs_micro_usd += line.cost_micro_usd


def _may_be(call: Call, line: Line) -> bool:
    """Whether a line that lies close enough may belong to a call."""
    told = call.reference is None or line.reference is None
    return told and (not call.failed or line.cost_micro_usd in (0, call.cost_micro_usd))
