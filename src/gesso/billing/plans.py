"""The one place where a workspace's plan changes, and where its months are given.

Every step is taken under a lock on the workspace's row, in the caller's transaction, together with its grants: said
twice, at once, or again after a crash, it gives once. Each lot's key names plan and month besides.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog

from gesso.accounts import plan_rows
from gesso.accounts.plan_rows import PlanState
from gesso.billing import months
from gesso.billing.months import Grant, Step
from gesso.billing.periods import period_at
from gesso.catalog.items import Plan
from gesso.catalog.registry import Catalog
from gesso.core.errors import NotFound
from gesso.credits import service as credits
from gesso.db import ElevatedSession, WorkspaceSession
from gesso.media import unlock

log = structlog.get_logger()

Session = WorkspaceSession | ElevatedSession


@dataclass(frozen=True, slots=True)
class Changed:
    """How the workspace stands after a change, and what it was given for it, by unit."""

    plan: Plan
    state: PlanState
    given: Mapping[str, int]


async def change_plan(
    tx: Session,
    workspace_id: UUID,
    to: str,
    catalog: Catalog,
    *,
    now: datetime,
    at: datetime | None = None,
    anchor: datetime | None = None,
    paid_until: datetime | None = None,
) -> Changed:
    """Put a workspace on the plan `to`: now, or at a later moment `at` (a downgrade, an end).

    Now: it gets the plan's grant of this month, less what this month has given already. `anchor` begins its months
    anew there (a subscription's billing anchor); None keeps them. `paid_until` is how long months may be given; None:
    without end. To say the same again is how a payment is noted: it only moves `paid_until` and gives what is due.

    Later: nothing changes until then, and `keep_plan` takes it back; a change to another plan now does, too. `anchor`
    and `paid_until` are of no meaning then.

    An unknown plan means the default plan. Raises NotFound for an unknown workspace. Locks the wallet: call it late.
    """
    state = await _taken(tx, workspace_id)
    if at is not None and at > now:
        step = Step(replace(state, next_key=to, next_at=at))
    else:
        step = months.changed(state, to, catalog.plan, now, anchor=anchor, paid_until=paid_until)
    if step.state.key != state.key:
        log.info("billing.plan_changed", workspace_id=str(workspace_id), before=state.key, after=step.state.key)
    given = await _put(tx, workspace_id, catalog, state, step, now)
    return Changed(catalog.plan(step.state.key), step.state, given)


async def keep_plan(tx: Session, workspace_id: UUID, *, now: datetime) -> None:
    """Take back a change that was to come later. Raises NotFound for an unknown workspace."""
    state = await _taken(tx, workspace_id)
    await plan_rows.save(tx, workspace_id, replace(state, next_key=None, next_at=None), now=now)


async def arrive(tx: ElevatedSession, workspace_id: UUID, catalog: Catalog, *, now: datetime) -> bool:
    """Do what the clock says is due for a workspace. False when there was nothing, or someone was faster."""
    state = await plan_rows.take(tx, workspace_id)
    if state is None:
        return False
    step = months.arrived(state, catalog.plan, now)
    await _put(tx, workspace_id, catalog, state, step, now)
    return step.state != state


async def begin(tx: WorkspaceSession, workspace_id: UUID, catalog: Catalog, *, now: datetime) -> None:
    """What a new workspace gets: the plan's sign-up grants, for good, and its first month's.

    See `months.first_month`. Again, it gives nothing.
    """
    state = await _taken(tx, workspace_id)
    plan = catalog.plan(state.key)
    month = period_at(state.anchor, now)
    first = months.first_month(plan)
    await plan_rows.save(tx, workspace_id, replace(state, given=first, given_until=month.end), now=now)
    for unit, amount in sorted(plan.signup_grants.items()):
        await credits.grant(
            tx, workspace_id, unit=unit, amount=amount, source="sign_up", key=_key("signup", unit),
            reason=f"{plan.name} plan: to start with", now=now,
        )  # fmt: skip
    await _give(tx, workspace_id, Grant(plan, month, first), now)


async def _taken(tx: Session, workspace_id: UUID) -> PlanState:
    state = await plan_rows.take(tx, workspace_id)
    if state is None:
        raise NotFound("There is no such workspace.")
    return state


async def _put(
    tx: Session, workspace_id: UUID, catalog: Catalog, before: PlanState, step: Step, now: datetime
) -> Mapping[str, int]:
    """Keep the step and give what belongs to it, last: giving holds the wallet's lock until the commit."""
    if step.state != before:
        await plan_rows.save(tx, workspace_id, step.state, now=now)
    if catalog.plan(before.key).watermark and not catalog.plan(step.state.key).watermark:
        await unlock.ask(tx, workspace_id)
    return await _give(tx, workspace_id, step.grant, now) if step.grant is not None else {}


async def _give(tx: Session, workspace_id: UUID, grant: Grant, now: datetime) -> Mapping[str, int]:
    """One lot per unit, in the order of units as everywhere that several are locked. What was given, by unit."""
    if grant.moved:
        await credits.end_at(tx, workspace_id, source="plan", expires_at=grant.month.end, now=now)
    given = {}
    for unit, amount in sorted(grant.amounts.items()):
        before = grant.before.get(unit)
        key = f"plan:{grant.plan.key}:{grant.month.start:%Y-%m-%d}" + (f"+{before}" if before else "")
        lot = await credits.grant(
            tx, workspace_id, unit=unit, amount=amount, source="plan", key=_key(key, unit),
            expires_at=grant.month.end, reason=f"{grant.plan.name} plan: this month", now=now,
        )  # fmt: skip
        if lot is not None:
            given[unit] = amount
    return given


def _key(occasion: str, unit: str) -> str:
    return occasion if unit == "credit" else f"{occasion}:{unit}"
