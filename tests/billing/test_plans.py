"""Changing plans in a real ledger: whole years against an independent model, at once, and after crashes."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gesso.accounts import plan_rows
from gesso.accounts.access import Actor
from gesso.billing.plans import arrive, change_plan, keep_plan
from gesso.billing.renewal import next_grant, renew_due, sign_up_grants
from gesso.catalog.registry import Catalog
from gesso.core.clock import FixedClock
from gesso.core.errors import NotFound, OutOfCredits
from gesso.core.ids import new_id
from gesso.core.money import OutputAsk
from gesso.credits import service as credits
from gesso.credits.tasks import sweep
from gesso.db import Database
from gesso.db.embedded import EmbeddedPostgres
from gesso.media import unlock
from tests.billing.model import Model, Pile, next_renewal
from tests.cast import make_user
from tests.catalog.helpers import studio_catalog
from tests.conftest import SECRET, create_database

START = datetime(2027, 12, 31, 23, 30, tzinfo=UTC)
OFFERS = {
    "gift": {"image": 3},  # free: its first month comes at sign-up
    "small": {"image": 50, "video": 5},
    "large": {"image": 200, "video": 30, "credit": 40},
}
UNITS = ("credit", "image", "video")


@pytest.fixture(scope="module")
async def plans_db(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Database]:
    """A database of this module's own: renewals look across workspaces."""
    database = Database(await create_database(postgres, f"gesso_plans_{new_id().hex[-12:]}", template), secret=SECRET)
    yield database
    await database.close()


@pytest.fixture(scope="module")
async def catalog(plans_db: Database) -> Catalog:
    """Edition studio with three plans more."""
    await studio_catalog(plans_db)
    async with plans_db.elevated("test: an operator") as tx:
        for place, (key, offer) in enumerate(OFFERS.items(), 10):
            await tx.execute_raw(
                "INSERT INTO plan (id, key, name, signup_grants, monthly_grants, parallel, max_count, month_cents,"
                " position, origin) VALUES ($1, $2, $2, $3, $4, 1, 4, $5, $6, 'operator')",
                new_id(), key, {"credit": 6}, offer, None if key == "gift" else 100 * place, place,
            )  # fmt: skip
    return await Catalog.load(plans_db)


@pytest.fixture(autouse=True)
async def alone(plans_db: Database) -> None:
    """Nobody from an earlier test renews any more."""
    await retire_all(plans_db)


async def retire_all(db: Database) -> None:
    async with db.elevated("test: retire") as tx:
        await tx.execute_raw("UPDATE workspace SET plan_renews_at = NULL, plan_next_key = NULL, plan_next_at = NULL")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


async def sign_up(db: Database, catalog: Catalog, clock: FixedClock, plan: str = "gift") -> Actor:
    return await make_user(db, "Ada", plan=plan, on_sign_up=[sign_up_grants(catalog, clock)], at=clock.now())


async def left(db: Database, actor: Actor, clock: FixedClock) -> dict[str, int]:
    """What can be spent of each unit, in the ledger's own integers."""
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        found = await credits.balances(tx, now=clock.now())
    held = {"credit": found.balance, **found.allowances}
    return {unit: amount for unit, amount in held.items() if amount}


async def move(
    db: Database, actor: Actor, catalog: Catalog, clock: FixedClock, to: str, **how: datetime | None
) -> None:
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        await change_plan(tx, actor.workspace_id, to, catalog, now=clock.now(), **how)


async def monthly_grants(db: Database, actor: Actor) -> list[tuple[str, int]]:
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        rows = await tx.fetch("SELECT unit, amount FROM credit_lot WHERE source = 'plan' ORDER BY created_at, unit")
    return [tuple(row) for row in rows]


