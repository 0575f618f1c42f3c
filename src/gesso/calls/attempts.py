"""The record of every call to a provider: one row each, written before the call and closed after it.

A call is made for outputs of a generation, or for a text that somebody waits for (`purpose`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from gesso.calls.gate import Limits
from gesso.calls.state import AttemptState, sources
from gesso.core.logs import redact
from gesso.core.money import OutputPrice
from gesso.db import ElevatedSession, PublicSession, WorkspaceSession
from gesso.providers.base import Operation
from gesso.providers.text import TextUsage

Purpose = Literal["generation", "improve", "describe", "chat", "moderation", "pipeline", "summary"]
CostState = Literal["estimated", "actual", "unknown"]
DETAIL_LIMIT = 1000
"""Characters kept of what went wrong."""

_BEGIN = """
WITH door AS MATERIALIZED (SELECT * FROM calls_admit($3, $11, $12, $13)), made AS (
    INSERT INTO attempt (workspace_id, id, connection_id, generation_id, output_indexes, try_number, model_key,
        upstream, client_key, provider_cost_micro_usd, cost_state, created_at, purpose, user_id, prices, own_key)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10::bigint,
        CASE WHEN $10::bigint IS NULL THEN 'unknown' ELSE 'estimated' END, clock_timestamp(), $14, $15, $16::jsonb,
        $17::boolean
    FROM door WHERE door.admitted
    RETURNING *
)
SELECT door.reason, door.wait_seconds, made.* FROM door LEFT JOIN made ON true
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call costs us, in micro-dollars. `unknown` is a state, not 0."""

    micro_usd: int | None
    state: CostState


NOTHING_BILLED = Cost(0, "estimated")
"""The provider did not take the call, so it should not bill it."""


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """A call about to be made. `cost_micro_usd` is the estimate, if there is one.

    For some outputs of a generation, with `prices` where a fallback charges less for them than what is held; or for
    another `purpose`, and then `generation_id` is None and there are no outputs. `user_id`: who asked. `own_key`:
    `connection_id` is that of a person's own key, and the cost is theirs.
    """

    id: UUID
    generation_id: UUID | None
    output_indexes: tuple[int, ...]
    try_number: int
    connection_id: UUID
    model_key: str
    upstream: str
    client_key: UUID
    cost_micro_usd: int | None
    purpose: Purpose = "generation"
    user_id: UUID | None = None
    prices: tuple[OutputPrice, ...] | None = None
    own_key: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call as it stands. `prices`: what each of its outputs costs, in their order; None: what is held for them.
    `own_key`: `connection_id` is that of a person's own key, and the cost is theirs."""

    id: UUID
    generation_id: UUID | None
    output_indexes: tuple[int, ...]
    try_number: int
    connection_id: UUID
    model_key: str
    upstream: str
    client_key: UUID
    state: AttemptState
    operation: Operation | None
    error_kind: str | None
    provider_cost_micro_usd: int | None
    created_at: datetime
    prices: tuple[OutputPrice, ...] | None = None
    own_key: bool = False

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        stored = row["operation"]
        return cls(
            id=row["id"],
            generation_id=row["generation_id"],
            output_indexes=tuple(row["output_indexes"] or ()),
            try_number=row["try_number"],
            connection_id=row["connection_id"],
            model_key=row["model_key"],
            upstream=row["upstream"],
            client_key=row["client_key"],
            state=row["state"],
            operation=Operation(stored["id"], stored["data"]) if stored else None,
            error_kind=row["error_kind"],
            provider_cost_micro_usd=row["provider_cost_micro_usd"],
            created_at=row["created_at"],
            prices=tuple(map(OutputPrice.from_json, row["prices"])) if row["prices"] is not None else None,
            own_key=row["own_key"],
        )

    def price_of(self, output_index: int) -> OutputPrice | None:
        """What one of its outputs costs when that may be less than what is held for it; None: what is held."""
        return self.prices[self.output_indexes.index(output_index)] if self.prices is not None else None


