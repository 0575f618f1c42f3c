"""Limits that hold across processes: requests counted in fixed windows in PostgreSQL.

Fixed windows let at most twice the limit through at a border, which is enough against guessing and needs one
row and one statement. The counting commits by itself, so a failing request counts too.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from gesso.core.errors import TooManyRequests
from gesso.db import Database, ElevatedSession

_HIT = """
INSERT INTO rate_window AS w (key, window_start, count, expires_at)
SELECT $1, s.start, 1, s.start + make_interval(secs => $2)
FROM (SELECT to_timestamp(floor(extract(epoch FROM now()) / $2) * $2) AS start) s
ON CONFLICT (key, window_start) DO UPDATE SET count = w.count + 1
RETURNING count, expires_at
"""


@dataclass(frozen=True, slots=True)
class Window:
    """Where a key stands after a hit."""

    limit: int
    remaining: int
    resets_at: datetime


async def hit(db: Database, key: str, limit: int, window_seconds: int, message: str) -> Window:
    """Count one request of `key`. Raises TooManyRequests (with retry_after) beyond `limit` in the window."""
    async with db.public() as tx:
        row = await tx.fetchrow(_HIT, key, float(window_seconds))
    assert row is not None
    if row["count"] > limit:
        raise too_many(message, row["expires_at"])
    return Window(limit, limit - row["count"], row["expires_at"])


async def give_back(db: Database, key: str, window_seconds: int) -> None:
    """Take one hit of `key` back, where only failures are to count."""
    async with db.public() as tx:
        await tx.execute_raw(
            "UPDATE rate_window SET count = count - 1 WHERE key = $1 AND count > 0 AND window_start = "
            "to_timestamp(floor(extract(epoch FROM now()) / $2) * $2)",
            key, float(window_seconds),
        )  # fmt: skip


async def forget(db: Database, key: str) -> None:
    """Start `key` afresh, after a success."""
    async with db.public() as tx:
        await tx.execute_raw("UPDATE rate_window SET count = 0 WHERE key = $1 AND count > 0", key)


async def clean(tx: ElevatedSession) -> int:
    """Remove windows that are over."""
    return await tx.execute_raw("DELETE FROM rate_window WHERE expires_at < now()")


def too_many(message: str, resets_at: datetime) -> TooManyRequests:
    """The error, saying when to try again."""
    seconds = max(1, round((resets_at - datetime.now(UTC)).total_seconds()))
    minutes = -(-seconds // 60)
    when = f"{seconds} seconds" if seconds < 90 else f"{minutes} minutes"
    return TooManyRequests(f"{message} Please try again in {when}.", retry_after=seconds)
