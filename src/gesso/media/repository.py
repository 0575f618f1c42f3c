"""Rows of assets. Nothing here touches a file, nothing commits.

Paging is by key: `id < cursor`, newest first, along `asset_page_idx`. Text search goes through `media_search`, a
definer function, because row-level security keeps the planner from the GIN index (see migration 0005).
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from asyncpg import Record

from gesso.core.errors import NotFound
from gesso.db import WorkspaceSession
from gesso.media import taken
from gesso.media.models import Around, Asset, Clean, Filters, Going, Kind, Known, NewAsset, Overview, Usage

UNDO_PERIOD = timedelta(hours=24)
"""How long a deleted picture can be brought back before its files are removed."""
COUNT_LIMIT = 1000
"""Counting stops here: past it people read "999+" and nobody waits for a million rows."""

_COLUMNS = (
    "id, workspace_id, user_id, generation_id, output_index, kind, source, storage_key, sha256, media_type, "
    "size_bytes, width, height, duration_ms, thumbhash, prompt, negative_prompt, model_key, model_name, seed, "
    "params, charged, took_ms, clean, favourite, used_at, deleted_at, created_at"
)
_OWN = "(SELECT $1::uuid AS id OFFSET 0) own"
"""The workspace where the planner cannot see which it is. In one that owns most of the table it would take the newest
pictures from the primary key: the newest of everybody, walked until its own come (seen: 58 ms instead of 0.2 ms)."""
_GOING = (
    "SELECT count(*) FROM (SELECT FROM asset WHERE workspace_id = own.id AND deleted_at IS NULL AND id < $2 "
    f"AND source = 'generated' LIMIT {COUNT_LIMIT}) counted"
)
_KNOWN = "days, since, told_at, told_below, earlier_below"
_TERM = f"SELECT to_jsonb(r) FROM (SELECT {_KNOWN} FROM media_retention WHERE workspace_id = own.id) r"
_LOWEST, _HIGHEST = UUID(int=0), UUID(int=(1 << 128) - 1)
_MISSING = "This is not here. It may have been deleted."
_OURS = "deleted_at > $3 AND deleted_for IS DISTINCT FROM 'taken_down'"
"""What people may bring back from the bin."""
_BIGINT = 1 << 63


async def add_asset(tx: WorkspaceSession, new: NewAsset) -> Asset:
    """Insert a row for files that are stored. One statement; belongs into the transaction that charges for it."""
    seed = new.seed if new.seed is not None and -_BIGINT <= new.seed < _BIGINT else None
    row = await tx.fetchrow(
        "INSERT INTO asset (id, workspace_id, user_id, generation_id, output_index, kind, source, storage_key, "
        "sha256, media_type, size_bytes, width, height, duration_ms, thumbhash, prompt, negative_prompt, "
        "model_key, model_name, seed, params, charged, took_ms, clean) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
        f"$10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24) RETURNING {_COLUMNS}",
        new.id, tx.workspace_id, new.user_id, new.generation_id, new.output_index, new.kind, new.source,
        new.storage_key, new.sha256, new.media_type, new.size_bytes, new.width, new.height, new.duration_ms,
        new.thumbhash, new.prompt, new.negative_prompt, new.model_key, new.model_name, seed,
        dict(new.params), dict(new.charged) if new.charged is not None else None, new.took_ms,
        new.clean.to_json() if new.clean is not None else None,
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
        raise await _missing(tx, asset_id)
    return _asset(row)


async def by_ids(tx: WorkspaceSession, ids: Sequence[UUID]) -> dict[UUID, Asset]:
    """The live ones among `ids`, in their order."""
    if not ids:
        return {}
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM asset WHERE workspace_id = $1 AND id = ANY($2) AND deleted_at IS NULL",
        tx.workspace_id, list(ids),
    )  # fmt: skip
    found = {row["id"]: _asset(row) for row in rows}
    return {asset_id: found[asset_id] for asset_id in ids if asset_id in found}


async def inputs(tx: WorkspaceSession, ids: Sequence[UUID]) -> dict[UUID, Asset]:
    """As `by_ids`, for a request under way: what the plan's term binned meanwhile is still here, files and all."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM asset WHERE workspace_id = $1 AND id = ANY($2) "
        "AND (deleted_at IS NULL OR deleted_for = 'retention')",
        tx.workspace_id, list(ids),
    )  # fmt: skip
    return {row["id"]: _asset(row) for row in rows}


