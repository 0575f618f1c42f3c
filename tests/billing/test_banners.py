"""What Billing says first, in which state, and the way out of each. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from gesso.billing.banners import Banner, banners
from gesso.billing.repository import Subscription
from gesso.billing.words import listed
from gesso.core.money import MICRO

NOW = datetime(2027, 5, 3, 10, tzinfo=UTC)
CALM: dict[str, Any] = {
    "live": None, "plan": "Pro", "after": "Free", "frozen": False, "debt": 0, "now": NOW, "sells": True, "packs": True,
}  # fmt: skip


def live(**columns: Any) -> Subscription:
    values: dict[str, Any] = dict.fromkeys(Subscription.__dataclass_fields__) | {
        "id": UUID(int=1), "status": "active", "plan_key": "pro", "interval": "month"
    }  # fmt: skip
    return Subscription(**values | columns)


def said(**state: Any) -> list[Banner]:
    return banners(**CALM | state)


def test_nothing_is_said_when_all_is_well() -> None:
    assert said() == said(live=live()) == []


def test_each_state_has_its_way_out() -> None:
    (unpaid,) = said(live=live(status="past_due", grace_until=NOW + timedelta(days=7)))
    assert (unpaid.kind, unpaid.post) == ("bad", "/billing/portal") and "until 10 May 2027" in unpaid.text
    (late,) = said(live=live(status="past_due", grace_until=NOW))
    assert "about to end" in late.text and late.post == "/billing/portal"
    (ends,) = said(live=live(cancel_at=NOW + timedelta(days=2)))
    assert (ends.title, ends.action, ends.post) == ("Pro ends on 5 May 2027", "Keep Pro", "/billing/resume")
    (debt,) = said(debt=20 * MICRO)
    assert (debt.title, debt.href) == ("20 credits are owed", "/pricing#packs")
    assert said(debt=MICRO)[0].title == "1 credit is owed"


def test_where_nothing_is_sold_nothing_is_offered() -> None:
    for nothing in ({"sells": False}, {"packs": False}):
        (debt,) = said(debt=MICRO, **nothing)
        assert (debt.action, debt.href) == ("", "")


def test_the_worst_comes_first() -> None:
    found = said(live=live(cancel_at=NOW), frozen=True, debt=MICRO)
    assert [one.kind for one in found] == ["bad", "warn", "warn"] and "disputed" in found[0].title


def test_names_in_a_row() -> None:
    assert [listed(["Ada", "Bea", "Cyd", "Dan", "Eve"][:n]) for n in (0, 1, 2, 3, 5)] == [
        "", "Ada", "Ada and Bea", "Ada, Bea and Cyd", "Ada, Bea and 3 others",
    ]  # fmt: skip
