"""All SQL about generations, their outputs and their events; `turns` has the queue's. Every state change names the
state it expects.

Functions marked *under the ledger's lock* are called after `credits` has locked the workspace's balance rows in the
same transaction. That lock also gives the events of one workspace their order: an event's id never becomes visible
before a smaller one.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from gesso.core.money import OutputPrice, Price
from gesso.db import ElevatedSession, WorkspaceSession
from gesso.generation.models import Generation, Kind, Output
from gesso.generation.state import GenerationEvent, GenerationState, OutputEvent, output_path, path

_END_OUTPUTS = """
WITH ended AS (
    UPDATE output SET state = $4, error_code = $5, error_message = $6, finished_at = $7
    WHERE workspace_id = $1 AND generation_id = $2 AND state = ANY ($8::text[])
        AND ($3::integer[] IS NULL OR index = ANY ($3::integer[]))
    RETURNING index
)
SELECT index FROM ended ORDER BY index
"""


async def get(tx: WorkspaceSession, generation_id: UUID) -> Generation | None:
    """The generation, if this workspace has it."""
    row = await tx.fetchrow(
        "SELECT * FROM generation WHERE workspace_id = $1 AND id = $2", tx.workspace_id, generation_id
    )
    return Generation.from_row(row) if row else None


async def outputs(tx: WorkspaceSession, generation_id: UUID) -> tuple[Output, ...]:
    """The outputs of one generation, by index."""
    return (await outputs_of(tx, [generation_id])).get(generation_id, ())


async def outputs_of(tx: WorkspaceSession, generation_ids: Sequence[UUID]) -> dict[UUID, tuple[Output, ...]]:
    """The outputs of several generations, each by index."""
    rows = await tx.fetch(
        """SELECT * FROM output WHERE workspace_id = $1 AND generation_id = ANY ($2::uuid[])
           ORDER BY generation_id, index""",
        tx.workspace_id, list(generation_ids),
    )  # fmt: skip
    found: dict[UUID, list[Output]] = {}
    for row in rows:
        found.setdefault(row["generation_id"], []).append(Output.from_row(row))
    return {generation_id: tuple(items) for generation_id, items in found.items()}


async def page(
    tx: WorkspaceSession,
    *,
    user_id: UUID | None,
    before: UUID | None,
    states: Iterable[GenerationState],
    limit: int,
    kind: Kind | None = None,
) -> list[Generation]:
    """Newest first (ids are time-ordered), older than `before`; of one member, or of the whole workspace.

    Conditions stand in the statement only when they hold: a plan that serves both cases walks everything for one.
    """
    given: list[UUID] = [tx.workspace_id]
    where = "workspace_id = $1"
    if kind is not None:  # written out: with a parameter the planner could not use the index of films
        where += " AND kind = 'video'" if kind == "video" else " AND kind = 'image'"
    for condition, value in (("user_id =", user_id), ("id <", before)):
        if value is not None:
            given.append(value)
            where += f" AND {condition} ${len(given)}"
    rows = await tx.fetch(
        f"SELECT * FROM generation WHERE {where} AND state = ANY (${len(given) + 1}::text[]) "
        f"ORDER BY id DESC LIMIT {int(limit)}",
        *given, list(states),
    )  # fmt: skip
    return [Generation.from_row(row) for row in rows]


async def start(tx: WorkspaceSession, generation_id: UUID, *, now: datetime, deadline_at: datetime) -> int | None:
    """queued → running. The event's id, or None when it was not queued any more."""
    return await _move(
        tx, generation_id, "start", "started",
        "started_at = $4, deadline_at = $5", now, deadline_at,
    )  # fmt: skip


