"""All SQL about people's own keys. Row-level security shows them to nobody but their person: every function works for
the session's own, and a worker's transaction for whoever asked for what it works on."""

from typing import Any
from uuid import UUID

from gesso.catalog.connections import SealedKey
from gesso.catalog.own_keys.models import OwnKey, OwnKeys, Refusal
from gesso.db import WorkspaceSession

_COLUMNS = "k.id, k.adapter, k.base_url, k.sealed_key, k.key_hint, k.refused, k.refused_at, k.created_at"
_MINE = f"""
SELECT EXISTS (SELECT FROM own_key_use WHERE workspace_id = $1 AND user_id = $2) AS switched_on, {_COLUMNS}
FROM (VALUES (1)) AS always LEFT JOIN own_key k ON k.workspace_id = $1 AND k.user_id = $2 ORDER BY k.id
"""


async def mine(tx: WorkspaceSession) -> OwnKeys:
    """The person's keys in this workspace, and whether they want them used. One statement."""
    rows = await tx.fetch(_MINE, tx.workspace_id, tx.user_id)
    return OwnKeys(tuple(OwnKey.from_row(row) for row in rows if row["id"] is not None), rows[0]["switched_on"])


async def get(tx: WorkspaceSession, key_id: UUID) -> OwnKey | None:
    """One key as it is now; None once it was removed."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM own_key k WHERE workspace_id = $1 AND user_id = $2 AND id = $3",
        tx.workspace_id, tx.user_id, key_id,
    )  # fmt: skip
    return OwnKey.from_row(row) if row else None


async def put(tx: WorkspaceSession, key_id: UUID, adapter: str, base_url: str | None, sealed: SealedKey) -> bool:
    """Keep a key, sealed for `key_id`: new, or in the place of the one of that id. False when neither: somebody else
    has added one for the same provider meanwhile."""
    return await tx.execute_raw(
        """INSERT INTO own_key AS k (id, workspace_id, user_id, adapter, base_url, sealed_key, key_id, key_hint)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
           ON CONFLICT ON CONSTRAINT own_key_provider_key DO UPDATE SET sealed_key = excluded.sealed_key,
               key_id = excluded.key_id, key_hint = excluded.key_hint, refused = NULL, refused_at = NULL,
               updated_at = now()
           WHERE k.id = excluded.id""",
        key_id, tx.workspace_id, tx.user_id, adapter, base_url, sealed.value, sealed.key_id, sealed.hint,
    ) == 1  # fmt: skip


async def remove(tx: WorkspaceSession, key_id: UUID) -> bool:
    """Forget a key. False when it was gone."""
    return await tx.execute_raw(
        "DELETE FROM own_key WHERE workspace_id = $1 AND user_id = $2 AND id = $3",
        tx.workspace_id, tx.user_id, key_id,
    ) == 1  # fmt: skip


async def rest(tx: WorkspaceSession, key_id: UUID, why: Refusal) -> None:
    """Its provider would not have it: nothing more is begun with it."""
    await _mark(tx, key_id, "refused = $4, refused_at = now()", why)


async def wake(tx: WorkspaceSession, key_id: UUID) -> None:
    """It was tried and is accepted."""
    await _mark(tx, key_id, "refused = NULL, refused_at = NULL")


async def _mark(tx: WorkspaceSession, key_id: UUID, assignments: str, *values: Any) -> None:
    await tx.execute_raw(
        f"UPDATE own_key SET {assignments} WHERE workspace_id = $1 AND user_id = $2 AND id = $3",
        tx.workspace_id, tx.user_id, key_id, *values,
    )  # fmt: skip


async def switch(tx: WorkspaceSession, on: bool) -> bool:
    """Say whether the person wants their keys used. Whether that is news."""
    if on:
        sql = "INSERT INTO own_key_use (workspace_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    else:
        sql = "DELETE FROM own_key_use WHERE workspace_id = $1 AND user_id = $2"
    return await tx.execute_raw(sql, tx.workspace_id, tx.user_id) == 1