@dataclass(frozen=True, slots=True)
class Admission:
    """The call that may be made now; else why not (`full`, `rate`, `probing`: ill, and one call is trying it, or why
    its connection is paused), and how long."""

    attempt: Attempt | None
    reason: str | None = None
    wait_seconds: float = 0.0

    @property
    def misconfigured(self) -> bool:
        """Waiting will not help: the operator must act."""
        return self.reason in ("key", "credit")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where the call with a certain client key belongs."""

    workspace_id: UUID
    attempt_id: UUID
    generation_id: UUID
    state: AttemptState
    connection_id: UUID
    upstream: str


async def begin(tx: WorkspaceSession, new: NewAttempt, limits: Limits) -> Admission:
    """Write the row, if the connection's limits let the call through now. Commit before calling the provider."""
    outputs = list(new.output_indexes) if new.generation_id is not None else None
    prices = None if new.prices is None else [price.to_json() for price in new.prices]
    row = await tx.fetchrow(
        _BEGIN, tx.workspace_id, new.id, new.connection_id, new.generation_id, outputs,
        new.try_number, new.model_key, new.upstream, new.client_key, new.cost_micro_usd,
        limits.in_flight, limits.per_minute, limits.open_after, new.purpose, new.user_id, prices, new.own_key,
    )  # fmt: skip
    assert row is not None
    return Admission(Attempt.from_row(row) if row["id"] else None, row["reason"], row["wait_seconds"])


async def submitted(tx: WorkspaceSession, attempt_id: UUID, operation: Operation) -> bool:
    """The provider has taken it. False when the attempt had been closed meanwhile."""
    changed = await tx.execute_raw(
        """UPDATE attempt SET state = 'submitted', operation = $3, submitted_at = coalesce(submitted_at, now()),
               finished_at = NULL, error_kind = NULL, error_detail = NULL
           WHERE workspace_id = $1 AND id = $2 AND state = ANY ($4::text[])""",
        tx.workspace_id, attempt_id, {"id": operation.id, "data": operation.data}, list(sources("submitted")),
    )  # fmt: skip
    return changed == 1


async def close(
    tx: WorkspaceSession,
    attempt_id: UUID,
    state: AttemptState,
    *,
    cost: Cost | None = None,
    error_kind: str | None = None,
    detail: str | None = None,
    usage: TextUsage | None = None,
) -> bool:
    """End the call. `cost` replaces the estimate; `detail` is masked and cut. False when it had ended already."""
    changed = await tx.execute_raw(
        """UPDATE attempt SET state = $3, finished_at = clock_timestamp(), error_kind = $4, error_detail = $5,
               provider_cost_micro_usd = CASE WHEN $6::text IS NULL THEN provider_cost_micro_usd ELSE $7::bigint END,
               cost_state = coalesce($6, cost_state),
               input_tokens = coalesce($9, input_tokens), output_tokens = coalesce($10, output_tokens)
           WHERE workspace_id = $1 AND id = $2 AND state = ANY ($8::text[])""",
        tx.workspace_id, attempt_id, state, error_kind, redact(detail)[:DETAIL_LIMIT] if detail else None,
        cost.state if cost else None, cost.micro_usd if cost else None, list(sources(state)),
        usage.input_tokens if usage else None, usage.output_tokens if usage else None,
    )  # fmt: skip
    return changed == 1


async def of_generation(tx: WorkspaceSession, generation_id: UUID) -> tuple[Attempt, ...]:
    """All calls made for a generation, oldest first."""
    rows: Sequence[Mapping[str, Any]] = await tx.fetch(
        "SELECT * FROM attempt WHERE workspace_id = $1 AND generation_id = $2 ORDER BY id",
        tx.workspace_id, generation_id,
    )  # fmt: skip
    return tuple(Attempt.from_row(row) for row in rows)


async def get(tx: WorkspaceSession, attempt_id: UUID) -> Attempt | None:
    """The call, if this workspace has it."""
    row = await tx.fetchrow("SELECT * FROM attempt WHERE workspace_id = $1 AND id = $2", tx.workspace_id, attempt_id)
    return Attempt.from_row(row) if row else None


async def find(tx: PublicSession, client_key: UUID) -> Reference | None:
    """The call with this client key, before any workspace is known: for webhooks."""
    row = await tx.fetchrow("SELECT * FROM calls_find($1)", client_key)
    if row is None:
        return None
    return Reference(
        row["workspace_id"], row["id"], row["generation_id"], row["state"], row["connection_id"], row["upstream"]
    )


async def end_abandoned(tx: ElevatedSession, before: datetime) -> int:
    """Calls that belong to no generation and were begun before then end as uncertain: the process that made them is
    gone. Else they would count against their connection's limits for ever. How many."""
    return await tx.execute_raw(
        """UPDATE attempt SET state = 'uncertain', finished_at = clock_timestamp(), error_kind = 'outcome_unknown',
               error_detail = 'The process that made this call ended before the answer did.'
           WHERE generation_id IS NULL AND state = 'started' AND created_at < $1""",
        before,
    )
