"""A plan's months. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gesso.accounts.plans import renewal_after

_LONGER_THAN_A_MONTH = timedelta(days=32)


@dataclass(frozen=True)
class Period:
    """One month of a plan, from its start (included) to the next renewal (not included)."""

    start: datetime
    end: datetime


def period_at(anchor: datetime, at: datetime) -> Period:
    """The period that `at` lies in, counted from `anchor`; before the anchor, the first one.

    Renewals keep the anchor's day, or take the month's last one: 31 January, 28 February, 31 March.
    """
    end = renewal_after(anchor, at)
    # renewals are 28 to 31 days apart, so the first one after this is the one before `end`, if there is any
    before = renewal_after(anchor, end - _LONGER_THAN_A_MONTH)
    return Period(start=before if before < end else anchor, end=end)
