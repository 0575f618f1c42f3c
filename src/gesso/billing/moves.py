"""From which plan one may move to which, and when that happens. Pure."""

from typing import Literal

from gesso.billing.facts import Interval
from gesso.catalog.items import Plan

Move = Literal["same", "up", "down", "later"]
"""up: at once, with what is left of the old price taken off. down: when the paid period ends. later: not by a move;
one cancels, and subscribes anew when the period is over."""


def cents(plan: Plan, interval: Interval) -> int | None:
    """What a plan costs for a month or a year; None: not sold so."""
    return plan.month_cents if interval == "month" else plan.year_cents


def monthly(plan: Plan) -> int:
    """What a plan is worth a month, in the currency's hundredths: how dear it is among the others."""
    return plan.month_cents or (plan.year_cents or 0) // 12


def move(plan: Plan, interval: Interval, to: Plan, to_interval: Interval) -> Move:
    """What it is to go from one plan to another. A year that is paid for is not broken off."""
    if (plan.key, interval) == (to.key, to_interval):
        return "same"
    if interval == "year" and to_interval == "month":
        return "later"
    if monthly(to) >= monthly(plan):
        return "up"
    return "down" if interval == to_interval else "later"
