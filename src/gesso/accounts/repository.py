"""All SQL about people, workspaces, sessions and mailed tokens.

Before anyone is known (`PublicSession`) only the database's own look-up functions are asked; they take a hash
or an address and return one row. Afterwards row-level security shows a person their own rows only.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from gesso.core.ids import new_id
from gesso.db import Database, ElevatedSession, PublicSession, WorkspaceSession

Row = Mapping[str, Any]


async def find_session(db: Database, token_hash: bytes, at: datetime) -> dict[str, Any] | None:
    """The fields of an Actor for a live session, noting that it was seen."""
    row = await db.look_up("SELECT * FROM auth_session($1, $2)", token_hash, at)
    return dict(row) if row else None


async def find_login(tx: PublicSession, email: str) -> Row | None:
    """user_id, workspace_id and password_hash of an active person."""
    row: Row | None = await tx.fetchrow("SELECT * FROM auth_login($1)", email)
    return row


async def add_user(
    tx: WorkspaceSession, *, email: str, name: str, password_hash: str, verified_at: datetime | None,
    at: datetime,
) -> bool:  # fmt: skip
    """Add the acting user. False when the address is taken."""
    done = await tx.execute_raw(
        "INSERT INTO app_user (id, email, name, password_hash, email_verified_at, created_at, updated_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING",
        tx.user_id, email, name, password_hash, verified_at, at,
    )  # fmt: skip
    return done == 1


async def age_confirmed_at(tx: WorkspaceSession) -> datetime | None:
    """When the acting user confirmed to be an adult."""
    found: datetime | None = await tx.fetchval("SELECT age_confirmed_at FROM app_user WHERE id = $1", tx.user_id)
    return found


async def confirm_age(tx: WorkspaceSession, at: datetime) -> bool:
    """Keep that the acting user confirmed to be an adult. False when it was known."""
    done = await tx.execute_raw(
        "UPDATE app_user SET age_confirmed_at = $2, updated_at = $2 WHERE id = $1 AND age_confirmed_at IS NULL",
        tx.user_id, at,
    )  # fmt: skip
    return done == 1


async def withdraw_age(tx: WorkspaceSession, at: datetime) -> bool:
    """Forget it. False when there was nothing to forget."""
    done = await tx.execute_raw(
        "UPDATE app_user SET age_confirmed_at = NULL, updated_at = $2 WHERE id = $1 AND age_confirmed_at IS NOT NULL",
        tx.user_id, at,
    )  # fmt: skip
    return done == 1


async def add_personal_workspace(
    tx: WorkspaceSession, *, name: str, plan_key: str, at: datetime, renews_at: datetime
) -> None:
    """Add the scope's workspace with the acting user as its admin."""
    await tx.execute_raw(
        "INSERT INTO workspace"
        " (id, name, kind, plan_key, plan_anchor_at, plan_renews_at, created_at, updated_at)"
        " VALUES ($1, $2, 'personal', $3, $4, $5, $4, $4)",
        tx.workspace_id, name, plan_key, at, renews_at,
    )  # fmt: skip
    await tx.execute_raw(
        "INSERT INTO membership (workspace_id, user_id, role, created_at) VALUES ($1, $2, 'admin', $3)",
        tx.workspace_id, tx.user_id, at,
    )  # fmt: skip


async def add_audit_event(tx: WorkspaceSession, action: str, *, at: datetime, ip: str | None, **detail: Any) -> None:
    """Write down a security-relevant act of the acting user. `detail` never holds a secret."""
    await tx.execute_raw(
        "INSERT INTO audit_event (id, workspace_id, user_id, action, detail, ip, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6::text::inet, $7)",
        new_id(), tx.workspace_id, tx.user_id, action, detail, ip, at,
    )  # fmt: skip


async def add_session(
    tx: WorkspaceSession, *, session_id: UUID, token_hash: bytes, user_agent: str, ip: str | None,
    at: datetime, expires_at: datetime,
) -> None:  # fmt: skip
    """Open a session of the acting user in the scope's workspace."""
    await tx.execute_raw(
        "INSERT INTO login_session"
        " (id, user_id, workspace_id, token_hash, user_agent, ip, created_at, last_seen_at, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6::text::inet, $7, $7, $8)",
        session_id, tx.user_id, tx.workspace_id, token_hash, user_agent[:400], ip, at, expires_at,
    )  # fmt: skip


