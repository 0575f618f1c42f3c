"""Making an edition's changes. All SQL that writes what an edition says; elevated, one transaction."""

from collections.abc import Mapping
from typing import Any

from gesso.accounts import repository as accounts
from gesso.catalog import rows
from gesso.catalog.changes import Change, Stored, compare, wanted_rows
from gesso.catalog.editions import Edition
from gesso.catalog.registry import CHANNEL
from gesso.core.ids import new_id
from gesso.db import ElevatedSession

_LOCK = 0x6765_7373_6F01  # "gesso", second lock: one process at a time changes the catalogue by an edition


async def edition_diff(tx: ElevatedSession, edition: Edition) -> tuple[Change, ...]:
    """What `edition_apply` would change, what it would leave to the operator, and whom it touches."""
    return compare(edition, await _stored(tx))


async def edition_apply(tx: ElevatedSession, edition: Edition, setting: str | None = None) -> tuple[Change, ...]:
    """Make the edition's changes; returns them, with what was kept. Again changes nothing.

    `setting` is what GESSO_EDITION says, when a start applies it; None leaves what is known.
    """
    await lock(tx)
    stored = await _stored(tx)
    changes = compare(edition, stored)
    wanted = wanted_rows(edition)
    for table in rows.TABLES:
        of_table = [change for change in changes if change.table == table]
        for change in of_table:
            if change.verb == "add":
                await _insert(tx, table, change.key, wanted[table][change.key])
            elif change.verb == "remove":
                await _remove(tx, table, stored.rows[table][change.key])
        for key, values in wanted[table].items():
            if row := stored.rows[table].get(key):
                changed = {c.column for c in of_table if c.key == key and c.verb == "change"}
                await _update(tx, table, row, values, {str(column) for column in changed})
    await _keep_state(tx, edition, setting)
    tx.notify_after_commit(CHANNEL, {})
    return changes


async def lock(tx: ElevatedSession) -> None:
    """Wait for other processes that seed or apply; held until the transaction ends."""
    await tx.execute_raw("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def _stored(tx: ElevatedSession) -> Stored:
    tables = {table: await rows.stored(tx, table) for table in rows.TABLES}
    state = await tx.fetchrow("SELECT name, document FROM edition_state")
    document: Mapping[str, Any] = state["document"] if state else {}
    default_plan = str(document["defaults"]["plan"]) if state else ""
    by_plan: dict[str, int] = {}
    for plan_key, workspaces in (await accounts.count_by_plan(tx)).items():
        # a workspace on a plan that is gone is served as one on the default plan
        key = plan_key if plan_key in tables["plan"] else default_plan
        by_plan[key] = by_plan.get(key, 0) + workspaces
    return Stored(
        rows=tables,
        name=state["name"] if state else None,
        document=document,
        workspaces=sum(by_plan.values()),
        workspaces_by_plan=by_plan,
        removed=await rows.removed(tx),
    )


async def _columns(tx: ElevatedSession, table: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values under the table's own column names: a model's connection becomes its id."""
    found = dict(values)
    if table == "model" and "connection" in found:
        found["connection_id"] = await tx.fetchval("SELECT id FROM connection WHERE key = $1", found.pop("connection"))
    return found


async def _insert(tx: ElevatedSession, table: str, key: str, values: Mapping[str, Any]) -> None:
    row = {"id": new_id(), "key": key, **await _columns(tx, table, values), "origin": "edition", "applied": values}
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    # table and column names are our own constants (rows.EDITION_COLUMNS)
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"
    await tx.execute_raw(statement, *row.values())


async def _update(
    tx: ElevatedSession, table: str, row: rows.StoredRow, wanted: Mapping[str, Any], changed: set[str]
) -> None:
    """Write the changed columns and remember what the edition says now; nothing when both stand already."""
    if not changed and row.applied == wanted:
        return
    new = {"applied": wanted, **await _columns(tx, table, {name: wanted[name] for name in changed})}
    await _set(tx, table, row, new)


async def _remove(tx: ElevatedSession, table: str, row: rows.StoredRow) -> None:
    if table == "model":
        # remembered as off, so that an edition that names it again switches it on again
        await _set(tx, table, row, {"enabled": False, "applied": {**(row.applied or {}), "enabled": False}})
    else:
        await tx.execute_raw(f"DELETE FROM {table} WHERE id = $1", row.id)


async def _set(tx: ElevatedSession, table: str, row: rows.StoredRow, new: Mapping[str, Any]) -> None:
    pairs = ", ".join(f"{name} = ${number}" for number, name in enumerate(new, start=2))
    statement = f"UPDATE {table} SET {pairs}, updated_at = now() WHERE id = $1"
    await tx.execute_raw(statement, row.id, *new.values())


async def _keep_state(tx: ElevatedSession, edition: Edition, setting: str | None) -> None:
    await tx.execute_raw(
        """
        INSERT INTO edition_state (id, name, setting, file_hash, document)
        VALUES (1, $1, coalesce($2, $1), $3, $4)
        ON CONFLICT (id) DO UPDATE SET
            name = excluded.name, setting = coalesce($2, edition_state.setting),
            file_hash = excluded.file_hash, document = excluded.document, applied_at = now()
        """,
        edition.name, setting, edition.file_hash, edition.face.document(),
    )  # fmt: skip