async def finish(
    tx: WorkspaceSession,
    generation_id: UUID,
    event: GenerationEvent,
    *,
    now: datetime,
    charged: Price,
    warnings: Sequence[str] = (),
    error: tuple[str, str] | None = None,
) -> int | None:
    """End it by `event`. The event row's id, or None when it had ended already. Under the ledger's lock."""
    names: dict[GenerationEvent, str] = {"succeed": "succeeded", "fail": "failed", "cancel": "cancelled"}
    code, message = error or (None, None)
    return await _move(
        tx, generation_id, event, names[event],
        """finished_at = $4::timestamptz, charged = $5, warnings = warnings || $6::jsonb,
           error_code = $7, error_message = $8,
           progress = CASE WHEN $9::boolean THEN 1 ELSE progress END""",
        now, charged.to_json(), list(warnings), code, message, event == "succeed",
    )  # fmt: skip


async def _move(
    tx: WorkspaceSession, generation_id: UUID, event: GenerationEvent, noted: str, assignments: str, *values: Any
) -> int | None:
    """`UPDATE … WHERE state = expected`, with the event's row, in one statement."""
    expected, target = path(event)
    last = 3 + len(values)
    event_id: int | None = await tx.fetchval(
        f"""WITH moved AS (
                UPDATE generation SET state = '{target}', {assignments}
                WHERE workspace_id = $1 AND id = $2 AND state = ANY ($3::text[]) RETURNING id
            )
            INSERT INTO generation_event (workspace_id, generation_id, type)
            SELECT $1, moved.id, ${last + 1} FROM moved RETURNING id""",
        tx.workspace_id, generation_id, list(expected), *values, noted,
    )  # fmt: skip
    return event_id


async def deliver_output(
    tx: WorkspaceSession,
    generation_id: UUID,
    index: int,
    event: OutputEvent,
    *,
    seed: int | None,
    free: bool,
    now: datetime,
) -> int | None:
    """The output is stored: `event` is "deliver", or "late" for one that had failed. `free`: nothing was charged.

    The event's id, or None when the output's state does not allow it any more. Under the ledger's lock.
    """
    expected, target = output_path(event)
    event_id: int | None = await tx.fetchval(
        """WITH delivered AS (
               UPDATE output SET state = $8, seed = coalesce($4, seed), late = $5, finished_at = $6,
                   error_code = NULL, error_message = NULL
               WHERE workspace_id = $1 AND generation_id = $2 AND index = $3 AND state = ANY ($7::text[])
               RETURNING index
           ), counted AS (
               UPDATE generation SET progress = greatest(progress, least(1, (1 + (
                   SELECT count(*) FROM output WHERE workspace_id = $1 AND generation_id = $2 AND state <> 'pending'
               )) / count::real))
               FROM delivered WHERE workspace_id = $1 AND id = $2 AND state = 'running'
           )
           INSERT INTO generation_event (workspace_id, generation_id, type, data)
           SELECT $1, $2, $9, jsonb_build_object('index', delivered.index)
           FROM delivered RETURNING id""",
        tx.workspace_id, generation_id, index, seed, free, now, list(expected), target,
        "late" if event == "late" else target,
    )  # fmt: skip
    return event_id


async def paid_less(tx: WorkspaceSession, generation_id: UUID, index: int, paid: OutputPrice) -> None:
    """What was charged for a delivered output where it is less than its price. Under the ledger's lock."""
    await tx.execute_raw(
        "UPDATE output SET charged = $4 WHERE workspace_id = $1 AND generation_id = $2 AND index = $3",
        tx.workspace_id, generation_id, index, paid.to_json(),
    )  # fmt: skip


async def end_outputs(
    tx: WorkspaceSession,
    generation_id: UUID,
    event: OutputEvent,
    *,
    now: datetime,
    indexes: Sequence[int] | None = None,
    error: tuple[str, str] | None = None,
) -> list[int]:
    """Pending outputs (all, or those of `indexes`) end by `event`: "fail" with (code, sentence), or "cancel".

    Which ones did. Under the ledger's lock.
    """
    code, message = error or (None, None)
    expected, target = output_path(event)
    rows = await tx.fetch(
        _END_OUTPUTS, tx.workspace_id, generation_id, None if indexes is None else list(indexes), target,
        code, message, now, list(expected),
    )  # fmt: skip
    return [row["index"] for row in rows]


