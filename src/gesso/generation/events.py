"""`GET /api/events`: what changes in a workspace, as server-sent events.

    id: 4711
    event: generation
    data: {"id": "0192…"}

Events carry ids only; whoever cares asks for the thing itself, with its own authorisation. A browser that
reconnects sends the last id it saw and is told what it missed from the rows. Kinds: `generation`, `credits`,
`asset`, and `resync` (something may have been missed: look at everything).
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from gesso.accounts.access import Actor, CurrentActor
from gesso.db import Database
from gesso.generation import repository
from gesso.web.errors import problems
from gesso.web.events import EventHub, format_event

router = APIRouter(tags=["generate"])

LIFETIME_SECONDS = 900.0
"""A stream ends after this long, so that a session that was revoked does not listen for ever; browsers reconnect."""
REPLAY_LIMIT = 200
"""More generations than this are not told one by one after a gap."""
MAX_EVENT_ID = 2**63 - 1
_HEAD = b"retry: 2000\n\n"


@router.get(
    "/api/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "A stream of events"}, **problems(401, 422)},
)
async def follow_events(
    request: Request,
    actor: CurrentActor,
    last_event_id: Annotated[int | None, Header(ge=0, le=MAX_EVENT_ID, description="The last id seen.")] = None,
    after: Annotated[int | None, Query(ge=0, le=MAX_EVENT_ID, description="The same, without a header.")] = None,
) -> StreamingResponse:
    """Follow what changes in your workspace."""
    state = request.app.state
    seen = last_event_id if last_event_id is not None else after
    return StreamingResponse(
        _stream(state.events, state.db, actor, seen),
        media_type="text/event-stream",
        # a proxy that kept the connection after the stream could use it just when a stopping server closes it
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Connection": "close"},
    )


async def _stream(hub: EventHub, db: Database, actor: Actor, seen: int | None) -> AsyncIterator[bytes]:
    """Listen first, then look at the rows, then pass on: nothing falls between."""
    with hub.stream(actor.workspace_id) as live:
        yield _HEAD
        yield await _missed(db, actor, seen)
        try:
            async with asyncio.timeout(LIFETIME_SECONDS):
                async for chunk in live:
                    yield chunk
        except TimeoutError:
            return


async def _missed(db: Database, actor: Actor, seen: int | None) -> bytes:
    """What changed after event `seen`; for a newcomer, only the id from which to count."""
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        if seen is None:
            return f"id: {await repository.last_event(tx)}\n\n".encode()
        missed = await repository.replay(tx, seen, limit=REPLAY_LIMIT + 1)
    if len(missed) > REPLAY_LIMIT:
        return format_event("resync", {}, missed[-1][0])
    return b"".join(
        format_event("generation", {"id": str(generation_id)}, event_id) for event_id, generation_id in missed
    )
