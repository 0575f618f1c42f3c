"""Grants by the clock, over simulated years, in a real ledger."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gesso.accounts.access import Actor
from gesso.billing import tasks as billing_tasks
from gesso.billing.periods import period_at
from gesso.billing.renewal import next_grant_at, renew_due, sign_up_grants
from gesso.catalog.registry import Catalog
from gesso.core.clock import FixedClock
from gesso.core.ids import new_id
from gesso.core.money import MICRO
from gesso.credits import service as credits
from gesso.credits.tasks import sweep
from gesso.db import Database
from gesso.jobs import Tasks
from tests.cast import make_user
from tests.catalog.helpers import studio_catalog

START = datetime(2027, 1, 31, 10, tzinfo=UTC)


@pytest.fixture
async def catalog(fresh_db: Database) -> Catalog:
    return await studio_catalog(fresh_db)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


async def sign_up(db: Database, catalog: Catalog, clock: FixedClock, plan: str = "free") -> Actor:
    return await make_user(db, "Ada", plan=plan, on_sign_up=[sign_up_grants(catalog, clock)], at=clock.now())


async def balance(db: Database, actor: Actor) -> int:
    """Whole credits that can be spent."""
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        return (await credits.balances(tx)).balance // MICRO


async def lots(db: Database, actor: Actor) -> list[tuple[str, int, datetime | None]]:
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        return [(lot.source, lot.remaining // MICRO, lot.expires_at) for lot in (await credits.balances(tx)).lots]


async def renews_at(db: Database, actor: Actor) -> datetime:
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        found: datetime = await tx.fetchval("SELECT plan_renews_at FROM workspace")
        return found


async def set_plan(db: Database, catalog: Catalog, key: str, monthly: Mapping[str, int]) -> None:
    """Another plan, as an operator would add it."""
    async with db.elevated("test: an operator") as tx:
        await tx.execute_raw(
            "INSERT INTO plan (id, key, name, signup_grants, monthly_grants, parallel, max_count, origin)"
            " VALUES ($1, $2, 'Other', $3, $3, 1, 4, 'operator')",
            new_id(), key, monthly,
        )  # fmt: skip
    await catalog.refresh()


async def test_sign_up_gives_25_credits_that_stay(fresh_db: Database, catalog: Catalog, clock: FixedClock) -> None:
    ada = await sign_up(fresh_db, catalog, clock)
    assert await lots(fresh_db, ada) == [("sign_up", 25, None)]
    async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
        await sign_up_grants(catalog, clock)(tx, ada.workspace_id, ada.user_id)
    assert await balance(fresh_db, ada) == 25


async def test_each_month_gives_ten_and_takes_the_rest_of_last_month_away(
    fresh_db: Database, catalog: Catalog, clock: FixedClock
) -> None:
    ada = await sign_up(fresh_db, catalog, clock)
    clock.set(datetime(2027, 2, 28, 9, 59, tzinfo=UTC))
    assert await renew_due(fresh_db, clock, catalog) == 0
    ends = [datetime(2027, month, day, 10, tzinfo=UTC) for month, day in ((2, 28), (3, 31), (4, 30), (5, 31))]
    for end, following in pairwise(ends):
        clock.set(end)
        assert await renew_due(fresh_db, clock, catalog) == 1
        await sweep(fresh_db, clock)
        assert sorted(await lots(fresh_db, ada), key=lambda lot: lot[0]) == [
            ("plan", 10, following),
            ("sign_up", 25, None),
        ]
        assert await renews_at(fresh_db, ada) == following


async def test_months_missed_while_the_site_was_down_are_not_made_up_for(
    fresh_db: Database, catalog: Catalog, clock: FixedClock
) -> None:
    ada = await sign_up(fresh_db, catalog, clock)
    clock.set(datetime(2027, 9, 3, tzinfo=UTC))
    assert await renew_due(fresh_db, clock, catalog) == 1
    assert await balance(fresh_db, ada) == 35
    assert await renews_at(fresh_db, ada) == datetime(2027, 9, 30, 10, tzinfo=UTC)
    assert await renew_due(fresh_db, clock, catalog) == 0


async def test_many_at_once_grant_once(fresh_db: Database, catalog: Catalog, clock: FixedClock) -> None:
    people = [await sign_up(fresh_db, catalog, clock) for _ in range(3)]
    clock.advance(timedelta(days=28))
    renewed = await asyncio.gather(*(renew_due(fresh_db, clock, catalog) for _ in range(4)))
    assert sum(renewed) == 3
    assert [await balance(fresh_db, person) for person in people] == [35, 35, 35]


async def test_a_renewal_that_was_undone_by_hand_still_grants_once(
    fresh_db: Database, catalog: Catalog, clock: FixedClock
) -> None:
    ada = await sign_up(fresh_db, catalog, clock)
    clock.advance(timedelta(days=28))
    await renew_due(fresh_db, clock, catalog)
    async with fresh_db.elevated("test") as tx:
        await tx.execute_raw("UPDATE workspace SET plan_renews_at = $1", clock.now())
    assert await renew_due(fresh_db, clock, catalog) == 1
    assert await balance(fresh_db, ada) == 35
    assert await renews_at(fresh_db, ada) == datetime(2027, 3, 31, 10, tzinfo=UTC)


async def test_one_workspace_that_fails_does_not_hold_up_the_others(
    fresh_db: Database, catalog: Catalog, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gesso.billing.renewal.BATCH", 2)
    people = [await sign_up(fresh_db, catalog, clock) for _ in range(5)]
    async with fresh_db.elevated("test") as tx:  # an anchor from which no month can be counted
        await tx.execute_raw("UPDATE workspace SET plan_anchor_at = 'infinity' WHERE id = $1", people[1].workspace_id)
    clock.advance(timedelta(days=28))
    assert await renew_due(fresh_db, clock, catalog) == 4
    assert [await balance(fresh_db, person) for person in people] == [35, 25, 35, 35, 35]


async def test_every_unit_of_a_plan_is_granted(fresh_db: Database, catalog: Catalog, clock: FixedClock) -> None:
    await set_plan(fresh_db, catalog, "mixed", {"credit": 2 * MICRO, "image": 3, "video": 1})
    ada = await sign_up(fresh_db, catalog, clock, plan="mixed")
    clock.advance(timedelta(days=28))
    await renew_due(fresh_db, clock, catalog)
    async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
        found = await credits.balances(tx)
    assert (found.balance, found.allowances) == (4 * MICRO, {"image": 6, "video": 2})


async def test_a_plan_that_is_gone_renews_as_the_default_plan(
    fresh_db: Database, catalog: Catalog, clock: FixedClock
) -> None:
    ada = await sign_up(fresh_db, catalog, clock, plan="a plan of last year")
    clock.advance(timedelta(days=28))
    await renew_due(fresh_db, clock, catalog)
    assert await balance(fresh_db, ada) == 35


async def test_the_next_grant_is_told(fresh_db: Database, catalog: Catalog, clock: FixedClock) -> None:
    async def told(actor: Actor) -> datetime | None:
        async with fresh_db.workspace(actor.workspace_id, actor.user_id) as tx:
            return await next_grant_at(tx, catalog, clock.now())

    ada = await sign_up(fresh_db, catalog, clock)
    assert await told(ada) == datetime(2027, 2, 28, 10, tzinfo=UTC)
    await set_plan(fresh_db, catalog, "bare", {})
    assert await told(await sign_up(fresh_db, catalog, clock, plan="bare")) is None
    clock.advance(timedelta(days=40))
    assert await told(ada) == clock.now()  # due, and made with the next sweep


async def test_the_worker_renews_every_minute(fresh_db: Database, catalog: Catalog, clock: FixedClock) -> None:
    ada = await sign_up(fresh_db, catalog, clock)
    tasks = Tasks()
    billing_tasks.register(tasks, SimpleNamespace(db=fresh_db, clock=clock, catalog=catalog))
    cron, renew = tasks.schedules["billing.renew"]
    assert cron == "* * * * *"
    clock.advance(timedelta(days=28))
    await renew()
    assert await balance(fresh_db, ada) == 35


steps = st.lists(st.timedeltas(timedelta(hours=1), timedelta(days=75)), min_size=1, max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(day=st.integers(1, 31), leaps=steps)
async def test_simulated_years(fresh_db: Database, catalog: Catalog, day: int, leaps: list[timedelta]) -> None:
    """However the clock jumps: one lot a month at most, the right month's, and nothing of the months before."""
    clock = FixedClock(datetime(2027, 12, day, 23, 30, tzinfo=UTC))
    anchor = clock.now()
    ada = await sign_up(fresh_db, catalog, clock)
    granted = set()
    for leap in leaps:
        clock.advance(leap)
        await renew_due(fresh_db, clock, catalog)
        await sweep(fresh_db, clock)
        period = period_at(anchor, clock.now())
        expected: list[Any] = [("sign_up", 25, None)]
        if period.start > anchor:
            granted.add(period.start)
            expected.insert(0, ("plan", 10, period.end))
        assert await lots(fresh_db, ada) == expected
        assert await renews_at(fresh_db, ada) == period.end
    async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
        items, _ = await credits.history(tx, cursor=None, limit=100)
    assert sum(item.kind == "grant" for item in items) == 1 + len(granted)
