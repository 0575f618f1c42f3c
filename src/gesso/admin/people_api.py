"""`/api/admin/users`: for programs of the operator what the panel's pages do. Nothing secret is in any answer."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, SecretStr

from gesso.accounts.access import CurrentOperator
from gesso.accounts.visit import visit_of
from gesso.admin import people
from gesso.admin.finding import MOST, PAGE
from gesso.admin.frame import deed_of
from gesso.admin.jobs_filter import clean
from gesso.admin.people import Detail, Only, Person, SortKey
from gesso.admin.proof import prove
from gesso.core.money import format_credits
from gesso.web.errors import ANY_BODY, problems

router = APIRouter(prefix="/api/admin/users", tags=["operator"])


class UserItem(BaseModel):
    """An account."""

    id: UUID
    email: str
    name: str
    created_at: datetime
    email_verified: bool
    is_operator: bool
    disabled: bool
    last_seen_at: datetime | None = Field(description="By the sessions that are still remembered.")

    @classmethod
    def of(cls, one: Person) -> "UserItem":
        return cls(
            id=one.id, email=one.email, name=one.name, created_at=one.created_at, is_operator=one.is_operator,
            email_verified=one.email_verified_at is not None, disabled=one.disabled_at is not None,
            last_seen_at=one.last_seen_at,
        )  # fmt: skip


class UsersAnswer(BaseModel):
    """A page of accounts."""

    items: list[UserItem]
    next: str | None = Field(description="Cursor of the next page; null at the end.")


class UserWorkspace(BaseModel):
    """A workspace they are in."""

    id: UUID
    name: str
    kind: str
    plan: str
    role: str
    balance: str = Field(description="Credits that can be spent there, as a decimal string.")
    joined_at: datetime


class UserSession(BaseModel):
    """Where they are signed in."""

    id: UUID
    user_agent: str
    ip: str | None
    created_at: datetime
    last_seen_at: datetime


class UserDetail(UserItem):
    """An account with its workspaces and open sessions."""

    workspaces: list[UserWorkspace]
    sessions: list[UserSession]

    @classmethod
    def whole(cls, detail: Detail) -> "UserDetail":
        """From what the service read."""
        return cls(
            **UserItem.of(detail.person).model_dump(),
            workspaces=[
                UserWorkspace(
                    id=one.id, name=one.name, kind=one.kind, plan=one.plan_key, role=one.role,
                    balance=format_credits(one.balance), joined_at=one.joined_at,
                )
                for one in detail.workspaces
            ],
            sessions=[
                UserSession(**{name: getattr(one, name) for name in UserSession.model_fields})
                for one in detail.sessions
            ],
        )  # fmt: skip


class OperatorPut(BaseModel):
    """Whether they run the site."""

    operator: bool
    current_password: SecretStr | None = Field(
        default=None, description="Your own. Not needed within ten minutes of signing in."
    )


class DisabledPut(BaseModel):
    """Whether they are locked out."""

    disabled: bool


class SessionsEnded(BaseModel):
    """How many sessions ended."""

    ended: int


class ResetSent(BaseModel):
    """Where the link went."""

    detail: str


async def _whole(request: Request, user_id: UUID) -> UserDetail:
    state = request.app.state
    async with state.db.elevated("operator: a user") as tx:
        return UserDetail.whole(await people.detail(tx, user_id, state.clock.now()))


@router.get("", responses=problems(401, 404, 422))
async def list_users(
    request: Request,
    actor: CurrentOperator,
    q: Annotated[str, Query(max_length=254, description="Part of an address or a name, or an id.")] = "",
    only: Only = "all",
    sort: SortKey = "newest",
    cursor: Annotated[str | None, Query(max_length=600)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
) -> UsersAnswer:
    """Everybody with an account."""
    async with request.app.state.db.elevated("operator: users") as tx:
        found, following = await people.listing(tx, search=clean(q), only=only, sort=sort, cursor=cursor, limit=limit)
    return UsersAnswer(items=[UserItem.of(one) for one in found], next=following)


@router.get("/{user_id}", responses=problems(401, 404, 422))
async def read_user(request: Request, actor: CurrentOperator, user_id: UUID) -> UserDetail:
    """One account with its workspaces and open sessions."""
    return await _whole(request, user_id)


@router.delete("/{user_id}/sessions", responses=problems(401, 403, 404, 422))
async def end_user_sessions(request: Request, actor: CurrentOperator, user_id: UUID) -> SessionsEnded:
    """Sign them out everywhere. The session that asks stays, when it is your own."""
    async with request.app.state.db.elevated("operator: end sessions") as tx:
        return SessionsEnded(ended=await people.end_sessions(tx, deed_of(request, actor), user_id))


@router.delete("/{user_id}/sessions/{session_id}", status_code=204, responses=problems(401, 403, 404, 422))
async def end_user_session(request: Request, actor: CurrentOperator, user_id: UUID, session_id: UUID) -> Response:
    """Sign them out there."""
    async with request.app.state.db.elevated("operator: end a session") as tx:
        await people.end_session(tx, deed_of(request, actor), user_id, session_id)
    return Response(status_code=204)


@router.put("/{user_id}/operator", responses=problems(*ANY_BODY, 401, 404, 409, 422, 429))
async def put_user_operator(request: Request, actor: CurrentOperator, user_id: UUID, body: OperatorPut) -> UserDetail:
    """Let them run the site, or not any more. The last one stays."""
    await prove(request, actor, body.current_password)
    async with request.app.state.db.elevated("operator: make an operator") as tx:
        await people.set_operator(tx, deed_of(request, actor), user_id, body.operator)
    return await _whole(request, user_id)


@router.put("/{user_id}/disabled", responses=problems(*ANY_BODY, 401, 404, 409, 422))
async def put_user_disabled(request: Request, actor: CurrentOperator, user_id: UUID, body: DisabledPut) -> UserDetail:
    """Lock them out: sessions end at once, and what is queued is cancelled. Or let them in again."""
    db, deed = request.app.state.db, deed_of(request, actor)
    if body.disabled:
        await people.disable(db, deed, user_id)
    else:
        async with db.elevated("operator: enable a person") as tx:
            await people.enable(tx, deed, user_id)
    return await _whole(request, user_id)


@router.post("/{user_id}/reset-password", status_code=202, responses=problems(401, 403, 404, 409, 422, 429))
async def send_user_reset(request: Request, actor: CurrentOperator, user_id: UUID) -> ResetSent:
    """Mail them a link to choose a new password."""
    person = await people.send_reset(request.app, deed_of(request, actor), user_id, visit_of(request))
    return ResetSent(detail=f"A link is on its way to {person.email}.")


@router.post("/{user_id}/confirm-email", responses=problems(401, 403, 404, 422))
async def confirm_user_email(request: Request, actor: CurrentOperator, user_id: UUID) -> UserDetail:
    """Take the address for theirs, without a mailed link."""
    async with request.app.state.db.elevated("operator: confirm an address") as tx:
        await people.confirm_email(tx, deed_of(request, actor), user_id)
    return await _whole(request, user_id)