async def note(tx: WorkspaceSession, generation_id: UUID, kind: str, data: dict[str, Any]) -> int:
    """Add an event. Its id."""
    event_id: int = await tx.fetchval(
        "INSERT INTO generation_event (workspace_id, generation_id, type, data) VALUES ($1, $2, $3, $4) RETURNING id",
        tx.workspace_id, generation_id, kind, data,
    )  # fmt: skip
    return event_id


async def warn(tx: WorkspaceSession, generation_id: UUID, warnings: Sequence[str]) -> None:
    """Add sentences to the generation's warnings; one that stands there already is not repeated."""
    await tx.execute_raw(
        """UPDATE generation SET warnings = warnings || coalesce(
               (SELECT jsonb_agg(w) FROM unnest($3::text[]) AS w WHERE NOT warnings ? w), '[]')
           WHERE workspace_id = $1 AND id = $2""",
        tx.workspace_id, generation_id, list(warnings),
    )  # fmt: skip


async def last_event(tx: WorkspaceSession) -> int:
    """The id of the workspace's newest event, 0 when there is none."""
    value: int = await tx.fetchval(
        "SELECT coalesce(max(id), 0) FROM generation_event WHERE workspace_id = $1", tx.workspace_id
    )
    return value


async def replay(tx: WorkspaceSession, after: int, *, limit: int) -> list[tuple[int, UUID]]:
    """Which generations changed after event `after`: (id of the last event, generation), oldest first."""
    rows = await tx.fetch(
        """SELECT max(id) AS id, generation_id FROM generation_event WHERE workspace_id = $1 AND id > $2
           GROUP BY generation_id ORDER BY max(id) DESC LIMIT $3""",
        tx.workspace_id, after, limit,
    )  # fmt: skip
    return [(row["id"], row["generation_id"]) for row in reversed(rows)]


async def typical_seconds(tx: WorkspaceSession, model_key: str) -> float | None:
    """Median seconds from start to end of the model's last 50 successful generations, anyone's; None without one."""
    value: float | None = await tx.fetchval("SELECT generation_typical_seconds($1)", model_key)
    return value


async def typical_seconds_of(tx: WorkspaceSession, model_keys: Sequence[str]) -> dict[str, float]:
    """As `typical_seconds`, of several models in one statement; without those that never ran."""
    rows = await tx.fetch(
        "SELECT key, generation_typical_seconds(key) AS seconds FROM unnest($1::text[]) AS key", list(model_keys)
    )
    return {row["key"]: row["seconds"] for row in rows if row["seconds"] is not None}


async def expected_assets(tx: ElevatedSession, asset_ids: Sequence[UUID]) -> set[UUID]:
    """Those among `asset_ids` that an open output is going to become."""
    rows = await tx.fetch(
        "SELECT asset_id FROM output WHERE asset_id = ANY ($1::uuid[]) AND state = 'pending'", list(asset_ids)
    )
    return {row["asset_id"] for row in rows}


async def assets_in_use(tx: ElevatedSession, asset_ids: Sequence[UUID]) -> set[UUID]:
    """Those among `asset_ids` that a generation which has not ended works from."""
    rows = await tx.fetch(
        "SELECT DISTINCT used.id FROM generation g CROSS JOIN LATERAL unnest(g.inputs) used (id) "
        "WHERE g.state IN ('queued', 'running') AND g.inputs <> '{}' AND g.inputs && $1::uuid[] "
        "AND used.id = ANY ($1)",
        list(asset_ids),
    )
    return {row["id"] for row in rows}


async def forget_events(tx: ElevatedSession, before: datetime) -> int:
    """Delete events older than `before`: they serve pages that reconnect, and nobody is away that long."""
    return await tx.execute_raw("DELETE FROM generation_event WHERE created_at < $1", before)
