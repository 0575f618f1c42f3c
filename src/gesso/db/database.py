"""Engines, roles and the edge where transactions open and commit."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from gesso.core.telemetry import metrics, tracing
from gesso.db import faults
from gesso.db.address import Roles, connect, driver_arguments, log_in, normalise_url
from gesso.db.limits import Limits
from gesso.db.session import ElevatedSession, PublicSession, Session, WorkspaceSession

log = structlog.get_logger()

ACQUIRE_SECONDS = 10.0
CLOSE_SECONDS = 5.0
ROLLBACK_SECONDS = 5.0
WAITED_SECONDS = 0.001
"""A connection that came sooner was not waited for."""


class Database:
    """The connection pools of one process. They open on first use, in the event loop that uses them.

    `direct_url` is the owner's address past a pooler, for what outlives a transaction (`dedicated`). Behind a pooler
    that does not keep prepared statements `prepared_statements` must be False: each statement then takes two round
    trips. `other_secrets` are tried at log-in after `secret`, while that is being changed.
    """

    def __init__(
        self,
        owner_url: str,
        *,
        secret: str,
        role_prefix: str = "gesso",
        pool_size: int = 10,
        elevated_pool_size: int = 3,
        direct_url: str | None = None,
        prepared_statements: bool = True,
        limits: Limits | None = None,
        other_secrets: tuple[str, ...] = (),
    ) -> None:
        self.roles = Roles(
            normalise_url(owner_url), role_prefix, secret, normalise_url(direct_url or owner_url), other_secrets
        )
        limits = limits or Limits()
        options = {} if prepared_statements else {"statement_cache_size": 0}
        self._app = Pool(
            "app", self.roles.url(self.roles.app), pool_size, command_timeout=limits.client_seconds(),
            connect=partial(log_in, self.roles.other_passwords(self.roles.app)), **options,
        )  # fmt: skip
        self._elevated = Pool(
            "elevated", self.roles.url(self.roles.elevated), elevated_pool_size,
            command_timeout=limits.client_seconds(elevated=True),
            connect=partial(log_in, self.roles.other_passwords(self.roles.elevated)), **options,
        )  # fmt: skip
        self._outgoing: dict[tuple[str, str], None] = {}
        self._sender: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def workspace(self, workspace_id: UUID, user_id: UUID | None = None) -> AsyncIterator[WorkspaceSession]:
        """A transaction in one workspace, on behalf of `user_id`; commits on a clean exit."""
        async with self._app.connection() as connection:
            session = WorkspaceSession(connection, workspace_id, user_id)
            with tracing.span("db.transaction", gesso__db__scope="workspace"):
                async with _transaction(connection, workspace_id, user_id):
                    yield session
        await self._after_commit(session)

    @contextlib.asynccontextmanager
    async def public(self) -> AsyncIterator[PublicSession]:
        """A transaction that belongs to no workspace; commits on a clean exit."""
        async with self._app.connection() as connection:
            session = PublicSession(connection)
            with tracing.span("db.transaction", gesso__db__scope="public"):
                async with _transaction(connection):
                    yield session
        await self._after_commit(session)

    @contextlib.asynccontextmanager
    async def elevated(self, reason: str) -> AsyncIterator[ElevatedSession]:
        """A transaction across workspaces; `reason` says who needs it. Commits on a clean exit."""
        async with self._elevated.connection() as connection:
            session = ElevatedSession(connection, reason)
            with tracing.span("db.transaction", gesso__db__scope="elevated", gesso__db__reason=reason):
                async with _transaction(connection):
                    yield session
        await self._after_commit(session)

    async def look_up(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """The first row of one statement, in no workspace and in its own implicit transaction.

        One round trip instead of three: for the definer function that every request begins with.
        """
        async with self._app.connection() as connection:
            with tracing.statement(sql):
                return await connection.fetchrow(sql, *args)

    async def _after_commit(self, session: Session) -> None:
        if session.pending_notifications:
            self._outgoing.update(session.pending_notifications)
            if self._sender is None or self._sender.done():
                self._sender = asyncio.create_task(self._send())
        for record in session.pending_records:
            try:
                record()
            except Exception:
                log.exception("record.failed")
        for action in session.pending_actions:
            try:
                await action()
            except Exception:
                log.exception("after_commit.failed")

    async def _send(self) -> None:
        """Send what is outgoing, everything that has gathered meanwhile in one statement.

        A lost notification costs at most a poll, so failure is only logged.
        """
        while self._outgoing:
            messages, self._outgoing = list(self._outgoing), {}
            try:
                async with self._app.connection() as connection:
                    await connection.execute(
                        "SELECT pg_notify(channel, payload) "
                        "FROM unnest($1::text[], $2::text[]) AS m (channel, payload)",
                        [channel for channel, _ in messages],
                        [payload for _, payload in messages],
                    )
            except Exception as error:  # noqa: BLE001 — whatever it is, the commit stands
                log.warning("notify.failed", error=type(error).__name__, messages=len(messages))

    async def dedicated(self, *, elevated: bool = False) -> asyncpg.Connection:
        """A connection outside the pools and past any pooler, for LISTEN and the queue. The caller closes it."""
        role = self.roles.elevated if elevated else self.roles.app
        connection = await connect(
            self.roles.url(role, direct=True), other_passwords=self.roles.other_passwords(role), command_timeout=60
        )
        await set_json_codec(connection)
        return connection

    def pools(self) -> dict[str, dict[str, int]]:
        """The states of each pool's connections, for metrics."""
        return {pool.name: pool.states() for pool in (self._app, self._elevated)}

    async def forget_statements(self) -> None:
        """Use no connection again that has prepared statements for the tables as they were. Running transactions go
        on; theirs may fail once with Unavailable where a migration gave a table another column."""
        for pool in (self._app, self._elevated):
            await pool.expire()

    async def close(self) -> None:
        """Send what is still outgoing and close all pooled connections."""
        if self._sender is not None:
            await asyncio.gather(self._sender, return_exceptions=True)
        await self._app.close()
        await self._elevated.close()


