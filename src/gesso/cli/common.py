"""What every command shares: settings, the database it talks to, messages on the terminal."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import NoReturn, TypeVar

import asyncpg
import typer
from pydantic import SecretStr
from rich.console import Console

from gesso.core.errors import GessoError
from gesso.core.logs import setup_logging
from gesso.core.settings import Settings, SettingsError, load_settings
from gesso.db import Database
from gesso.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from gesso.db.migrate import current_revision, newest_revision
from gesso.runtime import open_database

console = Console()
errors = Console(stderr=True)
Result = TypeVar("Result")

EMBEDDED_DATABASE = "gesso"


def fail(message: str) -> NoReturn:
    """End the command with a sentence and exit code 1."""
    errors.print(f"[bold red]gesso:[/] {message}", highlight=False)
    raise typer.Exit(1)


def settings_or_fail(**site: object) -> Settings:
    """All settings, with logging set up; a bad one ends the command with a sentence."""
    try:
        settings = load_settings(**site)
    except SettingsError as error:
        fail(str(error))
    setup_logging(settings.log)
    return settings


@contextlib.contextmanager
def database_server(settings: Settings) -> Iterator[tuple[Settings, EmbeddedPostgres | None]]:
    """Settings with a database address in them: the given one, or that of the embedded server, held meanwhile."""
    if settings.database.url is not None:
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
    assert settings.database.url is not None
    return settings.database.url.get_secret_value()


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """A database that is known to be migrated, closed afterwards."""
    if await current_revision(owner_url(settings)) != newest_revision():
        fail("The database is not up to date. Run `gesso migrate` first.")
    db = open_database(settings)
    try:
        yield db
    finally:
        await db.close()


def run_with_database(work: Callable[[Database, Settings], Awaitable[Result]]) -> Result:
    """Run one command's work against the migrated database; our own errors become a sentence."""
    with database_server(settings_or_fail()) as (settings, _):

        async def run() -> Result:
            async with opened(settings) as db:
                return await work(db, settings)

        try:
            return asyncio.run(run())
        except GessoError as error:
            fail(error.detail)
