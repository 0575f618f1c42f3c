"""What people are told of how long their pictures are kept, before any of them goes."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from urllib.parse import urlencode
from uuid import UUID

from gesso.media.models import Asset, Going, Usage, first_id
from gesso.media.repository import COUNT_LIMIT
from gesso.media.terms import TOLD_BEFORE, Keeping, Terms, told
from gesso.web.render import bytes_text


@dataclass(frozen=True, slots=True)
class Notice:
    """`going`: what comes of age within a week, "3 pictures or videos"; "" for nothing. `when` it will be deleted:
    "within 7 days", "from 3 May 2027 on". `href` shows it. `term`: "30 days"."""

    going: str
    when: str
    href: str
    term: str


def going_below(terms: Terms, now: datetime) -> UUID:
    """What was asked for with a lower id goes within a week. The lowest id where everything is kept for good."""
    if terms.days is None:
        return UUID(int=0)
    return first_id(now + TOLD_BEFORE - timedelta(days=terms.days))


def notice(terms: Terms, going: Going, now: datetime, zone: tzinfo) -> Notice | None:
    """What a gallery says of the plan's term; None where everything is kept for good. `going`: what is below
    `going_below`."""
    if terms.days is None:
        return None
    below = going_below(terms, now)
    number = f"{going.count:,}" if going.count < COUNT_LIMIT else f"{COUNT_LIMIT - 1}+"
    words = f"{number} {'picture or video' if going.count == 1 else 'pictures or videos'}" if going.count else ""
    keeping = Keeping.of(terms, going.known, now)
    assert keeping is not None
    waits = max(keeping.earliest, told(keeping.known, UUID(int=0), now))
    when = "within 7 days" if waits <= now else f"from {day_words(waits.astimezone(zone).date())} on"
    return Notice(words, when, f"/gallery?{preview(below, zone)}", days_words(terms.days))


def preview(below: UUID, zone: tzinfo) -> str:
    """The gallery's filter that shows what was made up to the day of an id."""
    return urlencode({"to": datetime.fromtimestamp((below.int >> 80) / 1000, zone).date().isoformat()})


def day_words(day: date) -> str:
    """ "3 May 2027"."""
    return f"{day.day} {day:%B %Y}"


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
    return day_words(day) if day else ""
