"""The people in the tests. Each call makes a new person with a new address."""

from datetime import UTC, datetime
from functools import cache
from itertools import count
from typing import Any

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from gesso.accounts import repository, service, sessions
from gesso.accounts.access import COOKIE, Actor
from gesso.accounts.hooks import AccountHooks, SignUpHook
from gesso.accounts.visit import Visit
from gesso.core.ids import new_id
from gesso.core.sealed import hash_token
from gesso.db import Database

PASSWORD = "violet ridges, first light"
"""Everybody's password."""

_numbers = count(1)


@cache
def _password_hash() -> str:
    """Cheap parameters: the product's own cost 0.1 s each, and a log-in with this hash renews it."""
    return PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)).hash(PASSWORD)


def visit_now() -> Visit:
    """A visit at this moment from the documentation network."""
    return Visit(at=datetime.now(UTC), ip="192.0.2.7", user_agent="tests")


async def make_user(
    db: Database,
    name: str = "Ada",
    *,
    operator: bool = False,
    plan: str = "free",
    on_sign_up: list[SignUpHook] | None = None,
    at: datetime | None = None,
) -> Actor:
    """A new person with a personal workspace and an open session, through the product's own sign-up.

    `on_sign_up`: other rooms' hooks (the sign-up grant); none unless given. `at`: when they signed up.
    """
    visit = Visit(at=at, ip="192.0.2.7", user_agent="tests") if at else visit_now()
    email = f"{name.split()[0].lower()}.{next(_numbers)}.{new_id().hex[-8:]}@example.test"
    applicant = service.Applicant(email, name, _password_hash())
    hooks = AccountHooks(default_plan=lambda: plan, on_sign_up=on_sign_up or [])
    async with db.workspace(applicant.workspace_id, applicant.user_id) as tx:
        await service.sign_up(tx, applicant, hooks=hooks, visit=visit)
        opened = await sessions.open_session(tx, lasting=True, visit=visit)
    if operator:
        async with db.elevated("test: make an operator") as elevated:
            await service.make_operator(elevated, email, visit=visit)
    return await _actor(db, opened.token, visit)


async def add_member(db: Database, owner: Actor, person: Actor, role: str = "member") -> Actor:
    """`person` as a member of `owner`'s workspace, signed in there."""
    visit = visit_now()
    async with db.workspace(owner.workspace_id, person.user_id) as tx:
        await tx.execute_raw(
            "INSERT INTO membership (workspace_id, user_id, role) VALUES ($1, $2, $3)",
            owner.workspace_id, person.user_id, role,
        )  # fmt: skip
        opened = await sessions.open_session(tx, lasting=True, visit=visit)
    return await _actor(db, opened.token, visit)


async def session_token(db: Database, actor: Actor) -> str:
    """A fresh session of `actor`: the value of their cookie."""
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        return (await sessions.open_session(tx, lasting=True, visit=visit_now())).token


async def sign_in(client: Any, db: Database, actor: Actor) -> None:
    """Sign `actor` in on an httpx2 client with a base_url, without the cost of a password.

    The cookie is as the server would set it, so that a later answer replaces or removes it.
    """
    host = client.base_url.host
    domain = host if "." in host else f"{host}.local"  # as http.cookiejar calls hosts without a dot
    client.cookies.set(COOKIE, await session_token(db, actor), domain=domain, path="/")


async def _actor(db: Database, token: str, visit: Visit) -> Actor:
    row = await repository.find_session(db, hash_token(token), visit.at)
    assert row is not None
    return Actor(**row)