async def test_an_upgrade_at_sign_up_a_pack_beside_and_a_month_later(
    plans_db: Database, catalog: Catalog, clock: FixedClock
) -> None:
    ada = await sign_up(plans_db, catalog, clock)
    assert await left(plans_db, ada, clock) == {"credit": 6, "image": 3}
    await move(
        plans_db, ada, catalog, clock, "small", anchor=clock.now(), paid_until=datetime(2028, 1, 31, 23, 30, tzinfo=UTC)
    )
    assert await left(plans_db, ada, clock) == {"credit": 6, "image": 50, "video": 5}
    async with plans_db.elevated("test: a pack") as tx:
        await credits.grant(
            tx, ada.workspace_id, unit="credit", amount=100, source="pack", key="pack:1", now=clock.now()
        )
    clock.set(datetime(2028, 1, 31, 23, 30, tzinfo=UTC))
    assert await renew_due(plans_db, clock, catalog) == 0  # not paid for
    assert await left(plans_db, ada, clock) == {"credit": 106}
    await move(plans_db, ada, catalog, clock, "small", paid_until=datetime(2028, 2, 29, 23, 30, tzinfo=UTC))
    assert await left(plans_db, ada, clock) == {"credit": 106, "image": 50, "video": 5}


async def test_a_downgrade_waits_and_can_be_taken_back(plans_db: Database, catalog: Catalog, clock: FixedClock) -> None:
    ada = await sign_up(plans_db, catalog, clock, "large")
    end = datetime(2028, 1, 31, 23, 30, tzinfo=UTC)
    await move(plans_db, ada, catalog, clock, "gift", at=end)
    async with plans_db.workspace(ada.workspace_id, ada.user_id) as tx:
        found = await next_grant(tx, catalog, clock.now())
        assert found is not None
        assert (found.at, found.amounts) == (end, {"image": 3})
        assert (await plan_rows.state(tx)).key == "large"
        await keep_plan(tx, ada.workspace_id, now=clock.now())
    clock.set(end)
    assert await renew_due(plans_db, clock, catalog) == 1
    assert (await left(plans_db, ada, clock))["image"] == 200
    await move(plans_db, ada, catalog, clock, "gift", at=end + timedelta(days=3))
    clock.set(end + timedelta(days=3))
    assert await renew_due(plans_db, clock, catalog) == 1
    async with plans_db.workspace(ada.workspace_id, ada.user_id) as tx:
        assert (await plan_rows.state(tx)).key == "gift"
    assert (await left(plans_db, ada, clock))["image"] == 200  # the rest of the month stays


async def test_an_unknown_workspace_is_told(plans_db: Database, catalog: Catalog, clock: FixedClock) -> None:
    async with plans_db.elevated("test") as tx:
        with pytest.raises(NotFound):
            await change_plan(tx, new_id(), "small", catalog, now=clock.now())
        with pytest.raises(NotFound):
            await keep_plan(tx, new_id(), now=clock.now())


async def test_prices_that_change_touch_nobody_and_grants_from_the_next_month_on(
    plans_db: Database, catalog: Catalog, clock: FixedClock
) -> None:
    ada = await sign_up(plans_db, catalog, clock, "small")
    async with plans_db.elevated("test: an operator") as tx:
        await tx.execute_raw(
            "UPDATE plan SET month_cents = 9999, monthly_grants = $1 WHERE key = 'small'", {"image": 60}
        )
    await catalog.refresh()
    await move(plans_db, ada, catalog, clock, "small", paid_until=clock.now() + timedelta(days=365))
    assert (await left(plans_db, ada, clock))["image"] == 50
    clock.set(next_renewal(START, clock.now()))
    await renew_due(plans_db, clock, catalog)
    assert await left(plans_db, ada, clock) == {"credit": 6, "image": 60}
    async with plans_db.elevated("test: an operator") as tx:
        await tx.execute_raw("UPDATE plan SET monthly_grants = $1 WHERE key = 'small'", OFFERS["small"])
    await catalog.refresh()


