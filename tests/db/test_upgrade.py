"""Migrations on a site that is in use: nobody waits long, whoever comes second waits, what is stopped goes on."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from gesso.core.errors import Unavailable
from gesso.core.ids import new_id
from gesso.db import Database, Listener
from gesso.db.address import Roles, connect
from gesso.db.embedded import EmbeddedPostgres
from gesso.db.migrate import MigrationError, current_revision, migrate, newest_revision, revisions, schema_of
from gesso.db.upgrade import config
from tests.cli.homes import make_home, said
from tests.conftest import SECRET, create_database

EARLIER = "0006"
"""The schema of the first release that made pictures."""
LONGEST_SECONDS = 5.0
WORKSPACES, PICTURES_EACH = 20, 150


@pytest.fixture
async def empty_url(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """A database without a schema. The roles exist."""
    name = f"upgrade_{new_id().hex[-12:]}"
    yield await create_database(postgres, name)
    owner = await asyncpg.connect(postgres.url())
    await owner.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await owner.close()


async def alembic(url: str, work: Callable[[Connection], None]) -> None:
    engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, async_creator=lambda: connect(url))
    async with engine.connect() as connection:
        await connection.run_sync(work)
        await connection.commit()
    await engine.dispose()


async def at_revision(url: str, revision: str) -> None:
    await alembic(url, lambda connection: command.upgrade(config(connection, "gesso"), revision))


_PEOPLE = """
INSERT INTO app_user (id, email, name, password_hash) SELECT uuidv7(), 'ada' || n || '@example.test', 'Ada', 'x'
FROM generate_series(1, $1::int) n
"""
_WORKSPACES = """
INSERT INTO workspace (id, name, kind, plan_key)
SELECT uuidv7(), 'Atelier', 'personal', 'free' FROM generate_series(1, $1::int)
"""
_ASSET = """
INSERT INTO asset (id, workspace_id, kind, source, storage_key, sha256, media_type, size_bytes, width, height,
                   thumbhash, prompt, model_key, model_name)
SELECT uuidv7(), w.id, 'image', 'generated', gen_random_uuid()::text, sha256('x'), 'image/png', 1000, 10, 10, 'x',
       'dunes at dawn, view ' || n, 'flux', 'Flux'
FROM (SELECT id FROM workspace ORDER BY random() LIMIT $1::int) w, generate_series(1, $2::int) n
"""
_GENERATION = """
INSERT INTO generation (id, workspace_id, user_id, kind, state, source, model_key, model_id, model_name, prompt, params,
                        count, priority, parallel, hold_id, price, queue_deadline_at)
