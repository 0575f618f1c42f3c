"""The days a dashboard looks at. Pure.

Days, weeks (from Monday) and months are the site's: a workspace may have members in many places, who are to read the
same figures.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Step = Literal["day", "week", "month"]

RANGES = {7: "7 days", 30: "30 days", 90: "90 days", 365: "12 months"}
STEPS: dict[int, tuple[Step, ...]] = {
    7: ("day",), 30: ("day", "week"), 90: ("day", "week", "month"), 365: ("week", "month"),
}  # fmt: skip
"""How each may be divided, so that a drawing has 3 to 90 columns."""
_USUAL: dict[int, Step] = {7: "day", 30: "day", 90: "week", 365: "month"}


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` (a midnight of `zone`) to `end` (now), and as many days before it, from `before` on."""

    days: int
    step: Step
    before: datetime
    start: datetime
    end: datetime

    @classmethod
    def of(cls, days: int, now: datetime, zone: ZoneInfo, step: str | None = None) -> "Period":
        """One of `RANGES`; a `step` that does not go with it gives way to the usual one."""
        end = now.astimezone(zone)
        today = end.replace(hour=0, minute=0, second=0, microsecond=0)
        if days == 365:  # twelve months, this one included
            start = _months_before(today, 11)
            before = _months_before(start, 12)
        else:
            start = today - timedelta(days=days - 1)
            before = start - timedelta(days=days)
        found = next((one for one in STEPS[days] if one == step), _USUAL[days])
        return cls(days, found, before, start, end)

    @property
    def words(self) -> str:
        """ "30 days"."""
        return RANGES[self.days]

    def steps(self) -> list[datetime]:
        """The start of every day, week (Monday) or month; the first begins with the period."""
        found = [self.start]
        while (following := _next(found[-1], self.step)) <= self.end:
            found.append(following)
        return found

    def name(self, start: datetime) -> str:
        """What the step that begins at `start` is called: "5 May", "5–11 May", "May 2026"."""
        if self.step == "month":
            return f"{start:%b %Y}"
        if self.step == "day":
            return day_words(start)
        last = min(_next(start, "week") - timedelta(days=1), self.end)
        if last.date() == start.date():
            return day_words(start)
        return f"{start.day if start.month == last.month else day_words(start)}–{day_words(last)}"


def day_words(moment: date) -> str:
    """ "5 May"."""
    return f"{moment.day} {moment:%b}"


def _next(start: datetime, step: Step) -> datetime:
    if step == "day":
        return start + timedelta(days=1)
    if step == "week":
        return start + timedelta(days=7 - start.weekday())
    return (start.replace(day=1) + timedelta(days=32)).replace(day=1)


def _months_before(moment: datetime, months: int) -> datetime:
    years, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    return moment.replace(year=years, month=month + 1, day=1)
