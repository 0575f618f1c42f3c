"""Pictures and videos that the site's operators took down: in the bin for good reason, and not their owner's to fetch.

They are nowhere to be seen from that moment on. Their files are kept for `UNDO`, so that a mistake can be undone.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from gesso.db import ElevatedSession, WorkspaceSession

UNDO = timedelta(days=30)
"""How long a take-down can be undone; it shows in `deleted_at`, from which the clean-up counts."""
SENTENCE = "This was taken down by the operators of this site, because it is against the content rules."


async def take_down(tx: ElevatedSession, workspace_id: UUID, ids: Sequence[UUID], now: datetime) -> list[UUID]:
    """Take these away from their owner, those in the bin as well; returns those that were still to be seen."""
    await tx.execute_raw(
        "UPDATE asset SET deleted_for = 'taken_down' WHERE workspace_id = $1 AND id = ANY($2)"
        " AND deleted_at IS NOT NULL AND deleted_for IS DISTINCT FROM 'taken_down'",
        workspace_id, list(ids),
    )  # fmt: skip
    rows = await tx.fetch(
        "WITH chosen AS MATERIALIZED (SELECT id FROM asset WHERE workspace_id = $1 AND id = ANY($2)"
        " AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE) "
        "UPDATE asset SET deleted_at = $3, deleted_for = 'taken_down' FROM chosen WHERE asset.id = chosen.id"
        " RETURNING asset.id",
        workspace_id, list(ids), now + UNDO,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def put_back(tx: ElevatedSession, workspace_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
    """Give these back; returns those that are still there."""
    rows = await tx.fetch(
        "WITH chosen AS MATERIALIZED (SELECT id FROM asset WHERE workspace_id = $1 AND id = ANY($2)"
        " AND deleted_for = 'taken_down' AND deleted_at > now() ORDER BY id FOR NO KEY UPDATE) "
        "UPDATE asset SET deleted_at = NULL, deleted_for = NULL FROM chosen WHERE asset.id = chosen.id"
        " RETURNING asset.id",
        workspace_id, list(ids),
    )  # fmt: skip
    return [row["id"] for row in rows]


async def taken_down(tx: WorkspaceSession, ids: Sequence[UUID]) -> frozenset[UUID]:
    """Those of the workspace that were taken down."""
    rows = await tx.fetch(
        "SELECT id FROM asset WHERE workspace_id = $1 AND id = ANY($2) AND deleted_for = 'taken_down'",
        tx.workspace_id, list(ids),
    )  # fmt: skip
    return frozenset(row["id"] for row in rows)
