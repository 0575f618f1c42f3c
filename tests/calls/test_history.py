"""What the operator sees of connections: hours, latency, uncertain calls; and what was said in a call."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from gesso.calls import attempts, history, record
from gesso.calls.attempts import Admission, Cost, NewAttempt
from gesso.calls.gate import OPEN_AFTER, Limits, report_failure
from gesso.calls.record import Record
from gesso.core.ids import new_id
from gesso.db import Database
from gesso.providers import exchange
from gesso.providers.errors import Unavailable
from gesso.providers.text import TextUsage

HOUR = timedelta(hours=1)


async def begin(db: Database, workspace_id: UUID, connection_id: UUID, cost: int | None = 10) -> UUID:
    new = NewAttempt(
        new_id(), None, (), 1, connection_id, "m", "a/b", uuid4(), cost, purpose="improve", user_id=new_id()
    )  # fmt: skip
    async with db.workspace(workspace_id) as tx:
        admission: Admission = await attempts.begin(tx, new, Limits())
    assert admission.attempt is not None and admission.attempt.generation_id is None
    return new.id


async def end(db: Database, workspace_id: UUID, attempt_id: UUID, error: str | None = None) -> None:
    async with db.workspace(workspace_id) as tx:
        state: attempts.AttemptState = "succeeded"
        if error is not None:
            state = "uncertain" if error == "outcome_unknown" else "failed"
        assert await attempts.close(
            tx, attempt_id, state, error_kind=error, cost=Cost(5, "actual") if error is None else None,
            usage=TextUsage(12, 34) if error is None else None,
        )  # fmt: skip


async def took(db: Database, attempt_id: UUID, finished_at: datetime, seconds: float) -> None:
    async with db.elevated("test: as if it had been then") as tx:
        await tx.execute_raw(
            """UPDATE attempt SET finished_at = $2, created_at = $2::timestamptz - make_interval(secs => $3)
               WHERE id = $1""",
            attempt_id, finished_at, seconds,
        )  # fmt: skip


async def test_hours_that_are_over_and_the_running_one_are_told_alike(fresh_db: Database) -> None:
    db, workspace_id, connection_id = fresh_db, new_id(), new_id()
    now = datetime.now(UTC)
    this = now.replace(minute=0, second=0, microsecond=0)
    before = this - 3 * HOUR
    for hour in (before, this):
        moment = min(hour + timedelta(minutes=5), now)
        for seconds in (1, 2, 3, 4, 20):
            attempt_id = await begin(db, workspace_id, connection_id)
            await end(db, workspace_id, attempt_id)
            await took(db, attempt_id, moment, seconds)
        for error in ("busy", "unavailable", "unavailable", "outcome_unknown"):
            attempt_id = await begin(db, workspace_id, connection_id)
            await end(db, workspace_id, attempt_id, error)
            await took(db, attempt_id, moment, 99)
    async with db.elevated("test") as tx:
        live = await history.hours(tx, this - 24 * HOUR, now)
    for _ in range(2):  # again changes nothing
        more = True
        while more:
            async with db.elevated("test") as tx:
                more = await history.roll_up(tx, now)
    async with db.elevated("test") as tx:
        rolled = await history.hours(tx, this - 24 * HOUR, now)
        stored = await tx.fetchval("SELECT count(*) FROM connection_hour")
    assert live == rolled and stored == 1
    assert [hour.hour for hour in rolled] == [before, this]
    for hour in rolled:
        assert (hour.calls, hour.succeeded) == (9, 5)
        assert hour.failures == {"busy": 1, "unavailable": 2, "outcome_unknown": 1}
        assert hour.p50_ms == 3000 and 15_000 < (hour.p95_ms or 0) <= 20_000
        assert hour.cost_micro_usd == 5 * 5 + 4 * 10


async def test_uncertain_calls_are_counted_with_what_they_may_cost(fresh_db: Database) -> None:
    workspace_id, connection_id = new_id(), new_id()
    for cost in (40, 2, None):
        await end(fresh_db, workspace_id, await begin(fresh_db, workspace_id, connection_id, cost), "outcome_unknown")
    await end(fresh_db, workspace_id, await begin(fresh_db, workspace_id, connection_id, 1000), "busy")
    async with fresh_db.elevated("test") as tx:
        (found,) = await history.uncertain(tx, datetime.now(UTC) - HOUR)
        assert await history.uncertain(tx, datetime.now(UTC) + HOUR) == ()
    assert (found.connection_id, found.calls, found.cost_micro_usd, found.unpriced) == (connection_id, 3, 42, 1)


async def test_a_connection_that_fails_is_told_to_probe(fresh_db: Database) -> None:
    workspace_id, connection_id, quiet = new_id(), new_id(), new_id()
    await begin(fresh_db, workspace_id, quiet)
    async with fresh_db.workspace(workspace_id) as tx:
        for _ in range(OPEN_AFTER):
            await report_failure(tx, connection_id, Unavailable())
    async with fresh_db.elevated("test") as tx:
        found = await history.standings(tx, OPEN_AFTER)
        assert not found[connection_id].probing and found[connection_id].reason == "unavailable"
        await tx.execute_raw("UPDATE connection_health SET paused_until = now() - interval '1 second'")
        assert (await history.standings(tx, OPEN_AFTER))[connection_id].probing
    assert (found[quiet].live, found[quiet].failures, found[quiet].probing) == (1, 0, False)


async def test_a_call_whose_process_died_ends_as_uncertain(fresh_db: Database) -> None:
    workspace_id, connection_id = new_id(), new_id()
    old, young = [await begin(fresh_db, workspace_id, connection_id) for _ in range(2)]
    async with fresh_db.elevated("test") as tx:
        await tx.execute_raw("UPDATE attempt SET created_at = created_at - interval '1 hour' WHERE id = $1", old)
        assert await attempts.end_abandoned(tx, datetime.now(UTC) - timedelta(minutes=12)) == 1
    async with fresh_db.workspace(workspace_id) as tx:
        states = [attempt and attempt.state for attempt in (await attempts.get(tx, old), await attempts.get(tx, young))]
    assert states == ["uncertain", "started"]


def _said(status: int | None, text: str = "{}") -> None:
    exchange.note(
        method="POST", url="https://x.example/run?token=secret", status=status, took_seconds=0.25, request={"a": 1},
        response=text, mask=lambda value: value,
    )  # fmt: skip


async def test_what_was_said_is_kept_without_every_poll_and_forgotten_in_time(fresh_db: Database) -> None:
    workspace_id = new_id()
    attempt_id = await begin(fresh_db, workspace_id, new_id())
    kept = Record(fresh_db, workspace_id, attempt_id)
    with kept.taking("submit"):
        _said(200, "nul: \0")
    for status in (200, 202, 500, None, *([503] * 40), 202, 200):
        with kept.taking("poll"):
            _said(status, str(status))
    await asyncio.gather(kept.flush(), Record(fresh_db, workspace_id, attempt_id).flush())
    async with fresh_db.elevated("test") as tx:
        found = await record.of_attempt(tx, workspace_id, attempt_id)
        assert [line.operation for line in found][:1] == ["submit"] and "token" not in found[0].url
        polls = [line.status for line in found if line.operation == "poll"]
        assert polls[:3] == [200, 500, None] and polls[-1] == 200 and len(polls) == 22
        assert await record.forget(tx, datetime.now(UTC) - record.KEPT) == 0
        assert await record.forget(tx, datetime.now(UTC) + HOUR) == len(found)
    async with fresh_db.workspace(new_id()) as tx:
        assert await tx.fetch("SELECT * FROM attempt_exchange") == []


async def test_what_cannot_be_kept_troubles_nobody(fresh_db: Database) -> None:
    kept = Record(fresh_db, new_id(), new_id())  # no such attempt
    with kept.taking("submit"):
        _said(200)
    await kept.flush()
