"""Notices of a payment provider: each is stored once, in the transaction that does what follows from it.

A notice only says that something has happened: the object it names is read anew, so order and repetition do not
matter. What fails is kept with its reason and tried again, ever more slowly; an operator may replay anything.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast
from uuid import UUID

import structlog

from gesso.billing import repository
from gesso.billing.changes import Change
from gesso.billing.effects import Effects
from gesso.billing.facts import Fact
from gesso.billing.port import Received, Taken
from gesso.core.clock import Clock
from gesso.core.errors import GessoError, NotFound
from gesso.core.ids import new_id
from gesso.db import Database, ElevatedSession

log = structlog.get_logger()

Event = Mapping[str, Any]
"""At least `id`, `type`, `created` (unix time) and `data.object`."""
State = Literal["received", "done", "failed", "ignored"]
Read = Callable[[Event], Awaitable[Sequence[Fact] | None]]
"""What an event's object says now; None for an event that nothing follows from."""
Names = Callable[[Event], Sequence[str]]
"""The provider's ids of all that an event names, its own first."""

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=6)
TRIES = 20
"""After so many, three days or so, only an operator's word takes a notice up again."""
BATCH = 100
KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Inbox:
    """The notices of one provider."""

    db: Database
    clock: Clock
    provider: str
    read: Read
    names: Names
    effects: Effects

    async def receive(self, event: Event) -> Received:
        """Take a notice that has been verified. Raises only when not even the notice could be stored."""
        async with self.db.elevated("billing: a notice came") as tx:
            mark = await repository.draw_mark(tx)
            state = await _state(tx, self.provider, event["id"])
        if state in ("done", "ignored"):
            return "known"
        return (await self._work(event, mark, again=False)).received

    async def take_up(self, event_id: UUID) -> Taken:
        """Do once more what follows from a stored notice, whatever became of it. Raises NotFound."""
        async with self.db.elevated("billing: a notice is taken up again") as tx:
            mark = await repository.draw_mark(tx)
            payload = await tx.fetchval(
                "SELECT payload FROM webhook_event WHERE id = $1 AND provider = $2", event_id, self.provider
            )
        if payload is None:
            raise NotFound("There is no such notice.")
        return await self._work(payload, mark, again=True)

    async def _work(self, event: Event, mark: int, *, again: bool) -> Taken:
        try:
            facts = await self.read(event)
            async with self.db.elevated("billing: what follows from a notice") as tx:
                known = await self._open(tx, event)
                if known in ("done", "ignored") and not again:
                    return Taken("known")
                changes = await self.effects.apply(tx, facts, mark) if facts is not None else None
                state: Literal["done", "ignored"] = "ignored" if changes is None else "done"
                await _close(tx, self.provider, event["id"], state, changes or (), self.clock.now())
            return Taken(state, changes or ())
        except Exception as error:
            said = error.detail if isinstance(error, GessoError) else type(error).__name__
            log.warning(
                "payments.notice_failed", event_id=event["id"], type=event["type"], reason=said,
                exc_info=not isinstance(error, GessoError),
            )  # fmt: skip
            async with self.db.elevated("billing: a notice failed") as tx:
                await self._open(tx, event)
                await _fail(tx, self.provider, event["id"], said, self.clock.now())
            return Taken("failed", error=said)

    async def _open(self, tx: ElevatedSession, event: Event) -> State:
        """The notice's row, made where there is none, and locked: the same one at once waits here."""
        await tx.execute_raw(
            "INSERT INTO webhook_event (id, provider, ref, type, payload, about, state, created_at, received_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, 'received', $7, $8) ON CONFLICT (provider, ref) DO NOTHING",
            new_id(), self.provider, event["id"], event["type"], dict(event), f" {' '.join(self.names(event))} ",
            datetime.fromtimestamp(event["created"], UTC), self.clock.now(),
        )  # fmt: skip
        sql = "SELECT state FROM webhook_event WHERE provider = $1 AND ref = $2 FOR UPDATE"
        return cast(State, await tx.fetchval(sql, self.provider, event["id"]))


async def due(tx: ElevatedSession, now: datetime) -> list[UUID]:
    """Notices that are to be tried again now."""
    rows = await tx.fetch(
        "SELECT id FROM webhook_event WHERE next_try_at <= $1 ORDER BY next_try_at LIMIT $2", now, BATCH
    )
    return [row["id"] for row in rows]


async def unknown(tx: ElevatedSession, provider: str, refs: Sequence[str]) -> list[str]:
    """Those events of which no notice is kept, in the same order."""
    rows = await tx.fetch("SELECT ref FROM webhook_event WHERE provider = $1 AND ref = ANY ($2)", provider, list(refs))
    kept = {row["ref"] for row in rows}
    return [ref for ref in refs if ref not in kept]


async def forget(tx: ElevatedSession, now: datetime) -> int:
    """Remove notices that were settled long ago."""
    return await tx.execute_raw(
        "DELETE FROM webhook_event WHERE state IN ('done', 'ignored') AND received_at < $1", now - KEPT
    )


def pause(tries: int) -> timedelta:
    """How long to wait after the n-th try: doubled each time, up to LONGEST_PAUSE."""
    return cast(timedelta, min(FIRST_PAUSE * 2 ** min(max(tries - 1, 0), 20), LONGEST_PAUSE))


async def _state(tx: ElevatedSession, provider: str, ref: str) -> State | None:
    sql = "SELECT state FROM webhook_event WHERE provider = $1 AND ref = $2"
    return cast(State | None, await tx.fetchval(sql, provider, ref))


async def _close(
    tx: ElevatedSession, provider: str, ref: str, state: State, changes: Sequence[Change], now: datetime
) -> None:
    done = {"at": now.isoformat(), "changes": [change.as_json() for change in changes]}
    await tx.execute_raw(
        "UPDATE webhook_event SET state = $3, error = NULL, tries = tries + 1, next_try_at = NULL, done_at = $4,"
        " effects = effects || $5::jsonb WHERE provider = $1 AND ref = $2",
        provider, ref, state, now, [done] if changes else [],
    )  # fmt: skip


async def _fail(tx: ElevatedSession, provider: str, ref: str, error: str, now: datetime) -> None:
    """Note why; one that was done before stays done, with the reason why it could not be done again."""
    row = await tx.fetchrow(
        "UPDATE webhook_event SET error = $3, tries = tries + 1,"
        " state = CASE WHEN state = 'done' THEN 'done' ELSE 'failed' END WHERE provider = $1 AND ref = $2"
        " RETURNING id, state, tries",
        provider, ref, error[:500],
    )  # fmt: skip
    assert row is not None
    again = now + pause(row["tries"]) if row["state"] == "failed" and row["tries"] < TRIES else None
    await tx.execute_raw("UPDATE webhook_event SET next_try_at = $2 WHERE id = $1", row["id"], again)
