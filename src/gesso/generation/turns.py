"""All SQL about turns: who waits, who is dispatched, whose turn is next, and whom nobody drives.

The bookkeeping is exact because each function marked *under the ledger's lock* is called after `credits` has locked the
workspace's balance rows in the same transaction.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gesso.db import ElevatedSession, WorkspaceSession
from gesso.generation.models import Generation, NewGeneration
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
        created_at, queue_deadline_at, dispatched_at, origin, watermark, own_key)
    SELECT $1, $2, $3, $4, 'queued', $5, $6, $7, $8, $9, $10, $11, $12, $13, cardinality($14::uuid[]), $15, $16,
        $17::integer, $18, $19, $20, $21::timestamptz, $22,
        CASE WHEN load.busy < $17::integer THEN $21::timestamptz END, $26::jsonb, $30::boolean, $31::boolean
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
        new.watermark, new.own_key,
    )  # fmt: skip
    assert row is not None
    return Placement(row["accepted"], row["dispatched"], row["waiting"], row["event_id"])


async def dispatch_waiting(tx: WorkspaceSession, now: datetime) -> list[Dispatched]:
    """Mark as dispatched as many waiting ones as have a place now, by priority then age. Under the ledger's lock."""
    rows = await tx.fetch(_DISPATCH, tx.workspace_id, now)
    return [Dispatched(row["generation_id"], row["priority"], row["event_id"]) for row in rows]


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
