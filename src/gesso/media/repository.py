"""Rows of assets. Nothing here touches a file, nothing commits.

Paging is by key: `id < cursor`, newest first, along `asset_page_idx`. Text search goes through `media_search`, a
definer function, because row-level security keeps the planner from the GIN index (see migration 0005).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record

from gesso.core.errors import NotFound
from gesso.db import ElevatedSession, WorkspaceSession
from gesso.media.models import Around, Asset, Doomed, Filters, NewAsset, Usage

UNDO_PERIOD = timedelta(hours=24)
"""How long a deleted picture can be brought back before its files are removed."""
COUNT_LIMIT = 1000
"""Counting stops here: past it people read "999+" and nobody waits for a million rows."""

_COLUMNS = (
    "id, workspace_id, user_id, generation_id, output_index, kind, source, storage_key, sha256, media_type, "
    "size_bytes, width, height, duration_ms, thumbhash, prompt, negative_prompt, model_key, model_name, seed, "
    "params, charged, took_ms, favourite, used_at, deleted_at, created_at"
)
_LIVE = "workspace_id = $1 AND deleted_at IS NULL AND id > $2 AND id < $3"
_BIGINT = 1 << 63


async def add_asset(tx: WorkspaceSession, new: NewAsset) -> Asset:
    """Insert a row for files that are stored. One statement; belongs into the transaction that charges for it."""
    seed = new.seed if new.seed is not None and -_BIGINT <= new.seed < _BIGINT else None
    row = await tx.fetchrow(
        "INSERT INTO asset (id, workspace_id, user_id, generation_id, output_index, kind, source, storage_key, "
        "sha256, media_type, size_bytes, width, height, duration_ms, thumbhash, prompt, negative_prompt, "
        "model_key, model_name, seed, params, charged, took_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
        f"$11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23) RETURNING {_COLUMNS}",
        new.id, tx.workspace_id, new.user_id, new.generation_id, new.output_index, new.kind, new.source,
        new.storage_key, new.sha256, new.media_type, new.size_bytes, new.width, new.height, new.duration_ms,
        new.thumbhash, new.prompt, new.negative_prompt, new.model_key, new.model_name, seed,
        dict(new.params), dict(new.charged) if new.charged is not None else None, new.took_ms,
    )  # fmt: skip
    assert row is not None
    return _asset(row)


async def get(tx: WorkspaceSession, asset_id: UUID) -> Asset:
    """One picture. Raises `NotFound` when it is deleted, another workspace's, or was never there."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM asset WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NULL",
        asset_id, tx.workspace_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("This picture is not here. It may have been deleted.")
    return _asset(row)


