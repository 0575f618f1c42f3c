"""What edits of plans and of packs have in common: rows with a key that are made, changed, hidden and removed."""

from collections.abc import Mapping
from typing import Any, Literal

from gesso.catalog.edits.ordering import STEP
from gesso.catalog.edits.removed import wanted_again
from gesso.catalog.registry import CHANNEL
from gesso.core.errors import Conflict, NotFound
from gesso.core.ids import new_id
from gesso.db import ElevatedSession

Sold = Literal["plan", "pack"]
CENTS_MOST = 100_000_000
CURRENCY = r"[a-z]{3}"


async def insert(tx: ElevatedSession, table: Sold, key: str, columns: Mapping[str, Any]) -> None:
    """Add a row behind all others. Raises Conflict for a key that is taken."""
    row = {"id": new_id(), "key": key, **columns, "origin": "operator"}
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    # table and column names are our own
    done = await tx.execute_raw(
        f"INSERT INTO {table} ({', '.join(row)}, edited_at, position) SELECT {places}, now(),"
        f" coalesce(max(position), 0) + {STEP} FROM {table} ON CONFLICT DO NOTHING",
        *row.values(),
    )
    if not done:
        reason = f"There is a {table} “{key}” already."
        raise Conflict(reason, fields={"key": reason})
    await wanted_again(tx, table, key)
    tx.notify_after_commit(CHANNEL, {})


async def update(tx: ElevatedSession, table: Sold, key: str, columns: Mapping[str, Any]) -> None:
    """Change these columns. Raises NotFound."""
    pairs = "".join(f"{name} = ${number}, " for number, name in enumerate(columns, start=2))
    statement = f"UPDATE {table} SET {pairs}edited_at = now(), updated_at = now() WHERE key = $1"
    if not await tx.execute_raw(statement, key, *columns.values()):
        raise NotFound(f"There is no such {table}.")
    tx.notify_after_commit(CHANNEL, {})
