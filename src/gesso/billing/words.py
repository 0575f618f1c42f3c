"""Amounts of money and lengths of time in words. Pure."""

from collections.abc import Sequence
from datetime import datetime

from gesso.billing.facts import Interval

_SIGNS = {"usd": "$", "eur": "€", "gbp": "£"}


def money(cents: float, currency: str, places: int = 2) -> str:
    """“$9.99”, “−€4.00”, “12.50 CHF”; whole amounts too carry their hundredths, but for nothing: “$0”."""
    sign, amount = ("−" if cents < 0 else ""), f"{abs(cents) / 100:,.{places}f}" if cents else "0"
    known = _SIGNS.get(currency)
    return f"{sign}{known}{amount}" if known else f"{sign}{amount} {currency.upper()}"


def a_period(interval: Interval) -> str:
    """ "a month", "a year"."""
    return f"a {interval}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """“Ada”, “Ada and Bea”, “Ada, Bea and 3 others”."""
    shown = list(names[:most]) if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} others"]
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)


def day(moment: datetime) -> str:
    """“3 May 2026”."""
    return f"{moment.day} {moment:%B %Y}"
