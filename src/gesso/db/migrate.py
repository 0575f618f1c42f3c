"""Bring a database to the current schema: roles, extensions, migrations, the queue's own tables."""

from pathlib import Path

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from gesso.db.database import Roles, normalise_url

log = structlog.get_logger()

LOCK_ID = 0x6765_7373_6F00  # "gesso": the advisory lock of migrations
LOCK_TIMEOUT = "5s"
"""A migration waits at most this long for a table lock, so that it cannot queue all traffic behind itself."""


def _config(connection: Connection | None, role_prefix: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["role_prefix"] = role_prefix
    return config


def newest_revision() -> str:
    """The schema this code needs."""
    head = ScriptDirectory.from_config(_config(None, "")).get_current_head()
    assert head is not None
    return head


async def current_revision(owner_url: str) -> str | None:
    """The schema a database has, None when it is empty."""
    connection = await asyncpg.connect(normalise_url(owner_url))
    try:
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        revision = None
    finally:
        await connection.close()
    return revision


async def migrate(owner_url: str, *, secret: str, role_prefix: str = "gesso") -> str:
    """Create or update roles and schema; returns the revision reached.

    Several processes may call this at once: an advisory lock lets one work and the others wait.
    """
    roles = Roles(normalise_url(owner_url), role_prefix, secret)
    engine = create_async_engine(_sqlalchemy(owner_url))
    try:
        async with engine.connect() as lock:
            await lock.execute(text("SELECT pg_advisory_lock(:id)"), {"id": LOCK_ID})
            await lock.commit()
            try:
                await _ensure_roles(roles)
                async with engine.connect() as connection:
                    await connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
                    await connection.commit()
                    await connection.run_sync(_upgrade, role_prefix)
                    await connection.commit()
            finally:
                await lock.execute(text("SELECT pg_advisory_unlock(:id)"), {"id": LOCK_ID})
                await lock.commit()
    finally:
        await engine.dispose()
    return newest_revision()


def _sqlalchemy(owner_url: str) -> str:
    return normalise_url(owner_url).replace("postgresql://", "postgresql+asyncpg://", 1)


def _upgrade(connection: Connection, role_prefix: str) -> None:
    command.upgrade(_config(connection, role_prefix), "head")


async def _ensure_roles(roles: Roles) -> None:
    """The two log-in roles with their derived passwords. They own nothing and bypass nothing.

    An existing role only gets its password: PostgreSQL lets nobody but a superuser so much as mention
    NOSUPERUSER in ALTER ROLE, and the owner need not be one. Raises RuntimeError for a role with such rights.
    """
    connection = await asyncpg.connect(roles.owner_url)
    try:
        for role in (roles.app, roles.elevated):
            found = await connection.fetchrow(
                "SELECT rolsuper OR rolbypassrls AS mighty FROM pg_roles WHERE rolname = $1", role
            )
            if found is not None and found["mighty"]:
                raise RuntimeError(f"The role {role} is a superuser or bypasses row-level security. Take that from it.")
            password = f"PASSWORD '{roles.password(role)}'"
            if found is None:
                await connection.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE {password}")
            else:
                await connection.execute(f"ALTER ROLE {role} LOGIN {password}")
            await connection.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    finally:
        await connection.close()