async def session_life(tx: WorkspaceSession, session_id: UUID) -> timedelta:
    """From opening to expiry, for a session of the acting user."""
    life: timedelta = await tx.fetchval(
        "SELECT expires_at - created_at FROM login_session WHERE id = $1 AND user_id = $2", session_id, tx.user_id
    )
    return life


async def list_sessions(tx: WorkspaceSession, at: datetime) -> list[Row]:
    """The acting user's live sessions, most recently used first."""
    rows = await tx.fetch(
        "SELECT id, user_agent, host(ip) AS ip, created_at, last_seen_at, expires_at FROM login_session"
        " WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 ORDER BY last_seen_at DESC, id DESC",
        tx.user_id, at,
    )  # fmt: skip
    return list(rows)


async def revoke_session(tx: WorkspaceSession, session_id: UUID, at: datetime) -> bool:
    """End one of the acting user's sessions. False when there is no such live session."""
    done = await tx.execute_raw(
        "UPDATE login_session SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL",
        session_id, tx.user_id, at,
    )  # fmt: skip
    return done > 0


async def revoke_sessions(tx: WorkspaceSession, at: datetime, *, keep: UUID | None = None) -> int:
    """End all of the acting user's sessions but `keep`. Returns how many ended."""
    return await tx.execute_raw(
        "UPDATE login_session SET revoked_at = $3"
        " WHERE user_id = $1 AND revoked_at IS NULL AND id IS DISTINCT FROM $2",
        tx.user_id, keep, at,
    )  # fmt: skip


async def own_password_hash(tx: WorkspaceSession) -> str | None:
    """The acting user's own password hash, for comparing."""
    value: str | None = await tx.fetchval("SELECT auth_own_password()")
    return value


async def set_password(tx: WorkspaceSession, password_hash: str, at: datetime) -> None:
    """Replace the acting user's password hash."""
    await tx.execute_raw(
        "UPDATE app_user SET password_hash = $2, updated_at = $3 WHERE id = $1", tx.user_id, password_hash, at
    )


async def set_name(tx: WorkspaceSession, name: str, at: datetime) -> None:
    """Rename the acting user."""
    await tx.execute_raw("UPDATE app_user SET name = $2, updated_at = $3 WHERE id = $1", tx.user_id, name, at)


async def set_email(tx: WorkspaceSession, email: str, verified_at: datetime | None, at: datetime) -> None:
    """Give the acting user another address. Raises asyncpg.UniqueViolationError when it is taken."""
    await tx.execute_raw(
        "UPDATE app_user SET email = $2, email_verified_at = $3, updated_at = $4 WHERE id = $1",
        tx.user_id, email, verified_at, at,
    )  # fmt: skip


async def mark_verified(tx: WorkspaceSession, email: str, at: datetime) -> None:
    """Note that the acting user reads mail at `email`, if that is their address."""
    await tx.execute_raw(
        "UPDATE app_user SET email_verified_at = $3, updated_at = $3"
        " WHERE id = $1 AND email = $2 AND email_verified_at IS NULL",
        tx.user_id, email, at,
    )  # fmt: skip


async def own_profile(tx: WorkspaceSession) -> Row:
    """email, name and email_verified_at of the acting user."""
    row: Row | None = await tx.fetchrow("SELECT email, name, email_verified_at FROM app_user WHERE id = $1", tx.user_id)
    assert row is not None
    return row


async def add_reset_token(
    tx: PublicSession, email: str, token_hash: bytes, at: datetime, expires_at: datetime
) -> Row | None:
    """Store a reset token for whoever has this address; their email and name, or None."""
    row: Row | None = await tx.fetchrow(
        "SELECT * FROM auth_reset_request($1, $2, $3, $4, $5)", email, new_id(), token_hash, at, expires_at
    )
    return row


async def add_verify_token(
    tx: WorkspaceSession, email: str, token_hash: bytes, at: datetime, expires_at: datetime
) -> None:
    """Store a token which, used, proves that the acting user reads mail sent to `email`."""
    await tx.execute_raw(
        "INSERT INTO mail_token (id, purpose, token_hash, user_id, email, created_at, expires_at)"
        " VALUES ($1, 'verify', $2, $3, $4, $5, $6)",
        new_id(), token_hash, tx.user_id, email, at, expires_at,
    )  # fmt: skip


