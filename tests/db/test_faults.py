"""A database that is full, restarts, hangs or only reads: clean refusals, and recovery by itself."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from gesso.core.errors import Unavailable
from gesso.core.ids import new_id
from gesso.db import Database
from gesso.db.address import Roles
from gesso.db.embedded import EmbeddedPostgres
from gesso.db.limits import Limits
from gesso.db.migrate import migrate
from tests.conftest import SECRET, create_database

CONNECTIONS = 20


@pytest.fixture(scope="module")
async def small(shared_folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A server of these tests' own, with few connections."""
    server = EmbeddedPostgres(
        shared_folder / f"small-{new_id().hex[-6:]}", ("fsync=off", f"max_connections={CONNECTIONS}")
    )  # fmt: skip
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module")
async def small_url(small: EmbeddedPostgres) -> str:
    url = await create_database(small, "small")
    await migrate(url, secret=SECRET, limits=Limits(statement=2, lock=1, idle_transaction=1))
    return url


@pytest.fixture
async def small_db(small_url: str) -> AsyncIterator[Database]:
    database = Database(small_url, secret=SECRET, pool_size=8)
    yield database
    await database.close()


async def answers(db: Database) -> bool:
    with contextlib.suppress(Unavailable):
        async with db.public() as tx:
            return bool(await tx.fetchval("SELECT 1") == 1)
    return False


async def until_it_answers(db: Database) -> None:
    async with asyncio.timeout(30):
        while not await answers(db):
            await asyncio.sleep(0.1)


async def test_no_free_connection_is_refused_and_passes(small_url: str, small_db: Database) -> None:
    roles = Roles(small_url, "gesso", SECRET, small_url)
    others = []
    with contextlib.suppress(asyncpg.TooManyConnectionsError):
        while True:
            others.append(await asyncpg.connect(roles.url(roles.app)))
    assert 10 <= len(others) <= CONNECTIONS
    storm = await asyncio.gather(*(answers(small_db) for _ in range(50)))
    assert not any(storm)  # each a plain Unavailable, no other error
    for other in others:
        await other.close()
    async with asyncio.timeout(30):  # the server ends the others' sessions in its own time
        while not all(await asyncio.gather(*(answers(small_db) for _ in range(50)))):
            await asyncio.sleep(0.1)


async def test_a_restart_ends_what_runs_with_unavailable_and_nothing_else(
    small: EmbeddedPostgres, small_db: Database
) -> None:
    assert await answers(small_db)
    begun = asyncio.Event()

    async def slowly() -> None:
        async with small_db.public() as tx:
            begun.set()
            await tx.fetchval("SELECT pg_sleep(1.5)")

    running = asyncio.create_task(slowly())
    await begun.wait()
    server = int(json.loads((small.folder / "server.json").read_text())["pid"])
    os.kill(server, signal.SIGKILL)
    with pytest.raises(Unavailable):
        await running
    await asyncio.gather(*(answers(small_db) for _ in range(20)))  # nothing but Unavailable comes out
    await until_it_answers(small_db)


async def test_a_stuck_transaction_gives_its_lock_back(small_url: str, small_db: Database) -> None:
    """Somebody holds a row and does nothing more, as a paused process would: it is ended, and others go on."""
    insert = "INSERT INTO rate_window (key, window_start, count, expires_at) VALUES ($1, 'epoch', 1, now())"
    touch = "UPDATE rate_window SET count = count + 1 WHERE key = $1"
    key = new_id().hex
    async with small_db.public() as tx:
        await tx.execute_raw(insert, key)
    roles = Roles(small_url, "gesso", SECRET, small_url)
    stuck = await asyncpg.connect(roles.url(roles.app))
    await stuck.execute("BEGIN")
    await stuck.execute(touch, key)
    with contextlib.suppress(Unavailable):  # waits a second for the lock, while the other has a second to live
        async with small_db.public() as tx:
            await tx.execute_raw(touch, key)
    async with asyncio.timeout(60):
        while not stuck.is_closed():
            await asyncio.sleep(0.1)
    async with small_db.public() as tx:
        await tx.execute_raw(touch, key)


async def test_waiting_for_a_lock_and_running_too_long_end(small_db: Database) -> None:
    held, release, key = asyncio.Event(), asyncio.Event(), new_id().hex
    insert = "INSERT INTO rate_window (key, window_start, count, expires_at) VALUES ($1, 'epoch', 1, now())"

    async def hold() -> None:
        async with small_db.public() as tx:
            await tx.execute_raw(insert, key)
            held.set()
            for _ in range(100):  # busy, so not ended for idling
                await tx.fetchval("SELECT 1")
                if release.is_set():
                    return
                await asyncio.sleep(0.1)

    holder = asyncio.create_task(hold())
    await held.wait()
    with pytest.raises(Unavailable, match="busy"):
        async with small_db.public() as tx:
            await tx.execute_raw(insert, key)
    release.set()
    await holder
    with pytest.raises(Unavailable, match="busy"):
        async with small_db.public() as tx:
            await tx.fetchval("SELECT pg_sleep(10)")
    assert await answers(small_db)


async def test_a_former_primary_is_left_for_the_new_one(small_url: str, small_db: Database) -> None:
    """After a failover the pool's connections lead to a server that only reads: they are dropped, not kept."""
    async with small_db.public() as tx:
        before = await tx.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(Unavailable):
        async with small_db.public() as tx:
            await tx.execute_raw("SET LOCAL transaction_read_only = on")
            await tx.execute_raw("DELETE FROM worker_seen")
    async with small_db.public() as tx:
        assert await tx.fetchval("SELECT pg_backend_pid()") != before


async def test_a_server_that_falls_silent_is_given_up(small: EmbeddedPostgres, small_url: str) -> None:
    """The machine is gone and nobody says so: no answer, no reset, nothing."""
    db = Database(small_url, secret=SECRET, pool_size=1, limits=Limits(statement=1))
    silent: list[int] = []
    try:
        with pytest.raises(Unavailable):
            async with db.public() as tx:
                backend = await tx.fetchval("SELECT pg_backend_pid()")
                os.kill(backend, signal.SIGSTOP)
                silent.append(backend)
                await tx.fetchval("SELECT 1")
    finally:
        for backend in silent:
            os.kill(backend, signal.SIGCONT)
    await until_it_answers(db)
    await db.close()
