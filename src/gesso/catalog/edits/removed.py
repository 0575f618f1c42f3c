"""What operators removed for good: remembered, so that an edition that names it does not bring it back."""

from typing import Literal

from gesso.catalog.registry import CHANNEL
from gesso.core.errors import NotFound
from gesso.db import ElevatedSession

Removable = Literal["model", "style_preset", "chain", "plan", "pack"]


async def remove(tx: ElevatedSession, table: Removable, key: str, missing: str) -> None:
    """Remove a row and remember that it was meant. Raises NotFound with the sentence `missing`."""
    # the table's name is one of our own (Removable)
    if await tx.fetchval(f"DELETE FROM {table} WHERE key = $1 RETURNING id", key) is None:
        raise NotFound(missing)
    await tx.execute_raw(
        "INSERT INTO catalog_removed (catalog_table, key) VALUES ($1, $2) ON CONFLICT DO NOTHING", table, key
    )
    tx.notify_after_commit(CHANNEL, {})


async def wanted_again(tx: ElevatedSession, table: Removable, key: str) -> None:
    """An operator made one of this name: it is not gone any more."""
    await tx.execute_raw("DELETE FROM catalog_removed WHERE catalog_table = $1 AND key = $2", table, key)
