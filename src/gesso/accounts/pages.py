"""Pages for people who are not signed in yet: sign up, sign in, and the way back after a lost password."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from gesso.accounts import login, recovery, sessions, signup
from gesso.accounts.access import OptionalActor
from gesso.accounts.errors import WrongCredentials
from gesso.accounts.visit import visit_of
from gesso.core.errors import GessoError, TooManyRequests
from gesso.web.forms import Form, blank, read
from gesso.web.render import local_path, page, redirect, toast

router = APIRouter(include_in_schema=False)

HOME = "/create"
PROMPT_MAX_LENGTH = 2000
_PRIVATE = {"Referrer-Policy": "no-referrer"}
"""For pages whose address holds a token."""


class SignUpForm(BaseModel):
    """/signup"""

    name: str
    email: str
    password: str
    next: str = ""
    prompt: str = ""


class LogInForm(BaseModel):
    """/login"""

    email: str
    password: str
    stay_signed_in: bool = False
    next: str = ""
    prompt: str = ""


class ResetForm(BaseModel):
    """/reset"""

    email: str


class NewPasswordForm(BaseModel):
    """/reset/{token}"""

    password: str


@dataclass(frozen=True)
class Refused:
    """Status and headers of a page that shows a form again."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


_FINE, _UNREADABLE = Refused(200), Refused(422)
Sent = TypeVar("Sent", bound=BaseModel)


def destination(next_path: str, prompt: str) -> str:
    """Where to go after signing in: a page of this site, or Create with the prompt from the landing page."""
    wanted = local_path(next_path, "")
    # these would only lead back here
    if wanted and not re.match(r"/(login|logout|signup|reset)(?![\w-])", wanted):
        return wanted
    prompt = prompt[:PROMPT_MAX_LENGTH].strip()
    return f"{HOME}?prompt={quote(prompt, safe='')}" if prompt else HOME


def _carried(typed: dict[str, str]) -> str:
    """`?next=…&prompt=…` for the link between sign-in and sign-up, so that neither is lost on the way."""
    kept = {key: typed[key] for key in ("next", "prompt") if typed.get(key)}
    return f"?{urlencode(kept)}" if kept else ""


@router.get("/signup")
async def sign_up_page(request: Request, actor: OptionalActor, next: str = "", prompt: str = "") -> Response:
    """The form, keeping what the visitor came with."""
    if actor is not None:
        return redirect(request, destination(next, prompt))
    return await _sign_up(request, blank(next=next, prompt=prompt[:PROMPT_MAX_LENGTH]))


@router.post("/signup")
async def sign_up(request: Request, actor: OptionalActor) -> Response:
    """Make the account and go to Create."""
    form = await read(request, SignUpForm)
    refused = _UNREADABLE
    if form.ok:
        sent, state = form.value, request.app.state
        try:
            opened = await signup.register(
                state.db, email=sent.email, name=sent.name, password=sent.password, lasting=True,
                hooks=state.account_hooks, mailer=state.mailer, settings=state.settings,
                visit=visit_of(request), replaces=actor,
            )  # fmt: skip
            return _enter(request, opened, destination(sent.next, sent.prompt))
        except GessoError as error:
            refused = _failed(form, error)
    return await _sign_up(request, form, refused)


async def _sign_up(request: Request, form: Form[SignUpForm], refused: Refused = _FINE) -> Response:
    answer = await page(
        request, "accounts/signup.html", refused.status, shell=None, form=form, carried=_carried(form.typed)
    )
    answer.headers.update(refused.headers)
    return answer


@router.get("/login")
async def log_in_page(request: Request, actor: OptionalActor, next: str = "", prompt: str = "") -> Response:
    """The form; who is signed in already goes on."""
    if actor is not None:
        return redirect(request, destination(next, prompt))
    form = blank(next=next, prompt=prompt[:PROMPT_MAX_LENGTH], stay_signed_in="true")
    return await _log_in(request, form)


@router.post("/login")
async def log_in(request: Request, actor: OptionalActor) -> Response:
    """Open a session and go on where the visitor wanted to be."""
    form = await read(request, LogInForm)
    refused, mismatch = _UNREADABLE, False
    if form.ok:
        sent, state = form.value, request.app.state
        try:
            opened = await login.log_in(
                state.db, email=sent.email, password=sent.password, lasting=sent.stay_signed_in,
                visit=visit_of(request), limits=state.settings.limits, replaces=actor,
            )  # fmt: skip
            return _enter(request, opened, destination(sent.next, sent.prompt))
        except GessoError as error:
            mismatch = isinstance(error, WrongCredentials)
            refused = _failed(form, error)
    return await _log_in(request, form, refused, mismatch=mismatch)


