"""Generations of all workspaces as the operator sees them: states, calls and money, never anybody's words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

from gesso.admin.frame import Deed
from gesso.admin.jobs_filter import NOTHING, Filters, narrow
from gesso.calls import record
from gesso.calls.record import Kept
from gesso.core.errors import NotFound
from gesso.core.money import Price
from gesso.db import Database, ElevatedSession
from gesso.generation import repository, settlement

JobState = Literal["queued", "running", "failed", "uncertain"]
Wanted = Literal["queued", "running", "failed", "uncertain", "all"]
"""What can be listed: one state, or everything that a workspace or a person asked for."""
PAGE = 50
UNCERTAIN_DAYS = 14

_COLUMNS = """g.id, g.workspace_id, w.name AS workspace, u.email AS person, g.kind, g.state, g.model_key, g.model_name,
    g.count, g.created_at, g.dispatched_at, g.started_at, g.finished_at, g.error_code, g.error_message,
    g.price, g.charged, g.own_key, c.calls, c.cost, c.unpriced, c.uncertain"""
_JOINED = """JOIN workspace w ON w.id = g.workspace_id LEFT JOIN app_user u ON u.id = g.user_id
    CROSS JOIN LATERAL (
        SELECT count(*) AS calls, sum(a.provider_cost_micro_usd) FILTER (WHERE NOT a.own_key)::bigint AS cost,
            count(*) FILTER (WHERE a.provider_cost_micro_usd IS NULL AND a.state IN ('succeeded', 'uncertain')
                AND NOT a.own_key) AS unpriced,
            count(*) FILTER (WHERE a.state = 'uncertain' AND NOT a.own_key) AS uncertain
        FROM attempt a WHERE a.workspace_id = g.workspace_id AND a.generation_id = g.id
    ) c"""
# Each of these goes along one partial index; a planner that sees them in one condition may read everything.
_WHERE: Mapping[str, tuple[str, ...]] = {
    "queued": ("dispatched_at IS NULL AND state = 'queued'", "dispatched_at IS NOT NULL AND state = 'queued'"),
    "running": ("dispatched_at IS NOT NULL AND state = 'running'",),
    "failed": ("state = 'failed'",),
    "all": ("true",),
}
_UNCERTAIN = """
SELECT generation.* FROM (
    SELECT DISTINCT workspace_id, generation_id FROM attempt
    WHERE state = 'uncertain' AND created_at > $1 AND generation_id IS NOT NULL AND NOT own_key
) a JOIN generation ON generation.workspace_id = a.workspace_id AND generation.id = a.generation_id
"""
_CALLS = """
SELECT a.id, a.state, a.purpose, a.model_key, a.upstream, a.try_number, a.output_indexes,
    CASE WHEN a.own_key THEN 'the person’s own key' ELSE c.name END AS connection,
    c.key AS connection_key, a.error_kind, a.error_detail, a.provider_cost_micro_usd AS cost, a.cost_state,
    a.created_at, a.submitted_at, a.finished_at