SELECT uuidv7(), id, id, 'image', 'queued', 'page', 'flux', id, 'Flux', 'dunes', '{}', 1, 0, 1, uuidv7(), '{}', now()
FROM workspace ORDER BY random() LIMIT 1
"""
_READ = "SELECT count(*) FROM asset WHERE deleted_at IS NULL"
_HEART = "UPDATE asset SET favourite = NOT favourite WHERE id IN (SELECT id FROM asset LIMIT 3)"


async def filled(url: str) -> None:
    owner = await asyncpg.connect(url)
    await owner.execute(_PEOPLE.replace("$1", str(WORKSPACES)))
    await owner.execute(_WORKSPACES.replace("$1", str(WORKSPACES)))
    await owner.execute(_ASSET.replace("$1", str(WORKSPACES)).replace("$2", str(PICTURES_EACH)))
    await owner.close()


class Load:
    """What the running release does meanwhile, as it did before the migration knew of anything newer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.longest = 0.0
        self.done = 0

    async def __aenter__(self) -> "Load":
        self._stop = asyncio.Event()
        self._tasks = [asyncio.create_task(self._go_on(one)) for one in (_ASSET, _GENERATION, _READ, _HEART)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _go_on(self, sql: str) -> None:
        roles = Roles(self._url, "gesso", SECRET, self._url)
        connection = await asyncpg.connect(roles.url(roles.elevated))
        arguments = (1, 1) if sql is _ASSET else ()
        while not self._stop.is_set():
            begun = time.monotonic()
            await connection.execute(sql, *arguments)
            self.longest = max(self.longest, time.monotonic() - begun)
            self.done += 1
            await asyncio.sleep(0.005)
        await connection.close()


async def test_every_step_from_an_earlier_release_leaves_the_running_one_at_work(empty_url: str) -> None:
    await at_revision(empty_url, EARLIER)
    await filled(empty_url)
    longest = {}
    steps = [revision for revision in revisions() if revision > EARLIER]
    async with Load(empty_url) as load:
        for revision in steps:
            load.longest, before = 0.0, load.done
            await at_revision(empty_url, revision)
            async with asyncio.timeout(60):
                while load.done < before + 20:
                    await asyncio.sleep(0.01)
            longest[revision] = load.longest
    assert await current_revision(empty_url) == newest_revision()
    assert max(longest.values()) < LONGEST_SECONDS, longest
    # and the command finds nothing left to do
    assert await migrate(empty_url, secret=SECRET) == newest_revision()


async def test_two_at_once_agree_though_indexes_are_made_outside_transactions(empty_url: str) -> None:
    """One that waited inside a statement would hold a snapshot, which CREATE INDEX CONCURRENTLY waits for."""
    await at_revision(empty_url, EARLIER)
    async with asyncio.timeout(60):
        found = await asyncio.gather(*(migrate(empty_url, secret=SECRET) for _ in range(3)))
    assert set(found) == {newest_revision()}


async def test_a_table_in_use_is_waited_for_without_holding_others_up(empty_url: str) -> None:
    await at_revision(empty_url, EARLIER)
    await filled(empty_url)
    reader = await asyncpg.connect(empty_url)
    await reader.execute("BEGIN; SELECT count(*) FROM generation")  # a report, say: it keeps ALTER TABLE away
    async with Load(empty_url) as load:
        running = asyncio.create_task(migrate(empty_url, secret=SECRET))
        await asyncio.sleep(LONGEST_SECONDS + 1)
        assert not running.done()
        assert await current_revision(empty_url) == EARLIER
        await reader.execute("COMMIT")
        async with asyncio.timeout(60):
            assert await running == newest_revision()
    assert load.longest < LONGEST_SECONDS
    await reader.close()


async def test_running_processes_prepare_anew_what_a_migration_changed(empty_url: str) -> None:
    """A statement prepared before a table got a column fails inside a transaction: the next use must not meet it."""
    await at_revision(empty_url, EARLIER)
    await filled(empty_url)
    db = Database(empty_url, secret=SECRET, pool_size=4)
    listener = Listener(db)
    every_column = "SELECT * FROM generation LIMIT 1"

    async def read() -> None:
        async with db.elevated("test: every column") as tx:
            await tx.fetch(every_column)

    await read()
    owner = await asyncpg.connect(empty_url)
    await owner.execute("ALTER TABLE generation ADD COLUMN untold text")
    with pytest.raises(Unavailable):  # nobody said so: asked to try again, and then it works
        await read()
    await read()
    await listener.start()

    async def server() -> int:
        async with db.elevated("test: which connection") as tx:
            return int(await tx.fetchval("SELECT pg_backend_pid()"))

    before = await server()
    await migrate(empty_url, secret=SECRET)
    async with asyncio.timeout(60):
        while await server() == before:
            await asyncio.sleep(0.05)
    await asyncio.gather(*(read() for _ in range(8)))
    await listener.close()
    await db.close()
    await owner.close()


async def test_an_index_half_made_is_made_again(empty_url: str) -> None:
    """As a killed migration leaves it: there by name, and of no use."""
    await at_revision(empty_url, EARLIER)
    owner = await asyncpg.connect(empty_url)
    await owner.execute("CREATE INDEX asset_of_model_idx ON asset (workspace_id)")
    await owner.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'asset_of_model_idx'::regclass")
    await migrate(empty_url, secret=SECRET)
    made = await owner.fetchrow(
        "SELECT indisvalid, pg_get_indexdef(indexrelid) AS made FROM pg_index "
        "WHERE indexrelid = 'asset_of_model_idx'::regclass"
    )
    await owner.close()
    assert made["indisvalid"] and "model_key" in made["made"]


async def test_a_newer_schema_is_worked_on_and_an_older_one_refused(
    fresh_database_url: str, empty_url: str, tmp_path: Path
) -> None:
    assert schema_of(None) == "empty"
    assert schema_of(EARLIER) == "older"
    assert schema_of(newest_revision()) == "current"
    assert schema_of("9999") == "newer"
    owner = await asyncpg.connect(fresh_database_url)
    await owner.execute("UPDATE alembic_version SET version_num = '9999'")
    await owner.close()
    with pytest.raises(MigrationError, match="newer than this version"):
        await migrate(fresh_database_url, secret=SECRET)
    await at_revision(empty_url, EARLIER)
    home = make_home(tmp_path)

    for typed, url, code, words in (
        ("ledger verify", fresh_database_url, 0, "The ledger is right"),
        ("serve", empty_url, 1, "Run `gesso migrate` first"),
        ("work", empty_url, 1, "Run `gesso migrate` first"),
    ):
        environment = {"DATABASE_URL": url, "GESSO_SECRET_KEY": SECRET}
        said(await asyncio.to_thread(home.typed, *typed.split(), **environment), code, words)
