"""Who is asking. Routes and pages state what they need in their signature: `actor: CurrentActor`.

    CurrentActor    someone signed in; else NotSignedIn (401, pages go to /login)
    OptionalActor   someone or nobody
    VerifiedActor   someone whose e-mail address is confirmed, where the site asks for that; else Forbidden
    CurrentOperator an operator of the site; NotFound for everybody else who is signed in

The session is looked up once per request, in one round trip; keys for programs will join here.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie
from fastapi.security.base import SecurityBase

from gesso.accounts import repository
from gesso.core.errors import Forbidden, NotFound, NotSignedIn
from gesso.core.sealed import hash_token
from gesso.db import Database

COOKIE = "gesso_session"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""Its name where the site is https: browsers take such a cookie from this very host only, over TLS, for all paths, so
that neither a sibling host nor somebody on the wire can plant one (RFC 6265bis §4.1.3.2)."""
_TOKEN_LENGTH = 43  # 32 random bytes in URL-safe base64, see core.sealed.token

Role = Literal["admin", "member"]


@dataclass(frozen=True)
class Actor:
    """Someone acting in a workspace. Every request that needs a person gets one of these."""

    user_id: UUID
    email: str
    name: str
    workspace_id: UUID
    workspace_name: str
    role: Role
    is_operator: bool
    session_id: UUID
    email_verified: bool
    plan_key: str

    @property
    def only_user(self) -> UUID | None:
        """Whose requests and spending the actor may see: None means everybody's in the workspace."""
        return None if self.role == "admin" else self.user_id


async def find_actor(request: Request) -> Actor | None:
    """The person behind the session cookie, or None. Asks the database once per request."""
    if not hasattr(request.state, "actor"):
        request.state.actor = await _from_cookie(request)
    actor: Actor | None = request.state.actor
    return actor


def cookie_name(*, secure: bool) -> str:
    """What the session's cookie is called; on a secure site no other name is looked at."""
    return SECURE_COOKIE if secure else COOKIE


async def _from_cookie(request: Request) -> Actor | None:
    token = request.cookies.get(cookie_name(secure=request.app.state.settings.site.secure_cookies), "")
    if len(token) != _TOKEN_LENGTH:
        return None
    db: Database = request.app.state.db
    row = await repository.find_session(db, hash_token(token), request.app.state.clock.now())
    return Actor(**row) if row else None


async def current_actor(request: Request) -> Actor:
    """Someone signed in. Raises NotSignedIn."""
    actor = await find_actor(request)
    if actor is None:
        raise NotSignedIn("Sign in to go on.")
    return actor


async def verified_actor(request: Request) -> Actor:
    """Someone with a confirmed address where the site asks for one. Raises NotSignedIn, Forbidden."""
    actor = await current_actor(request)
    if request.app.state.settings.mail.verification and not actor.email_verified:
        raise Forbidden(
            f"Confirm your e-mail address first: open the link we sent to {actor.email}, "
            "or send it again from Settings."
        )
    return actor


async def current_operator(request: Request) -> Actor:
    """An operator of the site. Raises NotSignedIn; NotFound for others, who need not know what is here."""
    actor = await current_actor(request)
    if not actor.is_operator:
        raise NotFound("There is nothing here.")
    return actor


_COOKIE = APIKeyCookie(
    name=COOKIE, scheme_name="session", auto_error=False,
    description=f"Set by `POST /api/auth/signup` and `POST /api/auth/login`. Its name is `{SECURE_COOKIE}` over https.",
)  # fmt: skip


class _Session(SecurityBase):
    """`who` as a dependency which says in the OpenAPI document that the route needs a session.

    Both in one: the framework takes its time over each dependency of a request, and nearly all have this one.
    """

    model = _COOKIE.model
    scheme_name = _COOKIE.scheme_name

    def __init__(self, who: Callable[[Request], Awaitable[Actor]]) -> None:
        self._who = who

    async def __call__(self, request: Request) -> Actor:
        return await self._who(request)


CurrentActor = Annotated[Actor, Security(_Session(current_actor))]
OptionalActor = Annotated[Actor | None, Depends(find_actor)]
VerifiedActor = Annotated[Actor, Security(_Session(verified_actor))]
CurrentOperator = Annotated[Actor, Security(_Session(current_operator))]
