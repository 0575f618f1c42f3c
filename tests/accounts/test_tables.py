"""What the application's role can and cannot reach in this room's tables, with raw SQL."""

import asyncpg
import pytest

from gesso.db import Database
from tests.cast import add_member, make_user


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT password_hash FROM app_user",
        "SELECT * FROM app_user",
        "SELECT token_hash FROM login_session",
        "SELECT token_hash FROM mail_token",
        "SELECT recipient FROM outbox_mail",
        "UPDATE app_user SET is_operator = true WHERE id = gesso_user()",
        "UPDATE login_session SET expires_at = now() + interval '9 years'",
        "DELETE FROM app_user",
        "DELETE FROM audit_event",
        "UPDATE audit_event SET action = 'nothing happened'",
    ],
)
async def test_the_app_role_may_not(db: Database, sql: str) -> None:
    ada = await make_user(db)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.workspace(ada.workspace_id, ada.user_id) as tx:
            await tx.execute_raw(sql)


async def test_the_elevated_role_reads_no_hash_either(db: Database) -> None:
    await make_user(db)
    for sql in ("SELECT password_hash FROM app_user", "SELECT token_hash FROM login_session"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db.elevated("test") as tx:
                await tx.fetch(sql)


async def test_a_stranger_sees_nothing_of_ada(db: Database) -> None:
    ada, ben = await make_user(db), await make_user(db, "Ben")
    async with db.workspace(ben.workspace_id, ben.user_id) as tx:
        for table, column, value in (
            ("app_user", "id", ada.user_id),
            ("workspace", "id", ada.workspace_id),
            ("membership", "workspace_id", ada.workspace_id),
            ("login_session", "user_id", ada.user_id),
            ("audit_event", "workspace_id", ada.workspace_id),
        ):
            assert await tx.fetchval(f"SELECT count(*) FROM {table} WHERE {column} = $1", value) == 0, table
            assert await tx.fetchval(f"SELECT count(*) FROM {table}") > 0, table
        ended = await tx.execute_raw("UPDATE login_session SET revoked_at = now() WHERE user_id = $1", ada.user_id)
        assert ended == 0
        assert await tx.execute_raw("UPDATE app_user SET name = 'x' WHERE id = $1", ada.user_id) == 0


async def test_without_a_workspace_nothing_is_visible(db: Database) -> None:
    await make_user(db)
    async with db.public() as tx:
        for table in ("app_user", "workspace", "membership", "login_session", "mail_token", "audit_event"):
            assert await tx.fetchval(f"SELECT count(*) FROM {table}") == 0, table


async def test_members_see_each_other_but_not_each_others_sessions(db: Database) -> None:
    ada, ben = await make_user(db), await make_user(db, "Ben")
    ben_at_adas = await add_member(db, ada, ben)
    assert (ben_at_adas.workspace_id, ben_at_adas.role) == (ada.workspace_id, "member")
    async with db.workspace(ada.workspace_id, ben.user_id) as tx:
        assert await tx.fetchval("SELECT name FROM app_user WHERE id = $1", ada.user_id) == "Ada"
        assert await tx.fetchval("SELECT count(*) FROM login_session WHERE user_id = $1", ada.user_id) == 0
        assert await tx.execute_raw("UPDATE app_user SET name = 'x' WHERE id = $1", ada.user_id) == 0


async def test_a_row_cannot_be_put_into_anothers_workspace(db: Database) -> None:
    ada, ben = await make_user(db), await make_user(db, "Ben")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.workspace(ben.workspace_id, ben.user_id) as tx:
            await tx.execute_raw(
                "INSERT INTO membership (workspace_id, user_id, role) VALUES ($1, $2, 'admin')",
                ada.workspace_id, ben.user_id,
            )  # fmt: skip
