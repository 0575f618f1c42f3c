"""What operators see of people and do with them, for pages and API alike. Every act is written into the audit log.

Passwords, tokens and their hashes are nowhere here: the database does not give them to this role.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import FastAPI

from gesso.accounts import recovery
from gesso.accounts.visit import Visit
from gesso.admin.finding import PAGE, Conditions, Sort, as_uuid, like, paged
from gesso.admin.frame import Deed
from gesso.core.errors import Conflict, NotFound
from gesso.db import Database, ElevatedSession
from gesso.generation import repository, settlement

SortKey = Literal["newest", "email", "name"]
Only = Literal["all", "operators", "disabled", "unconfirmed"]
SORTS: Mapping[SortKey, Sort] = {
    "newest": Sort("id", "Newest first", descending=True),
    "email": Sort("email", "By address"),
    "name": Sort("lower(name)", "By name"),
}
_ONLY: Mapping[Only, str] = {
    "all": "true", "operators": "is_operator", "disabled": "disabled_at IS NOT NULL",
    "unconfirmed": "email_verified_at IS NULL",
}  # fmt: skip
MISSING = "There is no such person."

_COLUMNS = "id, email, name, created_at, email_verified_at, is_operator, disabled_at"
_SEEN = "(SELECT max(s.last_seen_at) FROM login_session s WHERE s.user_id = u.id) AS last_seen_at"
_WORKSPACES = """
SELECT w.id, w.name, w.kind, w.plan_key, m.role, m.created_at AS joined_at, coalesce(b.available, 0) AS balance
FROM membership m JOIN workspace w ON w.id = m.workspace_id
    LEFT JOIN credit_balance b ON b.workspace_id = w.id AND b.unit = 'credit'
WHERE m.user_id = $1 ORDER BY m.created_at, w.id
"""
_SESSIONS = """
SELECT s.id, s.user_agent, host(s.ip) AS ip, s.created_at, s.last_seen_at, w.name AS workspace
FROM login_session s JOIN workspace w ON w.id = s.workspace_id
WHERE s.user_id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 ORDER BY s.last_seen_at DESC, s.id DESC LIMIT 100
"""
_QUEUED = """
SELECT id, workspace_id FROM generation WHERE dispatched_at IS NULL AND state = 'queued' AND user_id = $1
UNION ALL
SELECT id, workspace_id FROM generation WHERE dispatched_at IS NOT NULL AND state = 'queued' AND user_id = $1
"""


@dataclass(frozen=True, slots=True)
class Person:
    """An account. `last_seen_at` is of sessions that are still remembered."""

    id: UUID
    email: str
    name: str
    created_at: datetime
    email_verified_at: datetime | None
    is_operator: bool
    disabled_at: datetime | None
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Joined:
    """A workspace somebody is in. `balance` in microcredits."""

    id: UUID
    name: str
    kind: str
    plan_key: str
    role: str
    joined_at: datetime
    balance: int


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Where somebody is signed in."""

    id: UUID
    user_agent: str
    ip: str | None
    created_at: datetime
    last_seen_at: datetime
    workspace: str


@dataclass(frozen=True, slots=True)
class Detail:
    """A person with their workspaces and open sessions. `last_operator`: nobody else runs the site."""

    person: Person
    workspaces: tuple[Joined, ...]
    sessions: tuple[OpenSession, ...]
    last_operator: bool


async def listing(
    tx: ElevatedSession,
    *,
    search: str = "",
    only: Only = "all",
    sort: SortKey = "newest",
    cursor: str | None = None,
    limit: int = PAGE,
) -> tuple[tuple[Person, ...], str | None]:
    """People whose address or name has `search` in it (or whose id it is), and the next page's cursor.

    Raises InvalidInput on `cursor`.
    """
    order = SORTS[sort]
    asked = Conditions([_ONLY[only]])
    if identity := as_uuid(search):
        asked.add("id = {}", identity)
    elif search:
        asked.add("(email::text ILIKE {0} OR name ILIKE {0})", like(search))
    if cursor:
        asked.parts.append(order.after(cursor, asked.values))
    rows = await tx.fetch(
        f"SELECT u.*, {_SEEN} FROM (SELECT {_COLUMNS}, {order.column} AS sorted_by FROM app_user WHERE {asked.where}"
        f" ORDER BY {order.order} LIMIT {limit + 1}) u ORDER BY sorted_by {'DESC' if order.descending else 'ASC'}, id",
        *asked.values,
    )
    shown, following = paged(rows, limit, order)
    return tuple(_person(row) for row in shown), following


