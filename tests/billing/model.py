"""A plan's months once more, in plain Python: one workspace, no database, written from semantics.md and decision 0015.

It finds renewals by walking through the calendar day by day, and keeps every grant as a pile with an end. It shares no
code with the product.
"""

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

DAY = timedelta(days=1)


def next_renewal(anchor: datetime, at: datetime) -> datetime:
    """The first moment after both with the anchor's time, on its day of the month or a shorter month's last."""
    anchor, at = anchor.astimezone(UTC), at.astimezone(UTC)
    day = max(anchor, at).date()
    while True:
        last = monthrange(day.year, day.month)[1]
        moment = datetime.combine(day, anchor.timetz())
        if day.day == min(anchor.day, last) and moment > at and moment > anchor:
            return moment
        day += DAY


def last_renewal(anchor: datetime, at: datetime) -> datetime:
    """When the month that `at` lies in began."""
    found = moment = anchor.astimezone(UTC)
    while moment <= at:
        found, moment = moment, next_renewal(anchor, moment)
    return found


@dataclass
class Pile:
    """Something that was given. `end` None: for good."""

    unit: str
    left: int
    end: datetime | None
    monthly: bool


@dataclass
class Model:
    """One workspace. `offers`: by plan, what a month gives of each unit; `free` plans need no payment."""

    offers: dict[str, dict[str, int]]
    free: set[str]
    plan: str
    anchor: datetime
    paid_until: datetime | None = None
    month_end: datetime | None = None
    given: dict[str, int] = field(default_factory=dict)
    coming: tuple[str, datetime] | None = None
    piles: list[Pile] = field(default_factory=list)
    granted: int = 0

    def _month(self, now: datetime) -> None:
        """Make the month that `now` lies in the current one, and fill it up."""
        start, end = last_renewal(self.anchor, now), next_renewal(self.anchor, now)
        if self.paid_until is not None and self.paid_until <= start:
            return
        if self.month_end is None or self.month_end <= now:
            self.given = {}
        for pile in self.piles:
            if pile.monthly and pile.end is not None and pile.end > now:
                pile.end = end
        self.month_end = end
        for unit, most in self.offers[self.plan].items():
            more = most - self.given.get(unit, 0)
            if more > 0:
                self.piles.append(Pile(unit, more, end, monthly=True))
                self.given[unit] = most
                self.granted += 1

    def clock(self, now: datetime) -> None:
        if self.coming is not None and self.coming[1] <= now:
            self.plan, self.coming = self.coming[0], None
            if self.plan in self.free:
                self.paid_until = None
            self._month(now)
        elif self.month_end is None or self.month_end <= now:
            self._month(now)

    def change(self, to: str, now: datetime, anchor: datetime | None, paid_until: datetime | None) -> None:
        if self.coming is not None and (self.coming[1] <= now or to != self.plan):
            self.coming = None
        other = to != self.plan or (anchor is not None and anchor != self.anchor)
        self.plan, self.anchor, self.paid_until = to, anchor or self.anchor, paid_until
        if other or self.month_end is None or self.month_end <= now:
            self._month(now)

    def later(self, to: str, at: datetime) -> None:
        self.coming = (to, at)

    def keep(self) -> None:
        self.coming = None

    def left(self, unit: str, now: datetime) -> int:
        return sum(pile.left for pile in self._live(unit, now))

    def spend(self, unit: str, uses: int, credits: int, now: datetime) -> bool:
        """Output by output: the allowance while there is any, then credits. All or nothing."""
        by_allowance = min(uses, self.left(unit, now))
        owed = (uses - by_allowance) * credits
        if owed > self.left("credit", now):
            return False
        self._take(unit, by_allowance, now)
        self._take("credit", owed, now)
        return True

    def _live(self, unit: str, now: datetime) -> list[Pile]:
        live = [pile for pile in self.piles if pile.unit == unit and (pile.end is None or pile.end > now)]
        return sorted(live, key=lambda pile: (pile.end is None, pile.end))

    def _take(self, unit: str, amount: int, now: datetime) -> None:
        for pile in self._live(unit, now):
            taken = min(pile.left, amount)
            pile.left -= taken
            amount -= taken
        assert amount == 0
