"""The way from one schema to the newest, by Alembic. Only what migrates imports this (`migrate.py` says why)."""

import asyncio
import time

import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from gesso.db.address import connect
from gesso.db.ddl import LOCK_SECONDS
from gesso.db.migrate import MIGRATIONS, MigrationError

log = structlog.get_logger()

KEEP_TRYING_SECONDS = 600.0
PAUSE_SECONDS = 1.0


def config(connection: Connection | None, role_prefix: str) -> Config:
    """What Alembic must know: where the migrations are and, to run them, on which connection and for which roles."""
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    made.attributes["role_prefix"] = role_prefix
    return made


async def upgrade(url: str, role_prefix: str) -> None:
    """Migrate to the newest schema; when a lock cannot be had at once, let the others pass and try again.

    A migration that was done stays done, one that failed left nothing (or, outside a transaction, what may be
    repeated). Raises MigrationError when a table stays in use.
    """
    deadline = time.monotonic() + KEEP_TRYING_SECONDS
    while True:
        engine = create_async_engine("postgresql+asyncpg://", poolclass=NullPool, async_creator=lambda: connect(url))
        try:
            async with engine.connect() as connection:
                await connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
                await connection.execute(text("SET statement_timeout = 0"))
                await connection.commit()
                await connection.run_sync(_upgrade, role_prefix)
                await connection.commit()
            return
        except Exception as error:
            if not _was_busy(error):
                raise
            if time.monotonic() > deadline:
                raise MigrationError(
                    "A table was in use all the time, so the migration could not get its lock. Look for a long "
                    "transaction (docs/database.md), then run it again: what is done stays done."
                ) from error
            log.warning("migrate.waiting", reason="a table is in use")
        finally:
            await engine.dispose()
        await asyncio.sleep(PAUSE_SECONDS)


def _was_busy(error: BaseException | None) -> bool:
    """Whether a lock was not to be had: as the driver says it, or as SQLAlchemy wraps it."""
    while error is not None:
        if getattr(error, "sqlstate", None) in ("55P03", "40P01"):  # lock_not_available, deadlock_detected
            return True
        error = getattr(error, "orig", None) or error.__cause__
    return False


def _upgrade(connection: Connection, role_prefix: str) -> None:
    command.upgrade(config(connection, role_prefix), "head")
