"""Look again at what seems stuck: ask now what would be asked later anyway. Nothing is sent anew, nothing charged."""

from dataclasses import dataclass
from uuid import UUID

import structlog

from gesso.calls import attempts
from gesso.calls.attempts import Attempt
from gesso.calls.pool import ProviderPool
from gesso.calls.waker import CHANNEL, operation_name
from gesso.catalog.registry import Catalog
from gesso.core.errors import NotFound
from gesso.db import Database
from gesso.generation import repository, settlement
from gesso.generation.webhooks import found_again
from gesso.providers.errors import ProviderError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of it. `queued`: a worker takes it up; `found`: so many lost calls the provider knew after all;
    `asked`: so many it was asked about; `silent`: lost calls whose provider cannot be asked."""

    queued: bool
    asked: int
    found: int
    silent: int

    @property
    def sentence(self) -> str:
        """For the operator."""
        if self.queued:
            return "A worker looks at it now. It goes on where it stood; nothing is sent twice."
        if self.found:
            return "The provider knows the lost call. Its result is collected now and costs the user nothing."
        if self.asked:
            return "The provider was asked and does not know the call."
        if self.silent:
            return "This provider cannot be asked about a call whose answer was lost."
        return "There is nothing to look for: it has ended, and every call's outcome is known."


async def look_again(
    db: Database, catalog: Catalog, pool: ProviderPool, workspace_id: UUID, generation_id: UUID
) -> Looked:
    """Wake who drives a generation in flight, or queue it again; ask providers about calls nobody knows the end of.

    Raises NotFound.
    """
    async with db.workspace(workspace_id) as tx:
        generation = await repository.get(tx, generation_id)
        if generation is None:
            raise NotFound("There is no such generation.")
        calls = await attempts.of_generation(tx, generation_id)
        in_flight = not generation.ended and generation.dispatched_at is not None
        if in_flight:
            await settlement.enqueue(tx, generation_id, generation.priority)
            for call in calls:
                if call.state == "submitted" and call.operation is not None:
                    tx.notify_after_commit(CHANNEL, {"name": operation_name(call.connection_id, call.operation.id)})
    lost = [] if in_flight else [call for call in calls if call.state == "uncertain"]
    answers = [await _ask(db, catalog, pool, workspace_id, call) for call in lost]
    return Looked(
        queued=in_flight,
        asked=sum(answer is not None for answer in answers),
        found=sum(answer is True for answer in answers),
        silent=sum(answer is None for answer in answers),
    )


async def _ask(db: Database, catalog: Catalog, pool: ProviderPool, workspace_id: UUID, call: Attempt) -> bool | None:
    """Whether the provider knows the call; None when it cannot be asked."""
    connection = catalog.snapshot.connections.get(call.connection_id)
    if connection is None:
        return None
    try:
        async with pool.use(connection) as line:
            if not line.provider.can_find:
                return None
            operation = await line.provider.find(str(call.client_key))
    except ProviderError as error:
        log.info("again.not_told", kind=error.code, attempt_id=str(call.id))
        return None
    if operation is None:
        return False
    async with db.public() as tx:
        reference = await attempts.find(tx, call.client_key)
    if reference is None or reference.workspace_id != workspace_id:
        return False
    await found_again(db, reference, operation)
    return True
