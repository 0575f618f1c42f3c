"""What a mailed, single-use token can do: choose a new password, confirm an address."""

from datetime import timedelta
from uuid import UUID

from gesso.accounts import messages, repository, service
from gesso.accounts.access import Actor
from gesso.accounts.emails import normalise_email
from gesso.accounts.login import email_key
from gesso.accounts.mail import Mailer
from gesso.accounts.sessions import OpenSession, open_session
from gesso.accounts.visit import Visit
from gesso.core.errors import InvalidInput
from gesso.core.sealed import hash_token, token
from gesso.core.settings import LimitSettings
from gesso.db import Database, WorkspaceSession
from gesso.web import ratelimit

RESET_LIFE = timedelta(minutes=30)
VERIFY_LIFE = timedelta(hours=24)
_HOUR_SECONDS = 3600
_GONE = "This link was used already or is too old. Ask for a new one."


class LinkGone(InvalidInput):
    """The mailed link is unknown, used or too old."""

    code, title = "link_gone", "This link does not work any more"

    def __init__(self) -> None:
        super().__init__(_GONE, fields={"token": _GONE})


async def request_reset(
    db: Database, *, email: str, site_url: str, mailer: Mailer, visit: Visit, limits: LimitSettings
) -> None:
    """Mail a reset link to the address if it has an account; nobody learns which.

    Raises InvalidInput when this is no address at all, TooManyRequests.
    """
    address = service.clean_email(email)
    message = "Too many reset mails were asked for."
    await ratelimit.hit(db, email_key("reset", address), limits.reset_mails_per_hour, _HOUR_SECONDS, message)
    await ratelimit.hit(db, f"reset:ip:{visit.network}", limits.login_attempts_per_address, _HOUR_SECONDS, message)
    secret = token()
    async with db.public() as tx:
        person = await repository.add_reset_token(tx, address, hash_token(secret), visit.at, visit.at + RESET_LIFE)
        if person is not None:
            mailer.send(
                tx,
                messages.reset_mail(
                    brand=mailer.brand, recipient=person["email"], name=person["name"],
                    url=f"{site_url}/reset/{secret}", minutes=int(RESET_LIFE.total_seconds() // 60),
                ),
            )  # fmt: skip


async def check_reset_token(db: Database, secret: str, *, visit: Visit) -> None:
    """Raises LinkGone unless the token can still be used."""
    async with db.public() as tx:
        if await repository.find_mail_token(tx, "reset", hash_token(secret), visit.at) is None:
            raise LinkGone


async def reset_password(
    db: Database, *, secret: str, password: str, mailer: Mailer, host_name: str, visit: Visit
) -> OpenSession:
    """Set a new password by a mailed token and end all sessions; returns the one new session.

    Having read the mail proves the address. Raises LinkGone, InvalidInput on `password`, in which case the
    token can be used again.
    """
    async with db.public() as tx:
        found = await repository.find_mail_token(tx, "reset", hash_token(secret), visit.at)
    if found is None:
        raise LinkGone
    password_hash = await service.new_password_hash(password, email=found["email"], known=(mailer.brand, host_name))
    async with db.workspace(found["workspace_id"], found["user_id"]) as tx:
        await _use(tx, found["id"], visit)
        await service.change_password(tx, password_hash, visit=visit, action="account.password_reset")
        await repository.mark_verified(tx, found["email"], visit.at)
        person = await repository.own_profile(tx)
        tell_changed(tx, mailer, person["email"], person["name"], "password")
        opened = await open_session(tx, lasting=False, visit=visit)
    # Whoever locked the owner out by guessing has not locked out the owner.
    await ratelimit.forget(db, email_key("login", normalise_email(found["email"]) or found["email"]))
    return opened


async def send_verification(
    tx: WorkspaceSession, *, email: str, name: str, site_url: str, mailer: Mailer, visit: Visit
) -> None:
    """Mail the acting user a link that proves `email` is theirs; earlier links become worthless."""
    secret = token()
    await repository.void_mail_tokens(tx, "verify", visit.at)
    await repository.add_verify_token(tx, email, hash_token(secret), visit.at, visit.at + VERIFY_LIFE)
    mailer.send(
        tx,
        messages.verify_mail(
            brand=mailer.brand, recipient=email, name=name, url=f"{site_url}/confirm-email/{secret}",
            hours=int(VERIFY_LIFE.total_seconds() // 3600),
        ),
    )  # fmt: skip


async def confirm_email(db: Database, *, secret: str, mailer: Mailer, visit: Visit) -> str:
    """Use a verification token: its address is now the account's, and confirmed. Returns the address.

    Raises LinkGone, EmailTaken.
    """
    async with db.public() as tx:
        found = await repository.find_mail_token(tx, "verify", hash_token(secret), visit.at)
    if found is None:
        raise LinkGone
    async with db.workspace(found["workspace_id"], found["user_id"]) as tx:
        await _use(tx, found["id"], visit)
        person = await repository.own_profile(tx)
        if person["email"] == found["email"]:
            await repository.mark_verified(tx, found["email"], visit.at)
        else:
            await service.change_email(tx, found["email"], proven=True, visit=visit)
            tell_changed(tx, mailer, person["email"], person["name"], "e-mail address")
    return str(found["email"])


async def change_email(
    tx: WorkspaceSession, actor: Actor, email: str, *, confirm: bool, site_url: str, mailer: Mailer, visit: Visit
) -> None:
    """Move the actor to another address: at once, or with `confirm` once a link mailed there was opened.

    Raises EmailTaken when it is not to be confirmed; else the link's use tells.
    """
    if confirm:
        await send_verification(tx, email=email, name=actor.name, site_url=site_url, mailer=mailer, visit=visit)
        return
    await service.change_email(tx, email, proven=False, visit=visit)
    tell_changed(tx, mailer, actor.email, actor.name, "e-mail address")


def tell_changed(tx: WorkspaceSession, mailer: Mailer, email: str, name: str, what: str) -> None:
    """Write to the owner, at the address they had, that `what` was changed."""
    mailer.send(tx, messages.changed_mail(brand=mailer.brand, recipient=email, name=name, what=what))


async def _use(tx: WorkspaceSession, token_id: UUID, visit: Visit) -> None:
    if not await repository.use_mail_token(tx, token_id, visit.at):
        raise LinkGone
