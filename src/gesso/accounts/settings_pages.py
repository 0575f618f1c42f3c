"""Settings of a person: profile, password, sessions. Every form works without script."""

from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from gesso.accounts import age, recovery, repository, service, sessions
from gesso.accounts.access import Actor, CurrentActor
from gesso.accounts.age_routes import only_for_adults
from gesso.accounts.views import sections, session_view
from gesso.accounts.visit import visit_of
from gesso.core.errors import GessoError, NotFound
from gesso.web import ratelimit
from gesso.web.forms import Form, blank, read
from gesso.web.render import local_path, page, redirect, toast

router = APIRouter(prefix="/settings", include_in_schema=False)

EMAIL_CHANGES_PER_HOUR = 10


class NameForm(BaseModel):
    """What to call the person."""

    name: str


class EmailForm(BaseModel):
    """The new address, and proof that it is them."""

    email: str
    current_password: str


class PasswordForm(BaseModel):
    """The old and the new password."""

    current_password: str
    password: str


class AgeForm(BaseModel):
    """Where to go on."""

    next: str = ""


@router.get("")
async def profile_page(request: Request, actor: CurrentActor) -> Response:
    """Name and e-mail address."""
    return await _profile(request, actor)


async def _profile(
    request: Request,
    actor: Actor,
    *,
    name_form: Form[NameForm] | None = None,
    email_form: Form[EmailForm] | None = None,
    status: int = 200,
) -> Response:
    verification = request.app.state.settings.mail.verification
    return await page(
        request, "accounts/profile.html", status, sections=sections(request), actor=actor,
        name_form=name_form or blank(name=actor.name), email_form=email_form or blank(),
        unconfirmed=verification and not actor.email_verified, confirms=verification,
    )  # fmt: skip


@router.post("/name")
async def change_name(request: Request, actor: CurrentActor) -> Response:
    """Rename."""
    form = await read(request, NameForm)
    if form.ok:
        try:
            async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
                await service.change_name(tx, form.value.name, visit=visit_of(request))
            return toast(redirect(request, "/settings"), "Name saved", "ok")
        except GessoError as error:
            form.fail(error)
    return await _profile(request, actor, name_form=form, status=422)


@router.post("/email")
async def change_email(request: Request, actor: CurrentActor) -> Response:
    """Move to another address, at once or after it is confirmed."""
    form = await read(request, EmailForm)
    state, visit = request.app.state, visit_of(request)
    status = 422
    if form.ok:
        try:
            email = service.clean_email(form.value.email)
            await service.check_password(state.db, actor, form.value.current_password, limits=state.settings.limits)
            if email == actor.email:
                return redirect(request, "/settings")
            # every try tells whether an address has an account, or sends a mail to a stranger's
            await ratelimit.hit(
                state.db, f"email:user:{actor.user_id}", EMAIL_CHANGES_PER_HOUR, 3600,
                "Your address was changed many times.",
            )  # fmt: skip
            confirm = state.settings.mail.verification
            async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
                await recovery.change_email(
                    tx, actor, email, confirm=confirm, site_url=state.settings.site.url,
                    mailer=state.mailer, visit=visit,
                )  # fmt: skip
            if confirm:
                detail = f"Open the link we sent to {email}. Until then the old address stays."
                return toast(redirect(request, "/settings"), "Check your mail", detail=detail)
            return toast(redirect(request, "/settings"), "E-mail address saved", "ok")
        except GessoError as error:
            form.fail(error)
            status = error.status
    return await _profile(request, actor, email_form=form, status=status)


@router.post("/confirm-email")
async def send_confirmation(request: Request, actor: CurrentActor) -> Response:
    """Mail the confirmation link again."""
    state = request.app.state
    await ratelimit.hit(
        state.db, f"verify:user:{actor.user_id}", state.settings.limits.reset_mails_per_hour, 3600,
        "Too many mails were asked for.",
    )  # fmt: skip
    async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        await recovery.send_verification(
            tx, email=actor.email, name=actor.name, site_url=state.settings.site.url,
            mailer=state.mailer, visit=visit_of(request),
        )  # fmt: skip
    return toast(redirect(request, "/settings"), "Check your mail", detail=f"We sent a link to {actor.email}.")


