"""`GET /api/events`: what changes in a workspace, as server-sent events.

    id: 4711
    event: generation
    data: {"id": "0192…"}

Events carry ids only; whoever cares asks for the thing itself, with its own authorisation. A browser that
reconnects sends the last id it saw and is told what it missed from the rows. Kinds: `generation`, `credits`,
`asset`, and `resync` (something may have been missed: look at everything).
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request

from gesso.accounts.access import Actor, CurrentActor
from gesso.db import Database
from gesso.generation import repository
from gesso.web.errors import problems
from gesso.web.events import EventAnswer, EventHub, format_event

router = APIRouter(tags=["generate"])

REPLAY_LIMIT = 200
"""More generations than this are not told one by one after a gap."""
MAX_EVENT_ID = 2**63 - 1


async def _turn(request: Request) -> AsyncIterator[None]:
    """Wait for one's turn, before anything is asked of the database."""
    hub: EventHub = request.app.state.events
    async with hub.turn:
        yield


@router.get(
    "/api/events",
    status_code=200,
    dependencies=[Depends(_turn)],
    response_class=EventAnswer,
    responses={200: {"content": {"text/event-stream": {}}, "description": "A stream of events"}, **problems(401, 422)},
)
async def follow_events(
    request: Request,
    actor: CurrentActor,
    last_event_id: Annotated[int | None, Header(ge=0, le=MAX_EVENT_ID, description="The last id seen.")] = None,
    after: Annotated[int | None, Query(ge=0, le=MAX_EVENT_ID, description="The same, without a header.")] = None,
) -> EventAnswer:
    """Follow what changes in your workspace."""
    state = request.app.state
    # listen first, then look at the rows, then pass on: nothing falls between
    stream = state.events.open(actor.workspace_id)
    try:
        missed = await _missed(state.db, actor, last_event_id if last_event_id is not None else after)
    except BaseException:
        stream.close()
        raise
    return EventAnswer(stream, state.events.retry() + missed)


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
