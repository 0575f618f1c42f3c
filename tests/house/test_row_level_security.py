"""No table with a workspace is open to another workspace. Read from the catalogue, so that new tables count."""

import asyncpg
import pytest

from gesso.core.ids import new_id
from gesso.db import Database

_TABLES = """
SELECT c.oid::regclass::text AS name, c.relrowsecurity AS secured,
       array(SELECT p.polname FROM pg_policy p WHERE p.polrelid = c.oid
             AND 'gesso_app'::regrole = ANY (p.polroles)) AS app_policies
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'workspace_id' AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
ORDER BY 1
"""


async def test_every_table_with_a_workspace_has_a_policy(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    try:
        tables = await owner.fetch(_TABLES)
    finally:
        await owner.close()
    assert len(tables) >= 10
    open_tables = [row["name"] for row in tables if not row["secured"] or not row["app_policies"]]
    assert open_tables == []


async def test_the_application_roles_own_nothing_and_bypass_nothing(database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    try:
        roles = await owner.fetch(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles "
            "WHERE rolname IN ('gesso_app', 'gesso_elevated')"
        )
        owned = await owner.fetchval(
            "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner "
            "WHERE r.rolname IN ('gesso_app', 'gesso_elevated')"
        )
    finally:
        await owner.close()
    assert len(roles) == 2
    assert not any(value for row in roles for name, value in row.items() if name != "rolname")
    assert owned == 0


async def test_without_a_workspace_the_application_sees_no_rows(db: Database, database_url: str) -> None:
    owner = await asyncpg.connect(database_url)
    try:
        tables = [row["name"] for row in await owner.fetch(_TABLES)]
    finally:
        await owner.close()
    stranger = new_id()
    for name in tables:
        for scope in (db.public(), db.workspace(stranger)):
            try:
                async with scope as tx:
                    assert await tx.fetchval(f"SELECT count(*) FROM {name}") == 0, name
            except asyncpg.InsufficientPrivilegeError:
                pass  # not even readable: better still


async def test_a_workspace_cannot_write_into_another(db: Database) -> None:
    mine, theirs = new_id(), new_id()
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with db.workspace(mine) as tx:
            await tx.execute_raw(
                "INSERT INTO idempotency_key (workspace_id, route, key, body_hash, response_status, response_body) "
                "VALUES ($1, 'r', 'k', ''::bytea, 200, '{}')",
                theirs,
            )


async def test_a_setting_cannot_raise_the_role(db: Database) -> None:
    """Elevated work is another database role: what a workspace's transaction can set does not lead there."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.workspace(new_id()) as tx:
            await tx.execute_raw("SET ROLE gesso_elevated")
