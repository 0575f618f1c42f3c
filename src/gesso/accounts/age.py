"""People's own word that they are adults. Asked for only where adult models are offered, and never given for them."""

from datetime import datetime

from gesso.accounts import repository
from gesso.accounts.visit import Visit
from gesso.db import WorkspaceSession


async def confirmed_at(tx: WorkspaceSession) -> datetime | None:
    """When the acting user confirmed to be an adult; None when they never did."""
    return await repository.age_confirmed_at(tx)


async def confirm(tx: WorkspaceSession, visit: Visit) -> None:
    """Keep that the acting user says they are 18 or older; written down with when and from where."""
    if await repository.confirm_age(tx, visit.at):
        await repository.add_audit_event(tx, "age.confirmed", at=visit.at, ip=visit.ip)


async def withdraw(tx: WorkspaceSession, visit: Visit) -> None:
    """Take it back: adult models are hidden again."""
    if await repository.withdraw_age(tx, visit.at):
        await repository.add_audit_event(tx, "age.withdrawn", at=visit.at, ip=visit.ip)
