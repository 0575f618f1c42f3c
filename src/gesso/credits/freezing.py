"""Frozen wallets: nothing can be reserved until they thaw. What is held already is settled as ever."""

from typing import cast
from uuid import UUID

from gesso.db import ElevatedSession, WorkspaceSession


async def frozen(tx: WorkspaceSession) -> str | None:
    """Why the workspace can spend nothing; None when it can."""
    sql = "SELECT reason FROM credit_freeze WHERE workspace_id = $1"
    return cast(str | None, await tx.fetchval(sql, tx.workspace_id))


async def freeze(tx: ElevatedSession, workspace_id: UUID, reason: str) -> None:
    """From now on `credits.hold` raises Frozen with this sentence. Again changes the sentence only."""
    await tx.execute_raw(
        "INSERT INTO credit_freeze (workspace_id, reason) VALUES ($1, $2)"
        " ON CONFLICT (workspace_id) DO UPDATE SET reason = excluded.reason",
        workspace_id, reason,
    )  # fmt: skip


async def thaw(tx: ElevatedSession, workspace_id: UUID) -> None:
    """Let the workspace spend again. Again changes nothing."""
    await tx.execute_raw("DELETE FROM credit_freeze WHERE workspace_id = $1", workspace_id)
