"""All SQL about a workspace's plan: which it is on, its months, and what comes next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from gesso.db import ElevatedSession, WorkspaceSession

_COLUMNS = (
    "plan_key, plan_anchor_at, plan_renews_at, plan_paid_until, plan_given, plan_given_until, plan_next_key,"
    " plan_next_at"
)


@dataclass(frozen=True, slots=True)
class PlanState:
    """How a workspace stands with its plan.

    Months are counted from `anchor`; `renews_at` is when the current one ends (None: it never renews). `paid_until`:
    months that begin later are not given before they are paid (None: nothing is to be paid). `given` is what the
    month that ends at `given_until` has given, by unit. `next_key` takes the plan's place at `next_at`.
    """

    key: str
    anchor: datetime
    renews_at: datetime | None
    paid_until: datetime | None = None
    given: Mapping[str, int] = field(default_factory=dict)
    given_until: datetime | None = None
    next_key: str | None = None
    next_at: datetime | None = None


async def state(tx: WorkspaceSession) -> PlanState:
    """Of the scope's workspace."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM workspace WHERE id = $1", tx.workspace_id)
    assert row is not None
    return PlanState(*row.values())


async def take(tx: WorkspaceSession | ElevatedSession, workspace_id: UUID) -> PlanState | None:
    """The same, locked until the transaction ends; None when there is no such workspace (any more)."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM workspace WHERE id = $1 FOR NO KEY UPDATE", workspace_id)
    return PlanState(*row.values()) if row is not None else None


async def save(tx: WorkspaceSession | ElevatedSession, workspace_id: UUID, new: PlanState, *, now: datetime) -> None:
    """Keep how it stands from now on."""
    await tx.execute_raw(
        "UPDATE workspace SET plan_key = $2, plan_anchor_at = $3, plan_renews_at = $4, plan_paid_until = $5,"
        " plan_given = $6, plan_given_until = $7, plan_next_key = $8, plan_next_at = $9, updated_at = $10"
        " WHERE id = $1",
        workspace_id, new.key, new.anchor, new.renews_at, new.paid_until, dict(new.given), new.given_until,
        new.next_key, new.next_at, now,
    )  # fmt: skip


async def due(
    tx: ElevatedSession, now: datetime, after: tuple[datetime, UUID] | None, limit: int
) -> list[tuple[datetime, UUID]]:
    """(moment, workspace) of those whose month has ended and is paid for, or whose next plan's time has come.

    The longest due first, behind `after`.
    """
    rows = await tx.fetch(
        "SELECT due_at, id FROM ("
        " SELECT plan_renews_at AS due_at, id FROM workspace"
        " WHERE plan_renews_at <= $1 AND (plan_paid_until IS NULL OR plan_paid_until > plan_renews_at)"
        " UNION ALL SELECT plan_next_at, id FROM workspace WHERE plan_next_at <= $1) found"
        " WHERE $2::timestamptz IS NULL OR (due_at, id) > ($2, $3::uuid)"
        " ORDER BY due_at, id LIMIT $4",
        now, after and after[0], after and after[1], limit,
    )  # fmt: skip
    return [(row["due_at"], row["id"]) for row in rows]