FROM attempt a LEFT JOIN connection c ON c.id = a.connection_id
WHERE a.workspace_id = $1 AND a.generation_id = $2 ORDER BY a.id
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One generation. What was asked for in words is the user's own and not here.

    `calls` to providers, `uncertain` of them without a known end; `cost` of all in micro-dollars, as far as it is
    known; `unpriced`: so many may cost something nobody can tell. `own_key`: it ran on the person's own key, whose
    calls cost the site nothing.
    """

    id: UUID
    workspace_id: UUID
    workspace: str
    person: str | None
    kind: str
    state: str
    model_key: str
    model_name: str
    count: int
    created_at: datetime
    dispatched_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    error_code: str | None
    error_message: str | None
    price: Price
    charged: Price | None
    own_key: bool
    calls: int
    cost: int | None
    unpriced: int
    uncertain: int

    @property
    def ended(self) -> bool:
        return self.finished_at is not None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Job":
        charged = Price.from_json(row["charged"]) if row["charged"] is not None else None
        return cls(**{**row, "price": Price.from_json(row["price"]), "charged": charged})


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a provider for it. `cost` in micro-dollars, None when unknown; `said` as long as it is kept."""

    id: UUID
    state: str
    purpose: str
    model_key: str
    upstream: str
    try_number: int
    output_indexes: tuple[int, ...]
    connection: str | None
    connection_key: str | None
    error_kind: str | None
    error_detail: str | None
    cost: int | None
    cost_state: str
    created_at: datetime
    submitted_at: datetime | None
    finished_at: datetime | None
    said: tuple[Kept, ...] = ()

    @property
    def took_ms(self) -> int | None:
        """From asking to the result."""
        if self.finished_at is None:
            return None
        return round((self.finished_at - self.created_at).total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Detail:
    """A generation with its calls; `outputs`: how many are in each state."""

    job: Job
    outputs: Mapping[str, int]
    calls: tuple[Call, ...]

    @property
    def uncertain(self) -> int:
        """Calls nobody knows the end of."""
        return sum(call.state == "uncertain" for call in self.calls)


def first_id(moment: datetime) -> UUID:
    """The smallest id that can have been made at this moment (UUIDv7: milliseconds first, RFC 9562 §5.7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


async def counts(tx: ElevatedSession, now: datetime) -> dict[JobState, int]:
    """How many there are in each state; failed ones of a day."""
    row = await tx.fetchrow(
        """SELECT (SELECT count(*) FROM generation WHERE dispatched_at IS NULL AND state = 'queued')
               + (SELECT count(*) FROM generation WHERE dispatched_at IS NOT NULL AND state = 'queued') AS queued,
            (SELECT count(*) FROM generation WHERE dispatched_at IS NOT NULL AND state = 'running') AS running,
            (SELECT count(*) FROM generation WHERE state = 'failed' AND id > $1) AS failed,
            (SELECT count(*) FROM attempt
             WHERE state = 'uncertain' AND created_at > $2 AND NOT own_key) AS uncertain""",
        first_id(now - timedelta(days=1)), now - timedelta(days=UNCERTAIN_DAYS),
    )  # fmt: skip
    assert row is not None
    return {state: row[state] for state in get_args(JobState)}


async def listing(
    tx: ElevatedSession,
    state: Wanted,
    now: datetime,
    *,
    filters: Filters = NOTHING,
    before: UUID | None = None,
    limit: int = PAGE,
) -> tuple[tuple[Job, ...], UUID | None]:
    """Those in this state, newest first, older than `before`; and the next page's `before`.

    All of them are listed only of a workspace or a person: across the site there is no end of them.
    """
    narrowed = await narrow(tx, filters)
    if narrowed.empty or (state == "all" and not narrowed.somebody):
        return (), None
    values: list[Any] = [now - timedelta(days=UNCERTAIN_DAYS)] if state == "uncertain" else []
    where = narrowed.where(values, first_id)
    if before is not None:
        values.append(before)
        where.append(f"generation.id < ${len(values)}")
    values.append(limit + 1)
    last = f"${len(values)}"
    if state == "uncertain":
        parts = f"({_UNCERTAIN} WHERE {' AND '.join(['true', *where])} ORDER BY generation.id DESC LIMIT {last})"
    else:
        parts = " UNION ALL ".join(
            f"(SELECT * FROM generation WHERE {' AND '.join([part, *where])} ORDER BY id DESC LIMIT {last})"
            for part in _WHERE[state]
        )
    rows = await tx.fetch(f"SELECT {_COLUMNS} FROM ({parts}) g {_JOINED} ORDER BY g.id DESC LIMIT {last}", *values)
    jobs = tuple(Job.of(dict(row)) for row in rows[:limit])
    return jobs, jobs[-1].id if len(rows) > limit else None


async def find(tx: ElevatedSession, generation_id: UUID) -> Job:
    """The generation of this id, whosever it is; an attempt's id leads to its generation. Raises NotFound."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM generation g {_JOINED} WHERE g.id = $1", generation_id)
    if row is None:
        row = await tx.fetchrow(
            f"""SELECT {_COLUMNS} FROM attempt one JOIN generation g ON g.workspace_id = one.workspace_id
                AND g.id = one.generation_id {_JOINED} WHERE one.id = $1""",
            generation_id,
        )
    if row is None:
        raise NotFound("There is no generation or call with this id.")
    return Job.of(dict(row))


async def detail(tx: ElevatedSession, generation_id: UUID) -> Detail:
    """One of them with its calls and what was said in each. Raises NotFound."""
    job = await find(tx, generation_id)
    outputs = await tx.fetch(
        "SELECT state, count(*) AS count FROM output WHERE workspace_id = $1 AND generation_id = $2 GROUP BY 1",
        job.workspace_id, job.id,
    )  # fmt: skip
    calls = []
    said = await record.of_generation(tx, job.workspace_id, job.id)
    for row in await tx.fetch(_CALLS, job.workspace_id, job.id):
        values = {**row, "output_indexes": tuple(row["output_indexes"] or ())}
        calls.append(Call(**values, said=said.get(row["id"], ())))
    return Detail(job, {row["state"]: row["count"] for row in outputs}, tuple(calls))


async def cancel(db: Database, deed: Deed, generation_id: UUID) -> bool:
    """Stop it: what has arrived stays and is paid, the rest is given back. False when it had ended. Raises NotFound."""
    async with db.elevated("operator: find a generation") as tx:
        job = await find(tx, generation_id)
    async with db.workspace(job.workspace_id) as work:
        generation = await repository.get(work, job.id)
        if generation is None:
            raise NotFound("There is no such generation.")
        ended = generation.ended or not await settlement.cancel(work, generation, now=deed.at)
    async with db.elevated("operator: note the cancellation") as tx:
        await deed.note(tx, "generation.cancelled", generation=str(job.id), in_time=not ended)
    return not ended