@router.get("/password")
async def password_page(request: Request, actor: CurrentActor) -> Response:
    """Old and new password."""
    return await _password(request, actor, blank())


@router.post("/password")
async def change_password(request: Request, actor: CurrentActor) -> Response:
    """Set a new password, end all sessions and go on in a new one."""
    form = await read(request, PasswordForm)
    state, status = request.app.state, 422
    if form.ok:
        sent = form.value
        try:
            await service.check_password(state.db, actor, sent.current_password, limits=state.settings.limits)
            site = (actor.name, state.mailer.brand, state.settings.site.host_name)
            password_hash = await service.new_password_hash(sent.password, email=actor.email, known=site)
            async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
                ended = await service.change_password(
                    tx, password_hash, visit=visit_of(request), action="account.password_changed"
                )
                opened = await sessions.renew_session(tx, actor, visit=visit_of(request))
                recovery.tell_changed(tx, state.mailer, actor.email, actor.name, "password")
            others = ended - 1
            answer = redirect(request, "/settings/password")
            sessions.set_cookie(answer, opened, secure=state.settings.site.secure_cookies)
            return toast(answer, "Password changed", "ok", detail=_signed_out(others) if others else "")
        except GessoError as error:
            form.fail(error)
            status = error.status
    return await _password(request, actor, form, status)


async def _password(request: Request, actor: Actor, form: Form[PasswordForm], status: int = 200) -> Response:
    return await page(request, "accounts/password.html", status, sections=sections(request), actor=actor, form=form)


@router.get("/sessions")
async def sessions_page(request: Request, actor: CurrentActor) -> Response:
    """Where the person is signed in."""
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        rows = await repository.list_sessions(tx, visit_of(request).at)
    views = [session_view(row, actor.session_id) for row in rows]
    views.sort(key=lambda view: not view.current)
    return await page(request, "accounts/sessions.html", sections=sections(request), sessions=views)


@router.post("/sessions/others/end")
async def end_other_sessions(request: Request, actor: CurrentActor) -> Response:
    """Sign out everywhere else."""
    visit = visit_of(request)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        ended = await repository.revoke_sessions(tx, visit.at, keep=actor.session_id)
        await repository.add_audit_event(tx, "session.others_ended", at=visit.at, ip=visit.ip, sessions_ended=ended)
    return toast(redirect(request, "/settings/sessions"), _signed_out(ended), "ok")


@router.post("/sessions/{session_id}/end")
async def end_session(request: Request, actor: CurrentActor, session_id: UUID) -> Response:
    """Sign one device out."""
    visit = visit_of(request)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        if not await repository.revoke_session(tx, session_id, visit.at):
            raise NotFound("This session has ended already.")
        await repository.add_audit_event(tx, "session.ended", at=visit.at, ip=visit.ip)
    return toast(redirect(request, "/settings/sessions"), "Signed out there", "ok")


def _signed_out(count: int) -> str:
    return "Signed out of 1 other session" if count == 1 else f"Signed out of {count} other sessions"


@router.get("/age")
async def age_page(request: Request, actor: CurrentActor, next: str = "") -> Response:
    """Whether they confirmed to be an adult, and where to go on (`next`). Only where adult models are offered."""
    only_for_adults(request)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        confirmed_at = await age.confirmed_at(tx)
    return await page(
        request, "accounts/age.html", sections=sections(request), confirmed_at=confirmed_at, next=local_path(next, "")
    )


@router.post("/age")
async def confirm_age(request: Request, actor: CurrentActor) -> Response:
    """They say that they are, and go on where they came from."""
    only_for_adults(request)
    back = local_path((await read(request, AgeForm)).typed.get("next"), "/settings/age")
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        await age.confirm(tx, visit_of(request))
    return toast(redirect(request, back), "Models for adults are shown now", "ok")


@router.post("/age/withdraw")
async def withdraw_age(request: Request, actor: CurrentActor) -> Response:
    """They take it back."""
    only_for_adults(request)
    async with request.app.state.db.workspace(actor.workspace_id, actor.user_id) as tx:
        await age.withdraw(tx, visit_of(request))
    return toast(redirect(request, "/settings/age"), "Models for adults are hidden", "ok")