async def find_mail_token(tx: PublicSession, purpose: str, token_hash: bytes, at: datetime) -> Row | None:
    """id, user_id, workspace_id and email of a mailed token that can still be used."""
    row: Row | None = await tx.fetchrow("SELECT * FROM auth_mail_token($1, $2, $3)", purpose, token_hash, at)
    return row


async def use_mail_token(tx: WorkspaceSession, token_id: UUID, at: datetime) -> bool:
    """Use up a token of the acting user. False when someone was faster: the token counts once."""
    done = await tx.execute_raw(
        "UPDATE mail_token SET used_at = $2 WHERE id = $1 AND used_at IS NULL AND expires_at > $2",
        token_id, at,
    )  # fmt: skip
    return done == 1


async def void_mail_tokens(tx: WorkspaceSession, purpose: str, at: datetime) -> None:
    """Make the acting user's other tokens of this purpose worthless."""
    await tx.execute_raw(
        "UPDATE mail_token SET used_at = $3 WHERE user_id = $1 AND purpose = $2 AND used_at IS NULL",
        tx.user_id, purpose, at,
    )  # fmt: skip


async def set_operator(tx: ElevatedSession, email: str, at: datetime) -> UUID | None:
    """Make the person with this address an operator. Their id, or None when nobody has it."""
    user_id: UUID | None = await tx.fetchval(
        "UPDATE app_user SET is_operator = true, updated_at = $2 WHERE email = $1 RETURNING id", email, at
    )
    return user_id


async def find_workspace(tx: ElevatedSession, email: str) -> Row | None:
    """id and name of the workspace that the person with this address signs in to, as auth_login chooses it."""
    row: Row | None = await tx.fetchrow(
        "SELECT w.id, w.name FROM workspace w JOIN membership m ON m.workspace_id = w.id"
        " JOIN app_user u ON u.id = m.user_id WHERE u.email = $1"
        " ORDER BY (w.kind = 'personal') DESC, m.created_at LIMIT 1",
        email,
    )
    return row


async def admins(tx: ElevatedSession, workspace_id: UUID) -> list[tuple[str, str]]:
    """Address and name of those who run a workspace and may still come in."""
    rows = await tx.fetch(
        "SELECT u.email, u.name FROM membership m JOIN app_user u ON u.id = m.user_id "
        "WHERE m.workspace_id = $1 AND m.role = 'admin' AND u.disabled_at IS NULL ORDER BY u.email",
        workspace_id,
    )
    return [(row["email"], row["name"]) for row in rows]


async def count_by_plan(tx: ElevatedSession) -> dict[str, int]:
    """How many workspaces are on each plan, by its key."""
    rows = await tx.fetch("SELECT plan_key, count(*) AS workspaces FROM workspace GROUP BY plan_key")
    return {row["plan_key"]: row["workspaces"] for row in rows}


async def delete_stale(tx: ElevatedSession, before: datetime) -> dict[str, int]:
    """Remove sessions, mailed tokens and outbox mails that ended before `before`; counts per table."""
    ends = {"login_session": "expires_at", "mail_token": "expires_at", "outbox_mail": "created_at"}
    return {
        table: await tx.execute_raw(f"DELETE FROM {table} WHERE {column} < $1", before)
        for table, column in ends.items()
    }


async def add_operator_event(tx: ElevatedSession, user_id: UUID, action: str, *, at: datetime) -> None:
    """Write down something the site's operator did to a person."""
    await tx.execute_raw(
        "INSERT INTO audit_event (id, user_id, action, created_at) VALUES ($1, $2, $3, $4)",
        new_id(), user_id, action, at,
    )  # fmt: skip


async def add_site_event(
    tx: ElevatedSession, user_id: UUID, action: str, *, at: datetime, ip: str | None, **detail: Any
) -> None:
    """Write down what an operator did to the site itself. `detail` never holds a secret."""
    await tx.execute_raw(
        "INSERT INTO audit_event (id, user_id, action, detail, ip, created_at)"
        " VALUES ($1, $2, $3, $4, $5::text::inet, $6)",
        new_id(), user_id, action, detail, ip, at,
    )  # fmt: skip
