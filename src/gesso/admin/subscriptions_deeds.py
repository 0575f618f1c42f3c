"""What operators do to a subscription: ask its provider anew, let it end with its period, let it go on after all.

Plans without a provider are set on the workspace (`workspace_deeds`).
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

from gesso.admin import subscriptions
from gesso.admin.frame import Deed
from gesso.admin.subscriptions import Line
from gesso.billing.changes import Change
from gesso.billing.port import Payments
from gesso.core.errors import Conflict
from gesso.db import Database


async def read_again(db: Database, payments: Payments, deed: Deed, subscription_id: UUID) -> tuple[Change, ...]:
    """Ask its provider how it stands; what that changed here.

    Raises NotFound; Conflict where its provider is not set up; what talking to it raises.
    """
    line = await _of(db, payments, subscription_id)
    changes = await payments.read_again(line.id)
    await _note(db, deed, "subscription.read_again", line, changes=[change.as_json() for change in changes])
    return changes


async def cancel(db: Database, payments: Payments, deed: Deed, subscription_id: UUID) -> Line:
    """Let it end with what is paid for. Raises as `read_again`, and Conflict when it does not run."""
    return await _told(db, payments, deed, subscription_id, "subscription.cancelled", payments.cancel)


async def resume(db: Database, payments: Payments, deed: Deed, subscription_id: UUID) -> Line:
    """Take back its end, and a cheaper plan that was to come. Raises as `cancel`."""
    return await _told(db, payments, deed, subscription_id, "subscription.resumed", payments.resume)


async def _told(
    db: Database, payments: Payments, deed: Deed, subscription_id: UUID, action: str,
    tell: Callable[[UUID], Awaitable[None]],
) -> Line:  # fmt: skip
    line = await _of(db, payments, subscription_id)
    if not line.running:  # the workspace may have another one that does
        raise Conflict("Only a subscription that runs can be changed.")
    await tell(line.workspace_id)
    async with db.elevated("operator: a subscription") as tx:
        after = await subscriptions.find(tx, subscription_id)
    await _note(db, deed, action, line, before=_ends(line), after=_ends(after))
    return after


def _ends(line: Line) -> dict[str, str | None]:
    return {"cancel_at": line.cancel_at.isoformat() if line.cancel_at else None, "next_plan": line.next_plan_key}


async def _of(db: Database, payments: Payments, subscription_id: UUID) -> Line:
    async with db.elevated("operator: a subscription") as tx:
        line = await subscriptions.find(tx, subscription_id)
    if line.provider != payments.name:
        raise Conflict(f"It is kept by {line.provider.capitalize()}, which is not set up on this site now.")
    return line


async def _note(db: Database, deed: Deed, action: str, line: Line, **detail: object) -> None:
    async with db.elevated("operator: note what was done to a subscription") as tx:
        await deed.note(tx, action, subscription=str(line.id), workspace=str(line.workspace_id), **detail)