async def test_all_at_once_and_after_crashes_give_once(plans_db: Database, catalog: Catalog, clock: FixedClock) -> None:
    ada = await sign_up(plans_db, catalog, clock)
    clock.set(datetime(2028, 1, 31, 23, 30, tzinfo=UTC))  # the renewal is due, too
    until = datetime(2028, 2, 29, 23, 30, tzinfo=UTC)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="crash"):
            async with plans_db.workspace(ada.workspace_id, ada.user_id) as tx:
                await change_plan(tx, ada.workspace_id, "large", catalog, now=clock.now(), paid_until=until)
                raise RuntimeError("crash before the commit")
    assert await left(plans_db, ada, clock) == {"credit": 6}
    await asyncio.gather(
        *(move(plans_db, ada, catalog, clock, "large", paid_until=until) for _ in range(8)),
        *(renew_due(plans_db, clock, catalog) for _ in range(4)),
    )
    await move(plans_db, ada, catalog, clock, "large", paid_until=until)
    assert await left(plans_db, ada, clock) == {"credit": 46, "image": 200, "video": 30}
    async with plans_db.elevated("test: verify") as tx:
        assert await credits.verify(tx) == ()


steps = st.one_of(
    st.tuples(st.just("wait"), st.timedeltas(timedelta(hours=1), timedelta(days=45))),
    st.tuples(st.just("wait"), st.timedeltas(timedelta(days=20), timedelta(days=100))),
    st.tuples(st.just("spend"), st.sampled_from(["image", "video"]), st.integers(1, 120)),
    st.tuples(st.just("now"), st.sampled_from(sorted(OFFERS)), st.booleans(), st.sampled_from([None, 1, 12])),
    st.tuples(st.just("later"), st.sampled_from(sorted(OFFERS))),
    st.tuples(st.just("keep")),
    st.tuples(st.just("again")),
)