async def _log_in(
    request: Request, form: Form[LogInForm], refused: Refused = _FINE, *, mismatch: bool = False
) -> Response:
    answer = await page(
        request, "accounts/login.html", refused.status, shell=None, form=form,
        carried=_carried(form.typed), mismatch=mismatch,
    )  # fmt: skip
    answer.headers.update(refused.headers)
    return answer


@router.post("/logout")
async def log_out(request: Request, actor: OptionalActor) -> Response:
    """End the session and go to the start."""
    state = request.app.state
    if actor is not None:
        async with state.db.workspace(actor.workspace_id, actor.user_id) as tx:
            await sessions.close_session(tx, actor, visit=visit_of(request))
    answer = redirect(request, "/")
    sessions.clear_cookie(answer, secure=state.settings.site.secure_cookies)
    return answer


@router.get("/reset")
async def reset_page(request: Request) -> Response:
    """Ask for the address."""
    return await page(request, "accounts/reset.html", shell=None, form=blank(), sent_to="")


@router.post("/reset")
async def reset(request: Request) -> Response:
    """Mail a link if there is an account; the page says the same either way."""
    form = await read(request, ResetForm)
    refused = _UNREADABLE
    if form.ok:
        state = request.app.state
        try:
            await recovery.request_reset(
                state.db, email=form.value.email, site_url=state.settings.site.url, mailer=state.mailer,
                visit=visit_of(request), limits=state.settings.limits,
            )  # fmt: skip
            return await page(request, "accounts/reset.html", shell=None, form=form, sent_to=form.value.email)
        except GessoError as error:
            refused = _failed(form, error)
    answer = await page(request, "accounts/reset.html", refused.status, shell=None, form=form, sent_to="")
    answer.headers.update(refused.headers)
    return answer


@router.get("/reset/{token}")
async def new_password_page(request: Request, token: str) -> Response:
    """Choose a new password, if the link still works. Looking does not use it up."""
    try:
        await recovery.check_reset_token(request.app.state.db, token, visit=visit_of(request))
    except recovery.LinkGone:
        return await _link_gone(request, "/reset", "Ask for a new link")
    return await _new_password(request, blank())


@router.post("/reset/{token}")
async def new_password(request: Request, token: str) -> Response:
    """Set the new password, end all sessions, sign in."""
    form = await read(request, NewPasswordForm)
    if form.ok:
        try:
            opened = await recovery.reset_password(
                request.app.state.db, secret=token, password=form.value.password,
                mailer=request.app.state.mailer, host_name=request.app.state.settings.site.host_name,
                visit=visit_of(request),
            )  # fmt: skip
            answer = _enter(request, opened, HOME)
            return toast(answer, "Password changed", "ok", detail="You are signed out everywhere else.")
        except recovery.LinkGone:
            return await _link_gone(request, "/reset", "Ask for a new link")
        except GessoError as error:
            _failed(form, error)
    return await _new_password(request, form, 422)


async def _new_password(request: Request, form: Form[NewPasswordForm], status: int = 200) -> Response:
    answer = await page(request, "accounts/new_password.html", status, shell=None, form=form)
    answer.headers.update(_PRIVATE)
    return answer


@router.get("/confirm-email/{token}")
async def confirm_page(request: Request, token: str) -> Response:
    """One button. Opening the address alone proves nothing: mail scanners open every link."""
    answer = await page(request, "accounts/confirm.html", shell=None)
    answer.headers.update(_PRIVATE)
    return answer


@router.post("/confirm-email/{token}")
async def confirm(request: Request, token: str, actor: OptionalActor) -> Response:
    """The address is theirs."""
    try:
        email = await recovery.confirm_email(
            request.app.state.db, secret=token, mailer=request.app.state.mailer, visit=visit_of(request)
        )
    except recovery.LinkGone:
        return await _link_gone(request, "/settings", "Send a new link")
    return toast(redirect(request, HOME if actor else "/login"), f"{email} is confirmed", "ok")


async def _link_gone(request: Request, href: str, action: str) -> Response:
    answer = await page(request, "accounts/link_gone.html", 410, shell=None, href=href, action=action)
    answer.headers.update(_PRIVATE)
    return answer


def _failed(form: Form[Sent], error: GessoError) -> Refused:
    """Take the error into the form."""
    form.fail(error)
    waits = isinstance(error, TooManyRequests)
    return Refused(error.status, {"Retry-After": str(error.facts["retry_after"])} if waits else {})


def _enter(request: Request, opened: sessions.OpenSession, url: str) -> Response:
    """Go on, signed in."""
    answer = redirect(request, url)
    sessions.set_cookie(answer, opened, secure=request.app.state.settings.site.secure_cookies)
    return answer
