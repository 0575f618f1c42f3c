"""Providers' webhooks: verified, then believed for one thing only, that now is a good time to ask.

`POST /api/webhooks/{connection}?call={client key}`. The client key names the call before its operation is
stored: if the worker died between asking the provider and noting the answer, this knock is how the job is
found again. Answers 2xx at once; duplicates, late ones and unknown ones change nothing.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, FastAPI, Query, Request, Response

from gesso import jobs
from gesso.calls import attempts
from gesso.calls.attempts import Reference
from gesso.calls.pool import ProviderPool
from gesso.calls.waker import CHANNEL, operation_name
from gesso.catalog.items import Connection
from gesso.catalog.registry import Catalog
from gesso.core import crashpoints
from gesso.core.errors import Forbidden, NotFound, Unavailable
from gesso.db import Database
from gesso.generation.late import TASK as LATE_TASK
from gesso.providers.base import Operation
from gesso.providers.errors import ProviderError, WebhookRejected
from gesso.web.bodies import notice_body
from gesso.web.errors import problems

log = structlog.get_logger()

MAX_BODY_BYTES = 4 * 2**20


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Web processes need adapters only to verify knocks."""
    settings = app.state.settings
    app.state.webhook_pool = ProviderPool(settings.sealer, settings.site.sandbox_url)
    yield
    await app.state.webhook_pool.aclose()


router = APIRouter(tags=["webhooks"], lifespan=_lifespan)


@router.post("/api/webhooks/{connection_key}", status_code=202, responses=problems(403, 404, 413, 422, 503))
async def receive_webhook(
    request: Request,
    connection_key: str,
    call: Annotated[UUID | None, Query(description="The client key of the call it is about.")] = None,
) -> Response:
    """A provider says that a job has ended. Only providers call this."""
    state = request.app.state
    connection = _connection(state.catalog, connection_key)
    body = await notice_body(request, MAX_BODY_BYTES)
    pool: ProviderPool = state.webhook_pool
    try:
        async with pool.use(connection) as line:
            notice = await line.provider.parse_webhook(dict(request.headers), body)
            known = await _known_call(state.db, connection, call) if call else None
            if known is None and not notice.signed:
                raise WebhookRejected("It is not signed, and came to no call of ours.")
            lost = known if known is not None and known.state in ("started", "uncertain") else None
            operation = line.provider.recall(lost.upstream, notice.request_id) if lost else None
    except WebhookRejected as error:
        log.warning("webhook.rejected", connection=connection_key, reason=str(error))
        raise Forbidden("This notice cannot be trusted.") from None
    except ProviderError as error:
        log.warning("webhook.unchecked", connection=connection_key, note=error.note)
        raise Unavailable("The notice cannot be checked right now. Send it again later.") from None
    if lost is not None and operation is not None:
        await found_again(state.db, lost, operation)
        crashpoints.reach("webhook.noted")
    async with state.db.public() as tx:
        tx.notify_after_commit(CHANNEL, {"name": operation_name(connection.id, notice.request_id)})
    return Response(status_code=202)


def _connection(catalog: Catalog, key: str) -> Connection:
    for connection in catalog.connections():
        if connection.key == key:
            return connection
    raise NotFound("There is nothing at this address.")


async def _known_call(db: Database, connection: Connection, client_key: UUID) -> Reference | None:
    """The call with this client key, if it is one of the connection's. Nobody can guess one."""
    async with db.public() as tx:
        reference = await attempts.find(tx, client_key)
    return reference if reference is not None and reference.connection_id == connection.id else None


async def found_again(db: Database, lost: Reference, operation: Operation) -> None:
    """Store the operation that was never noted, or, when the call was given up already, collect its result."""
    async with db.workspace(lost.workspace_id) as tx:
        if lost.state == "started":
            await attempts.submitted(tx, lost.attempt_id, operation)
            return
        payload = {
            "workspace_id": str(lost.workspace_id),
            "attempt_id": str(lost.attempt_id),
            "operation": {"id": operation.id, "data": operation.data},
        }
        await jobs.enqueue(tx, LATE_TASK, payload, dedupe_key=f"late:{lost.attempt_id}")
