"""The gallery as a page sees it: days, tiles, filters and the words on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import Literal
from uuid import UUID

from gesso.db import WorkspaceSession
from gesso.db.paging import encode_cursor
from gesso.media import repository
from gesso.media.inputs import filters_of, query_of
from gesso.media.models import Around, Asset, Filters, Usage
from gesso.media.terms import Terms, opened
from gesso.media.views import Day, day_title, tile
from gesso.web.render import bytes_text
from gesso.web.wording import title, unit_words

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
    kind: str
    kinds: tuple[Choice, ...]
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
    """One page of the gallery.

    `newer_href` and `older_href` lead on in both directions, "" where nothing is. `continues` is the day the page
    before ended with, which needs no new heading; `goes_on` says that the page after goes on with this one's last.
    """

    days: tuple[Day, ...]
    newer_href: str
    older_href: str
    continues: str
    goes_on: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address of the gallery asks for, read once."""

    query: Mapping[str, str]
    zone: tzinfo
    today: date
    terms: Terms

    @property
    def filters(self) -> Filters:
        return filters_of(self.query, self.zone)

    @property
    def filtered(self) -> bool:
        return self.filters != Filters()

    def day_of(self, asset: Asset) -> date:
        """The reader's day on which a picture was made."""
        return asset.made_at.astimezone(self.zone).date()


async def wall(tx: WorkspaceSession, asked: Asked, before: UUID | None, continues: str) -> Wall:
    """A page of pictures by day, newest first: those older than `before`, or the newest.

    Away from the newest the way back up is a link, too.
    """
    # one more than is shown says whether the last day goes on
    found, _ = await repository.page(tx, asked.filters, before=before, limit=PAGE + 1)
    shown, rest = found[:PAGE], found[PAGE:]
    days = await _days(tx, asked, shown)
    older = ""
    if rest:
        older = f"/gallery{query_of(asked.query, cursor=encode_cursor(shown[-1].id), day=days[-1].key)}"
    newer = ""
    if before is not None and not continues:
        below = UUID(int=max(before.int - 1, 0))
        if (await repository.page_newer(tx, asked.filters, after=below, limit=1))[0]:
            newer = f"/gallery{query_of(asked.query, after=encode_cursor(below))}"
    goes_on = bool(rest) and asked.day_of(rest[0]) == asked.day_of(shown[-1])
    return Wall(days, newer, older, continues if days and days[0].key == continues else "", goes_on)


async def wall_above(tx: WorkspaceSession, asked: Asked, after: UUID) -> Wall:
    """The page that stands right above `after`: its pictures newest first, too, and the ways on."""
    found, following = await repository.page_newer(tx, asked.filters, after=after, limit=PAGE)
    shown = tuple(reversed(found))
    days = await _days(tx, asked, shown)
    newer = f"/gallery{query_of(asked.query, after=encode_cursor(following))}" if following else ""
    below = encode_cursor(UUID(int=min(after.int + 1, (1 << 128) - 1)))
    return Wall(days, newer, f"/gallery{query_of(asked.query, cursor=below)}", "", goes_on=False)


async def _days(tx: WorkspaceSession, asked: Asked, found: Sequence[Asset]) -> tuple[Day, ...]:
    query = query_of(asked.query)
    shown = [opened(asset, asked.terms) for asset in found]
    by_day = [(day, tuple(tile(asset, query) for asset in assets)) for day, assets in groupby(shown, key=asked.day_of)]
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


def _kind_names() -> dict[str, str]:
    return {"image": title("pictures"), "video": "Videos"}


def bar(asked: Asked, models: Sequence[tuple[str, str]], usage: Usage) -> Bar:
    """The filter bar for what is asked, offering `models` (key, name), and kinds where there are several."""
    query, filters = asked.query, asked.filters
    names = dict(models)
    periods = _periods(asked)
    period = next((one.label for one in periods[1:] if one.current), "")
    dated = filters.since or filters.until
    return Bar(
        q=filters.q,
        kind=_kind_names()[filters.kind] if filters.kind else "",
        kinds=_kinds(asked, usage),
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
        kept=tuple((name, query[name]) for name in ("kind", "model", "favourite", "from", "to") if query.get(name)),
    )


def _kinds(asked: Asked, usage: Usage) -> tuple[Choice, ...]:
    """Everything, pictures, videos: nothing to choose where there are no videos."""
    chosen = asked.filters.kind
    if not usage.videos and chosen is None:
        return ()
    query = asked.query
    return (
        Choice("Everything", f"/gallery{query_of(query, kind=None)}", chosen is None),
        *(
            Choice(words, f"/gallery{query_of(query, kind=kind)}", chosen == kind)
            for kind, words in _kind_names().items()
        ),
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
    parts = [unit_words("image", usage.pictures)]
    if usage.videos:
        parts.append(unit_words("video", usage.videos))
    return " · ".join([*parts, bytes_text(usage.bytes)])


def row_height(text: str | None) -> RowHeight:
    """A known row height; medium for anything else."""
    return text if text in ROW_HEIGHTS else "medium"


def place(around: Around) -> str:
    """ "5 of 37" for the lightbox, as far as it was counted."""
    if around.position is None:
        return ""
    return f"{around.position:,} of {around.total:,}" if around.total else f"{around.position:,}"


def way_back(query: Mapping[str, str], around: Around) -> str:
    """Where a picture opened by its address stands in the gallery: on its first page, or at a place of its own."""
    first_page = around.position is not None and around.position <= PAGE
    return f"/gallery{query_of(query, at=None if first_page else str(around.asset.id))}"