async def locked(tx: WorkspaceSession, before: UUID, limit: int) -> list[Asset]:
    """Pictures with a clean file behind the marked one, older than `before`, newest first."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM asset WHERE workspace_id = $1 AND clean IS NOT NULL AND deleted_at IS NULL "
        "AND id < $2 ORDER BY id DESC LIMIT $3",
        tx.workspace_id, before, limit,
    )  # fmt: skip
    return [_asset(row) for row in rows]


async def page(
    tx: WorkspaceSession, filters: Filters, *, before: UUID | None = None, limit: int = 60
) -> tuple[tuple[Asset, ...], UUID | None]:
    """Up to `limit` pictures older than `before`, newest first, and the cursor of the next page or None."""
    found = await _walk(tx, filters, _LOWEST, before or _HIGHEST, limit + 1, ascending=False)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def page_newer(
    tx: WorkspaceSession, filters: Filters, *, after: UUID, limit: int = 60
) -> tuple[tuple[Asset, ...], UUID | None]:
    """Up to `limit` pictures newer than `after`, the oldest of them first, and the cursor of the next page or None."""
    found = await _walk(tx, filters, after, _HIGHEST, limit + 1, ascending=True)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def around(tx: WorkspaceSession, asset_id: UUID, filters: Filters, *, span: int = 4) -> Around:
    """A picture, up to `span` pictures on each side of it under `filters`, and where it stands among them.

    Two statements. Raises `NotFound` as `get` does.
    """
    given: list[Any] = [tx.workspace_id, asset_id]
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM asset WHERE id = $2 AND workspace_id = $1 AND deleted_at IS NULL "
        f"UNION ALL SELECT * FROM ({_walk_sql(filters, asset_id, _HIGHEST, span, True, given)}) newer "
        f"UNION ALL SELECT * FROM ({_walk_sql(filters, _LOWEST, asset_id, span, False, given)}) older",
        *given,
    )
    found = sorted((_asset(row) for row in rows), key=lambda asset: asset.id)
    asset = next((asset for asset in found if asset.id == asset_id), None)
    if asset is None:
        raise await _missing(tx, asset_id)
    position, total = (None, None) if filters.q else await _standing(tx, asset_id, filters)
    older = tuple(reversed([one for one in found if one.id < asset_id]))
    return Around(asset, tuple(one for one in found if one.id > asset_id), older, position, total)


async def _missing(tx: WorkspaceSession, asset_id: UUID) -> NotFound:
    """Why a picture is not here, as far as its own workspace may know."""
    return NotFound(taken.SENTENCE if await taken.taken_down(tx, [asset_id]) else _MISSING)


async def _standing(tx: WorkspaceSession, asset_id: UUID, filters: Filters) -> tuple[int | None, int | None]:
    """Position and total of `Around`."""
    low, high = filters.bounds()
    bounds = [(max(low, asset_id), high), (low, min(high, asset_id))]
    given = _counts_of(tx, filters, bounds)
    rows = await tx.fetch(
        f"SELECT counted.count, u.pictures + u.videos AS kept FROM ({_counts_sql(filters, COUNT_LIMIT)}) counted "
        "LEFT JOIN media_usage u ON u.workspace_id = $1 ORDER BY counted.n",
        *given,
    )
    ahead, behind = (row["count"] for row in rows)
    position = ahead + 1 if ahead < COUNT_LIMIT else None
    if max(ahead, behind) < COUNT_LIMIT:
        return position, ahead + 1 + behind
    return position, rows[0]["kept"] if filters == Filters() else None


async def _walk(
    tx: WorkspaceSession, filters: Filters, low: UUID, high: UUID, limit: int, *, ascending: bool
) -> tuple[Asset, ...]:
    """`limit` pictures with low < id < high, in the order walked."""
    given: list[Any] = [tx.workspace_id]
    sql = _walk_sql(filters, low, high, limit, ascending, given)
    return tuple(_asset(row) for row in await tx.fetch(sql, *given))


def _walk_sql(filters: Filters, low: UUID, high: UUID, limit: int, ascending: bool, given: list[Any]) -> str:
    """The statement of `_walk`, its parameters added to `given`, whose first is the workspace."""
    start, end = filters.bounds()
    order, first = "ASC" if ascending else "DESC", len(given) + 1
    bounds = (max(low, start), min(high, end))
    if not (filters.q or filters.model):
        given += bounds
        return (
            f"SELECT found.* FROM {_OWN} CROSS JOIN LATERAL ("
            f"SELECT {_COLUMNS} FROM asset WHERE workspace_id = own.id AND deleted_at IS NULL AND id > ${first} "
            f"AND id < ${first + 1}{_where(filters)} ORDER BY id {order} LIMIT {int(limit)}) found ORDER BY id {order}"
        )
    arguments = (
        filters.q, *bounds, ascending, limit, filters.source, filters.kind, filters.model, filters.favourite,
    )  # fmt: skip
    given += arguments
    numbers = ", ".join(f"${first + index}" for index in range(len(arguments)))
    return (
        f"SELECT {_COLUMNS} FROM asset WHERE workspace_id = $1 AND id IN (SELECT media_search($1, {numbers})) "
        f"ORDER BY id {order}"
    )


async def counts(
    tx: WorkspaceSession, filters: Filters, spans: Sequence[Filters], *, up_to: int = COUNT_LIMIT
) -> list[int]:
    """How many pictures match `filters` in each span's dates, up to `up_to` each. Not for text search."""
    low, high = filters.bounds()
    bounds = (span.bounds() for span in spans)
    return await _counts(tx, filters, [(max(low, start), min(high, end)) for start, end in bounds], up_to)


