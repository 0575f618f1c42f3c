"""Signing in with a password. Short transaction, slow hash, short transaction."""

import hashlib

from gesso.accounts import repository
from gesso.accounts.access import Actor
from gesso.accounts.emails import normalise_email
from gesso.accounts.errors import WrongCredentials
from gesso.accounts.passwords import verify_password
from gesso.accounts.sessions import OpenSession, open_session
from gesso.accounts.visit import Visit
from gesso.core.settings import LimitSettings
from gesso.db import Database
from gesso.web import ratelimit

_TOO_MANY = "Too many wrong passwords."


def email_key(purpose: str, email: str) -> str:
    """The rate limit's key of an address; a hash, so that the table of counts lists nobody."""
    digest = hashlib.sha256(email.encode(errors="surrogatepass")).hexdigest()
    return f"{purpose}:email:{digest[:32]}"


async def log_in(
    db: Database,
    *,
    email: str,
    password: str,
    lasting: bool,
    visit: Visit,
    limits: LimitSettings,
    replaces: Actor | None = None,
) -> OpenSession:
    """Open a session for whoever the address and password belong to. `replaces`: the session it takes over.

    Raises WrongCredentials, TooManyRequests. Neither the answer nor how long it takes tells whether the
    address has an account: an unknown one is counted, hashed and refused like a known one.
    """
    address = normalise_email(email)
    by_email, by_network = email_key("login", address or email), f"login:ip:{visit.network}"
    window = limits.login_window_seconds
    # Counted before it is checked: tries sent all at once get no further than tries in a row.
    await ratelimit.hit(db, by_network, limits.login_attempts_per_address, window, _TOO_MANY)
    tries = await ratelimit.hit(db, by_email, limits.login_attempts, window, _TOO_MANY)

    async with db.public() as tx:
        found = await repository.find_login(tx, address or "")
    right, newer_hash = await verify_password(password, found["password_hash"] if found else None)
    if found is None or not right:
        raise _wrong(tries.remaining)

    await ratelimit.forget(db, by_email)
    await ratelimit.give_back(db, by_network, window)
    if replaces is not None:
        async with db.workspace(replaces.workspace_id, replaces.user_id) as tx:
            await repository.revoke_session(tx, replaces.session_id, visit.at)
    async with db.workspace(found["workspace_id"], found["user_id"]) as tx:
        if newer_hash is not None:
            await repository.set_password(tx, newer_hash, visit.at)
        await repository.add_audit_event(tx, "session.opened", at=visit.at, ip=visit.ip)
        return await open_session(tx, lasting=lasting, visit=visit)


def _wrong(tries_left: int) -> WrongCredentials:
    left = {0: "That was the last try for now.", 1: "1 try left."}.get(tries_left, f"{tries_left} tries left.")
    return WrongCredentials(
        "That e-mail and password do not match.",
        fields={"password": f"Does not match. {left}"},
        tries_left=tries_left,
    )
