"""Putting rows of the catalogue in order."""

from collections.abc import Sequence
from typing import Literal

from gesso.catalog import rows
from gesso.catalog.registry import CHANNEL
from gesso.core.errors import InvalidInput
from gesso.db import ElevatedSession

STEP = 10
"""Places stand so far apart that an edition's new item finds room between two."""

Ordered = Literal["connection", "model", "style_preset", "plan", "pack"]
_COLUMN: dict[Ordered, str] = {
    "connection": "priority", "model": "position", "style_preset": "position", "plan": "position", "pack": "position",
}  # fmt: skip


async def put_in_order(tx: ElevatedSession, table: Ordered, keys: Sequence[str]) -> tuple[str, ...]:
    """Put these first, in this order, the others after them as they stand. Returns all keys in their new order.

    Raises InvalidInput.
    """
    order = reorder([row["key"] for row in await rows.fetch(tx, table)], keys)
    column = _COLUMN[table]  # both names are our own
    await tx.execute_raw(
        f"UPDATE {table} SET {column} = place.number * $2, edited_at = now(), updated_at = now()"
        " FROM unnest($1::text[]) WITH ORDINALITY AS place(key, number)"
        f" WHERE {table}.key = place.key AND {column} <> place.number * $2",
        list(order), STEP,
    )  # fmt: skip
    tx.notify_after_commit(CHANNEL, {})
    return order


def reorder(standing: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """`wanted` first, then the rest of `standing`. Raises InvalidInput for one that is not there, or twice."""
    unknown = [key for key in wanted if key not in standing]
    if unknown or len(set(wanted)) != len(wanted):
        reason = f"There is no “{unknown[0]}” here." if unknown else "One of them is named twice."
        raise InvalidInput(reason, fields={"keys": reason})
    return (*wanted, *(key for key in standing if key not in wanted))


def moved(standing: Sequence[str], key: str, by: int) -> tuple[str, ...]:
    """`key` one place further up (−1) or down (+1); at the end it stays. Raises InvalidInput when it is not there."""
    reorder(standing, [key])
    order = list(standing)
    at = order.index(key)
    to = min(max(at + by, 0), len(order) - 1)
    order.insert(to, order.pop(at))
    return tuple(order)
