"""What can go wrong with a database that is there, away, full or stuck; and what the reader is told."""

import asyncpg
import structlog

from gesso.core.errors import Unavailable
from gesso.db.address import why_refused

log = structlog.get_logger()

NO_CONNECTION = (
    OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InterfaceError, asyncpg.InternalClientError,
)  # fmt: skip
"""No connection to be had: the database (or the pooler before it) is down, starting, stopping, full (of connections,
or its disk), or refuses us."""

_TOOK_TOO_LONG = (
    asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError, asyncpg.IdleInTransactionSessionTimeoutError, asyncpg.TransactionTimeoutError,
    TimeoutError, asyncpg.InvalidCachedStatementError,
)  # fmt: skip
"""Ended so that it does not stand in others' way; the last, because a migration changed a table just now."""

_WENT_AWAY = (
    asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError, asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError, asyncpg.ReadOnlySQLTransactionError, asyncpg.InsufficientResourcesError,
    asyncpg.InternalClientError,
)  # fmt: skip
"""Stopped, restarted, failed over (a former primary only reads), or out of memory or disk. InternalClientError: the
server has said goodbye on an idle connection, and asyncpg has not yet heard it hang up."""

_NO_STATEMENTS = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
"""A pooler that mixes up prepared statements."""

BUSY = "The site is very busy right now. Please try again in a moment."
AWAY = "The site cannot reach its database right now. Please try again in a moment."


def cannot_connect(error: Exception) -> Unavailable:
    """What to raise when no connection could be had, with the reason in the log."""
    if isinstance(error, TimeoutError):
        log.warning("database.no_free_connection")
        return Unavailable(BUSY)
    log.error("database.unreachable", error=type(error).__name__, detail=why_refused(error))
    return Unavailable(AWAY)


def of_transaction(error: BaseException, *, closed: bool) -> Unavailable | None:
    """What to raise for an error inside a transaction, None when it is the caller's own; `closed` says whether the
    connection has ended. Nothing was committed."""
    if isinstance(error, _NO_STATEMENTS):
        log.error(
            "database.statements_lost",
            detail="The pooler does not keep prepared statements. Set GESSO_DATABASE_PREPARED_STATEMENTS=false.",
        )
        return Unavailable(AWAY)
    if isinstance(error, _TOOK_TOO_LONG):
        log.warning("database.too_slow", error=type(error).__name__)
        return Unavailable(BUSY)
    if isinstance(error, _WENT_AWAY) or (closed and isinstance(error, OSError | asyncpg.InterfaceError)):
        log.warning("database.lost", error=type(error).__name__)
        return Unavailable(AWAY)
    return None
