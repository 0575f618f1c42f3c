"""What only the command line and the worker use: making people and operators, cleaning up."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from gesso.accounts import repository, service, tasks
from gesso.accounts.access import Actor
from gesso.accounts.errors import EmailTaken
from gesso.accounts.hooks import AccountHooks
from gesso.accounts.visit import Visit
from gesso.core.clock import FixedClock
from gesso.core.errors import InvalidInput
from gesso.db import Database
from gesso.jobs import Tasks
from tests.cast import PASSWORD, make_user, session_token, visit_now


@dataclass
class Worker:
    """What the worker hands to the room's tasks."""

    db: Database
    clock: FixedClock


HOOKS = AccountHooks(default_plan=lambda: "free")


async def test_a_user_made_on_the_command_line_can_sign_in(db: Database) -> None:
    made = await service.create_user(
        db, email="Olga.Cli@Example.test", name="Olga", password=PASSWORD, hooks=HOOKS, visit=visit_now()
    )
    assert made.email == "olga.cli@example.test"
    with pytest.raises(EmailTaken):
        await service.create_user(
            db, email="olga.cli@example.test", name="Olga", password=PASSWORD, hooks=HOOKS, visit=visit_now()
        )
    async with db.workspace(made.workspace_id, made.user_id) as tx:
        row = await tx.fetchrow("SELECT plan_key, plan_anchor_at, plan_renews_at FROM workspace")
    assert row is not None and row["plan_key"] == "free"
    assert timedelta(days=28) <= row["plan_renews_at"] - row["plan_anchor_at"] <= timedelta(days=31)


async def test_making_an_operator(db: Database) -> None:
    ada = await make_user(db)
    assert ada.is_operator is False
    async with db.elevated("test") as tx:
        assert await service.make_operator(tx, ada.email.upper(), visit=visit_now()) == ada.user_id
        with pytest.raises(InvalidInput):
            await service.make_operator(tx, "nobody.at.all@example.test", visit=visit_now())
    assert (await make_user(db, "Olga", operator=True)).is_operator is True


async def test_what_ended_long_ago_is_removed_at_night(fresh_db: Database) -> None:
    start = datetime(2026, 5, 1, tzinfo=UTC)
    old = await make_user(fresh_db, at=start)
    new = await make_user(fresh_db, "Ben", at=start + timedelta(days=60))
    registry = Tasks()
    tasks.register(registry, Worker(fresh_db, FixedClock(start + timedelta(days=61))))
    _, tidy = registry.schedules["accounts.tidy"]
    await tidy()

    async def sessions(actor: Actor) -> int:
        async with fresh_db.workspace(actor.workspace_id, actor.user_id) as tx:
            return int(await tx.fetchval("SELECT count(*) FROM login_session"))

    assert (await sessions(old), await sessions(new)) == (0, 1)


async def test_a_session_is_found_in_one_call_with_all_an_actor_needs(db: Database) -> None:
    ada = await make_user(db, "Ada Keller")
    assert (ada.name, ada.workspace_name, ada.role, ada.plan_key) == ("Ada Keller", "Ada’s workspace", "admin", "free")
    assert await repository.find_session(db, b"\0" * 32, datetime.now(UTC)) is None
    assert await session_token(db, ada) != await session_token(db, ada)


async def test_an_unreadable_address_in_the_log_stays_empty(db: Database) -> None:
    visit = Visit(at=datetime.now(UTC), ip=None, user_agent="x" * 5000)
    made = await service.create_user(
        db, email="no.ip@example.test", name="No Ip", password=PASSWORD, hooks=HOOKS, visit=visit
    )
    async with db.workspace(made.workspace_id, made.user_id) as tx:
        assert await tx.fetchval("SELECT ip FROM audit_event") is None
