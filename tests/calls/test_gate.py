"""What holds calls back, the same for every process: limits, pauses, the breaker."""

import asyncio
from uuid import UUID, uuid4

import pytest

from gesso.calls import attempts, gate
from gesso.calls.attempts import Admission, NewAttempt
from gesso.calls.gate import OPEN_AFTER, Limits
from gesso.core.ids import new_id
from gesso.db import Database
from gesso.providers.base import Operation
from gesso.providers.errors import Busy, Misconfigured, Rejected, Unavailable


class Caller:
    """Somebody's generation, for which calls are made through one connection."""

    def __init__(self, db: Database, connection_id: UUID, limits: Limits) -> None:
        self.db, self.connection_id, self.limits = db, connection_id, limits
        self.workspace_id, self.generation_id = new_id(), new_id()

    async def ready(self) -> "Caller":
        async with self.db.workspace(self.workspace_id, new_id()) as tx:
            await tx.execute_raw(
                """INSERT INTO generation (workspace_id, id, user_id, kind, state, source, model_key, model_id,
                       model_name, prompt, params, count, priority, parallel, hold_id, price, queue_deadline_at)
                   VALUES ($1, $2, $1, 'image', 'queued', 'api', 'm', $1, 'M', 'p', '{}', 1, 0, 1, $2,
                       '{"credits": "0", "allowances": {}, "outputs": []}', now())""",
                self.workspace_id, self.generation_id,
            )  # fmt: skip
        return self

    async def call(self) -> tuple[Admission, UUID]:
        new = NewAttempt(new_id(), self.generation_id, (0,), 1, self.connection_id, "m", "a/b", uuid4(), 10)
        async with self.db.workspace(self.workspace_id, None) as tx:
            return await attempts.begin(tx, new, self.limits), new.id

    async def end(self, attempt_id: UUID) -> None:
        async with self.db.workspace(self.workspace_id, None) as tx:
            assert await attempts.close(tx, attempt_id, "succeeded")

    async def failed(self, error: Busy | Unavailable | Misconfigured | Rejected) -> None:
        async with self.db.workspace(self.workspace_id, None) as tx:
            await gate.report_failure(tx, self.connection_id, error)

    async def succeeded(self) -> None:
        async with self.db.workspace(self.workspace_id, None) as tx:
            await gate.report_success(tx, self.connection_id)


async def caller(db: Database, connection_id: UUID | None = None, **limits: int) -> Caller:
    return await Caller(db, connection_id or new_id(), Limits(**limits)).ready()


async def test_many_at_once_never_pass_the_limit(db: Database) -> None:
    ada = await caller(db, in_flight=3)
    ben = await caller(db, ada.connection_id, in_flight=3)
    results = await asyncio.gather(*((ada, ben)[number % 2].call() for number in range(24)))
    admitted = [attempt_id for admission, attempt_id in results if admission.attempt]
    assert len(admitted) == 3
    assert {admission.reason for admission, _ in results if not admission.attempt} == {"full"}
    async with db.elevated("test: whose it was") as tx:
        owner = await tx.fetchval("SELECT workspace_id FROM attempt WHERE id = $1", admitted[0])
    await (ada if owner == ada.workspace_id else ben).end(admitted[0])
    assert (await ben.call())[0].attempt and not (await ada.call())[0].attempt


async def test_without_limits_everything_passes(db: Database) -> None:
    ada = await caller(db)
    assert all(admission.attempt for admission, _ in await asyncio.gather(*(ada.call() for _ in range(20))))


async def test_so_many_a_minute(db: Database) -> None:
    ada = await caller(db, per_minute=2)
    for _ in range(2):
        admission, attempt_id = await ada.call()
        assert admission.attempt
        await ada.end(attempt_id)
    refused, _ = await ada.call()
    assert refused.reason == "rate" and 50 < refused.wait_seconds <= 60
    async with db.elevated("test: let a minute pass") as tx:
        await tx.execute_raw(
            "UPDATE attempt SET created_at = created_at - interval '1 minute' WHERE connection_id = $1",
            ada.connection_id,
        )
    assert (await ada.call())[0].attempt