@settings(
    max_examples=25, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(day=st.integers(1, 31), path=st.lists(steps, min_size=4, max_size=24))
async def test_years_of_one_workspace(
    plans_db: Database, catalog: Catalog, day: int, path: list[tuple[Any, ...]]
) -> None:
    """Whatever is done when: what can be spent is what the model says, and no month gives more than its best plan."""
    await retire_all(plans_db)
    clock = FixedClock(datetime(2027, 12, day, 23, 30, tzinfo=UTC))
    ada = await sign_up(plans_db, catalog, clock)
    model = Model(OFFERS, {"gift"}, "gift", clock.now())
    model.piles = [Pile("credit", 6, None, monthly=False)]
    model.month_end = next_renewal(model.anchor, clock.now())
    model.given = dict(OFFERS["gift"])
    model.piles += [Pile(unit, amount, model.month_end, monthly=True) for unit, amount in OFFERS["gift"].items()]
    model.granted = len(model.piles) - 1
    for step in path:
        now = clock.now()
        match step:
            case ("wait", timedelta() as span):
                clock.advance(span)
                await renew_due(plans_db, clock, catalog)
                await sweep(plans_db, clock)
                model.clock(clock.now())
            case ("spend", str(unit), int(uses)):
                assert await _spend(plans_db, ada, clock, unit, uses) == model.spend(unit, uses, 1, now)
            case ("now", str(key), anew, months):
                until = None
                if months is not None and key != "gift":
                    until = now
                    for _ in range(months):
                        until = next_renewal(now, until)
                how = {"anchor": now if anew else None, "paid_until": until}
                await move(plans_db, ada, catalog, clock, key, **how)
                model.change(key, now, **how)
            case ("later", str(key)):
                at = (
                    model.month_end
                    if model.month_end is not None and model.month_end > now
                    else now + timedelta(days=9)
                )
                await move(plans_db, ada, catalog, clock, key, at=at)
                model.later(key, at)
            case ("keep",):
                async with plans_db.workspace(ada.workspace_id, ada.user_id) as tx:
                    await keep_plan(tx, ada.workspace_id, now=now)
                model.keep()
            case ("again",):
                async with plans_db.workspace(ada.workspace_id, ada.user_id) as tx:
                    state = await plan_rows.state(tx)
                for _ in range(2):
                    await move(
                        plans_db, ada, catalog, clock, state.key, anchor=state.anchor, paid_until=state.paid_until
                    )
                    await renew_due(plans_db, clock, catalog)
                model.change(model.plan, now, None, model.paid_until)
        now = clock.now()
        expected = {unit: amount for unit in UNITS if (amount := model.left(unit, now))}
        assert await left(plans_db, ada, clock) == expected, step
        async with plans_db.workspace(ada.workspace_id, ada.user_id) as tx:
            held = await credits.balances(tx, now=now)
        for unit, most in (("image", 200), ("video", 30), ("credit", 40)):
            live = [lot for lot in held.lots if lot.unit == unit and lot.source == "plan"]
            assert sum(lot.amount for lot in live) <= most
            assert {lot.expires_at for lot in live} <= {model.month_end}  # nothing outlives its month
    assert len(await monthly_grants(plans_db, ada)) == model.granted
    async with plans_db.elevated("test: verify") as tx:
        assert await credits.verify(tx) == ()


async def _spend(db: Database, actor: Actor, clock: FixedClock, unit: str, uses: int) -> bool:
    """Ask for so many outputs at a microcredit each, get them, and pay. False when there is not enough."""
    hold_id = new_id()
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        try:
            await credits.hold(
                tx, hold_id=hold_id, subject_id=new_id(), asks=[OutputAsk(1, unit, 1)] * uses,
                expires_at=clock.now() + timedelta(hours=1), now=clock.now(),
            )  # fmt: skip
        except OutOfCredits:
            return False
        for index in range(uses):
            await credits.capture(tx, hold_id, index, now=clock.now())
    return True


async def test_a_state_is_kept_and_read_back(plans_db: Database, catalog: Catalog, clock: FixedClock) -> None:
    ada = await sign_up(plans_db, catalog, clock)
    async with plans_db.workspace(ada.workspace_id, ada.user_id) as tx:
        before = await plan_rows.take(tx, ada.workspace_id)
        assert before is not None
        wanted = replace(before, key="small", next_key="gift", next_at=START + timedelta(days=2))
        await plan_rows.save(tx, ada.workspace_id, wanted, now=clock.now())
        assert await plan_rows.state(tx) == wanted


async def test_a_change_to_a_plan_without_a_mark_has_the_clean_files_unlocked(
    plans_db: Database, catalog: Catalog
) -> None:
    ada, bob = await make_user(plans_db), await make_user(plans_db)
    assert catalog.plan("free").watermark and not catalog.plan("small").watermark
    later = START + timedelta(days=3)
    for actor, steps in ((ada, ("small", "large", "free")), (bob, ("free",))):
        for to in steps:
            async with plans_db.elevated("test: a plan") as tx:
                await change_plan(tx, actor.workspace_id, to, catalog, now=START)
    assert await unlocking(plans_db) == {ada.workspace_id}
    async with plans_db.elevated("test: a plan that comes by the clock") as tx:
        await change_plan(tx, bob.workspace_id, "small", catalog, now=START, at=later)
    assert await unlocking(plans_db) == {ada.workspace_id}
    async with plans_db.elevated("test: its time") as tx:
        assert await arrive(tx, bob.workspace_id, catalog, now=later)
    assert await unlocking(plans_db) == {ada.workspace_id, bob.workspace_id}


async def unlocking(db: Database) -> set[UUID]:
    """Whose pictures a worker was asked to unlock."""
    async with db.elevated("test: jobs") as tx:
        rows = await tx.fetch("SELECT payload FROM pgqueuer WHERE entrypoint = $1", unlock.TASK)
    return {UUID(json.loads(row["payload"])["workspace_id"]) for row in rows}
