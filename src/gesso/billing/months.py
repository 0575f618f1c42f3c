"""What the clock does to a workspace's plan. Pure: how it stands and a moment in, how it stands then and what to give.

- A month gives the plan's monthly grant, less what has been given for it before. So an upgrade in the midst of a month
  gives the difference, per unit, and the same month twice gives nothing.
- A plan that begins anew (another anchor: a first subscription, a change from months to years) begins a new month.
  What the one before gave goes into it: it counts, and ends with the new month.
- Nothing is taken away by a change, and nothing outlives its month. Months that nobody looked at are not made up for.
- A month that is not paid for yet gives nothing until it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from gesso.accounts.plan_rows import PlanState
from gesso.billing.periods import Period, period_at
from gesso.catalog.items import Plan

Plans = Callable[[str], Plan]
"""The plan of a key; the default plan for one that is gone."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What to give now: `amounts` by unit, to end with the month. `before` had been given for it already.

    `moved`: what was given before ended otherwise; it ends with this month now.
    """

    plan: Plan
    month: Period
    amounts: Mapping[str, int]
    before: Mapping[str, int] = field(default_factory=dict)
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """How it stands now, and what to give for that."""

    state: PlanState
    grant: Grant | None = None


def arrived(state: PlanState, plans: Plans, now: datetime) -> Step:
    """Everything that is due at `now`: the plan that was to come next, and the current month's grant."""
    if state.next_at is not None and state.next_at <= now:
        assert state.next_key is not None
        return _entered(_on(state, state.next_key, plans), plans, now)
    if state.renews_at is None or now < state.renews_at:
        return Step(state)
    return _entered(state, plans, now)


def changed(
    state: PlanState, to: str, plans: Plans, now: datetime, *, anchor: datetime | None, paid_until: datetime | None
) -> Step:
    """The plan `to` from now on. Said again, it changes nothing but `paid_until`, and gives what has become due."""
    anchor = anchor or state.anchor
    if state.next_at is not None and state.next_at <= now:
        state = replace(state, next_key=None, next_at=None)  # this word is newer
    same = (to, anchor) == (state.key, state.anchor)
    state = replace(state if to == state.key else _on(state, to, plans), anchor=anchor, paid_until=paid_until)
    return arrived(state, plans, now) if same else _entered(state, plans, now)


def first_month(plan: Plan) -> dict[str, int]:
    """What a new workspace gets for its first month: the monthly grant, of units that sign-up gives nothing of.

    Where sign-up gives some, the monthly grants begin with the first renewal ("25 credits once, then 10 a month").
    """
    return {unit: amount for unit, amount in plan.monthly_grants.items() if not plan.signup_grants.get(unit)}


def _on(state: PlanState, key: str, plans: Plans) -> PlanState:
    """Another plan; what was to come next is off, and a free one is not paid for."""
    paid_until = None if plans(key).free else state.paid_until
    return replace(state, key=key, paid_until=paid_until, next_key=None, next_at=None)


def _entered(state: PlanState, plans: Plans, now: datetime) -> Step:
    month = period_at(state.anchor, now)
    if state.paid_until is not None and state.paid_until <= month.start:
        # its start, not its end: it is due as soon as it is paid for
        return Step(replace(state, renews_at=month.start))
    plan = plans(state.key)
    before = dict(state.given) if state.given_until is not None and now < state.given_until else {}
    amounts = {unit: more for unit, most in plan.monthly_grants.items() if (more := most - before.get(unit, 0)) > 0}
    given = {unit: before.get(unit, 0) + amounts.get(unit, 0) for unit in before | amounts}
    return Step(
        replace(state, renews_at=month.end, given=given, given_until=month.end),
        Grant(plan, month, amounts, before, moved=bool(before) and state.given_until != month.end),
    )
