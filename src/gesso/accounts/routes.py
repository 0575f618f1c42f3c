"""`/api/auth`: accounts and sessions for programs. The session travels in the cookie `gesso_session`."""

from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gesso.accounts import age_routes, login, recovery, repository, sessions, signup
from gesso.accounts.access import Actor, CurrentActor, OptionalActor, Role
from gesso.accounts.visit import visit_of
from gesso.core.sealed import hash_token
from gesso.web.errors import ANY_BODY, problems

router = APIRouter(prefix="/api/auth", tags=["Accounts"])
router.include_router(age_routes.router)


class SignUp(BaseModel):
    """A new account."""

    model_config = ConfigDict(str_max_length=1000)

    email: str = Field(examples=["ada@northlight.studio"])
    password: str = Field(description="10 to 200 characters.", examples=["violet ridges, first light"])
    name: str = Field(description="What to call the person, 1 to 80 characters.", examples=["Ada Keller"])
    stay_signed_in: bool = Field(False, description="Keep the session for 30 days instead of one.")


class LogIn(BaseModel):
    """E-mail and password of an account."""

    model_config = ConfigDict(str_max_length=1000)

    email: str
    password: str
    stay_signed_in: bool = Field(False, description="Keep the session for 30 days instead of one.")


class ResetRequest(BaseModel):
    """Where to send a reset link."""

    model_config = ConfigDict(str_max_length=1000)

    email: str


class ResetConfirm(BaseModel):
    """The token from the reset mail and the new password."""

    model_config = ConfigDict(str_max_length=1000)

    token: str
    password: str = Field(description="10 to 200 characters.")


class Accepted(BaseModel):
    """What happens next."""

    detail: str


class MeUser(BaseModel):
    """A person."""

    id: UUID
    email: str
    name: str
    email_verified: bool
    is_operator: bool


class MeWorkspace(BaseModel):
    """The workspace the session acts in: it owns and pays for everything."""

    id: UUID
    name: str
    plan: str = Field(description="Key of the plan.")


class Me(BaseModel):
    """Who is signed in, and where."""

    user: MeUser
    workspace: MeWorkspace
    role: Role

    @classmethod
    def of(cls, actor: Actor) -> "Me":
        """As the API shows it."""
        return cls(
            user=MeUser(
                id=actor.user_id, email=actor.email, name=actor.name,
                email_verified=actor.email_verified, is_operator=actor.is_operator,
            ),
            workspace=MeWorkspace(id=actor.workspace_id, name=actor.workspace_name, plan=actor.plan_key),
            role=actor.role,
        )  # fmt: skip


@router.post("/signup", status_code=201, responses=problems(*ANY_BODY, 409, 422, 429), summary="Make an account")
async def sign_up(request: Request, response: Response, body: SignUp, current: OptionalActor) -> Me:
    """Make an account with a personal workspace, and sign in."""
    state = request.app.state
    opened = await signup.register(
        state.db, email=body.email, name=body.name, password=body.password, lasting=body.stay_signed_in,
        hooks=state.account_hooks, mailer=state.mailer, settings=state.settings, visit=visit_of(request),
        replaces=current,
    )  # fmt: skip
    return await _signed_in(request, response, opened)


@router.post("/login", responses=problems(*ANY_BODY, 401, 422, 429), summary="Sign in")
async def log_in(request: Request, response: Response, body: LogIn, current: OptionalActor) -> Me:
    """Open a session. A wrong password and an unknown address get the same answer."""
    state = request.app.state
    opened = await login.log_in(
        state.db, email=body.email, password=body.password, lasting=body.stay_signed_in,
        visit=visit_of(request), limits=state.settings.limits, replaces=current,
    )  # fmt: skip
    return await _signed_in(request, response, opened)


@router.post("/logout", status_code=204, responses=problems(403), summary="Sign out")
async def log_out(request: Request, response: Response, current: OptionalActor) -> None:
    """End the session. Without one nothing happens."""
    if current is not None:
        async with request.app.state.db.workspace(current.workspace_id, current.user_id) as tx:
            await sessions.close_session(tx, current, visit=visit_of(request))
    sessions.clear_cookie(response, secure=request.app.state.settings.site.secure_cookies)


@router.post(
    "/reset-password", status_code=202, responses=problems(*ANY_BODY, 422, 429), summary="Ask for a password reset"
)
async def ask_reset(request: Request, body: ResetRequest) -> Accepted:
    """Mail a link that works once, for 30 minutes. The answer is the same for unknown addresses."""
    state = request.app.state
    await recovery.request_reset(
        state.db, email=body.email, site_url=state.settings.site.url, mailer=state.mailer,
        visit=visit_of(request), limits=state.settings.limits,
    )  # fmt: skip
    return Accepted(detail="If the address has an account, a mail with a link is on its way.")


@router.post("/reset-password/confirm", responses=problems(*ANY_BODY, 422), summary="Set a new password")
async def confirm_reset(request: Request, response: Response, body: ResetConfirm) -> Me:
    """Set a new password with the token from the mail. All sessions end; a new one opens."""
    state = request.app.state
    opened = await recovery.reset_password(
        state.db, secret=body.token, password=body.password, mailer=state.mailer,
        host_name=state.settings.site.host_name, visit=visit_of(request),
    )  # fmt: skip
    return await _signed_in(request, response, opened)


@router.get("/me", responses=problems(401), summary="Who is signed in")
async def me(actor: CurrentActor) -> Me:
    """The person, their workspace and their role in it."""
    return Me.of(actor)


async def _signed_in(request: Request, response: Response, opened: sessions.OpenSession) -> Me:
    """Hand out the cookie, and say who it is for."""
    state = request.app.state
    sessions.set_cookie(response, opened, secure=state.settings.site.secure_cookies)
    response.headers["Cache-Control"] = "no-store"
    row = await repository.find_session(state.db, hash_token(opened.token), state.clock.now())
    assert row is not None, "the session was opened a moment ago"
    return Me.of(Actor(**row))