def _person(row: Mapping[str, Any]) -> Person:
    return Person(**{name: row[name] for name in Person.__dataclass_fields__})


async def find(tx: ElevatedSession, user_id: UUID, *, lock: bool = False) -> Person:
    """The person of this id. Raises NotFound."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS}, {_SEEN} FROM app_user u WHERE id = $1{' FOR NO KEY UPDATE' if lock else ''}", user_id
    )
    if row is None:
        raise NotFound(MISSING)
    return _person(row)


async def detail(tx: ElevatedSession, user_id: UUID, now: datetime) -> Detail:
    """One of them with all there is to see. Raises NotFound."""
    person = await find(tx, user_id)
    workspaces = await tx.fetch(_WORKSPACES, user_id)
    sessions = await tx.fetch(_SESSIONS, user_id, now)
    return Detail(
        person,
        tuple(Joined(**row) for row in workspaces),
        tuple(OpenSession(**row) for row in sessions),
        last_operator=person.is_operator and await _others_who_run_it(tx, user_id) == 0,
    )


async def _others_who_run_it(tx: ElevatedSession, user_id: UUID) -> int:
    return int(
        await tx.fetchval(
            "SELECT count(*) FROM app_user WHERE is_operator AND disabled_at IS NULL AND id <> $1", user_id
        )
    )


async def _keep_one_operator(tx: ElevatedSession, person: Person) -> None:
    """Raises Conflict when nobody else runs the site. Two who do this to each other at once wait for each other."""
    await tx.fetch("SELECT 1 FROM app_user WHERE is_operator ORDER BY id FOR NO KEY UPDATE")
    if person.is_operator and person.disabled_at is None and await _others_who_run_it(tx, person.id) == 0:
        raise Conflict("Nobody else runs this site. Make somebody else an operator first.")


async def end_session(tx: ElevatedSession, deed: Deed, user_id: UUID, session_id: UUID) -> None:
    """Sign them out there. Raises NotFound."""
    await find(tx, user_id)
    ended = await tx.execute_raw(
        "UPDATE login_session SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL",
        session_id, user_id, deed.at,
    )  # fmt: skip
    if not ended:
        raise NotFound("This session has ended already.")
    await deed.note(tx, "user.session_ended", user=str(user_id), session=str(session_id))


async def end_sessions(tx: ElevatedSession, deed: Deed, user_id: UUID) -> int:
    """Sign them out everywhere; the session that asks stays, when it is one's own. Raises NotFound."""
    await find(tx, user_id)
    ended = await _revoke(tx, deed, user_id)
    await deed.note(tx, "user.sessions_ended", user=str(user_id), ended=ended)
    return ended


async def _revoke(tx: ElevatedSession, deed: Deed, user_id: UUID) -> int:
    return await tx.execute_raw(
        "UPDATE login_session SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2"
        " AND id <> $3",
        user_id, deed.at, deed.actor.session_id,
    )  # fmt: skip


async def set_operator(tx: ElevatedSession, deed: Deed, user_id: UUID, operator: bool) -> Person:
    """Let them run the site, or not any more. The caller has proven who they are (admin.proof).

    Raises NotFound; Conflict for the last one, and for somebody who is disabled.
    """
    if not operator:
        await _keep_one_operator(tx, await find(tx, user_id))
    person = await find(tx, user_id, lock=True)
    if operator and person.disabled_at is not None:
        raise Conflict("This account is disabled. Enable it first.")
    await tx.execute_raw(
        "UPDATE app_user SET is_operator = $2, updated_at = $3 WHERE id = $1", user_id, operator, deed.at
    )
    await deed.note(
        tx, "user.made_operator" if operator else "user.operator_taken", user=str(user_id), email=person.email,
        before={"operator": person.is_operator}, after={"operator": operator},
    )  # fmt: skip
    return person