async def by_ids(tx: WorkspaceSession, ids: Sequence[UUID]) -> dict[UUID, Asset]:
    """The live ones among `ids`, in their order."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM asset WHERE workspace_id = $1 AND id = ANY($2) AND deleted_at IS NULL",
        tx.workspace_id, list(ids),
    )  # fmt: skip
    found = {row["id"]: _asset(row) for row in rows}
    return {asset_id: found[asset_id] for asset_id in ids if asset_id in found}


async def page(
    tx: WorkspaceSession, filters: Filters, *, before: UUID | None = None, limit: int = 60
) -> tuple[tuple[Asset, ...], UUID | None]:
    """Up to `limit` pictures older than `before`, newest first, and the cursor of the next page or None."""
    low, high = filters.bounds()
    found = await _walk(tx, filters, low, min(high, before) if before else high, limit + 1, ascending=False)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def around(tx: WorkspaceSession, asset_id: UUID, filters: Filters, *, span: int = 4) -> Around:
    """Up to `span` pictures on each side of `asset_id` under `filters`, and where it stands among them."""
    low, high = filters.bounds()
    newer = await _walk(tx, filters, max(low, asset_id), high, span, ascending=True)
    older = await _walk(tx, filters, low, min(high, asset_id), span, ascending=False)
    position = total = None
    if not filters.q:
        ahead = await _count(tx, filters, max(low, asset_id), high)
        behind = await _count(tx, filters, low, min(high, asset_id))
        position = ahead + 1 if ahead < COUNT_LIMIT else None
        total = ahead + 1 + behind if max(ahead, behind) < COUNT_LIMIT else None
    return Around(newer, older, position, total)


async def _walk(
    tx: WorkspaceSession, filters: Filters, low: UUID, high: UUID, limit: int, *, ascending: bool
) -> tuple[Asset, ...]:
    """`limit` pictures with low < id < high, in the order walked."""
    order = "ASC" if ascending else "DESC"
    if filters.q or filters.model:
        rows = await tx.fetch(
            f"SELECT {_COLUMNS} FROM asset WHERE workspace_id = $1 AND id IN ("
            f"SELECT media_search($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)) ORDER BY id {order}",
            tx.workspace_id, filters.q, low, high, ascending, limit,
            filters.source, filters.kind, filters.model, filters.favourite,
        )  # fmt: skip
    else:
        rows = await tx.fetch(
            f"SELECT {_COLUMNS} FROM asset WHERE {_LIVE}{_where(filters)} ORDER BY id {order} LIMIT {int(limit)}",
            tx.workspace_id, low, high,
        )  # fmt: skip
    return tuple(_asset(row) for row in rows)


async def _count(tx: WorkspaceSession, filters: Filters, low: UUID, high: UUID) -> int:
    (count,) = await _counts(tx, filters, [(low, high)])
    return count


async def counts(tx: WorkspaceSession, filters: Filters, spans: Sequence[Filters]) -> list[int]:
    """How many pictures match `filters` in each span's dates, up to `COUNT_LIMIT` each. Not for text search."""
    low, high = filters.bounds()
    bounds = (span.bounds() for span in spans)
    return await _counts(tx, filters, [(max(low, start), min(high, end)) for start, end in bounds])


async def _counts(tx: WorkspaceSession, filters: Filters, bounds: Sequence[tuple[UUID, UUID]]) -> list[int]:
    rows = await tx.fetch(
        "SELECT (SELECT count(*) FROM (SELECT FROM asset WHERE workspace_id = $1 AND deleted_at IS NULL "
        "AND id > span.low AND id < span.high AND ($4::text IS NULL OR model_key = $4)"
        f"{_where(filters)} LIMIT {COUNT_LIMIT}) counted) AS count "
        "FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS span(low, high, n) ORDER BY n",
        tx.workspace_id, [low for low, _ in bounds], [high for _, high in bounds], filters.model,
    )  # fmt: skip
    return [row["count"] for row in rows]


def _where(filters: Filters) -> str:
    """Conditions from closed sets, written out: with a parameter the planner could not use a partial index."""
    where = ""
    if filters.source:
        where += " AND source = 'upload'" if filters.source == "upload" else " AND source = 'generated'"
    if filters.kind:
        where += " AND kind = 'video'" if filters.kind == "video" else " AND kind = 'image'"
    return where + (" AND favourite" if filters.favourite else "")


async def usage(tx: WorkspaceSession) -> Usage:
    """Totals of the workspace, kept by a trigger: one row to read, whatever the size."""
    row = await tx.fetchrow("SELECT pictures, videos, bytes FROM media_usage WHERE workspace_id = $1", tx.workspace_id)
    return Usage(row["pictures"], row["videos"], row["bytes"]) if row else Usage(0, 0, 0)


async def models(tx: WorkspaceSession) -> tuple[tuple[str, str], ...]:
    """(key, name) of every model that made a picture which is still here, by name."""
    rows = await tx.fetch("SELECT model_key, model_name FROM media_models($1)", tx.workspace_id)
    found = ((row["model_key"], row["model_name"] or row["model_key"]) for row in rows)
    return tuple(sorted(found, key=lambda model: model[1].casefold()))


