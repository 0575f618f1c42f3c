"""What is in the bin of all workspaces, and what becomes of it. Rows only; files are the tasks' matter."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from gesso.db import ElevatedSession
from gesso.media import deletions
from gesso.media.deletions import Count, Owner
from gesso.media.models import Clean, Doomed
from gesso.media.service import all_keys

_REASON = "coalesce(deleted_for, 'person')"
_COUNTS = (
    "count(*) FILTER (WHERE source = 'generated' AND kind = 'image') AS pictures, "
    "count(*) FILTER (WHERE source = 'generated' AND kind = 'video') AS videos, "
    "count(*) FILTER (WHERE source = 'upload') AS uploads, coalesce(sum(size_bytes), 0)::bigint AS bytes"
)


async def due(
    tx: ElevatedSession,
    deleted_before: datetime,
    expired_before: datetime,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Doomed]:
    """Pictures that people, or the clean-up of uploads, binned before a moment, or the plan's term before another;
    those behind `after`, in the order of (deleted_at, id)."""
    rows = await tx.fetch(
        f"SELECT id, workspace_id, storage_key, clean, deleted_at, {_REASON} AS reason FROM asset "
        "WHERE deleted_at < $1 AND (deleted_at < $2 OR deleted_for IS DISTINCT FROM 'retention') "
        "AND ($3::timestamptz IS NULL OR (deleted_at, id) > ($3, $4::uuid)) ORDER BY deleted_at, id LIMIT $5",
        deleted_before, expired_before, *(after or (None, None)), limit,
    )  # fmt: skip
    return [
        Doomed(row["id"], row["workspace_id"], row["reason"], _keys(row), row["deleted_at"]) for row in rows
    ]  # fmt: skip


async def remove(tx: ElevatedSession, doomed: Sequence[Doomed], day: date, files: Mapping[Owner, int]) -> Count:
    """Remove rows whose files are gone, and report it: each row once, whoever else is at it. `files`: how many went."""
    rows = await tx.fetch(
        "WITH gone AS (DELETE FROM asset WHERE id = ANY($1) AND deleted_at IS NOT NULL "
        f"RETURNING workspace_id, {_REASON} AS reason, source, kind, size_bytes) "
        f"SELECT workspace_id, reason, {_COUNTS} FROM gone GROUP BY workspace_id, reason",
        [one.id for one in doomed],
    )
    counts: dict[Owner, Count] = {key: Count(files=number) for key, number in files.items() if number}
    for row in rows:
        key = (row["workspace_id"], row["reason"])
        counts[key] = counts.get(key, Count()) + _count(row)
    await deletions.record(tx, day, counts)
    return sum(counts.values(), Count())


async def bin_unused_uploads(tx: ElevatedSession, created_before: datetime, now: datetime) -> int:
    """Move uploads into the bin that nothing ever referred to; a later purge removes them."""
    return await tx.execute_raw(
        "UPDATE asset SET deleted_at = $2, deleted_for = 'unused' "
        "WHERE source = 'upload' AND used_at IS NULL AND deleted_at IS NULL AND created_at < $1",
        created_before, now,
    )  # fmt: skip


async def count_unused_uploads(tx: ElevatedSession, created_before: datetime) -> Count:
    """What `bin_unused_uploads` would take."""
    row = await tx.fetchrow(
        f"SELECT {_COUNTS} FROM asset WHERE source = 'upload' AND used_at IS NULL AND deleted_at IS NULL "
        "AND created_at < $1",
        created_before,
    )
    assert row is not None
    return _count(row)


async def count(tx: ElevatedSession, doomed: Sequence[Doomed]) -> Count:
    """What removing these would report, without their files."""
    row = await tx.fetchrow(f"SELECT {_COUNTS} FROM asset WHERE id = ANY($1)", [one.id for one in doomed])
    assert row is not None
    return _count(row)


async def known(tx: ElevatedSession, ids: Sequence[UUID]) -> dict[UUID, frozenset[str]]:
    """The files of those of `ids` that have a row, in the bin or not."""
    rows = await tx.fetch("SELECT id, storage_key, clean FROM asset WHERE id = ANY($1)", list(ids))
    return {row["id"]: frozenset(_keys(row)) for row in rows}


def _keys(row: Mapping[str, Any]) -> tuple[str, ...]:
    """All files of a row, those among them that unlocking it may have begun to make."""
    if row["clean"] is None:
        return all_keys(row["storage_key"])
    clean = Clean.from_json(row["clean"])
    return (*all_keys(row["storage_key"]), *all_keys(clean.key))


def _count(row: Mapping[str, Any]) -> Count:
    return Count(row["pictures"], row["videos"], row["uploads"], 0, row["bytes"])
