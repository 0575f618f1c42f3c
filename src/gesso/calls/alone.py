"""A call of no generation: its attempt begun at the connection's gate, and closed by what came of it.

Each function is one short transaction of its own; between them the provider is asked, outside any.
"""

import uuid
from dataclasses import dataclass
from uuid import UUID

from gesso.calls import attempts, gate, observed
from gesso.calls.attempts import NOTHING_BILLED, Attempt, Cost, NewAttempt, Purpose
from gesso.calls.gate import Limits
from gesso.calls.record import Record
from gesso.catalog import pricing
from gesso.catalog.items import Connection, Model
from gesso.catalog.own_keys import repository as own_keys
from gesso.core import crashpoints
from gesso.core.ids import new_id
from gesso.db import Database
from gesso.providers.errors import OutcomeUnknown, ProviderError, Rejected
from gesso.providers.text import TextUsage


@dataclass(frozen=True, slots=True)
class Who:
    """For whom a call is made. `own_key`: on their own account, and never on the site's."""

    workspace_id: UUID
    user_id: UUID | None
    own_key: bool = False


class HeldBack(Exception):
    """The link takes no call now. Attribute: wait_seconds, None when waiting does not help."""

    def __init__(self, reason: str, wait_seconds: float | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_seconds = wait_seconds


async def account(db: Database, who: Who, connection: Connection) -> Connection:
    """What a call for them goes through: this connection, or their own key in its stead. Raises HeldBack."""
    if not who.own_key:
        return connection
    async with db.workspace(who.workspace_id, who.user_id) as tx:
        found = (await own_keys.mine(tx)).stand_in(connection)
    if found is None:
        raise HeldBack("own_key", None)
    return found


async def begin(
    db: Database, who: Who, purpose: Purpose, model: Model, connection: Connection, try_number: int
) -> tuple[Attempt, Cost]:
    """The call that may be made now, and what it will probably cost. Raises HeldBack."""
    defaults = {name: prop["default"] for name, prop in model.settings.items() if "default" in prop}
    estimate = pricing.estimate_cost(model, defaults)
    new = NewAttempt(
        id=new_id(), generation_id=None, output_indexes=(), try_number=try_number, connection_id=connection.id,
        model_key=model.key, upstream=model.upstream, client_key=uuid.uuid4(), cost_micro_usd=estimate,
        purpose=purpose, user_id=who.user_id, own_key=connection.own_key,
    )  # fmt: skip
    async with db.workspace(who.workspace_id, who.user_id) as tx:
        admission = await attempts.begin(tx, new, Limits.of(connection.limits))
    if admission.attempt is None:
        raise HeldBack(admission.reason or "", None if admission.misconfigured else admission.wait_seconds)
    crashpoints.reach("attempt.started")
    return admission.attempt, Cost(estimate, "unknown" if estimate is None else "estimated")


async def succeeded(
    db: Database,
    who: Who,
    attempt: Attempt,
    connection: Connection,
    record: Record,
    cost: Cost,
    usage: TextUsage | None = None,
) -> None:
    """Close it with its cost, and tell the gate."""
    async with db.workspace(who.workspace_id, who.user_id) as tx:
        if await attempts.close(tx, attempt.id, "succeeded", cost=cost, usage=usage):
            observed.ended(tx, connection, attempt, "succeeded", cost)
        await gate.report_success(tx, connection.id)
    await record.flush()


async def failed(
    db: Database,
    who: Who,
    attempt: Attempt,
    connection: Connection,
    record: Record,
    error: ProviderError,
    *,
    blame: bool = True,
) -> None:
    """Close it and, when the connection is to blame, tell the gate."""
    uncertain = isinstance(error, OutcomeUnknown)
    cost = None if isinstance(error, OutcomeUnknown | Rejected) else NOTHING_BILLED
    async with db.workspace(who.workspace_id, who.user_id) as tx:
        if await attempts.close(
            tx, attempt.id, "uncertain" if uncertain else "failed", cost=cost, error_kind=error.code,
            detail=error.note or error.message,
        ):  # fmt: skip
            observed.ended(tx, connection, attempt, error.code, cost)
        if blame:
            await gate.report_failure(tx, connection.id, error, own_key=connection.own_key)
    await record.flush()
