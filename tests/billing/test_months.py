"""What the clock does to plans, for whole lives of workspaces, without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from gesso.accounts.plan_rows import PlanState
from gesso.accounts.plans import renewal_after
from gesso.billing.months import Step, arrived, changed, first_month
from gesso.billing.periods import period_at
from gesso.catalog.items import Plan
from gesso.core.ids import new_id
from tests.billing.model import last_renewal, next_renewal

SMALL = {"image": 50, "video": 5}
PLANS = {
    plan.key: plan
    for plan in (
        Plan(new_id(), "free", "Free", monthly_grants={"credit": 10}),
        Plan(new_id(), "starter", "Starter", monthly_grants=SMALL, month_cents=999),
        Plan(new_id(), "pro", "Pro", monthly_grants={"image": 200, "video": 30, "credit": 7}, month_cents=2999),
    )
}
START = datetime(2027, 1, 31, 10, tzinfo=UTC)

moments = st.integers(946_684_800, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
zones = st.sampled_from(["UTC", "Pacific/Auckland", "America/New_York", "Asia/Kathmandu", "Europe/Lisbon"])


def plan_of(key: str) -> Plan:
    return PLANS.get(key, PLANS["free"])


def on(key: str, at: datetime = START, **changes: Any) -> PlanState:
    """A workspace whose month on this plan has just been given."""
    fresh = PlanState(key, at, None)
    step = changed(fresh, key, plan_of, at, anchor=None, paid_until=None)
    assert step.grant is None
    step = arrived(replace(fresh, renews_at=at), plan_of, at)
    return replace(step.state, **changes)


def amounts(step: Step) -> dict[str, int]:
    return dict(step.grant.amounts) if step.grant is not None else {}


@given(anchor=moments, span=st.timedeltas(timedelta(0), timedelta(days=3000)), here=zones, there=zones)
def test_months_are_those_of_the_calendar_in_utc_whoever_asks_from_where(
    anchor: datetime, span: timedelta, here: str, there: str
) -> None:
    at = anchor + span
    asked = period_at(anchor.astimezone(ZoneInfo(here)), at.astimezone(ZoneInfo(there)))
    assert asked.end == next_renewal(anchor, at) == renewal_after(anchor, at)
    assert asked.start == last_renewal(anchor, at)


def test_a_month_on_a_leap_day_and_over_a_change_of_clocks() -> None:
    leap = datetime(2028, 2, 29, 1, 30, tzinfo=UTC)
    ends = [leap]
    for _ in range(12):
        ends.append(renewal_after(leap, ends[-1]))
    assert [f"{end:%m-%d %H:%M}" for end in ends] == [
        "02-29 01:30", "03-29 01:30", "04-29 01:30", "05-29 01:30", "06-29 01:30", "07-29 01:30", "08-29 01:30",
        "09-29 01:30", "10-29 01:30", "11-29 01:30", "12-29 01:30", "01-29 01:30", "02-28 01:30",
    ]  # fmt: skip
    lisbon = leap.replace(tzinfo=ZoneInfo("Europe/Lisbon"))
    assert renewal_after(lisbon, datetime(2028, 3, 1, tzinfo=UTC)) == datetime(2028, 3, 29, 1, 30, tzinfo=UTC)


def test_an_upgrade_gives_the_difference_per_unit_and_a_chain_the_last_plan() -> None:
    day = START + timedelta(days=5)
    first = changed(on("free"), "starter", plan_of, day, anchor=None, paid_until=None)
    assert amounts(first) == {"image": 50, "video": 5}
    second = changed(first.state, "pro", plan_of, day, anchor=None, paid_until=None)
    assert amounts(second) == {"image": 150, "video": 25}  # the free plan gave ten credits, more than Pro's seven
    assert second.state.renews_at == datetime(2027, 2, 28, 10, tzinfo=UTC)
    back = changed(second.state, "starter", plan_of, day, anchor=None, paid_until=None)
    assert (amounts(back), amounts(changed(back.state, "pro", plan_of, day, anchor=None, paid_until=None))) == ({}, {})
    following = arrived(second.state, plan_of, datetime(2027, 2, 28, 10, tzinfo=UTC))
    assert amounts(following) == PLANS["pro"].monthly_grants


def test_a_new_anchor_begins_a_month_in_which_the_old_one_counts() -> None:
    day = datetime(2027, 2, 20, tzinfo=UTC)
    year = changed(on("starter"), "starter", plan_of, day, anchor=day, paid_until=day + timedelta(days=365))
    assert amounts(year) == {}
    assert year.grant is not None
    assert year.grant.moved
    assert year.state.renews_at == datetime(2027, 3, 20, tzinfo=UTC)
    # begun anew once more, past the end the very first month had: what it gave still counts
    again = datetime(2027, 3, 5, tzinfo=UTC)
    pro = changed(year.state, "pro", plan_of, again, anchor=again, paid_until=again + timedelta(days=365))
    assert amounts(pro) == {"image": 150, "video": 25, "credit": 7}


def test_a_month_that_is_not_paid_for_waits_for_its_payment() -> None:
    end = datetime(2027, 2, 28, 10, tzinfo=UTC)
    paid = on("starter", paid_until=end)
    waiting = arrived(paid, plan_of, end + timedelta(days=3))
    assert (amounts(waiting), waiting.state.renews_at) == ({}, end)
    assert arrived(waiting.state, plan_of, end + timedelta(days=4)) == Step(waiting.state)
    late = changed(
        waiting.state, "starter", plan_of, end + timedelta(days=5), anchor=None,
        paid_until=datetime(2027, 3, 31, 10, tzinfo=UTC),
    )  # fmt: skip
    assert amounts(late) == SMALL
    assert late.state.renews_at == datetime(2027, 3, 31, 10, tzinfo=UTC)


def test_a_year_that_is_paid_ahead_gives_twelve_months_by_the_clock() -> None:
    until = datetime(2028, 1, 31, 10, tzinfo=UTC)
    state, given = on("starter", paid_until=until), [SMALL]
    for day in range(1, 400):
        step = arrived(state, plan_of, START + timedelta(days=day))
        state = step.state
        given += [amounts(step)] if amounts(step) else []
    assert given == [SMALL] * 12


def test_what_ends_with_its_period_becomes_free_and_goes_on_renewing() -> None:
    end = datetime(2027, 2, 28, 10, tzinfo=UTC)
    ending = on("pro", paid_until=end, next_key="free", next_at=end)
    assert arrived(ending, plan_of, end - timedelta(seconds=1)) == Step(ending)
    ended = arrived(ending, plan_of, end)
    assert (ended.state.key, ended.state.paid_until, ended.state.next_at) == ("free", None, None)
    assert amounts(ended) == {"credit": 10}
    # said again, a plan keeps what is to come; another plan does not
    assert changed(ending, "pro", plan_of, START, anchor=None, paid_until=end).state.next_key == "free"
    assert changed(ending, "starter", plan_of, START, anchor=None, paid_until=end).state.next_key is None


def test_a_plan_that_is_gone_gives_what_the_default_gives() -> None:
    ended = arrived(on("a plan of last year"), plan_of, datetime(2027, 2, 28, 10, tzinfo=UTC))
    assert amounts(ended) == {"credit": 10}


def test_the_first_month_gives_what_sign_up_does_not() -> None:
    once = Plan(new_id(), "a", "A", signup_grants={"credit": 25, "video": 0}, monthly_grants={"credit": 10, "video": 2})
    assert first_month(once) == {"video": 2}
    assert first_month(plan_of("starter")) == SMALL
