"""The product through a real pgbouncer that pools by transaction, configured as deploy/pgbouncer says."""

import asyncio
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog
from pydantic import SecretStr

from gesso.core.errors import Unavailable
from gesso.core.ids import new_id
from gesso.credits import service as credits
from gesso.db import Database
from gesso.db.address import Roles, pools_transactions
from gesso.db.migrate import MigrationError, migrate
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.cli.homes import make_home
from tests.conftest import SECRET
from tests.db.pooler import CONFIGURATION, KEEPS_STATEMENTS, bouncing, needs_pgbouncer
from tests.product import running, served, settings_for

pytestmark = needs_pgbouncer


@pytest.fixture
def folder(shared_folder: Path) -> Path:
    """A folder that pgbouncer's user may enter."""
    path = shared_folder / f"pgbouncer-{new_id().hex[-8:]}"
    path.mkdir()
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of the auth_file, as the command writes it."""
    file = tmp_path_factory.mktemp("users") / "userlist.txt"
    answer = make_home(file.parent).typed("pooler-users", str(file), GESSO_SECRET_KEY=SECRET)
    assert answer.returncode == 0, answer.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    assert all(line.split('"')[3] not in answer.stdout for line in text.splitlines())
    return text


def owners_line(url: str) -> str:
    parts = urlsplit(url)
    return f'"{parts.username}" "{parts.password}"\n'


async def test_two_workspaces_on_one_server_connection_never_see_each_other(
    fresh_database_url: str, folder: Path, users: str
) -> None:
    async with bouncing(folder, fresh_database_url, users, default_pool_size="1") as pooled:
        db = Database(pooled, secret=SECRET, pool_size=6, direct_url=fresh_database_url, prepared_statements=False)
        workspaces = [new_id(), new_id()]
        servers: set[int] = set()
        insert = (
            "INSERT INTO idempotency_key (workspace_id, route, key, body_hash, response_status, response_body) "
            "VALUES ($1, 'r', $2, '', 200, '{}')"
        )

        async def write_and_look(number: int) -> None:
            mine, other = workspaces[number % 2], workspaces[1 - number % 2]
            async with db.workspace(mine) as tx:
                servers.add(await tx.fetchval("SELECT pg_backend_pid()"))
                await tx.execute_raw(insert, mine, str(number))
                await tx.execute_raw("SAVEPOINT forging")
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await tx.execute_raw(insert, other, f"forged {number}")
                await tx.execute_raw("ROLLBACK TO forging")
                seen = await tx.fetch("SELECT DISTINCT workspace_id FROM idempotency_key")
                assert [row["workspace_id"] for row in seen] == [mine]
            # what runs after it on the same server connection is in no workspace
            row = await db.look_up("SELECT gesso_workspace() AS workspace, count(*) AS rows FROM idempotency_key")
            assert row is not None
            assert (row["workspace"], row["rows"]) == (None, 0)

        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(write_and_look(number))
        async with db.elevated("test: count") as tx:
            assert await tx.fetchval("SELECT count(*) FROM idempotency_key") == 40
        await db.close()
        assert len(servers) == 1


@pytest.mark.parametrize("authentication", ["file", "query"])
async def test_the_product_works_through_it(
    fresh_database_url: str, folder: Path, users: str, authentication: str
) -> None:
    options = {}
    name = f"pooler_{new_id().hex[-8:]}"
    if authentication == "query":
        sql = (CONFIGURATION / "auth_query.sql").read_text().replace("gesso_pooler", name)
        owner = await asyncpg.connect(fresh_database_url)
        await owner.execute(sql.replace(":'password'", "'asks only'"))
        await owner.close()
        users = f'"{name}" "asks only"\n'
        options = {"auth_user": name, "auth_query": f"SELECT * FROM {name}.password_of($1)"}
    async with (
        bouncing(folder, fresh_database_url, users, **options) as pooled,
        served(create_sandbox(pace=Pace.instant(), workers=0)) as sandbox,
    ):
        settings = settings_for(pooled, folder / "data", sandbox)
        kept = KEEPS_STATEMENTS and authentication == "query"
        database = {"direct_url": SecretStr(fresh_database_url), "prepared_statements": kept}
        settings = replace(settings, database=settings.database.model_copy(update=database))
        async with running(settings) as product, product.person() as ada:
            body = {"model": "flux-schnell", "prompt": "dunes at dawn sandbox:small", "count": 2}
            asked = await ada.post("/api/generate/image", json=body)
            assert asked.status_code == 202, asked.text
            async with asyncio.timeout(60):
                while (found := (await ada.get(f"/api/generate/status/{asked.json()['id']}")).json())["status"] not in (
                    "succeeded", "failed",
                ):  # fmt: skip
                    await asyncio.sleep(0.1)
            assert found["status"] == "succeeded", found
            picture = await ada.get(found["assets"][0]["url"], follow_redirects=True)
            assert picture.headers["content-type"].startswith("image/")
            async with product.db.elevated("test: verify") as tx:
                assert await credits.verify(tx) == ()
        with pytest.raises((asyncpg.PostgresError, OSError)):  # the owner does not get in this way
            await asyncpg.connect(pooled)
    if authentication == "query":
        owner = await asyncpg.connect(fresh_database_url)
        await owner.execute(f"DROP OWNED BY {name}; DROP SCHEMA {name} CASCADE; DROP ROLE {name}")
        await owner.close()


async def test_migrations_refuse_it_and_say_what_to_set(fresh_database_url: str, folder: Path) -> None:
    assert not await pools_transactions(fresh_database_url)
    async with bouncing(folder, fresh_database_url, owners_line(fresh_database_url)) as pooled:
        assert await pools_transactions(pooled)
        with pytest.raises(MigrationError, match="GESSO_DATABASE_DIRECT_URL"):
            await migrate(pooled, secret=SECRET)


async def test_lost_statements_are_named_in_the_log(fresh_database_url: str, folder: Path, users: str) -> None:
    """The same statement on another server connection, which never saw it prepared."""
    options = {"max_prepared_statements": "0"} if KEEPS_STATEMENTS else {}
    async with bouncing(folder, fresh_database_url, users, default_pool_size="2", **options) as pooled:
        db = Database(pooled, secret=SECRET, pool_size=1, direct_url=fresh_database_url)
        roles = Roles(pooled, "gesso", SECRET, pooled)
        holder = await asyncpg.connect(roles.url(roles.app), statement_cache_size=0)
        with structlog.testing.capture_logs() as lines, pytest.raises(Unavailable):
            for _ in range(2):
                async with db.public() as tx:
                    await tx.fetchval("SELECT $1::int + 1", 1)
                await holder.execute("BEGIN")  # takes the server connection that was just given back
        assert "GESSO_DATABASE_PREPARED_STATEMENTS=false" in str(lines)
        await holder.close()
        await db.close()


async def test_a_full_pooler_is_a_busy_site(fresh_database_url: str, folder: Path, users: str) -> None:
    async with bouncing(
        folder, fresh_database_url, users, default_pool_size="1", query_wait_timeout="1"
    ) as pooled:  # fmt: skip
        roles = Roles(pooled, "gesso", SECRET, pooled)
        holder = await asyncpg.connect(roles.url(roles.app), statement_cache_size=0)
        db = Database(pooled, secret=SECRET, direct_url=fresh_database_url, prepared_statements=False)
        async with holder.transaction():
            with pytest.raises(Unavailable):
                async with db.public() as tx:
                    await tx.fetchval("SELECT 1")
        async with db.public() as tx:  # and at once when the other has let go
            assert await tx.fetchval("SELECT 1") == 1
        await db.close()
        await holder.close()
