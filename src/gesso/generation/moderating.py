"""The judge at the edges of a generation: what is asked for before it is held, what was made before it is stored."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from gesso.accounts.access import Actor
from gesso.calls.alone import Who
from gesso.catalog.registry import Catalog
from gesso.core.errors import Conflict, GessoError
from gesso.db import WorkspaceSession
from gesso.generation import policy, service
from gesso.generation.models import Generation, Output
from gesso.generation.policy import Failure
from gesso.generation.service import Ask, Words
from gesso.generation.tools import Tools
from gesso.media.ingest import Prepared
from gesso.providers.base import InputFile
from gesso.safety.lines import Finding
from gesso.safety.moderation import Moderation, NotChecked
from gesso.safety.policy import Policy
from gesso.web.idempotency import Once

SEEN_SIDE = 640
"""Judges see this thumbnail: of a film its poster's."""
PATIENCE = timedelta(seconds=60)
PAUSE_SECONDS = (2.0, 10.0)
"""Where nothing is delivered unjudged: how long a result waits for a judge, and the first and the longest pause."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A request whose prompt may go on. `keep` writes down what is to be said about it, with what it became."""

    _moderation: Moderation
    _finding: Finding | None
    _user_id: UUID

    async def keep(self, tx: WorkspaceSession, generation_id: UUID) -> None:
        """In the transaction that submits; without a finding no statement is made."""
        await self._moderation.keep(tx, self._finding, self._user_id, generation_id)


@contextlib.asynccontextmanager
async def heard(state: Any, actor: Actor, ask: Ask, catalog: Catalog, once: Once) -> AsyncIterator[Heard]:
    """Judge what is asked for, outside any transaction, and submit inside this block: what the judge or the built-in
    rules block there is written down. A request that was answered before is not judged again.

    Raises Flagged, NotChecked, and what `once.before` does.
    """
    moderation: Moderation = state.moderation
    who, words = Who(actor.workspace_id, actor.user_id), _words(moderation, actor, ask, catalog)
    content: Policy = words.policy if words else "general"
    async with moderation.blocks_kept(who, ask.kind, str(ask.params.get("prompt", "")), content):
        finding = None
        if words is not None and not await _answered(state, actor, once):
            finding = await moderation.prompt(who, ask.kind, words.prompt, words.policy)
        yield Heard(moderation, finding, actor.user_id)


@contextlib.asynccontextmanager
async def heard_again(
    state: Any, actor: Actor, generation_id: UUID, catalog: Catalog, once: Once
) -> AsyncIterator[Heard]:
    """As `heard`, for what was asked for before. Raises NotFound besides."""
    if not state.moderation.judges_prompts:
        yield Heard(state.moderation, None, actor.user_id)
        return
    async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        earlier = await service.find(tx, actor, generation_id)
    ask = Ask(earlier.kind, earlier.model_key, earlier.params, "api", rerun_of=earlier.id)
    async with heard(state, actor, ask, catalog, once) as prompt:
        yield prompt


def _words(moderation: Moderation, actor: Actor, ask: Ask, catalog: Catalog) -> Words | None:
    """What is to be judged; None without a judge, and for what cannot be asked anyway: submitting says why."""
    if not moderation.judges_prompts:
        return None
    try:
        return service.words(actor, ask, catalog)
    except GessoError:
        return None


async def _answered(state: Any, actor: Actor, once: Once) -> bool:
    if once.key is None:
        return False
    try:
        async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
            return await once.before(tx) is not None
    except Conflict:
        return False  # its twin is under way; whoever waits for that one asks again


async def result_failure(
    tools: Tools, generation: Generation, output: Output, prepared: Prepared, *, deadline: datetime | None
) -> Failure | None:
    """Why this result is not delivered; None when it is. Outside any transaction; nothing happens without a judge."""
    if not tools.moderation.judges_pictures:
        return None
    pause, longest = PAUSE_SECONDS
    until = tools.clock.now() + PATIENCE
    while True:
        try:
            shows = await tools.moderation.picture(
                Who(generation.workspace_id, generation.user_id), generation.kind,
                InputFile("image/webp", prepared.thumbs[SEEN_SIDE]), _policy_of(tools, generation),
                prompt=generation.prompt, generation_id=generation.id, asset_id=output.asset_id,
            )  # fmt: skip
        except NotChecked:
            if deadline is None or tools.clock.now() >= min(until, deadline - timedelta(seconds=pause)):
                return policy.NOT_CHECKED
        else:
            return policy.held_back(shows) if shows is not None else None
        await asyncio.sleep(policy.jittered(pause))
        pause = min(pause * 2, longest)


def _policy_of(tools: Tools, generation: Generation) -> Policy:
    """By the model that was asked for; of one that is gone nobody can say, so it is judged as the others are."""
    model = tools.catalog.snapshot.models.get(generation.model_key)
    connection = tools.catalog.snapshot.connections.get(model.connection_id) if model is not None else None
    return "adult" if connection is not None and connection.adult else "general"
