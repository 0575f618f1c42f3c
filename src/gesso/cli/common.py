"""What every command shares: settings, the database it talks to, messages on the terminal."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

import asyncpg
import typer
from pydantic import SecretStr
from rich.console import Console

from gesso.core.errors import GessoError
from gesso.core.logs import redact, setup_logging
from gesso.core.settings import Settings, SettingsError, load_settings
from gesso.db import Database
from gesso.db.address import connect, pools_transactions, why_refused
from gesso.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from gesso.db.migrate import current_revision, schema_of
from gesso.runtime import open_database

console = Console()
errors = Console(stderr=True)
Result = TypeVar("Result")

EMBEDDED_DATABASE = "gesso"
REACH_SECONDS = 5.0


def fail(message: str) -> NoReturn:
    """End the command with a sentence and exit code 1."""
    errors.print(f"[bold red]gesso:[/] {message}", highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def settings_or_fail(**site: object) -> Settings:
    """All settings, with logging set up; a bad one ends the command with a sentence."""
    try:
        settings = load_settings(**site)
    except SettingsError as error:
        fail(str(error))
    setup_logging(settings.log)
    return settings


def sandbox_note(settings: Settings) -> Path:
    """The file in which a running `gesso up` says where its sandbox is."""
    return settings.site.data_dir / "sandbox_url"


def beside_up(settings: Settings) -> Settings:
    """The settings with the sandbox of a `gesso up` that runs on the same data folder, if there is one."""
    if settings.site.sandbox_url is not None or not settings.site.development:
        return settings
    try:
        url = sandbox_note(settings).read_text().strip()
        parts = urlsplit(url)
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1).close()
    except (OSError, ValueError):  # never written, or left by one that was killed
        return settings
    return replace(settings, site=settings.site.model_copy(update={"sandbox_url": url}))


@contextlib.contextmanager
def database_server(settings: Settings) -> Iterator[tuple[Settings, EmbeddedPostgres | None]]:
    """Settings with a database address in them: the given one, or that of the embedded server, held meanwhile."""
    if settings.database.url is not None:
        asyncio.run(_reach(direct_url(settings)))
        yield settings, None
        return
    server = EmbeddedPostgres(settings.site.data_dir / "postgres")
    try:
        server.start()
    except EmbeddedPostgresError as error:
        fail(str(error))
    try:
        asyncio.run(_ensure_database(server))
        url = SecretStr(server.url(EMBEDDED_DATABASE))
        yield replace(settings, database=settings.database.model_copy(update={"url": url})), server
    finally:
        server.close()


async def _reach(url: str) -> None:
    """End the command with a sentence unless the database can be used; one that is just starting is waited for."""
    deadline = time.monotonic() + REACH_SECONDS
    while True:
        try:
            await (await connect(url, timeout=REACH_SECONDS)).close()
            return
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if refused := why_refused(error):
                fail(refused)
            passing = isinstance(error, OSError | asyncpg.CannotConnectNowError | asyncpg.TooManyConnectionsError)
            if not passing:
                fail(f"The database refuses DATABASE_URL: {redact(str(error))}.")
            if time.monotonic() > deadline:
                fail(f"The database does not answer ({type(error).__name__}). Look at DATABASE_URL.")
        await asyncio.sleep(0.1)


async def _ensure_database(server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(server.url())
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", EMBEDDED_DATABASE):
            with contextlib.suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                await connection.execute(f"CREATE DATABASE {EMBEDDED_DATABASE}")
    finally:
        await connection.close()


def owner_url(settings: Settings) -> str:
    """The owner's database address. Only inside `database_server`."""
    return settings.database.owner_urls[0]


def direct_url(settings: Settings) -> str:
    """The owner's address past any pooler. Only inside `database_server`."""
    return settings.database.owner_urls[1]


async def require_schema(settings: Settings) -> None:
    """End the command with a sentence when the schema is older than this code needs. A newer one will do: the next
    release has migrated and is about to replace this one."""
    state = schema_of(await current_revision(direct_url(settings)))
    if state in ("empty", "older"):
        fail("The database is not up to date. Run `gesso migrate` first.")


async def require_usable(settings: Settings) -> None:
    """What a web or a worker needs before it starts: a schema it knows, and a connection of its own for LISTEN. Ends
    the command with a sentence."""
    await require_schema(settings)
    if await pools_transactions(direct_url(settings)):
        fail(
            "LISTEN and the queue need connections of their own, and a pooler stands before the database that hands "
            "them out by transaction. Give the database's own address in GESSO_DATABASE_DIRECT_URL."
        )


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """A database that is known to be migrated, closed afterwards."""
    await require_schema(settings)
    db = open_database(settings)
    try:
        yield db
    finally:
        await db.close()


def run_with_database(work: Callable[[Database, Settings], Awaitable[Result]]) -> Result:
    """Run one command's work against the migrated database; our own errors become a sentence."""
    with database_server(beside_up(settings_or_fail())) as (settings, _):

        async def run() -> Result:
            async with opened(settings) as db:
                return await work(db, settings)

        try:
            return asyncio.run(run())
        except GessoError as error:
            fail(error.detail)
