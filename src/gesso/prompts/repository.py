"""All SQL about uses of the prompt tools. Every change of state names the state it expects."""

from datetime import datetime, timedelta
from uuid import UUID

from gesso.core.money import OutputPrice
from gesso.db import ElevatedSession, WorkspaceSession
from gesso.prompts.models import NewRecord, PromptRecord
from gesso.providers.text import TextUsage

KEPT_REQUEST = timedelta(hours=24)


async def insert(tx: WorkspaceSession, new: NewRecord, *, at_once: int) -> bool:
    """Write the record, unless so many of the workspace's are being written. Under the ledger's lock."""
    return await tx.execute_raw(
        """INSERT INTO prompt_record (workspace_id, id, user_id, kind, input_text, asset_id, hold_id, price,
               expires_at, created_at, request_key, request_hash, own_key)
           SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $14::boolean
           WHERE (SELECT count(*) FROM prompt_record
                  WHERE workspace_id = $1 AND state = 'writing' AND expires_at > $10) < $13""",
        tx.workspace_id, new.id, new.user_id, new.kind, new.input_text, new.asset_id, new.hold_id,
        new.price.to_json(), new.expires_at, new.created_at, new.request_key, new.request_hash, at_once,
        new.own_key,
    ) == 1  # fmt: skip


async def get(tx: WorkspaceSession, record_id: UUID) -> PromptRecord | None:
    """The record, if this workspace has it."""
    row = await tx.fetchrow(
        "SELECT * FROM prompt_record WHERE workspace_id = $1 AND id = $2", tx.workspace_id, record_id
    )
    return PromptRecord.from_row(row) if row else None


async def of_request(tx: WorkspaceSession, key: bytes, now: datetime) -> tuple[PromptRecord, bytes] | None:
    """The record that this request made within a day and that did not fail, and the hash of what it said."""
    row = await tx.fetchrow(
        """SELECT * FROM prompt_record WHERE workspace_id = $1 AND request_key = $2 AND state <> 'failed'
           AND created_at > $3 ORDER BY id DESC LIMIT 1""",
        tx.workspace_id, key, now - KEPT_REQUEST,
    )  # fmt: skip
    return (PromptRecord.from_row(row), row["request_hash"]) if row else None


async def finish(
    tx: WorkspaceSession,
    record_id: UUID,
    *,
    text: str,
    charged: OutputPrice,
    model_key: str,
    attempt_id: UUID,
    usage: TextUsage,
    now: datetime,
) -> PromptRecord | None:
    """writing → done; None when it had ended. Under the ledger's lock."""
    row = await tx.fetchrow(
        """UPDATE prompt_record SET state = 'done', output_text = $3, charged = $4, model_key = $5, attempt_id = $6,
               input_tokens = $7, output_tokens = $8, finished_at = $9
           WHERE workspace_id = $1 AND id = $2 AND state = 'writing' RETURNING *""",
        tx.workspace_id, record_id, text, charged.to_json(), model_key, attempt_id, usage.input_tokens,
        usage.output_tokens, now,
    )  # fmt: skip
    return PromptRecord.from_row(row) if row else None


async def fail(tx: WorkspaceSession, record_id: UUID, code: str, message: str, now: datetime) -> bool:
    """writing → failed. False when it had ended. Under the ledger's lock."""
    return await tx.execute_raw(
        """UPDATE prompt_record SET state = 'failed', error_code = $3, error_message = $4, finished_at = $5
           WHERE workspace_id = $1 AND id = $2 AND state = 'writing'""",
        tx.workspace_id, record_id, code, message, now,
    ) == 1  # fmt: skip


async def abandoned(tx: ElevatedSession, now: datetime, *, limit: int = 500) -> list[tuple[UUID, UUID, UUID]]:
    """(workspace, record, hold) of those whose time ran out while they were written: their process is gone."""
    rows = await tx.fetch(
        """SELECT workspace_id, id, hold_id FROM prompt_record WHERE state = 'writing' AND expires_at <= $1
           ORDER BY expires_at LIMIT $2""",
        now, limit,
    )  # fmt: skip
    return [(row["workspace_id"], row["id"], row["hold_id"]) for row in rows]
