"""Making an account and changing it. The edge opens and commits the transaction; hashing stays outside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from gesso.accounts import repository
from gesso.accounts.access import Actor
from gesso.accounts.emails import normalise_email
from gesso.accounts.errors import EmailTaken
from gesso.accounts.hooks import AccountHooks
from gesso.accounts.passwords import hash_password, password_problem, verify_password
from gesso.accounts.plans import renewal_after
from gesso.accounts.visit import Visit
from gesso.core.errors import InvalidInput
from gesso.core.ids import new_id
from gesso.core.settings import LimitSettings
from gesso.db import Database, ElevatedSession, WorkspaceSession
from gesso.web import ratelimit

NAME_MAX_LENGTH = 80
EMAIL_PROBLEM = "An e-mail looks like name@site.com."


@dataclass(frozen=True)
class Applicant:
    """Someone about to have an account, checked.

    The ids are made beforehand, so that signing up happens inside the new workspace's own scope like
    everything after it and needs no wider rights.
    """

    email: str
    name: str
    password_hash: str
    user_id: UUID = field(default_factory=new_id)
    workspace_id: UUID = field(default_factory=new_id)


def clean_name(name: str) -> str:
    """The name with single spaces. Raises InvalidInput."""
    name = " ".join(name.split())
    if not name:
        raise InvalidInput("Tell us what to call you.", fields={"name": "Write a name."})
    if len(name) > NAME_MAX_LENGTH or not name.isprintable():
        raise InvalidInput(
            "This name cannot be used.",
            fields={"name": f"Use at most {NAME_MAX_LENGTH} ordinary characters."},
        )
    return name


def clean_email(email: str) -> str:
    """The address in its one spelling. Raises InvalidInput."""
    found = normalise_email(email)
    if found is None:
        raise InvalidInput("This is not an e-mail address.", fields={"email": EMAIL_PROBLEM})
    return found


async def apply(*, email: str, name: str, password: str, site: Sequence[str] = ()) -> Applicant:
    """Check what a stranger typed and hash the password. `site`: its names, which are no passwords here.

    Raises InvalidInput naming every wrong field.
    """
    problems: dict[str, str] = {}
    cleaned = {"email": email, "name": name}
    for key, clean in (("email", clean_email), ("name", clean_name)):
        try:
            cleaned[key] = clean(cleaned[key])
        except InvalidInput as error:
            problems |= error.fields
    if problem := password_problem(password, email=cleaned["email"], known=[cleaned["name"], *site]):
        problems["password"] = problem
    if problems:
        raise InvalidInput("The account was not made yet.", fields=problems)
    return Applicant(cleaned["email"], cleaned["name"], await hash_password(password))


async def sign_up(tx: WorkspaceSession, applicant: Applicant, *, hooks: AccountHooks, visit: Visit) -> None:
    """Make the account and its personal workspace, in that workspace's scope. Raises EmailTaken."""
    added = await repository.add_user(
        tx, email=applicant.email, name=applicant.name, password_hash=applicant.password_hash,
        verified_at=None, at=visit.at,
    )  # fmt: skip
    if not added:
        raise EmailTaken
    await repository.add_personal_workspace(
        tx, name=f"{applicant.name.split()[0]}’s workspace", plan_key=hooks.default_plan(),
        at=visit.at, renews_at=renewal_after(visit.at, visit.at),
    )  # fmt: skip
    await repository.add_audit_event(tx, "account.signed_up", at=visit.at, ip=visit.ip)
    for hook in hooks.on_sign_up:
        await hook(tx, applicant.workspace_id, applicant.user_id)


async def create_user(
    db: Database, *, email: str, name: str, password: str, hooks: AccountHooks, visit: Visit
) -> Applicant:
    """Make an account from the command line or a script. Raises InvalidInput, EmailTaken."""
    applicant = await apply(email=email, name=name, password=password)
    async with db.workspace(applicant.workspace_id, applicant.user_id) as tx:
        await sign_up(tx, applicant, hooks=hooks, visit=visit)
    return applicant


async def make_operator(tx: ElevatedSession, email: str, *, visit: Visit) -> UUID:
    """Let the person with this address run the site. Returns their id. Raises InvalidInput."""
    user_id = await repository.set_operator(tx, clean_email(email), visit.at)
    if user_id is None:
        raise InvalidInput("Nobody has this e-mail address.", fields={"email": "Nobody has this address."})
    await repository.add_operator_event(tx, user_id, "account.made_operator", at=visit.at)
    return user_id


async def workspace_of(tx: ElevatedSession, email: str) -> repository.Row:
    """id and name of the workspace that the person with this address signs in to. Raises InvalidInput."""
    found = await repository.find_workspace(tx, clean_email(email))
    if found is None:
        raise InvalidInput(f"Nobody has the address {email}.", fields={"email": "Nobody has this address."})
    return found


async def change_name(tx: WorkspaceSession, name: str, *, visit: Visit) -> str:
    """Rename the acting user. Returns the name as kept. Raises InvalidInput."""
    name = clean_name(name)
    await repository.set_name(tx, name, visit.at)
    return name


async def check_password(db: Database, actor: Actor, password: str, *, limits: LimitSettings) -> None:
    """Make sure that it is still the actor who sits there.

    Raises InvalidInput on `current_password` unless it is theirs; TooManyRequests after too many tries, so
    that a stolen session cannot be used to guess it.
    """
    key = f"password:user:{actor.user_id}"
    await ratelimit.hit(db, key, limits.login_attempts, limits.login_window_seconds, "Too many wrong passwords.")
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        stored = await repository.own_password_hash(tx)
    right, _ = await verify_password(password, stored)
    if not right:
        raise InvalidInput(
            "Your current password is not this one.",
            fields={"current_password": "This is not your password."},
        )
    await ratelimit.forget(db, key)


async def new_password_hash(password: str, *, email: str, known: Iterable[str] = ()) -> str:
    """The hash of an acceptable new password. `known`: see `password_problem`. Raises InvalidInput on `password`."""
    if problem := password_problem(password, email=email, known=known):
        raise InvalidInput("This password was not accepted.", fields={"password": problem})
    return await hash_password(password)


async def change_password(tx: WorkspaceSession, password_hash: str, *, visit: Visit, action: str) -> int:
    """Set the acting user's password and end all their sessions. Returns how many ended.

    `action` names the act in the audit log. Mailed reset tokens become worthless too.
    """
    await repository.set_password(tx, password_hash, visit.at)
    await repository.void_mail_tokens(tx, "reset", visit.at)
    ended = await repository.revoke_sessions(tx, visit.at)
    await repository.add_audit_event(tx, action, at=visit.at, ip=visit.ip, sessions_ended=ended)
    return ended


async def change_email(tx: WorkspaceSession, email: str, *, proven: bool, visit: Visit) -> None:
    """Give the acting user another address. `proven`: a mailed token showed that it is theirs.

    Raises EmailTaken.
    """
    try:
        await repository.set_email(tx, email, visit.at if proven else None, visit.at)
    except asyncpg.UniqueViolationError:
        raise EmailTaken from None
    await repository.void_mail_tokens(tx, "reset", visit.at)
    await repository.add_audit_event(tx, "account.email_changed", at=visit.at, ip=visit.ip)