async def favourite(tx: WorkspaceSession, ids: Sequence[UUID], value: bool) -> list[UUID]:
    """Mark or unmark; returns those that exist."""
    return await _touch(tx, "favourite = $3", "deleted_at IS NULL", ids, value)


async def delete(tx: WorkspaceSession, ids: Sequence[UUID], now: datetime) -> list[UUID]:
    """Move to the bin; returns those that were there. `restore` brings them back for `UNDO_PERIOD`."""
    return await _touch(tx, "deleted_at = $3", "deleted_at IS NULL", ids, now)


async def restore(tx: WorkspaceSession, ids: Sequence[UUID], now: datetime) -> list[UUID]:
    """Bring back from the bin; returns those that came back. What is due for removal does not."""
    return await _touch(tx, "deleted_at = NULL", "deleted_at > $3", ids, now - UNDO_PERIOD)


async def restore_at(tx: WorkspaceSession, deleted_at: datetime, now: datetime) -> list[UUID]:
    """Bring back all that one act deleted: what went in one act carries one moment."""
    rows = await tx.fetch(
        "SELECT id FROM asset WHERE workspace_id = $1 AND deleted_at = $2", tx.workspace_id, deleted_at
    )
    return await restore(tx, [row["id"] for row in rows], now)


async def in_bin(tx: WorkspaceSession, asset_id: UUID) -> bool:
    """Whether this picture is deleted but not yet removed."""
    found: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM asset WHERE id = $1 AND workspace_id = $2 AND deleted_at IS NOT NULL)",
        asset_id, tx.workspace_id,
    )  # fmt: skip
    return found


async def mark_used(tx: WorkspaceSession, ids: Sequence[UUID], now: datetime) -> None:
    """Record that these pictures serve as input of a request, so that clean-up leaves the uploads among them."""
    await _touch(tx, "used_at = $3", "deleted_at IS NULL AND used_at IS NULL", ids, now)


async def _touch(tx: WorkspaceSession, change: str, condition: str, ids: Sequence[UUID], value: Any) -> list[UUID]:
    # Rows are locked in the order of their ids, so that two selections that overlap cannot wait for each other.
    rows = await tx.fetch(
        "WITH chosen AS MATERIALIZED (SELECT id FROM asset WHERE workspace_id = $1 AND id = ANY($2) "
        f"AND {condition} ORDER BY id FOR NO KEY UPDATE) "
        f"UPDATE asset SET {change} FROM chosen WHERE asset.id = chosen.id RETURNING asset.id",
        tx.workspace_id, list(ids), value,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def due(tx: ElevatedSession, deleted_before: datetime, limit: int) -> list[Doomed]:
    """Pictures of all workspaces that were deleted before a moment."""
    rows = await tx.fetch(
        "SELECT id, storage_key, size_bytes FROM asset WHERE deleted_at < $1 ORDER BY deleted_at LIMIT $2",
        deleted_before, limit,
    )  # fmt: skip
    return [Doomed(row["id"], row["storage_key"], row["size_bytes"]) for row in rows]


async def bin_unused_uploads(tx: ElevatedSession, created_before: datetime, now: datetime) -> int:
    """Move uploads into the bin that nothing ever referred to; the next purge removes them."""
    return await tx.execute_raw(
        "UPDATE asset SET deleted_at = $2 WHERE source = 'upload' AND used_at IS NULL AND deleted_at IS NULL "
        "AND created_at < $1",
        created_before, now,
    )  # fmt: skip


async def remove(tx: ElevatedSession, ids: Sequence[UUID]) -> int:
    """Remove rows whose files are gone."""
    return await tx.execute_raw("DELETE FROM asset WHERE id = ANY($1) AND deleted_at IS NOT NULL", list(ids))


async def known(tx: ElevatedSession, ids: Sequence[UUID]) -> set[UUID]:
    """Those of `ids` that have a row, in the bin or not."""
    return {row["id"] for row in await tx.fetch("SELECT id FROM asset WHERE id = ANY($1)", list(ids))}


def _asset(row: Record) -> Asset:
    return Asset(**dict(row))
