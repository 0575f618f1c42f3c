"""Grants by the clock: on sign-up, and month after month; and when the next come.

A monthly grant is a lot that ends at the next renewal: nothing rolls over. A renewal that was missed while the
site was down is not made up for: only the current month is granted (see `months` and `plans`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from gesso.accounts import plan_rows
from gesso.accounts.hooks import SignUpHook
from gesso.billing import plans, repository
from gesso.catalog.registry import Catalog
from gesso.core.clock import Clock
from gesso.db import Database, WorkspaceSession

log = structlog.get_logger()

BATCH = 500
"""How many workspaces are looked up at once; each is renewed in a transaction of its own."""


@dataclass(frozen=True, slots=True)
class NextGrant:
    """When the next monthly grant comes and what it gives, by unit (microcredits, or uses)."""

    at: datetime
    amounts: Mapping[str, int]


def sign_up_grants(catalog: Catalog, clock: Clock) -> SignUpHook:
    """The hook that gives a new workspace what its plan begins with."""

    async def grant(tx: WorkspaceSession, workspace_id: UUID, _: UUID) -> None:
        await plans.begin(tx, workspace_id, catalog, now=clock.now())

    return grant


async def renew_due(db: Database, clock: Clock, catalog: Catalog) -> int:
    """Renew every workspace whose month has ended, and change plans whose time has come; returns how many.

    Again, or twice at once, changes nothing. One that fails is logged and tried again next time; the others are not
    held up by it.
    """
    now = clock.now()
    renewed = 0
    after: tuple[datetime, UUID] | None = None
    while True:
        async with db.elevated("billing: find workspaces that renew") as tx:
            due = await plan_rows.due(tx, now, after, BATCH)
        for due_at, workspace_id in due:
            after = (due_at, workspace_id)
            try:
                async with db.elevated("billing: monthly grant") as tx:
                    renewed += await plans.arrive(tx, workspace_id, catalog, now=now)
            except Exception:
                log.exception("billing.renewal_failed", workspace_id=str(workspace_id))
        if len(due) < BATCH:
            return renewed


async def next_grant(tx: WorkspaceSession, catalog: Catalog, now: datetime) -> NextGrant | None:
    """The workspace's next monthly grant; None when none is to come, or the month is not paid for.

    After a subscription that was cancelled it is the default plan's.
    """
    state = await plan_rows.state(tx)
    if state.renews_at is None:
        return None
    at = max(state.renews_at, now)  # one that is due comes with the next sweep
    ends = state.next_at is not None and state.next_at <= at
    if not ends and state.paid_until is not None and state.paid_until <= state.renews_at <= now:
        return None
    plan = catalog.plan(state.next_key if ends and state.next_key else state.key)
    if not ends and state.paid_until is not None and state.paid_until <= at:  # the next month has to be paid for first
        live = await repository.live_subscription(tx, tx.workspace_id)
        if live is not None and live.cancel_at is not None and live.cancel_at <= at:
            plan = catalog.default_plan
    amounts = plan.monthly_grants
    return NextGrant(at, amounts) if amounts else None


async def next_grant_at(tx: WorkspaceSession, catalog: Catalog, now: datetime) -> datetime | None:
    """When the workspace gets its next monthly grant; None when none is to come."""
    found = await next_grant(tx, catalog, now)
    return found.at if found is not None else None
