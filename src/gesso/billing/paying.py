"""What pays for a request: uses of the plan and credits first, then the person's own key, else a refusal with ways on.

All or nothing: what the workspace cannot pay for altogether runs on the own key altogether, and costs nothing here.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from gesso.accounts.access import Actor
from gesso.billing.ways import explain
from gesso.catalog.items import Connection
from gesso.catalog.own_keys.choice import choice, unpaid
from gesso.catalog.registry import Catalog
from gesso.core.errors import OutOfCredits
from gesso.core.money import OutputAsk, Price
from gesso.credits import service as credits
from gesso.db import WorkspaceSession


class Paid(NamedTuple):
    """What is held; `own_key`: nothing, for it runs on the person's own key."""

    price: Price
    own_key: bool


async def pay(
    tx: WorkspaceSession,
    actor: Actor,
    catalog: Catalog,
    *,
    now: datetime,
    unit: str,
    connections: Sequence[Connection],
    hold_id: UUID,
    subject_id: UUID,
    asks: Sequence[OutputAsk],
    expires_at: datetime,
    scopes: frozenset[str],
) -> Paid:
    """Hold the price of a request that goes through one of `connections`; `unit` is the allowance that may pay for it.

    Raises OutOfCredits with the ways on, and what else `credits.hold` does.
    """
    try:
        price = await credits.hold(
            tx, hold_id=hold_id, subject_id=subject_id, asks=asks, expires_at=expires_at, scopes=scopes
        )
        return Paid(price, False)
    except OutOfCredits as error:
        own = await choice(tx, catalog.plan(actor.plan_key), connections)
        if own is None or not own.ready:
            await explain(error, tx, actor, catalog, now, unit=unit, own=own)
            raise
    price = await credits.hold(
        tx, hold_id=hold_id, subject_id=subject_id, asks=unpaid(asks), expires_at=expires_at, scopes=scopes
    )
    return Paid(price, True)