async def _counts(
    tx: WorkspaceSession, filters: Filters, bounds: Sequence[tuple[UUID, UUID]], up_to: int = COUNT_LIMIT
) -> list[int]:
    rows = await tx.fetch(_counts_sql(filters, up_to), *_counts_of(tx, filters, bounds))
    return [row["count"] for row in rows]


def _counts_of(tx: WorkspaceSession, filters: Filters, bounds: Sequence[tuple[UUID, UUID]]) -> list[Any]:
    """The parameters of `_counts_sql`."""
    given: list[Any] = [tx.workspace_id, [low for low, _ in bounds], [high for _, high in bounds]]
    return [*given, filters.model] if filters.model else given


def _counts_sql(filters: Filters, up_to: int) -> str:
    return (
        "SELECT n, (SELECT count(*) FROM (SELECT FROM asset WHERE workspace_id = own.id AND deleted_at IS NULL "
        f"AND id > span.low AND id < span.high{' AND model_key = $4' if filters.model else ''}"
        f"{_where(filters)} LIMIT {int(up_to)}) counted) AS count "
        f"FROM {_OWN} CROSS JOIN unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS span(low, high, n) ORDER BY n"
    )


def _where(filters: Filters) -> str:
    """Conditions from closed sets, written out: with a parameter the planner could not use a partial index."""
    where = ""
    if filters.source:
        where += " AND source = 'upload'" if filters.source == "upload" else " AND source = 'generated'"
    if filters.kind:
        where += " AND kind = 'video'" if filters.kind == "video" else " AND kind = 'image'"
    return where + (" AND favourite" if filters.favourite else "")


async def stored(tx: WorkspaceSession, going_below: UUID) -> tuple[Usage, Going]:
    """What the workspace keeps, and how many made things are below an id, counted up to `COUNT_LIMIT`."""
    row = await tx.fetchrow(
        f"SELECT u.pictures, u.videos, u.bytes, ({_GOING}) AS going, ({_TERM}) AS term FROM {_OWN} "
        "LEFT JOIN media_usage u ON u.workspace_id = own.id",
        tx.workspace_id, going_below,
    )  # fmt: skip
    assert row is not None
    return Usage(row["pictures"] or 0, row["videos"] or 0, row["bytes"] or 0), _going(row)


