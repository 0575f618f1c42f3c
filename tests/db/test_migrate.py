"""Migrations as an operator of a managed database runs them: with an owner that is no superuser."""

import asyncpg
import pytest
from alembic.script import ScriptDirectory

from gesso.core.ids import new_id
from gesso.db import Database
from gesso.db.address import Roles
from gesso.db.migrate import MigrationError, current_revision, migrate, newest_revision, revisions
from gesso.db.upgrade import config
from tests.conftest import SECRET


@pytest.fixture
async def plain_owner(database_url: str) -> str:
    """The address of an empty database whose owner can create roles and nothing more."""
    name, host = f"plain_{new_id().hex}", database_url.rsplit("@", 1)[1].split("/")[0]
    superuser = await asyncpg.connect(database_url)
    await superuser.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'plain'")
    await superuser.execute(f"CREATE DATABASE {name} OWNER {name}")
    await superuser.close()
    return f"postgresql://{name}:plain@{host}/{name}"


async def test_an_owner_without_superuser_rights_migrates_again_and_again(plain_owner: str) -> None:
    prefix = f"p{new_id().hex[-12:]}"
    for _ in range(2):
        assert await migrate(plain_owner, secret=SECRET, role_prefix=prefix) == newest_revision()
    assert await current_revision(plain_owner) == newest_revision()


async def test_another_secret_gives_the_roles_other_passwords(plain_owner: str) -> None:
    prefix = f"p{new_id().hex[-12:]}"
    await migrate(plain_owner, secret=SECRET, role_prefix=prefix)
    await migrate(plain_owner, secret=SECRET[::-1], role_prefix=prefix)
    db = Database(plain_owner, secret=SECRET[::-1], role_prefix=prefix)
    async with db.public() as tx:
        assert await tx.fetchval("SELECT current_user") == f"{prefix}_app"
    await db.close()


async def test_a_role_that_bypasses_row_level_security_is_refused(plain_owner: str, database_url: str) -> None:
    prefix = f"p{new_id().hex[-12:]}"
    superuser = await asyncpg.connect(database_url)
    await superuser.execute(f"CREATE ROLE {Roles(plain_owner, prefix, SECRET, plain_owner).app} LOGIN BYPASSRLS")
    await superuser.close()
    with pytest.raises(MigrationError, match="bypasses row-level security"):
        await migrate(plain_owner, secret=SECRET, role_prefix=prefix)


def test_the_names_of_the_files_tell_the_revisions_as_alembic_does() -> None:
    script = ScriptDirectory.from_config(config(None, ""))
    assert revisions() == tuple(one.revision for one in reversed(list(script.walk_revisions())))
    assert newest_revision() == script.get_current_head()
