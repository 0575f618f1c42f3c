"""Billing periods: whole months and years from an anchor, in UTC; a day the month lacks is the month's last."""

import calendar
from datetime import UTC, datetime, timedelta

from gesso.sandbox.stripe.store import Obj

DAY = 86_400
HOUR = 3_600
_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}


def step(anchor: int, recurring: Obj, count: int) -> int:
    """`count` intervals after the anchor (unix seconds)."""
    start = datetime.fromtimestamp(anchor, UTC)
    number: int = recurring["interval_count"] * count
    if recurring["interval"] in _DAYS:
        return anchor + _DAYS[recurring["interval"]] * number * DAY
    month = start.year * 12 + start.month - 1 + _MONTHS[recurring["interval"]] * number
    year, month = divmod(month, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def following(anchor: int, recurring: Obj, after: int) -> int:
    """The first boundary later than `after` (unix seconds)."""
    if after < anchor:
        return anchor
    length = step(anchor, recurring, 1) - anchor
    count = max(0, (after - anchor) // (length + 3 * DAY))  # never too far; the loop walks the rest
    while (boundary := step(anchor, recurring, count)) <= after:
        count += 1
    return boundary


def day(moment: int) -> str:
    """Such as "21 Nov 2026"."""
    return f"{datetime.fromtimestamp(moment, UTC):%-d %b %Y}"


def in_days(moment: int, days: int) -> int:
    return int((datetime.fromtimestamp(moment, UTC) + timedelta(days=days)).timestamp())
