"""The judge before a prompt tool: a text is judged before anything is held for improving it."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from gesso.accounts.access import Actor
from gesso.calls.alone import Who
from gesso.core.errors import GessoError
from gesso.db import WorkspaceSession
from gesso.prompts import service
from gesso.prompts.models import PromptRecord
from gesso.prompts.service import Ask, Begun
from gesso.safety.moderation import Moderation
from gesso.web.idempotency import Once

Keep = Callable[[WorkspaceSession, Begun | PromptRecord], Awaitable[None]]


@contextlib.asynccontextmanager
async def heard(state: Any, actor: Actor, ask: Ask, once: Once) -> AsyncIterator[Keep]:
    """Begin inside this block, and call what it gives with what was begun, in the same transaction: then what is to be
    said about the text is written down. A picture to be described is nobody's wish, and not judged.

    Raises Flagged, NotChecked.
    """
    moderation: Moderation = state.moderation
    who = Who(actor.workspace_id, actor.user_id)
    async with moderation.blocks_kept(who, "improve", ask.text, service.CONTENT):
        finding = None
        if ask.kind == "improve" and moderation.judges_prompts and await _worth_it(state, actor, ask, once):
            finding = await moderation.prompt(who, "improve", ask.text.strip(), service.CONTENT)

        async def keep(tx: WorkspaceSession, begun: Begun | PromptRecord) -> None:
            if isinstance(begun, Begun):
                await moderation.keep(tx, finding, actor.user_id)

        yield keep


async def _worth_it(state: Any, actor: Actor, ask: Ask, once: Once) -> bool:
    """Not for what is refused anyway (beginning says why), nor for what was answered before."""
    try:
        service.check(ask)
    except GessoError:
        return False
    if once.key is None:
        return True
    try:
        async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
            return not await service.answered(tx, once, state.clock.now())
    except GessoError:
        return True  # its twin is under way, and may yet come to nothing
