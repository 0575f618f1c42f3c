"""Whether work flows: workers, queue, generations."""

from collections.abc import Mapping, Sequence
from typing import Any

from gesso.api.metrics import site
from gesso.cli.doctor.findings import Finding, ago, graded, ill, well
from gesso.db import Database

SLOW_SECONDS, STUCK_SECONDS = 60, 600


async def examine(db: Database) -> list[Finding]:
    """Workers, jobs, generations."""
    async with db.elevated("doctor: does work flow") as tx:
        figures = await site.look(tx)
        lost = await tx.fetch(
            "SELECT host, count(*) AS count FROM worker_seen WHERE seen_at < now() - make_interval(secs => $1) "
            "GROUP BY host ORDER BY host",
            site.SEEN_SECONDS,
        )
    return [
        _workers(figures["workers"]["seen"], lost),
        _jobs(figures["jobs"]),
        _generations(figures["generations"]),
    ]


def _workers(seen: int, lost: Sequence[Mapping[str, Any]]) -> Finding:
    if not seen:
        return ill("workers", "None.", "Run: gesso work")
    names = ", ".join(f"{row['count']} on {row['host']}" for row in lost)
    return graded(
        "workers", f"{seen} seen within a minute" + (f"; gone without a word since yesterday: {names}" if lost else ""),
        "They were killed, or ran out of memory: look at that machine. Their work went to others.",
        ill_if=False, look_if=bool(lost),
    )  # fmt: skip


def _jobs(jobs: Sequence[Mapping[str, Any]]) -> Finding:
    if not jobs:
        return well("queue", "empty")
    oldest = max(jobs, key=lambda job: job["oldest"])
    abandoned = sum(job["abandoned"] for job in jobs)
    waiting = sum(job["queued"] for job in jobs)
    return graded(
        "queue",
        f"{waiting} jobs wait, the oldest that is due for {ago(oldest['oldest'])} ({oldest['task']})"
        + (f"; {abandoned} have no living worker" if abandoned else ""),
        "Start more workers, or raise GESSO_WORKER_CONCURRENCY; what has no worker is handed on by a running one.",
        ill_if=oldest["oldest"] > STUCK_SECONDS, look_if=oldest["oldest"] > SLOW_SECONDS or abandoned > 0,
    )  # fmt: skip


def _generations(rows: Sequence[Mapping[str, Any]]) -> Finding:
    counts = {
        state: sum(row["count"] for row in rows if row["state"] == state) for state in ("waiting", "queued", "running")
    }
    oldest = max((row["oldest"] for row in rows if row["state"] == "queued"), default=0.0)
    return graded(
        "generations",
        f"{counts['running']} running, {counts['queued']} queued"
        + (f" (the oldest for {ago(oldest)})" if counts["queued"] else "")
        + f", {counts['waiting']} waiting for their workspace's turn",
        "Too few workers, or a connection that is full or paused: look at both.",
        ill_if=oldest > STUCK_SECONDS, look_if=oldest > SLOW_SECONDS,
    )  # fmt: skip
