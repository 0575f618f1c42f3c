"""Sealing everything anew under the site's present secret, while the product runs.

What is sealed says itself which key it needs (its first four bytes), so there is no list of what is done: a value is
done when it says so. Whoever is killed in the middle leaves nothing behind; whoever begins again finds the rest; and
several at once, or an operator who gives a connection another key meanwhile, never undo each other, since a value is
only replaced while it still is what was read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gesso.catalog.registry import CHANNEL
from gesso.catalog.rows import connection_of
from gesso.core import crashpoints
from gesso.core.sealed import SealBroken, Sealer
from gesso.db import Database, ElevatedSession

AT_ONCE = 100
"""Values sealed anew in one transaction."""


@dataclass(frozen=True)
class Place:
    """A table with one sealed value in a row, and what its row says: whose value it is, and what binds it there."""

    table: str
    value: str
    key_id: str
    owner: Callable[[Mapping[str, Any]], str]
    context: Callable[[Mapping[str, Any]], str]


PLACES: tuple[Place, ...] = (
    Place(
        "connection", "sealed_key", "key_id",
        owner=lambda row: f"connection {row['key']}",
        context=lambda row: connection_of(row).seal_context,
    ),
    Place(
        "own_key", "sealed_key", "key_id",
        owner=lambda row: f"own key {row['id']}",
        context=lambda row: f"own_key:{row['id']}",
    ),
)  # fmt: skip
"""All places where something sealed is kept. A test finds columns that are missing here."""


@dataclass(frozen=True)
class Held:
    """How many values need a key, and whose they are."""

    key_id: str
    owners: tuple[str, ...]


@dataclass(frozen=True)
class Resealed:
    """What was done: `anew` were sealed under the present key, `standing` were already, `shut` do not open."""

    anew: int
    standing: int
    shut: tuple[str, ...]


async def holdings(tx: ElevatedSession) -> tuple[Held, ...]:
    """Which keys are needed, and by what."""
    found: dict[str, list[str]] = {}
    for place in PLACES:
        for row in await tx.fetch(f"SELECT * FROM {place.table} WHERE {place.value} IS NOT NULL ORDER BY id"):
            found.setdefault(Sealer.sealed_under(row[place.value]), []).append(place.owner(row))
    return tuple(Held(key_id, tuple(owners)) for key_id, owners in sorted(found.items()))


async def reseal(db: Database, sealer: Sealer) -> Resealed:
    """Seal everything anew that is not sealed under the present key. Each batch is committed by itself."""
    async with db.elevated("secrets: what is sealed already") as tx:
        standing = sum(len(held.owners) for held in await holdings(tx) if held.key_id == sealer.key_id())
    anew, shut = 0, []
    for place in PLACES:
        after = UUID(int=0)
        while True:
            async with db.elevated("secrets: seal anew") as tx:
                rows = await _needing(tx, place, sealer, after)
                for row in rows:
                    outcome = await _one(tx, place, sealer, row)
                    anew += outcome is True
                    shut += [place.owner(row)] if outcome is None else []
                if rows:
                    tx.notify_after_commit(CHANNEL, {})
            if not rows:
                break
            crashpoints.reach("secrets.batch")
            after = rows[-1]["id"]
    return Resealed(anew, standing, tuple(shut))


async def _needing(
    tx: ElevatedSession, place: Place, sealer: Sealer, after: UUID
) -> Sequence[Mapping[str, Any]]:  # fmt: skip
    return await tx.fetch(
        f"SELECT * FROM {place.table} WHERE {place.value} IS NOT NULL AND id > $1"
        f" AND substring({place.value} FROM 1 FOR 4) <> $2 ORDER BY id LIMIT {AT_ONCE}",
        after, bytes.fromhex(sealer.key_id()),
    )  # fmt: skip


async def _one(tx: ElevatedSession, place: Place, sealer: Sealer, row: Mapping[str, Any]) -> bool | None:
    """True: sealed anew. False: somebody else has replaced it. None: it does not open."""
    context, before = place.context(row), row[place.value]
    try:
        value = sealer.open(before, context)
    except SealBroken:
        return None
    changed = await tx.execute_raw(
        f"UPDATE {place.table} SET {place.value} = $3, {place.key_id} = $4 WHERE id = $1 AND {place.value} = $2",
        row["id"], before, sealer.seal(value, context), sealer.key_id(),
    )  # fmt: skip
    return changed == 1
