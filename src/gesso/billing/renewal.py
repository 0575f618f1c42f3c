"""Grants of plans: once at sign-up, then one for each month, by the clock.

A monthly grant is a lot that ends at the next renewal: nothing rolls over. A renewal that was missed while the
site was down is not made up for: only the current month is granted. Its key names plan and month, so that it
is granted once whoever tries.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import structlog

from gesso.accounts import repository as accounts
from gesso.accounts.hooks import SignUpHook
from gesso.billing.periods import period_at
from gesso.catalog.registry import Catalog
from gesso.core.clock import Clock
from gesso.credits import service as credits
from gesso.db import Database, ElevatedSession, WorkspaceSession

log = structlog.get_logger()

BATCH = 500
"""How many workspaces are looked up at once; each is renewed in a transaction of its own."""


def sign_up_grants(catalog: Catalog, clock: Clock) -> SignUpHook:
    """The hook that gives a new workspace what its plan grants on sign-up. These lots do not expire."""

    async def grant(tx: WorkspaceSession, workspace_id: UUID, _: UUID) -> None:
        plan = catalog.plan((await accounts.plan_of(tx))["plan_key"])
        await _grant(
            tx, workspace_id, plan.signup_grants, source="sign_up", key="signup", expires_at=None,
            reason=f"{plan.name} plan: to start with", now=clock.now(),
        )  # fmt: skip

    return grant


async def renew_due(db: Database, clock: Clock, catalog: Catalog) -> int:
    """Renew every workspace whose month has ended; returns how many. Again, or twice at once, changes nothing.

    One that fails is logged and tried again next time; the others are not held up by it.
    """
    now = clock.now()
    renewed = 0
    after: tuple[datetime, UUID] | None = None
    while True:
        async with db.elevated("billing: find workspaces that renew") as tx:
            due = await accounts.due_renewals(tx, now, after, BATCH)
        for renews_at, workspace_id in due:
            after = (renews_at, workspace_id)
            try:
                async with db.elevated("billing: monthly grant") as tx:
                    renewed += await _renew(tx, workspace_id, catalog, now)
            except Exception:
                log.exception("billing.renewal_failed", workspace_id=str(workspace_id))
        if len(due) < BATCH:
            return renewed


async def next_grant_at(tx: WorkspaceSession, catalog: Catalog, now: datetime) -> datetime | None:
    """When the workspace gets its next monthly grant; None when its plan has none."""
    row = await accounts.plan_of(tx)
    if row["plan_renews_at"] is None or not catalog.plan(row["plan_key"]).monthly_grants:
        return None
    renews_at: datetime = row["plan_renews_at"]
    return max(renews_at, now)  # one that is due comes with the next sweep


async def _renew(tx: ElevatedSession, workspace_id: UUID, catalog: Catalog, now: datetime) -> bool:
    """Move one workspace to its current period and grant that. False when someone else was faster."""
    row = await accounts.take_renewal(tx, workspace_id, now)
    if row is None:
        return False
    plan = catalog.plan(row["plan_key"])
    period = period_at(row["plan_anchor_at"], now)
    await accounts.set_renewal(tx, workspace_id, period.end, now)
    # last, since it holds the wallet's lock until the commit
    await _grant(
        tx, workspace_id, plan.monthly_grants, source="plan", key=f"plan:{plan.key}:{period.start:%Y-%m-%d}",
        expires_at=period.end, reason=f"{plan.name} plan: this month", now=now,
    )  # fmt: skip
    return True


async def _grant(
    tx: WorkspaceSession | ElevatedSession,
    workspace_id: UUID,
    grants: Mapping[str, int],
    *,
    source: str,
    key: str,
    expires_at: datetime | None,
    reason: str,
    now: datetime,
) -> None:
    """One lot per unit, in the order of units as everywhere that several are locked."""
    for unit, amount in sorted(grants.items()):
        await credits.grant(
            tx, workspace_id, unit=unit, amount=amount, source=source,
            key=key if unit == "credit" else f"{key}:{unit}",
            expires_at=expires_at, reason=reason, now=now,
        )  # fmt: skip