async def test_a_pause_that_a_provider_asked_for_holds_for_all(db: Database) -> None:
    ada, other = await caller(db), await caller(db)
    ben = await caller(db, ada.connection_id)
    await ada.failed(Busy(30))
    refused, _ = await ben.call()
    assert refused.reason == "busy" and 28 < refused.wait_seconds <= 30 and not refused.misconfigured
    await ada.failed(Busy(2))  # a shorter one does not shorten it
    assert (await ben.call())[0].wait_seconds > 25
    assert (await other.call())[0].attempt  # another connection is not slowed down


async def test_an_older_success_does_not_end_a_pause_that_was_asked_for(db: Database) -> None:
    ada = await caller(db)
    await ada.failed(Busy(30))
    await ada.succeeded()
    assert (await ada.call())[0].reason == "busy"


@pytest.mark.parametrize(("error", "reason"), [(Misconfigured("key"), "key"), (Misconfigured("credit"), "credit")])
async def test_a_broken_account_pauses_its_connection(db: Database, error: Misconfigured, reason: str) -> None:
    ada = await caller(db)
    await ada.failed(error)
    refused, _ = await ada.call()
    assert refused.reason == reason and refused.misconfigured and refused.wait_seconds > 60


@pytest.mark.parametrize("error", [Misconfigured("model"), Rejected("no", "safety"), Rejected("no", "failed")])
async def test_what_is_wrong_with_a_request_pauses_nothing(db: Database, error: Misconfigured | Rejected) -> None:
    ada = await caller(db)
    for _ in range(OPEN_AFTER * 2):
        await ada.failed(error)
    assert (await ada.call())[0].attempt


async def test_the_breaker_opens_half_opens_and_closes(db: Database) -> None:
    ada = await caller(db, in_flight=10)
    for _ in range(OPEN_AFTER - 1):
        await ada.failed(Unavailable())
    assert (await ada.call())[0].attempt
    await ada.failed(Unavailable())
    assert (await ada.call())[0].reason == "unavailable"
    async with db.elevated("test: let the pause pass") as tx:
        await tx.execute_raw(
            "UPDATE connection_health SET paused_until = now() WHERE connection_id = $1", ada.connection_id
        )
        await tx.execute_raw(
            "UPDATE attempt SET state = 'succeeded', finished_at = now() WHERE connection_id = $1", ada.connection_id
        )
    probe, _ = await ada.call()
    assert probe.attempt and (await ada.call())[0].reason == "probing"  # one at a time
    await ada.failed(Unavailable())
    again, _ = await ada.call()
    assert again.reason == "unavailable" and again.wait_seconds > 5  # longer than the first pause
    await ada.succeeded()
    assert all(admission.attempt for admission, _ in [await ada.call() for _ in range(5)])


async def test_a_call_moves_only_as_its_table_says(db: Database) -> None:
    ada = await caller(db)
    _, attempt_id = await ada.call()
    async with db.workspace(ada.workspace_id, None) as tx:
        operation = Operation("req-1", {"status_url": "https://x"})
        assert await attempts.submitted(tx, attempt_id, operation)
        assert not await attempts.submitted(tx, attempt_id, operation)
        assert await attempts.close(tx, attempt_id, "failed", error_kind="busy", detail="Key abcdefghijklmnop said no")
        assert not await attempts.close(tx, attempt_id, "succeeded")
        (attempt,) = await attempts.of_generation(tx, ada.generation_id)
        detail = await tx.fetchval("SELECT error_detail FROM attempt WHERE id = $1", attempt_id)
    assert attempt.state == "failed" and attempt.operation == operation
    assert "abcdefgh" not in detail


async def test_a_call_is_found_by_its_client_key_alone(db: Database) -> None:
    ada = await caller(db)
    _, attempt_id = await ada.call()
    async with db.workspace(ada.workspace_id, None) as tx:
        attempt = await attempts.get(tx, attempt_id)
    assert attempt is not None
    async with db.public() as tx:
        found = await attempts.find(tx, attempt.client_key)
        assert found is not None and found.attempt_id == attempt_id and found.workspace_id == ada.workspace_id
        assert await attempts.find(tx, uuid4()) is None
        assert await tx.fetch("SELECT * FROM attempt") == []


async def test_an_operator_who_mended_a_connection_need_not_wait(db: Database) -> None:
    ada = await caller(db)
    await ada.failed(Misconfigured("key"))
    refused, _ = await ada.call()
    assert refused.misconfigured
    async with db.elevated("test: the key was replaced") as tx:
        await gate.resume(tx, ada.connection_id)
    admitted, _ = await ada.call()
    assert admitted.attempt is not None
