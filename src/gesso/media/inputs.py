"""What comes in as text from addresses: ids, dates, filters."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gesso.core.errors import InvalidInput, NotFound
from gesso.media.models import Filters, first_id

QUERY_LENGTH = 200
FILTER_NAMES = ("q", "kind", "model", "favourite", "from", "to")
"""What an address of the gallery may carry."""
_MISSING = "What you chose is not here. It may have been deleted."


def parse_id(text: str) -> UUID:
    """An asset's id from an address. What is none cannot name a picture either: `NotFound`."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(_MISSING) from None


def parse_moment(text: str, field: str, zone: tzinfo = UTC, *, end: bool = False) -> datetime:
    """A date ("2026-05-11") or moment in ISO 8601. A date is its first instant in `zone`; with `end` the next
    day's, so that a range includes it. Raises `InvalidInput` on `field`.
    """
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(days=end)
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)
    except (ValueError, OverflowError):
        raise InvalidInput(f"“{text[:40]}” is not a date.", fields={field: "Give a date such as 2026-05-11."}) from None


def parse_place(text: str, zone: tzinfo = UTC) -> UUID:
    """A place in the gallery: a month ("2026-05"), a date, a moment, or the id of a picture.

    Returns the lowest id above it: pictures with a lower id are of that month (date, moment, picture) or older.
    Raises `InvalidInput` on `at`.
    """
    try:
        if len(text) == 7:
            year, month = date.fromisoformat(f"{text}-01").timetuple()[:2]
            return first_id(datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone))
        if len(text) == 36:
            return UUID(int=min(UUID(text).int + 1, (1 << 128) - 1))
        return first_id(parse_moment(text, "at", zone, end=True))
    except (InvalidInput, ValueError, OverflowError):
        words = "Give a month such as 2026-05, a date, or the id of a picture."
        raise InvalidInput(f"“{text[:40]}” is no place in the gallery.", fields={"at": words}) from None


def filters_of(query: Mapping[str, str], zone: tzinfo = UTC) -> Filters:
    """Filters from a page's address: q, kind, model, favourite=1, from, to. What makes no sense is left out."""

    def moment(name: str, *, end: bool = False) -> datetime | None:
        try:
            return parse_moment(query[name], name, zone, end=end) if query.get(name) else None
        except InvalidInput:
            return None

    kind = query.get("kind")
    return Filters(
        kind="video" if kind == "video" else "image" if kind == "image" else None,
        q=query.get("q", "").replace("\0", "").strip()[:QUERY_LENGTH],
        model=query.get("model", "").replace("\0", "")[:QUERY_LENGTH] or None,
        favourite=query.get("favourite") == "1",
        since=moment("from"),
        until=moment("to", end=True),
    )


def query_of(query: Mapping[str, str], **changes: str | None) -> str:
    """The filters of an address as "?…" with `changes` (None removes), or "". A trailing _ spells `from_`."""
    kept: dict[str, str | None] = {name: query.get(name) for name in FILTER_NAMES}
    kept |= {name.rstrip("_"): value for name, value in changes.items()}
    given = {name: value for name, value in kept.items() if value}
    return f"?{urlencode(given)}" if given else ""


def picks_of(values: Iterable[str], limit: int) -> list[UUID]:
    """The ids of chosen pictures from a form. Raises `InvalidInput` when there is none, or too many."""
    ids: dict[UUID, None] = {}
    for value in values:
        try:
            ids[UUID(value)] = None
        except ValueError:
            raise InvalidInput("One of those you chose is not there.", fields={"pick": "Not an id."}) from None
    if not ids:
        raise InvalidInput("Choose one first.", fields={"pick": "Choose at least one."})
    if len(ids) > limit:
        raise InvalidInput(f"Choose at most {limit} at once.", fields={"pick": f"At most {limit}."})
    return list(ids)


def zone_of(name: str | None) -> tzinfo:
    """The reader's time zone, as a script of ours noted it in a cookie; UTC until then."""
    try:
        return ZoneInfo(name) if name and len(name) < 64 else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