async def usage(tx: WorkspaceSession) -> Usage:
    """Totals of the workspace, kept by a trigger: one row to read, whatever the size."""
    row = await tx.fetchrow("SELECT pictures, videos, bytes FROM media_usage WHERE workspace_id = $1", tx.workspace_id)
    return Usage(row["pictures"], row["videos"], row["bytes"]) if row else Usage(0, 0, 0)


async def known_term(tx: WorkspaceSession) -> Known | None:
    """Since when the workspace is known to be under which term; None while no night has noted one."""
    row = await tx.fetchrow(f"SELECT {_KNOWN} FROM media_retention WHERE workspace_id = $1", tx.workspace_id)
    return Known(**row) if row else None


async def overview(tx: WorkspaceSession, going_below: UUID = _LOWEST) -> Overview:
    """Totals, models and months of the workspace, and how many made things are below an id: one statement whose
    work does not grow with its pictures."""
    row = await tx.fetchrow(
        "SELECT u.pictures, u.videos, u.bytes, "
        "(SELECT jsonb_agg(jsonb_build_array(model_key, model_name)) FROM media_models($1)) AS models, "
        "(SELECT jsonb_agg(jsonb_build_array(month, made) ORDER BY month DESC) FROM media_month "
        f"WHERE workspace_id = $1 AND made > 0) AS months, ({_GOING}) AS going, ({_TERM}) AS term "
        f"FROM {_OWN} LEFT JOIN media_usage u ON u.workspace_id = own.id",
        tx.workspace_id, going_below,
    )  # fmt: skip
    assert row is not None
    models = ((key, name or key) for key, name in row["models"] or ())
    return Overview(
        Usage(row["pictures"] or 0, row["videos"] or 0, row["bytes"] or 0),
        tuple(sorted(models, key=lambda model: model[1].casefold())),
        tuple((date.fromisoformat(month), made) for month, made in row["months"] or ()),
        _going(row),
    )


def _going(row: Record) -> Going:
    term = row["term"]
    if term is None:
        return Going(row["going"])
    told_at, below, earlier = term["told_at"], term["told_below"], term["earlier_below"]
    known = Known(
        term["days"], datetime.fromisoformat(term["since"]), datetime.fromisoformat(told_at) if told_at else None,
        UUID(below) if below else None, UUID(earlier) if earlier else None,
    )  # fmt: skip
    return Going(row["going"], known)


async def favourite(tx: WorkspaceSession, ids: Sequence[UUID], value: bool) -> list[UUID]:
    """Mark or unmark; returns those that exist."""
    return await _touch(tx, "favourite = $3", "deleted_at IS NULL", ids, value)


async def delete(tx: WorkspaceSession, ids: Sequence[UUID], now: datetime) -> list[UUID]:
    """Move to the bin; returns those that were there. `restore` brings them back for `UNDO_PERIOD`."""
    return await _touch(tx, "deleted_at = $3", "deleted_at IS NULL", ids, now)


async def restore(tx: WorkspaceSession, ids: Sequence[UUID], now: datetime) -> list[UUID]:
    """Bring back from the bin; returns those that came back. What is due for removal does not."""
    return await _touch(tx, "deleted_at = NULL, deleted_for = NULL", _OURS, ids, now - UNDO_PERIOD)


async def restore_at(tx: WorkspaceSession, deleted_at: datetime, now: datetime) -> list[UUID]:
    """Bring back all that one act deleted: what went in one act carries one moment."""
    rows = await tx.fetch(
        "SELECT id FROM asset WHERE workspace_id = $1 AND deleted_at = $2", tx.workspace_id, deleted_at
    )
    return await restore(tx, [row["id"] for row in rows], now)


async def kinds_of(tx: WorkspaceSession, ids: Sequence[UUID]) -> dict[Kind, int]:
    """How many of these are of which kind, in the bin or not."""
    rows = await tx.fetch(
        "SELECT kind, count(*) AS count FROM asset WHERE workspace_id = $1 AND id = ANY($2) GROUP BY kind",
        tx.workspace_id, list(ids),
    )  # fmt: skip
    return {row["kind"]: row["count"] for row in rows}


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


def _asset(row: Record) -> Asset:
    values = dict(row)
    if values["clean"] is not None:
        values["clean"] = Clean.from_json(values["clean"])
    return Asset(**values)
