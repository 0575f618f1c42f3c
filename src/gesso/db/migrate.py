"""Bring a database to the current schema: roles, extensions, migrations, the queue's own tables.

A site runs while this works on it (docs/database.md): so nothing here waits for a lock long enough to be felt, and
what could not get its lock is tried again.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from gesso.db.address import Roles, connect, normalise_url, pools_transactions
from gesso.db.ddl import LOCK_SECONDS
from gesso.db.limits import Limits

log = structlog.get_logger()

LOCK_ID = 0x6765_7373_6F00  # "gesso": the advisory lock of migrations
KEEP_TRYING_SECONDS = 600.0
PAUSE_SECONDS = 1.0
Schema = Literal["empty", "older", "current", "newer"]


class MigrationError(Exception):
    """The schema cannot be brought up to date as things stand. The text is a sentence for the operator."""


def _config(connection: Connection | None, role_prefix: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["role_prefix"] = role_prefix
    return config


@functools.cache
def newest_revision() -> str:
    """The schema this code needs."""
    head = ScriptDirectory.from_config(_config(None, "")).get_current_head()
    assert head is not None
    return head


async def current_revision(owner_url: str) -> str | None:
    """The schema a database has, None when it is empty."""
    connection = await connect(owner_url)
    try:
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        revision = None
    finally:
        await connection.close()
    return revision


@functools.cache
def schema_of(revision: str | None) -> Schema:
    """How a database at `revision` stands to this code, which works on "current" and on "newer".

    Newer is what this code does not know: the next release has migrated already, and its migrations leave everything
    in place that this one uses.
    """
    if revision is None:
        return "empty"
    if revision == newest_revision():
        return "current"
    known = {script.revision for script in ScriptDirectory.from_config(_config(None, "")).walk_revisions()}
    return "older" if revision in known else "newer"


async def migrate(owner_url: str, *, secret: str, role_prefix: str = "gesso", limits: Limits | None = None) -> str:
    """Create or update roles and schema; returns the revision reached.

    `owner_url` must lead past a pooler. Several processes may call this at once: one works and the others wait.
    Raises MigrationError.
    """
    url = normalise_url(owner_url)
    if await pools_transactions(url):
        raise MigrationError(
            "Migrations need a connection of their own, and at this address a pooler hands connections out by "
            "transaction. Give the database's own address in GESSO_DATABASE_DIRECT_URL."
        )
    roles = Roles(url, role_prefix, secret, url)
    async with alone(url):
        await ensure_roles(roles, limits or Limits())
        revision = await current_revision(url)
        if revision is not None and schema_of(revision) == "newer":
            raise MigrationError(
                f"The database's schema ({revision}) is newer than this version of gesso knows "
                f"({newest_revision()}). Web and workers run on it; migrate with the newer version."
            )
        await _upgrade_patiently(url, role_prefix)
    return newest_revision()


@contextlib.asynccontextmanager
async def alone(url: str) -> AsyncIterator[None]:
    """Hold the lock of migrations and backups.

    By asking again and again: a statement that waits inside PostgreSQL holds a snapshot, and CREATE INDEX
    CONCURRENTLY waits for the end of all snapshots, so that the two would wait for each other for good.
    """
    connection = await connect(url, command_timeout=60)
    try:
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_ID):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        yield
    finally:
        await connection.close()  # the lock goes with the session


async def _upgrade_patiently(url: str, role_prefix: str) -> None:
    """Migrate; when a lock cannot be had at once, let the others pass and try again.

    A migration that was done stays done, one that failed left nothing (or, outside a transaction, what may be
    repeated).
    """
    deadline = time.monotonic() + KEEP_TRYING_SECONDS
    while True:
        engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, async_creator=lambda: connect(url))
        try:
            async with engine.connect() as connection:
                await connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
                await connection.execute(text("SET statement_timeout = 0"))
                await connection.commit()
                await connection.run_sync(_upgrade, role_prefix)
                await connection.commit()
            return
        except Exception as error:
            if not _was_busy(error):
                raise
            if time.monotonic() > deadline:
                raise MigrationError(
                    "A table was in use all the time, so the migration could not get its lock. Look for a long "
                    "transaction (docs/database.md), then run it again: what is done stays done."
                ) from error
            log.warning("migrate.waiting", reason="a table is in use")
        finally:
            await engine.dispose()
        await asyncio.sleep(PAUSE_SECONDS)


def _was_busy(error: BaseException | None) -> bool:
    """Whether a lock was not to be had: as the driver says it, or as SQLAlchemy wraps it."""
    while error is not None:
        if getattr(error, "sqlstate", None) in ("55P03", "40P01"):  # lock_not_available, deadlock_detected
            return True
        error = getattr(error, "orig", None) or error.__cause__
    return False


def _upgrade(connection: Connection, role_prefix: str) -> None:
    command.upgrade(_config(connection, role_prefix), "head")


async def ensure_roles(roles: Roles, limits: Limits) -> None:
    """The two log-in roles with their derived passwords and limits. They own nothing and bypass nothing.

    An existing role only gets its password and limits: PostgreSQL lets nobody but a superuser so much as mention
    NOSUPERUSER in ALTER ROLE, and the owner need not be one. Raises MigrationError for a role with such rights.
    """
    connection = await connect(roles.owner_url)
    try:
        for role in (roles.app, roles.elevated):
            found = await connection.fetchrow(
                "SELECT rolsuper OR rolbypassrls AS mighty, coalesce(rolconfig, '{}') AS settings "
                "FROM pg_roles WHERE rolname = $1",
                role,
            )
            if found is not None and found["mighty"]:
                raise MigrationError(
                    f"The role {role} is a superuser or bypasses row-level security. Take that from it."
                )
            password = f"PASSWORD '{roles.password(role)}'"
            if found is None:
                await connection.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE {password}")
            else:
                await connection.execute(f"ALTER ROLE {role} LOGIN {password}")
            for name, value in limits.role_settings(elevated=role == roles.elevated).items():
                if found is None or f"{name}={value}" not in found["settings"]:
                    await connection.execute(f"ALTER ROLE {role} SET {name} = '{value}'")
            await connection.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    finally:
        await connection.close()
