"""Put a job into the queue, together with the rows it is about or not at all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gesso.db import ElevatedSession, Session

LOG_KEPT = timedelta(days=7)
"""How long the queue's own log of what became of each job stays. No job lives that long."""
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""A job whose worker showed no sign of life for this long is given to another."""
WAKE_CHANNEL = "ch_pgqueuer"
"""Where pgqueuer listens, by its own default."""
_WAKE = {
    "channel": WAKE_CHANNEL, "operation": "insert", "sent_at": "1970-01-01T00:00:00Z", "table": "pgqueuer",
    "type": "table_changed_event",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the queue keeps it, for a statement that calls `queue_add` (migration 0012) among other things."""

    task: str
    payload: bytes
    key: str | None

    @classmethod
    def of(cls, task: str, payload: Mapping[str, Any], key: str | None = None) -> "Job":
        return cls(task, json.dumps(payload, default=str).encode(), key)


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
    job = Job.of(task, payload, dedupe_key)
    added = await tx.fetchval(
        "SELECT job_id FROM queue_add($1, $2, $3, $4, $5)", job.task, job.payload, priority, delay, job.key
    )  # fmt: skip
    wake(tx)
    return added is not None


def wake(tx: Session) -> None:
    """Let workers look into the queue after the commit: `enqueue` does, a statement of one's own must."""
    tx.notify_after_commit(WAKE_CHANNEL, _WAKE)


async def take_up_held(tx: Session) -> int:
    """Queue again the jobs that are held as failed. How many.

    A failing task is tried again after a pause. If the database does not even take that (its disk is full, a lock is
    held too long), the queue holds the job instead: without this nobody would ever look at it.
    """
    held = await tx.execute_raw(
        "UPDATE pgqueuer SET status = 'queued', execute_after = now(), updated = now(), attempts = 0, "
        "queue_manager_id = NULL WHERE status = 'failed'"
    )
    if held:
        wake(tx)
    return held


async def forget_log(tx: ElevatedSession) -> int:
    """Remove old lines of the queue's log, three or more for each job, which the library never does itself."""
    return await tx.execute_raw("DELETE FROM pgqueuer_log WHERE created < now() - $1::interval", LOG_KEPT)
