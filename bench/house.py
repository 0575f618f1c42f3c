"""What is measured: one embedded PostgreSQL with fsync on, a thousand wallets, and the product's own processes."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
from pydantic import SecretStr

from bench.load import Line, get
from gesso.catalog.editions import load_edition
from gesso.catalog.service import seed
from gesso.core.settings import DatabaseSettings, Settings, SiteSettings
from gesso.db import Database
from gesso.db.embedded import EmbeddedPostgres
from gesso.db.migrate import migrate
from gesso.runtime import open_database

SECRET = "a secret of the bench, made for one run only"
PEOPLE = 1000
HOT = PEOPLE + 1
"""The one wallet everybody wants; the others are 1 … PEOPLE."""
POOR = PEOPLE + 2
"""Somebody with exactly one credit."""
RICH = 10**12
"""Microcredits of everybody else."""
PARALLEL = 1000
"""Places in the queue per workspace: more than a run asks for, so that every request is put into the queue."""

_PEOPLE = """
WITH people AS (SELECT n, bench_id(1, n) AS workspace_id, bench_id(2, n) AS user_id FROM generate_series(1, $1) n),
users AS (
    INSERT INTO app_user (id, email, name)
    SELECT user_id, 'bench-' || n || '@example.test', 'Bench ' || n FROM people RETURNING 1
), spaces AS (
    INSERT INTO workspace (id, name, kind, plan_key)
    SELECT workspace_id, 'Bench ' || n, 'personal', 'free' FROM people RETURNING 1
), members AS (
    INSERT INTO membership (workspace_id, user_id, role) SELECT workspace_id, user_id, 'admin' FROM people RETURNING 1
)
INSERT INTO login_session (id, user_id, workspace_id, token_hash, expires_at)
SELECT bench_id(3, n), user_id, workspace_id, sha256(('bench' || lpad(n::text, 38, '0'))::bytea),
    now() + interval '1 day'
FROM people WHERE (SELECT count(*) FROM users) + (SELECT count(*) FROM spaces) + (SELECT count(*) FROM members) > 0
"""
_GRANTS = """
SELECT count(*) FROM generate_series(1, $1) n, LATERAL ledger_grant(
    bench_id(1, n), bench_id(4, n), 'credit', CASE WHEN n = $2 THEN 1000000 ELSE $3::bigint END, 'operator', 'bench',
    NULL, NULL, 'bench', bench_id(2, n), NULL)
"""
_BENCH_ID = """
CREATE FUNCTION bench_id(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN ('0bec000' || to_hex(kind) || '-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid
"""


def bench_id(kind: int, number: int) -> UUID:
    """The same ids as in SQL: kind 1 = workspace, 2 = user."""
    return UUID(f"0bec000{kind:x}-0000-7000-8000-{number:012d}")


def token(number: int) -> str:
    """The value of a person's session cookie."""
    return f"bench{number:038d}"


def token_hash(number: int) -> bytes:
    """What the database knows of it."""
    return hashlib.sha256(token(number).encode()).digest()


@dataclass
class House:
    """A database with people, and how to start processes on it."""

    folder: Path
    server: EmbeddedPostgres
    settings: Settings
    db: Database

    @property
    def owner_url(self) -> str:
        """Address of the database as its owner."""
        return self.server.url("gesso_bench")

    @property
    def app_url(self) -> str:
        """Address of the database as the application's role, which row-level security binds."""
        return self.db.roles.url(self.db.roles.app)

    async def owner(self, *statements: str) -> None:
        """Run statements as the owner."""
        connection = await asyncpg.connect(self.owner_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def clear_queue(self) -> None:
        """End what waits and empty the queue, so that every round starts from the same state."""
        price = '{"credits": "0", "allowances": {}, "outputs": []}'
        await self.owner(
            "UPDATE generation SET state = 'cancelled', finished_at = now(), charged = "
            f"'{price}' WHERE state IN ('queued', 'running')",
            "TRUNCATE pgqueuer", "VACUUM ANALYZE generation", "ANALYZE", "CHECKPOINT",
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def process(self, *arguments: str, **environment: str) -> AsyncIterator[subprocess.Popen[bytes]]:
        """A process of the product for as long as the block lasts."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("GESSO_", "DATABASE_URL", "FAL_"))
        }
        log = (self.folder / f"{arguments[0]}.log").open("ab")
        started = subprocess.Popen(
            [sys.executable, "-m", *arguments], stdout=log, stderr=log,
            env={
                **kept, "DATABASE_URL": self.owner_url, "GESSO_SECRET_KEY": SECRET,
                "GESSO_DATA_DIR": str(self.folder / "data"), **environment,
            },
        )  # fmt: skip
        log.close()
        try:
            yield started
        finally:
            started.terminate()
            await asyncio.to_thread(started.wait, 30)

    @contextlib.asynccontextmanager
    async def web(self, **environment: str) -> AsyncIterator[tuple[int, subprocess.Popen[bytes]]]:
        """One web process as it is shipped: its port, and the process."""
        port = free_port()
        async with self.process("gesso", "serve", GESSO_PORT=str(port), **environment) as started:
            await until_up(port, "/healthz", started)
            yield port, started


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[House]:
    """The house, on a folder of its own that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="gesso-bench-"))
    folder.chmod(0o755)  # the server runs as another user when the bench runs as root
    server = EmbeddedPostgres(folder / "postgres")
    await asyncio.to_thread(server.start)
    try:
        connection = await asyncpg.connect(server.url())
        await connection.execute("CREATE DATABASE gesso_bench")
        await connection.close()
        url = server.url("gesso_bench")
        await migrate(url, secret=SECRET)
        settings = Settings(
            site=SiteSettings(secret_key=SecretStr(SECRET), data_dir=folder / "data"),
            database=DatabaseSettings().model_copy(update={"url": SecretStr(url)}),
        )
        db = open_database(settings)
        async with db.elevated("bench: seed") as tx:
            await seed(tx, settings, load_edition("studio"))
        house = House(folder, server, settings, db)
        await _people(house)
        yield house
        await db.close()
    finally:
        server.close()
        while server.running():
            await asyncio.sleep(0.1)
        shutil.rmtree(folder, ignore_errors=True)


async def _people(house: House) -> None:
    connection = await asyncpg.connect(house.owner_url)
    await connection.execute(_BENCH_ID)
    await connection.execute(f"UPDATE plan SET parallel = {PARALLEL}")
    await connection.execute(_PEOPLE, POOR)
    await connection.fetchval(_GRANTS, POOR, POOR, RICH)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until_up(port: int, path: str, process: subprocess.Popen[bytes], seconds: float = 60) -> float:
    """Seconds until `path` answers 200. Raises RuntimeError when the process ends or never gets there."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with exit code {process.returncode}")
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with Line.opened(port) as line:
                if (await line.send(get(path))).status == 200:
                    return time.perf_counter() - begun
        await asyncio.sleep(0.02)
    raise RuntimeError(f"{path} was not there after {seconds:.0f} s")


def memory_mb(pid: int) -> float:
    """Resident memory of a process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} is gone")
