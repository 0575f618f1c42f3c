"""Jumping to a date: the months that can be reached, as a calendar and as the ticks of the scrubber."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from itertools import groupby

from gesso.db import WorkspaceSession
from gesso.media import repository
from gesso.media.inputs import query_of
from gesso.media.models import Filters

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the calendar. `href` is "" when nothing was made in it; `made` is how much, filters aside."""

    key: str
    name: str
    words: str
    href: str
    made: int


@dataclass(frozen=True, slots=True)
class Year:
    """All twelve months of a year."""

    year: int
    months: tuple[Month, ...]


async def matching(
    tx: WorkspaceSession, months: Sequence[tuple[date, int]], filters: Filters, zone: tzinfo
) -> Sequence[tuple[date, int]]:
    """The `months` in which something matches `filters`. A text search leaves them all: it is not counted."""
    if filters == Filters() or filters.q or not months:
        return months
    spans = [Filters(since=_start(month, zone), until=_start(_after(month), zone)) for month, _ in months]
    counts = await repository.counts(tx, filters, spans, up_to=1)
    return [month for month, count in zip(months, counts, strict=True) if count]


def calendar(months: Sequence[tuple[date, int]], query: dict[str, str]) -> tuple[Year, ...]:
    """Years with their months, newest first; months link into the gallery with the filters of `query`."""
    years = []
    for year, found in groupby(months, key=lambda month: month[0].year):
        made = {month.month: count for month, count in found}
        cells = (_month(date(year, number, 1), made.get(number, 0), query) for number in range(1, 13))
        years.append(Year(year, tuple(cells)))
    return tuple(years)


def _month(month: date, made: int, query: dict[str, str]) -> Month:
    key = f"{month:%Y-%m}"
    href = f"/gallery{query_of(query, at=key)}" if made else ""
    return Month(key, _NAMES[month.month - 1], f"{month:%B} {month.year}", href, made)


def _after(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _start(month: date, zone: tzinfo) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=zone)
