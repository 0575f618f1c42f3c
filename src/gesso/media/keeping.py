"""What people are told of how long their pictures are kept, before any of them goes."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from urllib.parse import urlencode
from uuid import UUID

from gesso.media.models import Asset, Usage, first_id
from gesso.media.repository import COUNT_LIMIT
from gesso.media.terms import TOLD_BEFORE, Keeping, Terms
from gesso.web.render import bytes_text
from gesso.web.wording import word


@dataclass(frozen=True, slots=True)
class Notice:
    """`going`: what goes within a week, "3 pictures or videos"; "" for nothing. `href` shows it. `term`: "30 days"."""

    going: str
    href: str
    term: str


def going_below(terms: Terms, now: datetime) -> UUID:
    """What was asked for with a lower id goes within a week. The lowest id where everything is kept for good."""
    if terms.days is None:
        return UUID(int=0)
    return first_id(now + TOLD_BEFORE - timedelta(days=terms.days))


def notice(terms: Terms, going: int, now: datetime, zone: tzinfo) -> Notice | None:
    """What a gallery says of the plan's term; None where everything is kept for good. `going`: as many as are below
    `going_below`."""
    if terms.days is None:
        return None
    last = (now + TOLD_BEFORE - timedelta(days=terms.days)).astimezone(zone).date()
    number = f"{going:,}" if going < COUNT_LIMIT else f"{COUNT_LIMIT - 1}+"
    one = f"{number} {word('picture')} or video"
    words = (one if going == 1 else f"{number} {word('pictures')} or videos") if going else ""
    return Notice(words, f"/gallery?{urlencode({'to': last.isoformat()})}", days_words(terms.days))


def days_words(days: int) -> str:
    """ "30 days", "1 year"."""
    years, rest = divmod(days, 365)
    if years and not rest:
        return f"{years} year{'' if years == 1 else 's'}"
    return f"{days:,} day{'' if days == 1 else 's'}"


def stored_words(usage: Usage, terms: Terms) -> str:
    """ "3.2 GB stored", "3.2 GB stored, each kept for 30 days"."""
    kept = f", each kept for {days_words(terms.days)}" if terms.days is not None else ""
    return f"{bytes_text(usage.bytes)} stored{kept}"


def until_words(keeping: Keeping | None, asset: Asset, zone: tzinfo) -> str:
    """ "3 May 2027"; "" for what is kept for good."""
    day = keeping.day(asset, zone) if keeping else None
    return f"{day.day} {day:%B %Y}" if day else ""