class Pool:
    """Connections of one role, called `name` in metrics. `options` go to `asyncpg.create_pool`."""

    def __init__(self, name: str, url: str, size: int, **options: Any) -> None:
        self.name = name
        self._waits = metrics.DB_POOL_WAIT_SECONDS.labels(name)
        self._url = url
        self._size = size
        self._options = options
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for the length of the block.

        Raises Unavailable when none gets free in time, when the database goes away meanwhile, and when it ended a
        statement that took or waited too long.
        """
        try:
            pool = self._pool or await self._open()
            connection = await self._acquire(pool)
        except faults.NO_CONNECTION as error:
            metrics.DB_ERRORS.labels(type(error).__name__).inc()
            raise faults.cannot_connect(error) from error
        try:
            yield connection
        except Exception as error:
            if isinstance(error, asyncpg.PostgresError):
                metrics.DB_ERRORS.labels(type(error).__name__).inc()
            if isinstance(error, asyncpg.ReadOnlySQLTransactionError) and not _ended(connection):
                connection.terminate()  # a former primary: the next connection finds the new one
            if unavailable := faults.of_transaction(error, closed=_ended(connection)):
                raise unavailable from error
            raise
        finally:
            await pool.release(connection)

    async def _acquire(self, pool: asyncpg.Pool) -> asyncpg.Connection:
        begun = time.perf_counter()
        try:
            return await pool.acquire(timeout=ACQUIRE_SECONDS)
        finally:
            if (waited := time.perf_counter() - begun) > WAITED_SECONDS:
                self._waits.observe(waited)

    def states(self) -> dict[str, int]:
        """How many connections are `in_use` and `idle`, and the `limit` of both together."""
        size, idle = (self._pool.get_size(), self._pool.get_idle_size()) if self._pool is not None else (0, 0)
        return {"in_use": size - idle, "idle": idle, "limit": self._size}

    async def _open(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    **{**driver_arguments(self._url), **self._options},
                    min_size=0,
                    max_size=self._size,
                    max_inactive_connection_lifetime=300,
                    init=set_json_codec,
                    reset=_nothing_to_reset,
                )
        return self._pool

    async def expire(self) -> None:
        """Replace each connection before its next use."""
        if self._pool is not None:
            await self._pool.expire_connections()

    async def close(self) -> None:
        """Close the connections, waiting a moment for those in use."""
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), CLOSE_SECONDS)
            except TimeoutError:
                self._pool.terminate()
            self._pool = None


async def _nothing_to_reset(_: asyncpg.Connection) -> None:
    """Everything we set is local to its transaction, so a connection comes back as it went: a round trip less."""


@contextlib.asynccontextmanager
async def _transaction(
    connection: asyncpg.Connection, workspace_id: UUID | None = None, user_id: UUID | None = None
) -> AsyncIterator[None]:
    """BEGIN and the scope in one round trip; COMMIT on a clean exit, else ROLLBACK.

    Not `connection.transaction()`: that takes a round trip more, and this is the money path.
    """
    try:
        await connection.execute(
            f"BEGIN; SET LOCAL gesso.workspace = '{workspace_id or ''}'; SET LOCAL gesso.\"user\" = '{user_id or ''}'"
        )
        yield
        ended = await connection.execute("COMMIT")
    except TimeoutError:
        if not _ended(connection):
            connection.terminate()  # no answer in all that time: none will come to a ROLLBACK
        raise
    except BaseException:
        await _roll_back(connection)
        raise
    if ended != "COMMIT":
        raise RuntimeError("a statement failed and its error was swallowed, so the transaction was rolled back")


async def _roll_back(connection: asyncpg.Connection) -> None:
    """End the transaction, or at least the connection: one that does not answer must not go back into the pool."""
    try:
        await connection.execute("ROLLBACK", timeout=ROLLBACK_SECONDS)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        if not _ended(connection):
            connection.terminate()


def _ended(connection: asyncpg.Connection) -> bool:
    """Whether the connection is gone. The pool takes one that was cut off away from its user, who may not even ask."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


async def set_json_codec(connection: asyncpg.Connection) -> None:
    """Let json and jsonb parameters be Python values, both ways. A `str` parameter is JSON text already."""
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=_dumps, decoder=json.loads)


def _dumps(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
