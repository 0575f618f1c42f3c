"""Whether it is still the operator who sits there: before acts that give power away, a log-in alone is not enough."""

from datetime import timedelta

from fastapi import Request
from pydantic import SecretStr

from gesso.accounts import service
from gesso.accounts.access import Actor
from gesso.core.errors import InvalidInput

FRESH = timedelta(minutes=10)
"""Whoever has signed in so lately has just proven who they are."""


async def is_fresh(request: Request, actor: Actor) -> bool:
    """Whether the session that asks was opened just now."""
    state = request.app.state
    async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        opened = await tx.fetchval("SELECT created_at FROM login_session WHERE id = $1", actor.session_id)
    return opened is not None and state.clock.now() - opened <= FRESH


async def prove(request: Request, actor: Actor, password: SecretStr | None) -> None:
    """Let pass whoever signed in just now, or gives their own password.

    Raises InvalidInput on `current_password`; TooManyRequests after too many wrong ones.
    """
    if password is None or not password.get_secret_value():
        if await is_fresh(request, actor):
            return
        reason = "Give your own password, or sign in afresh: you have been signed in for a while."
        raise InvalidInput(reason, fields={"current_password": reason})
    state = request.app.state
    await service.check_password(state.db, actor, password.get_secret_value(), limits=state.settings.limits)
