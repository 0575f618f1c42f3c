"""`/admin/users`: everybody with an account, and what an operator can do for one of them. All of it without script."""

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, SecretStr

from gesso.accounts.access import CurrentOperator
from gesso.accounts.views import device
from gesso.accounts.visit import visit_of
from gesso.admin import people
from gesso.admin.frame import deed_of, panel
from gesso.admin.jobs_filter import clean
from gesso.admin.people import SORTS, Only, SortKey
from gesso.admin.proof import is_fresh, prove
from gesso.core.errors import GessoError, NotFound
from gesso.web.forms import Form, blank, read
from gesso.web.render import redirect, toast

router = APIRouter(prefix="/admin/users", include_in_schema=False)
HOME = "/admin/users"
ONLY: dict[Only, str] = {
    "all": "Everybody", "operators": "Operators", "disabled": "Disabled", "unconfirmed": "Address not confirmed",
}  # fmt: skip


class OperatorForm(BaseModel):
    """Whether somebody runs the site, and proof of who says so."""

    operator: bool
    current_password: SecretStr | None = None


class DisabledForm(BaseModel):
    """Whether somebody is locked out."""

    disabled: bool


@router.get("")
async def users_page(
    request: Request,
    actor: CurrentOperator,
    q: Annotated[str, Query(max_length=254)] = "",
    only: Only = "all",
    sort: SortKey = "newest",
    cursor: Annotated[str | None, Query(max_length=600)] = None,
) -> Response:
    """People, searched and sorted."""
    async with request.app.state.db.elevated("operator: users") as tx:
        found, following = await people.listing(tx, search=clean(q), only=only, sort=sort, cursor=cursor)
    kept = {"q": clean(q), "only": only, "sort": sort}
    return await panel(
        request, "admin/users.html", people=found, q=clean(q), only=only, sort=sort, onlys=ONLY, first=cursor is None,
        confirms=request.app.state.settings.mail.verification,
        sorts={key: one.words for key, one in SORTS.items()},
        following=urlencode({**kept, "cursor": following}) if following else "",
    )  # fmt: skip


@router.get("/{user_id}")
async def user_page(request: Request, actor: CurrentOperator, user_id: UUID) -> Response:
    """One person."""
    return await _page(request, actor, user_id)


async def _page(
    request: Request, actor: CurrentOperator, user_id: UUID, form: Form[Any] | None = None, status: int = 200
) -> Response:
    state = request.app.state
    async with state.db.elevated("operator: a user") as tx:
        found = await people.detail(tx, user_id, state.clock.now())
    return await panel(
        request, "admin/user.html", status, detail=found, person=found.person, device=device, form=form or blank(),
        myself=user_id == actor.user_id, fresh=await is_fresh(request, actor), here=actor.session_id,
        confirms=state.settings.mail.verification,
        plans={key: plan.name for key, plan in state.catalog.snapshot.plans.items()},
    )  # fmt: skip


def _back(request: Request, user_id: UUID) -> Response:
    return redirect(request, f"{HOME}/{user_id}")


async def _refused(request: Request, actor: CurrentOperator, user_id: UUID, error: GessoError) -> Response:
    """The page again, with why not."""
    if isinstance(error, NotFound):
        raise error
    form: Form[Any] = blank()
    form.fail(error)
    return await _page(request, actor, user_id, form, error.status)


@router.post("/{user_id}/sessions/end")
async def end_sessions(request: Request, actor: CurrentOperator, user_id: UUID) -> Response:
    """Sign them out everywhere."""
    async with request.app.state.db.elevated("operator: end sessions") as tx:
        ended = await people.end_sessions(tx, deed_of(request, actor), user_id)
    return toast(_back(request, user_id), f"{ended:,} session{'' if ended == 1 else 's'} ended", "ok")


@router.post("/{user_id}/sessions/{session_id}/end")
async def end_session(request: Request, actor: CurrentOperator, user_id: UUID, session_id: UUID) -> Response:
    """Sign them out there."""
    async with request.app.state.db.elevated("operator: end a session") as tx:
        await people.end_session(tx, deed_of(request, actor), user_id, session_id)
    return toast(_back(request, user_id), "The session is ended", "ok")


@router.post("/{user_id}/operator")
async def make_operator(request: Request, actor: CurrentOperator, user_id: UUID) -> Response:
    """Let them run the site, or not any more."""
    form = await read(request, OperatorForm)
    if not form.ok:
        return await _page(request, actor, user_id, form, 422)
    try:
        await prove(request, actor, form.value.current_password)
        async with request.app.state.db.elevated("operator: make an operator") as tx:
            person = await people.set_operator(tx, deed_of(request, actor), user_id, form.value.operator)
    except GessoError as error:
        return await _refused(request, actor, user_id, error)
    if user_id == actor.user_id and not form.value.operator:
        return toast(redirect(request, "/"), "You do not run this site any more")
    words = "runs this site now" if form.value.operator else "does not run this site any more"
    return toast(_back(request, user_id), f"{person.name} {words}", "ok")


@router.post("/{user_id}/disabled")
async def disable_user(request: Request, actor: CurrentOperator, user_id: UUID) -> Response:
    """Lock them out, or let them in again."""
    form = await read(request, DisabledForm)
    if not form.ok:
        return await _page(request, actor, user_id, form, 422)
    db, deed = request.app.state.db, deed_of(request, actor)
    try:
        if form.value.disabled:
            person, cancelled = await people.disable(db, deed, user_id)
            detail = f"Signed out everywhere; {cancelled:,} queued cancelled."
            return toast(_back(request, user_id), f"{person.name} is locked out", "ok", detail=detail)
        async with db.elevated("operator: enable a person") as tx:
            person = await people.enable(tx, deed, user_id)
    except GessoError as error:
        return await _refused(request, actor, user_id, error)
    return toast(_back(request, user_id), f"{person.name} can sign in again", "ok")


@router.post("/{user_id}/reset")
async def send_reset(request: Request, actor: CurrentOperator, user_id: UUID) -> Response:
    """Mail them a link to choose a new password."""
    try:
        person = await people.send_reset(request.app, deed_of(request, actor), user_id, visit_of(request))
    except GessoError as error:
        return await _refused(request, actor, user_id, error)
    return toast(_back(request, user_id), "Reset link sent", "ok", detail=f"To {person.email}; good for 30 minutes.")


@router.post("/{user_id}/confirm")
async def confirm_email(request: Request, actor: CurrentOperator, user_id: UUID) -> Response:
    """Take the address for theirs."""
    async with request.app.state.db.elevated("operator: confirm an address") as tx:
        person = await people.confirm_email(tx, deed_of(request, actor), user_id)
    return toast(_back(request, user_id), "Address confirmed", "ok", detail=person.email)
