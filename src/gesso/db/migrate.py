"""Bring a database to the current schema: roles, extensions, migrations, the queue's own tables.

A site runs while this works on it (docs/database.md): so nothing here waits for a lock long enough to be felt, and
what could not get its lock is tried again (`upgrade.py`).
"""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import asyncpg

from gesso.db.address import Roles, connect, normalise_url, pools_transactions
from gesso.db.limits import Limits

LOCK_ID = 0x6765_7373_6F00  # "gesso": the advisory lock of migrations
MIGRATIONS = Path(__file__).parent / "migrations"
Schema = Literal["empty", "older", "current", "newer"]


class MigrationError(Exception):
    """The schema cannot be brought up to date as things stand. The text is a sentence for the operator."""


@functools.cache
def revisions() -> tuple[str, ...]:
    """The schemas this code knows, oldest first: the name of each migration's file begins with its revision.

    Not asked of Alembic, since every process asks when it starts, and only one of them migrates: Alembic would read
    all migrations and load SQLAlchemy, half a second of a core for each process.
    """
    return tuple(sorted(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*_*.py")))


def newest_revision() -> str:
    """The schema this code needs."""
    return revisions()[-1]


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


def schema_of(revision: str | None) -> Schema:
    """How a database at `revision` stands to this code, which works on "current" and on "newer".

    Newer is what this code does not know: the next release has migrated already, and its migrations leave everything
    in place that this one uses.
    """
    if revision is None:
        return "empty"
    if revision == newest_revision():
        return "current"
    return "older" if revision in revisions() else "newer"


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
        from gesso.db.upgrade import upgrade  # with it comes SQLAlchemy, which nothing but a migration needs

        await upgrade(url, role_prefix)
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