async def confirm_email(tx: ElevatedSession, deed: Deed, user_id: UUID) -> Person:
    """Take the address for theirs, without a mailed link. Raises NotFound."""
    person = await find(tx, user_id, lock=True)
    await tx.execute_raw(
        "UPDATE app_user SET email_verified_at = coalesce(email_verified_at, $2), updated_at = $2 WHERE id = $1",
        user_id, deed.at,
    )  # fmt: skip
    await deed.note(
        tx, "user.email_confirmed", user=str(user_id), email=person.email,
        before={"confirmed": person.email_verified_at is not None}, after={"confirmed": True},
    )  # fmt: skip
    return person


async def disable(db: Database, deed: Deed, user_id: UUID) -> tuple[Person, int]:
    """Lock them out at once: their sessions end, and what waits in the queue is cancelled and given back.

    Returns the person, and how many generations were cancelled. What runs already goes on; what is finished stays.
    Again, it cancels what is queued. Raises NotFound; Conflict for oneself and for the last operator.
    """
    if user_id == deed.actor.user_id:
        raise Conflict("You cannot lock yourself out. Another operator can.")
    async with db.elevated("operator: disable a person") as tx:
        await _keep_one_operator(tx, await find(tx, user_id))
        person = await find(tx, user_id, lock=True)
        await tx.execute_raw(
            "UPDATE app_user SET disabled_at = coalesce(disabled_at, $2), updated_at = $2 WHERE id = $1",
            user_id, deed.at,
        )  # fmt: skip
        ended = await _revoke(tx, deed, user_id)
        await deed.note(
            tx, "user.disabled", user=str(user_id), email=person.email, sessions_ended=ended,
            before={"disabled": person.disabled_at is not None}, after={"disabled": True},
        )  # fmt: skip
    async with db.elevated("operator: what a disabled person waits for") as tx:
        queued = await tx.fetch(_QUEUED, user_id)
    cancelled = 0
    for row in queued:
        async with db.workspace(row["workspace_id"]) as work:
            generation = await repository.get(work, row["id"])
            if generation is not None and generation.state == "queued":
                cancelled += await settlement.cancel(work, generation, now=deed.at)
    return person, cancelled


async def enable(tx: ElevatedSession, deed: Deed, user_id: UUID) -> Person:
    """Let them sign in again. Raises NotFound."""
    person = await find(tx, user_id, lock=True)
    await tx.execute_raw("UPDATE app_user SET disabled_at = NULL, updated_at = $2 WHERE id = $1", user_id, deed.at)
    await deed.note(
        tx, "user.enabled", user=str(user_id), email=person.email,
        before={"disabled": person.disabled_at is not None}, after={"disabled": False},
    )  # fmt: skip
    return person


async def send_reset(app: FastAPI, deed: Deed, user_id: UUID, visit: Visit) -> Person:
    """Mail them a link to choose a new password; only they see it.

    Raises NotFound; Conflict for somebody who is disabled; TooManyRequests.
    """
    state = app.state
    async with state.db.elevated("operator: send a reset") as tx:
        person = await find(tx, user_id)
    if person.disabled_at is not None:
        raise Conflict("This account is disabled. Enable it first: the link would lead nowhere.")
    await recovery.request_reset(
        state.db, email=person.email, site_url=state.settings.site.url, mailer=state.mailer, visit=visit,
        limits=state.settings.limits,
    )  # fmt: skip
    async with state.db.elevated("operator: note the reset") as tx:
        await deed.note(tx, "user.reset_sent", user=str(user_id), email=person.email)
    return person
