"""Sessions: opening one, the cookie that carries it, ending it.

The token exists in the cookie only; the database keeps its hash.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.responses import Response

from gesso.accounts import repository
from gesso.accounts.access import Actor, cookie_name
from gesso.accounts.visit import Visit
from gesso.core.ids import new_id
from gesso.core.sealed import hash_token, token
from gesso.db import WorkspaceSession

LASTING = timedelta(days=30)
BRIEF = timedelta(days=1)
"""How long a session without 'stay signed in' can live at most; the browser usually forgets it sooner. A lasting one
that nobody uses for two weeks ends too (`auth_session` in the database)."""


@dataclass(frozen=True)
class OpenSession:
    """A session just opened. `token` goes into the cookie and nowhere else."""

    token: str
    lasting: bool
    expires_at: datetime


async def open_session(tx: WorkspaceSession, *, lasting: bool, visit: Visit) -> OpenSession:
    """Open a session of the acting user in the scope's workspace, always under a new token."""
    opened = OpenSession(token(), lasting, visit.at + (LASTING if lasting else BRIEF))
    await repository.add_session(
        tx, session_id=new_id(), token_hash=hash_token(opened.token), user_agent=visit.user_agent,
        ip=visit.ip, at=visit.at, expires_at=opened.expires_at,
    )  # fmt: skip
    return opened


async def renew_session(tx: WorkspaceSession, actor: Actor, *, visit: Visit) -> OpenSession:
    """Open a session in place of the one the actor is using, as lasting as that one: who knew its token knows nothing.

    The caller ends the old one.
    """
    lasting = await repository.session_life(tx, actor.session_id) > BRIEF
    return await open_session(tx, lasting=lasting, visit=visit)


async def close_session(tx: WorkspaceSession, actor: Actor, *, visit: Visit) -> None:
    """Sign the actor out of the session they are using."""
    if await repository.revoke_session(tx, actor.session_id, visit.at):
        await repository.add_audit_event(tx, "session.ended", at=visit.at, ip=visit.ip)


def set_cookie(response: Response, opened: OpenSession, *, secure: bool) -> None:
    """Hand the token to the browser: for 30 days, or until it closes."""
    response.set_cookie(
        cookie_name(secure=secure), opened.token, max_age=int(LASTING.total_seconds()) if opened.lasting else None,
        path="/", secure=secure, httponly=True, samesite="lax",
    )  # fmt: skip


def clear_cookie(response: Response, *, secure: bool) -> None:
    """Make the browser forget the token, and the pictures it kept: whoever sits down next must not find them."""
    response.delete_cookie(cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="lax")
    response.headers["Clear-Site-Data"] = '"cache"'
