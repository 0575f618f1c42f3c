"""The gallery as a page sees it: days, tiles, filters and the words on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import Literal
from uuid import UUID

from gesso.db import WorkspaceSession
from gesso.db.paging import encode_cursor
from gesso.media import repository
from gesso.media.inputs import filters_of, query_of
from gesso.media.models import Asset, Filters, Usage
from gesso.media.views import Day, day_title, tile
from gesso.web.render import bytes_text

PAGE = 60
RowHeight = Literal["small", "medium", "large"]
ROW_HEIGHTS: tuple[RowHeight, ...] = ("small", "medium", "large")


@dataclass(frozen=True, slots=True)
class Choice:
    """A line of a filter's menu."""

    label: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """The filter bar. `kept` are the other filters a form must carry along; `since` and `until` fill its dates."""

    q: str
    model: str
    models: tuple[Choice, ...]
    period: str
    periods: tuple[Choice, ...]
    since: str
    until: str
    favourite: bool
    favourite_href: str
    clear_href: str
    kept: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Wall:
    """One page of the gallery. `continues` is the day the page before ended with, which needs no new heading."""

    days: tuple[Day, ...]
    next_href: str
    continues: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address of the gallery asks for, read once."""

    query: Mapping[str, str]
    zone: tzinfo
    today: date

    @property
    def filters(self) -> Filters:
        return filters_of(self.query, self.zone)

    @property
    def filtered(self) -> bool:
        return self.filters != Filters()


async def wall(tx: WorkspaceSession, asked: Asked, before: UUID | None, continues: str) -> Wall:
    """A page of pictures by day, newest first."""
    found, following = await repository.page(tx, asked.filters, before=before, limit=PAGE)
    days = await _days(tx, asked, found)
    href = ""
    if following:
        changes = {"cursor": encode_cursor(following), "day": days[-1].key}
        href = f"/gallery{query_of(asked.query, **changes)}"
    return Wall(days, href, continues if days and days[0].key == continues else "")


async def _days(tx: WorkspaceSession, asked: Asked, found: Sequence[Asset]) -> tuple[Day, ...]:
    query = query_of(asked.query)
    by_day = [
        (day, tuple(tile(asset, query) for asset in assets))
        for day, assets in groupby(found, key=lambda asset: asset.made_at.astimezone(asked.zone).date())
    ]
    counts = [""] * len(by_day)
    if not asked.filters.q:
        spans = [_span(day, asked.zone) for day, _ in by_day]
        counts = [counted(count) for count in await repository.counts(tx, asked.filters, spans)]
    return tuple(
        Day(key=day.isoformat(), title=day_title(day, asked.today), count=count, tiles=tiles)
        for (day, tiles), count in zip(by_day, counts, strict=True)
    )


def _span(day: date, zone: tzinfo) -> Filters:
    start, end = (datetime(d.year, d.month, d.day, tzinfo=zone) for d in (day, day + timedelta(days=1)))
    return Filters(since=start, until=end)


def counted(count: int) -> str:
    """A number of pictures as far as it was counted: "37", "999+"."""
    return f"{count:,}" if count < repository.COUNT_LIMIT else f"{repository.COUNT_LIMIT - 1}+"


def bar(asked: Asked, models: Sequence[tuple[str, str]]) -> Bar:
    """The filter bar for what is asked, offering `models` (key, name)."""
    query, filters = asked.query, asked.filters
    names = dict(models)
    periods = _periods(asked)
    period = next((one.label for one in periods[1:] if one.current), "")
    dated = filters.since or filters.until
    return Bar(
        q=filters.q,
        model=names.get(filters.model, filters.model) if filters.model else "",
        models=(
            Choice("All models", f"/gallery{query_of(query, model=None)}", filters.model is None),
            *(Choice(name, f"/gallery{query_of(query, model=key)}", key == filters.model) for key, name in models),
        ),
        period=period or ("Chosen dates" if dated else ""),
        periods=periods,
        since=query.get("from", "") if filters.since else "",
        until=query.get("to", "") if filters.until else "",
        favourite=filters.favourite,
        favourite_href=f"/gallery{query_of(query, favourite=None if filters.favourite else '1')}",
        clear_href="/gallery" if asked.filtered else "",
        kept=tuple((name, query[name]) for name in ("model", "favourite", "from", "to") if query.get(name)),
    )


def _periods(asked: Asked) -> tuple[Choice, ...]:
    query, today = asked.query, asked.today
    offers = (
        ("Any time", None),
        ("Today", today),
        ("Last 7 days", today - timedelta(days=6)),
        ("Last 30 days", today - timedelta(days=29)),
        ("This year", today.replace(month=1, day=1)),
    )
    choices = []
    for label, since in offers:
        text = since.isoformat() if since else None
        current = (query.get("from") or None) == text and not query.get("to")
        choices.append(Choice(label, f"/gallery{query_of(query, from_=text, to=None)}", current))
    return tuple(choices)


def summary(usage: Usage) -> str:
    """ "2,418 pictures · 3.2 GB", under the heading."""
    parts = [_many(usage.pictures, "picture")]
    if usage.videos:
        parts.append(_many(usage.videos, "video"))
    return " · ".join([*parts, bytes_text(usage.bytes)])


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def row_height(text: str | None) -> RowHeight:
    """A known row height; medium for anything else."""
    return text if text in ROW_HEIGHTS else "medium"


def place(around_position: int | None, total: int | None, usage: Usage, filters: Filters) -> str:
    """ "5 of 37" for the lightbox, as far as it was counted; the workspace's total where nothing filters."""
    if around_position is None:
        return ""
    if total is None and replace(filters, source="generated") == Filters():
        total = usage.pictures + usage.videos
    return f"{around_position:,} of {total:,}" if total else f"{around_position:,}"
