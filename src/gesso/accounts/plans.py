"""When the months of a plan begin. Pure."""

import calendar
from datetime import UTC, datetime


def renewal_after(anchor: datetime, at: datetime) -> datetime:
    """The first monthly renewal after `at`, counted from `anchor` (both timezone-aware), in UTC.

    Always the anchor's day of the month and time of day in UTC, or the month's last day where it has fewer: from
    31 January come 28 February and then 31 March.
    """
    anchor, at = anchor.astimezone(UTC), at.astimezone(UTC)
    months = max(1, (at.year - anchor.year) * 12 + at.month - anchor.month)
    found = _months_later(anchor, months)
    return found if found > at else _months_later(anchor, months + 1)


def _months_later(anchor: datetime, months: int) -> datetime:
    years, month = divmod(anchor.month - 1 + months, 12)
    year = anchor.year + years
    day = min(anchor.day, calendar.monthrange(year, month + 1)[1])
    return anchor.replace(year=year, month=month + 1, day=day)
