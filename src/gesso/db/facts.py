"""Facts about the whole site that one process finds out for all: counts and sums, never anybody's rows."""

from datetime import datetime
from typing import Any, NamedTuple

from gesso.db.session import ElevatedSession


class Fact(NamedTuple):
    """What was found, and when, by the database's clock."""

    value: Any
    noted_at: datetime


async def note(tx: ElevatedSession, name: str, value: Any) -> None:
    """Keep the newest finding of this name. `value` is JSON."""
    await tx.execute_raw(
        """INSERT INTO site_fact (name, value, noted_at) VALUES ($1, $2::jsonb, clock_timestamp())
           ON CONFLICT (name) DO UPDATE SET value = excluded.value, noted_at = excluded.noted_at""",
        name, value,
    )  # fmt: skip


async def read(tx: ElevatedSession, name: str) -> Fact | None:
    """The newest finding of this name."""
    row = await tx.fetchrow("SELECT value, noted_at FROM site_fact WHERE name = $1", name)
    return Fact(row["value"], row["noted_at"]) if row else None
