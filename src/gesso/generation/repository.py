"""All SQL about generations, their outputs and their events. Every state change names the state it expects.

The queue's bookkeeping (who waits, who is dispatched) is exact because each function marked *under the
ledger's lock* is called after `credits` has locked the workspace's balance rows in the same transaction.
That lock also gives the events of one workspace their order: an event's id never becomes visible before a
smaller one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from gesso.core.money import OutputPrice, Price
from gesso.db import ElevatedSession, WorkspaceSession
from gesso.generation.models import Generation, Kind, NewGeneration, Output
from gesso.generation.state import GenerationEvent, GenerationState, OutputEvent, output_path, path
from gesso.jobs import Job

_INSERT = """
WITH load AS (
    SELECT (SELECT count(*) FROM generation
            WHERE workspace_id = $1 AND dispatched_at IS NOT NULL AND state IN ('queued', 'running')) AS busy,
           (SELECT count(*) FROM generation
            WHERE workspace_id = $1 AND dispatched_at IS NULL AND state = 'queued') AS waiting
), made AS (
    INSERT INTO generation (workspace_id, id, user_id, kind, state, source, rerun_of, model_key, model_id, model_name,
        prompt, negative_prompt, params, inputs, count, seed, priority, parallel, hold_id, price, warnings,
        created_at, queue_deadline_at, dispatched_at, origin)
    SELECT $1, $2, $3, $4, 'queued', $5, $6, $7, $8, $9, $10, $11, $12, $13, cardinality($14::uuid[]), $15, $16,
        $17::integer, $18, $19, $20, $21::timestamptz, $22,
        CASE WHEN load.busy < $17::integer THEN $21::timestamptz END, $26::jsonb
    FROM load WHERE load.busy < $17::integer OR load.waiting < $23::integer
    RETURNING id, dispatched_at
), asked AS (
    INSERT INTO output (workspace_id, generation_id, index, asset_id, seed, price, created_at)
    SELECT $1, made.id, o.index - 1, o.asset_id, o.seed, o.price, $21
    FROM made, unnest($14::uuid[], $24::bigint[], $25::jsonb[])
        WITH ORDINALITY AS o (asset_id, seed, price, index)
), noted AS (
    INSERT INTO generation_event (workspace_id, generation_id, type)
    SELECT $1, made.id, 'submitted' FROM made RETURNING id
), job AS (
    SELECT added.job_id FROM made, queue_add($27, $28, $16, NULL, $29) added WHERE made.dispatched_at IS NOT NULL
)
SELECT made.id IS NOT NULL AS accepted, load.waiting, (SELECT id FROM noted) AS event_id,
    (SELECT job_id FROM job) IS NOT NULL AS dispatched
FROM load LEFT JOIN made ON true
"""

_DISPATCH = """
WITH busy AS (
    SELECT count(*) AS count FROM generation
    WHERE workspace_id = $1 AND dispatched_at IS NOT NULL AND state IN ('queued', 'running')
), next AS (
    SELECT id, parallel, row_number() OVER (ORDER BY priority DESC, id) AS place FROM (
        SELECT id, priority, parallel FROM generation
        WHERE workspace_id = $1 AND dispatched_at IS NULL AND state = 'queued'
        ORDER BY priority DESC, id LIMIT 64
    ) waiting
), sent AS (
    UPDATE generation g SET dispatched_at = $2 FROM next, busy
    WHERE g.workspace_id = $1 AND g.id = next.id AND g.state = 'queued' AND g.dispatched_at IS NULL
        AND busy.count + next.place <= next.parallel
    RETURNING g.id, g.priority
)
INSERT INTO generation_event (workspace_id, generation_id, type)
SELECT $1, sent.id, 'dispatched' FROM sent
RETURNING id AS event_id, generation_id, (SELECT priority FROM sent WHERE sent.id = generation_id) AS priority
"""

_END_OUTPUTS = """
WITH ended AS (
    UPDATE output SET state = $4, error_code = $5, error_message = $6, finished_at = $7
    WHERE workspace_id = $1 AND generation_id = $2 AND state = ANY ($8::text[])
        AND ($3::integer[] IS NULL OR index = ANY ($3::integer[]))
    RETURNING index
)
SELECT index FROM ended ORDER BY index
"""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a new generation stands. Not `accepted`: too many of the workspace's already wait."""

    accepted: bool
    dispatched: bool
    waiting: int
    event_id: int | None


@dataclass(frozen=True, slots=True)
class Dispatched:
    """A generation whose turn has come."""

    generation_id: UUID
    priority: int
    event_id: int


@dataclass(frozen=True, slots=True)
class Place:
    """`ahead` generations come first, and `abreast` are made at once."""

    ahead: int
    abreast: int


