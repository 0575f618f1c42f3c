"""What was said in a call, kept for the operator for two weeks: shapes and short values (`providers/exchange.py`).

Kept as well as it goes, and after the call: that it could not be kept is logged and troubles nobody.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import structlog

from gesso.db import Database, ElevatedSession
from gesso.providers.exchange import Exchange, recording

log = structlog.get_logger()

Said = Literal["submit", "poll", "find", "cancel", "write", "judge"]
KEPT = timedelta(days=14)
_FAILED_POLLS = 20
"""Polls of one call that failed and are kept; a provider that is away for an hour says the same again and again."""
_AT_ONCE = 5000

_STORE = """
INSERT INTO attempt_exchange (workspace_id, attempt_id, at, operation, method, url, status, took_ms, request, response)
SELECT $1, $2, e.* FROM unnest($3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::integer[],
    $9::text[], $10::text[]) AS e
"""
_FORGET = """
DELETE FROM attempt_exchange WHERE (workspace_id, attempt_id, number) IN (
    SELECT workspace_id, attempt_id, number FROM attempt_exchange WHERE at < $1 ORDER BY at LIMIT $2)
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """An exchange as it was kept, for the operator's eyes. `operation`: what we were doing."""

    at: datetime
    operation: Said
    method: str
    url: str
    status: int | None
    took_ms: int
    request: str | None
    response: str | None


class Record:
    """The exchanges of one attempt, gathered in this process and stored by `flush`."""

    __slots__ = ("_attempt_id", "_db", "_entries", "_failed_polls", "_last_poll", "_polled", "_workspace_id")

    def __init__(self, db: Database, workspace_id: UUID, attempt_id: UUID) -> None:
        self._db, self._workspace_id, self._attempt_id = db, workspace_id, attempt_id
        self._entries: list[tuple[Said, Exchange]] = []
        self._last_poll: Exchange | None = None
        self._polled = False
        self._failed_polls = 0

    @contextlib.contextmanager
    def taking(self, operation: Said) -> Iterator[None]:
        """Keep what is said inside the block. Of polls: the first, the last, and those that failed."""
        with recording() as found:
            try:
                yield
            finally:
                for exchange in found:
                    if operation == "poll":
                        self._poll(exchange)
                    else:
                        self._entries.append((operation, exchange))

    def _poll(self, exchange: Exchange) -> None:
        failed = exchange.status is None or exchange.status >= 400
        if failed and self._failed_polls < _FAILED_POLLS:
            self._failed_polls += 1
            self._entries.append(("poll", exchange))
        elif not self._polled and not failed:
            self._polled = True
            self._entries.append(("poll", exchange))
        elif not failed:
            self._last_poll = exchange

    async def flush(self) -> None:
        """Store what was gathered since the last time. Never raises."""
        entries, self._entries = self._entries, []
        if self._last_poll is not None:
            entries.append(("poll", self._last_poll))
            self._last_poll = None
        if not entries:
            return
        try:
            async with self._db.workspace(self._workspace_id) as tx:
                await tx.execute_raw(_STORE, self._workspace_id, self._attempt_id, *_columns(entries))
        except Exception as error:  # noqa: BLE001 - it is only told
            log.warning("exchange.not_kept", attempt_id=str(self._attempt_id), error=type(error).__name__)


def _columns(entries: Sequence[tuple[Said, Exchange]]) -> tuple[list[object], ...]:
    lines = [
        (
            exchange.at, operation, exchange.method, exchange.url, exchange.status, exchange.took_ms,
            _storable(exchange.request), _storable(exchange.response),
        )
        for operation, exchange in entries
    ]  # fmt: skip
    return tuple(list(column) for column in zip(*lines, strict=True))


def _storable(text: str | None) -> str | None:
    """Without what PostgreSQL takes in no text."""
    return None if text is None else text.replace("\0", "␀").encode(errors="replace").decode()


async def of_attempt(tx: ElevatedSession, workspace_id: UUID, attempt_id: UUID) -> tuple[Kept, ...]:
    """What was said in a call, in its order."""
    rows = await tx.fetch(
        """SELECT at, operation, method, url, status, took_ms, request, response FROM attempt_exchange
           WHERE workspace_id = $1 AND attempt_id = $2 ORDER BY at, number""",
        workspace_id, attempt_id,
    )  # fmt: skip
    return tuple(Kept(**row) for row in rows)


async def forget(tx: ElevatedSession, before: datetime) -> int:
    """Delete what is older; at most some thousands at once. How many."""
    return await tx.execute_raw(_FORGET, before, _AT_ONCE)


async def of_generation(tx: ElevatedSession, workspace_id: UUID, generation_id: UUID) -> dict[UUID, tuple[Kept, ...]]:
    """What was said in all calls made for a generation, by call, each in its order."""
    rows = await tx.fetch(
        """SELECT e.attempt_id, e.at, e.operation, e.method, e.url, e.status, e.took_ms, e.request, e.response
           FROM attempt a JOIN attempt_exchange e ON e.workspace_id = a.workspace_id AND e.attempt_id = a.id
           WHERE a.workspace_id = $1 AND a.generation_id = $2 ORDER BY e.at, e.number""",
        workspace_id, generation_id,
    )  # fmt: skip
    found: dict[UUID, list[Kept]] = {}
    for row in rows:
        values = dict(row)
        found.setdefault(values.pop("attempt_id"), []).append(Kept(**values))
    return {attempt_id: tuple(kept) for attempt_id, kept in found.items()}
