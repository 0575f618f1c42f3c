"""Put a job into the queue, together with the rows it is about or not at all."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.queries import Queries

from gesso.db import ElevatedSession, Session

LOG_KEPT = timedelta(days=7)
"""How long the queue's own log of what became of each job stays. No job lives that long."""
WAKE_CHANNEL = DBSettings().channel
_WAKE = {
    "channel": WAKE_CHANNEL, "operation": "insert", "sent_at": "1970-01-01T00:00:00Z", "table": "pgqueuer",
    "type": "table_changed_event",
}  # fmt: skip


async def enqueue(
    tx: Session,
    task: str,
    payload: Mapping[str, Any],
    *,
    priority: int = 0,
    delay: timedelta | None = None,
    dedupe_key: str | None = None,
) -> bool:
    """Add a job in the transaction `tx`; workers are woken after its commit.

    `priority`: higher first. With `dedupe_key`, nothing is added while a job of the same key is queued or
    running; the result says whether one was added.
    """
    queries = Queries(AsyncpgDriver(await tx.driver()))
    ids = await queries.enqueue(
        [task], [json.dumps(payload, default=str).encode()], [priority], [delay], [dedupe_key],
        on_conflict="skip" if dedupe_key else "raise",
    )  # type: ignore[call-overload]  # fmt: skip
    tx.notify_after_commit(WAKE_CHANNEL, _WAKE)
    return ids[0] is not None


async def forget_log(tx: ElevatedSession) -> int:
    """Remove old lines of the queue's log, three or more for each job, which the library never does itself."""
    return await tx.execute_raw("DELETE FROM pgqueuer_log WHERE created < now() - $1::interval", LOG_KEPT)
