"""Days that are summed up tell the same as the rows they were summed from."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from gesso.accounts.access import Actor
from gesso.analytics import repository
from gesso.analytics.rollup import roll_up
from gesso.core.clock import SystemClock
from gesso.core.ids import new_id
from gesso.db import Database
from tests.cast import add_member, make_user
from tests.media.pictures import id_at

_GENERATION = """
INSERT INTO generation (id, workspace_id, user_id, kind, state, source, model_key, model_id, model_name, prompt, params,
    count, priority, parallel, hold_id, price, charged, created_at, queue_deadline_at, dispatched_at, started_at,
    deadline_at, finished_at, error_code, error_message)
VALUES ($1, $2, $3, 'image', $4, 'api', $5, $1, upper($5), 'boats', '{}', 2, 0, 1, $1, $6, $6, $7::timestamptz, $7, $7,
    $7, $7, $7::timestamptz + interval '3 seconds', CASE $4 WHEN 'failed' THEN 'busy' END,
    CASE $4 WHEN 'failed' THEN 'Busy.' END)
"""
_OUTPUT = """
INSERT INTO output (workspace_id, generation_id, index, asset_id, state, price, finished_at, error_code, error_message)
VALUES ($1, $2, $3, $4, $5, '{}', now(), CASE $5 WHEN 'failed' THEN 'busy' END, CASE $5 WHEN 'failed' THEN 'Busy.' END)
"""


async def made(owner: asyncpg.Connection, who: Actor, at: datetime, model: str, delivered: int) -> UUID:
    """A generation of two outputs that ended three seconds after `at`."""
    generation = id_at(at)
    price = f'{{"credits": "{delivered}", "allowances": {{}}, "outputs": []}}'
    state = "succeeded" if delivered else "failed"
    await owner.execute(_GENERATION, generation, who.workspace_id, who.user_id, state, model, price, at)
    for index in range(2):
        ended = "delivered" if index < delivered else "failed"
        await owner.execute(_OUTPUT, who.workspace_id, generation, index, new_id(), ended)
    return generation


async def told(db: Database, who: Actor, only: UUID | None, start: datetime, end: datetime) -> list[repository.Used]:
    async with db.workspace(who.workspace_id, who.user_id) as tx:
        final = await repository.final_until(tx)
        return sorted(
            await repository.used(tx, start, end, "day", only, final), key=lambda line: (line.start, line.model_key)
        )


async def test_summed_days_tell_what_their_rows_told(fresh_db: Database, fresh_database_url: str) -> None:
    db, now = fresh_db, datetime.now(UTC)
    ada = await make_user(db, "Ada", at=now - timedelta(days=90))
    ben = await add_member(db, ada, await make_user(db, "Ben"))
    cleo = await make_user(db, "Cleo")
    owner = await asyncpg.connect(fresh_database_url)
    await owner.execute("UPDATE usage_rolled SET until = $1", (now - timedelta(days=90)).date())
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for days, hour, who, model, delivered in (
        (80, 1, ada, "flux", 2), (80, 2, ada, "flux", 1), (80, 3, ben, "flux", 2), (80, 4, ada, "juggernaut", 0),
        (40, 0, ada, "flux", 2), (40, 23, ada, "flux", 2), (3, 12, ben, "flux", 1), (1, 12, ada, "flux", 2),
        (40, 1, cleo, "flux", 2),
    ):  # fmt: skip
        await made(
            owner, who, midnight - timedelta(days=days) + timedelta(hours=hour, milliseconds=7), model, delivered
        )
    periods = [
        (midnight - timedelta(days=85), now),
        (midnight - timedelta(days=40), midnight - timedelta(days=2)),
        (midnight - timedelta(days=80) + timedelta(hours=1, minutes=30), midnight - timedelta(days=39, hours=12)),
        (now - timedelta(hours=1), now),
    ]
    questions = [(only, start, end) for only in (None, ben.user_id) for start, end in periods]
    before = [await told(db, ada, *question) for question in questions]
    assert [line.requests for line in before[0]] == [3, 1, 2, 1, 1]
    assert (before[0][0].spent, before[0][0].delivered, before[0][0].missed, before[0][0].seconds) == (
        5_000_000,
        5,
        1,
        9,
    )

    assert await roll_up(db, SystemClock()) == 6
    assert await owner.fetchval("SELECT count(*) FROM usage_day") == 6
    assert [await told(db, ada, *question) for question in questions] == before
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await owner.execute("DELETE FROM generation WHERE created_at < $1", midnight - timedelta(days=2))
        assert await repository.used(tx, *periods[1], "day", None, await repository.final_until(tx)) == before[1]

    assert await roll_up(db, SystemClock()) == 0  # nothing is summed up twice
    await owner.execute("DELETE FROM workspace WHERE id = $1", cleo.workspace_id)
    await owner.close()


async def test_lines_make_the_figures_of_the_dashboard() -> None:
    day = datetime(2026, 5, 11, tzinfo=UTC)
    lines = [
        repository.Used(day, "a", "A", 2, 2, 6.0, 3, 4, 0),
        repository.Used(day, "b", "B", 1, 0, 0.0, 0, 0, 2),
        repository.Used(day + timedelta(days=1), "a", "A", 1, 1, 3.0, 2, 1, 1),
    ]
    assert repository.totals(lines) == repository.Totals(5, 5, 3)
    assert repository.spent_by_step(lines) == {day: 3, day + timedelta(days=1): 2}
    first, second = repository.by_model(lines)
    assert (first.key, first.spent, first.requests, first.seconds) == ("a", 5, 3, 3.0)
    assert (second.key, second.seconds) == ("b", None)