async def insert(tx: WorkspaceSession, new: NewGeneration, job: Job, *, waiting_limit: int) -> Placement:
    """Store a request with its outputs; queue its job if the workspace has a free place. Under the ledger's lock.

    Workers are not woken by this.
    """
    row = await tx.fetchrow(
        _INSERT, tx.workspace_id, new.id, new.user_id, new.kind, new.source, new.rerun_of, new.model_key,
        new.model_id, new.model_name, new.prompt, new.negative_prompt, dict(new.params), list(new.inputs),
        list(new.asset_ids), new.seed, new.priority, new.parallel, new.hold_id, new.price.to_json(),
        list(new.warnings), new.created_at, new.queue_deadline_at, waiting_limit, list(new.seeds),
        [price.to_json() for price in new.price.outputs], new.origin, job.task, job.payload, job.key,
    )  # fmt: skip
    assert row is not None
    return Placement(row["accepted"], row["dispatched"], row["waiting"], row["event_id"])


async def dispatch_waiting(tx: WorkspaceSession, now: datetime) -> list[Dispatched]:
    """Mark as dispatched as many waiting ones as have a place now, by priority then age. Under the ledger's lock."""
    rows = await tx.fetch(_DISPATCH, tx.workspace_id, now)
    return [Dispatched(row["generation_id"], row["priority"], row["event_id"]) for row in rows]


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


async def place(tx: WorkspaceSession, generation: Generation) -> Place:
    """Where a queued generation stands."""
    if generation.dispatched_at is not None:
        row = await tx.fetchrow(
            "SELECT ahead, running FROM generation_ahead($1, $2)", generation.priority, generation.dispatched_at
        )
        assert row is not None
        return Place(row["ahead"], max(1, row["running"]))
    ahead: int = await tx.fetchval(
        """SELECT count(*) FROM generation WHERE workspace_id = $1 AND state = 'queued'
           AND (dispatched_at IS NOT NULL OR priority > $2 OR (priority = $2 AND id < $3))""",
        tx.workspace_id, generation.priority, generation.id,
    )  # fmt: skip
    return Place(ahead, generation.parallel)


async def stuck(tx: ElevatedSession, *, limit: int = 500) -> list[tuple[UUID, UUID, int]]:
    """(workspace, generation, priority) of those that a worker should be driving and none does.

    Dispatched but unfinished without a valid lease, or ended with a call still open at its provider.
    The few seconds' patience leaves fresh ones to the queue.
    """
    rows = await tx.fetch(
        """SELECT workspace_id, id, priority FROM generation
           WHERE dispatched_at < now() - interval '5 seconds' AND state IN ('queued', 'running')
               AND (driven_until IS NULL OR driven_until < now())
           UNION
           SELECT g.workspace_id, g.id, g.priority FROM attempt a
           JOIN generation g ON g.workspace_id = a.workspace_id AND g.id = a.generation_id
           WHERE a.state IN ('started', 'submitted') AND g.finished_at < now() - interval '5 seconds'
               AND (g.driven_until IS NULL OR g.driven_until < now())
           LIMIT $1""",
        limit,
    )
    return [(row["workspace_id"], row["id"], row["priority"]) for row in rows]


async def overdue_in_queue(tx: ElevatedSession, now: datetime, *, limit: int = 500) -> list[tuple[UUID, UUID]]:
    """(workspace, generation) of those that have been queued longer than they may be."""
    rows = await tx.fetch(
        "SELECT workspace_id, id FROM generation WHERE state = 'queued' AND queue_deadline_at <= $1 LIMIT $2",
        now, limit,
    )  # fmt: skip
    return [(row["workspace_id"], row["id"]) for row in rows]


async def waiting_workspaces(tx: ElevatedSession) -> list[UUID]:
    """Workspaces with something waiting and nothing dispatched: a hand-on was lost, so somebody must look."""
    rows = await tx.fetch(
        """SELECT DISTINCT w.workspace_id FROM generation w WHERE w.dispatched_at IS NULL AND w.state = 'queued'
           AND NOT EXISTS (SELECT FROM generation b WHERE b.workspace_id = w.workspace_id
                           AND b.dispatched_at IS NOT NULL AND b.state IN ('queued', 'running'))"""
    )
    return [row["workspace_id"] for row in rows]


async def expected_assets(tx: ElevatedSession, asset_ids: Sequence[UUID]) -> set[UUID]:
    """Those among `asset_ids` that an open output is going to become."""
    rows = await tx.fetch(
        "SELECT asset_id FROM output WHERE asset_id = ANY ($1::uuid[]) AND state = 'pending'", list(asset_ids)
    )
    return {row["asset_id"] for row in rows}


async def forget_events(tx: ElevatedSession, before: datetime) -> int:
    """Delete events older than `before`: they serve pages that reconnect, and nobody is away that long."""
    return await tx.execute_raw("DELETE FROM generation_event WHERE created_at < $1", before)
