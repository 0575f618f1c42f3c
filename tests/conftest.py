"""Fixtures everyone shares: one embedded server, one migrated template database, a copy of it per test process."""

import asyncio
import fcntl
import functools
import logging
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpcore2
import pytest
import structlog
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from gesso.accounts import passwords
from gesso.db import Database
from gesso.db.embedded import EmbeddedPostgres
from gesso.db.migrate import migrate
from tests import memory

SECRET = "a secret for tests only, long enough to pass"
# Each client reads the machine's authorities anew, 20 ms of a core, and tests make thousands of clients.
httpcore2.default_ssl_context = functools.cache(httpcore2.default_ssl_context)

TESTS = Path(__file__).parent
LONG = (
    "api/test_contract.py", "attack/test_attack.py", "db/test_backup.py", "db/test_upgrade.py",
    "deploy/test_two_webs.py", "generation/test_submit.py", "generation/test_time.py", "security/test_secrets.py",
    "generation/test_faults.py", "battery/test_adapters.py", "media/test_storage_move.py", "battery/test_money.py",
    "generation/test_store_away.py", "generation/test_pages.py", "security/test_authorisation.py",
    "telemetry/test_monitoring.py", "generation/test_moderation.py", "credits/test_ledger_model.py",
    "security/test_files.py", "admin/test_live.py", "security/test_accounts.py",
)  # fmt: skip
"""Files without a mark that take more than eight seconds, longest first."""
FAST = (
    "fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0",
    "max_wal_size=256MB", "max_connections=600",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        memory.make()
    if not config.getoption("numprocesses", None):  # whoever runs tests, not who deals them out
        memory.keep_bytecode()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        memory.remove()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest goes first, so that no process waits for another in the end: what starts products and
    browsers, then `LONG`, then all else.
    """
    marked = {item.path for item in items if item.get_closest_marker("crash") or item.get_closest_marker("browser")}
    place = {TESTS / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: (item.path not in marked, place.get(item.path, len(LONG))))


@pytest.fixture(scope="session", autouse=True)
def _cheap() -> Iterator[None]:
    """What costs the product time on purpose, or a person's terminal for the looks, costs the tests next to nothing.

    A password takes 0.2 s to hash; here it takes none, in this process alone. The library draws an exception as
    panels with the variables of every frame, which takes seconds.
    """
    plain_errors()
    hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=16, parallelism=1),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", hasher)
        patch.setattr(passwords, "_DUMMY_HASH", hasher.hash("nobody's"))
        yield
    structlog.reset_defaults()


def plain_errors() -> None:
    """Log lines as the library writes them by default, exceptions as Python does."""
    structlog.reset_defaults()
    *before, _ = structlog.get_config()["processors"]
    render = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before, render])


_HASHING = passwords._hasher, passwords._DUMMY_HASH


@pytest.fixture
def dear_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords hashed at the product's own cost, for tests of that cost."""
    monkeypatch.setattr(passwords, "_hasher", _HASHING[0])
    monkeypatch.setattr(passwords, "_DUMMY_HASH", _HASHING[1])


@pytest.fixture
def own_logging() -> Iterator[None]:
    """For tests that set logging up: what comes after them finds it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    plain_errors()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all processes of this run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "shared"
    folder.mkdir(exist_ok=True)
    for path in (folder, *list(folder.parents)[:2]):
        path.chmod(0o755)  # the server runs as another user when the tests run as root
    return folder


@pytest.fixture(scope="session")
def postgres(shared_folder: Path) -> Iterator[EmbeddedPostgres]:
    """The embedded server of this test run."""
    server = EmbeddedPostgres((memory.folder() or shared_folder) / "postgres", FAST)
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres, shared_folder: Path) -> str:
    """Name of a database with all migrations applied, made once for all processes."""
    with (shared_folder / "template.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared_folder / "template.done").exists():
            asyncio.run(_make_template(postgres))
            (shared_folder / "template.done").touch()
    return "gesso_template"


async def _make_template(postgres: EmbeddedPostgres) -> None:
    await create_database(postgres, "gesso_template")
    await migrate(postgres.url("gesso_template"), secret=SECRET)


async def create_database(postgres: EmbeddedPostgres, name: str, template: str | None = None) -> str:
    """Make a database; returns its owner's URL."""
    connection = await asyncpg.connect(postgres.url())
    try:
        await connection.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
    finally:
        await connection.close()
    return postgres.url(name)


@pytest.fixture(scope="session")
async def database_url(postgres: EmbeddedPostgres, template: str) -> str:
    """Owner's URL of this process's own database. Tests share it: each makes its own people and workspaces."""
    return await create_database(postgres, f"gesso_{uuid.uuid4().hex[:12]}", template)


@pytest.fixture(scope="session")
async def db(database_url: str) -> AsyncIterator[Database]:
    """The application's view of this process's database."""
    database = Database(database_url, secret=SECRET, pool_size=20)
    yield database
    await database.close()


@pytest.fixture
async def fresh_database_url(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """A migrated database of the test's own, for what looks across workspaces."""
    name = f"gesso_fresh_{uuid.uuid4().hex[:12]}"
    yield await create_database(postgres, name, template)
    connection = await asyncpg.connect(postgres.url())
    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.close()


@pytest.fixture
async def fresh_db(fresh_database_url: str) -> AsyncIterator[Database]:
    """The application's view of a database of the test's own."""
    database = Database(fresh_database_url, secret=SECRET, pool_size=20)
    yield database
    await database.close()
