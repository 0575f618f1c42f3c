"""Transactions and what they may see. The type of a session says which rows it reaches.

    WorkspaceSession   role `<prefix>_app`, row-level security set to one workspace
    PublicSession      role `<prefix>_app`, no workspace: look-ups through definer functions, shared tables
    ElevatedSession    role `<prefix>_elevated`: operators and jobs across workspaces

One request or job step is one transaction, opened and committed at its edge by `Database`.
"""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast
from uuid import UUID

import asyncpg

from gesso.core.telemetry import tracing

AfterCommit = Callable[[], Awaitable[None]]


class Session:
    """An open transaction on one asyncpg connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.pending_notifications: dict[tuple[str, str], None] = {}
        self.pending_actions: list[AfterCommit] = []
        self.pending_records: list[Callable[[], object]] = []

    async def driver(self) -> asyncpg.Connection:
        """The asyncpg connection of this very transaction, for libraries that want one."""
        return self._connection

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of a statement with $1-style parameters. jsonb goes in and comes out as Python values."""
        with tracing.statement(sql):
            return cast(list[asyncpg.Record], await self._connection.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """The first row or None."""
        with tracing.statement(sql):
            return await self._connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        with tracing.statement(sql):
            return await self._connection.fetchval(sql, *args)

    async def execute_raw(self, sql: str, *args: Any) -> int:
        """Run a statement; how many rows it touched."""
        with tracing.statement(sql):
            status: str = await self._connection.execute(sql, *args)
        last = status.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    def notify_after_commit(self, channel: str, payload: dict[str, Any]) -> None:
        """Send `payload` on `channel` once the transaction has committed; the same payload goes out once.

        Not inside the transaction: NOTIFY there serialises all commits (architecture, section 9).
        """
        self.pending_notifications[(channel, json.dumps(payload, separators=(",", ":"), sort_keys=True))] = None

    def after_commit(self, action: AfterCommit) -> None:
        """Run `action` once the transaction has committed. Its failure is logged and changes nothing."""
        self.pending_actions.append(action)

    def record(self, measure: Callable[..., object], *args: Any, **named: Any) -> None:
        """Call `measure` once the transaction has committed: a metric, a product event. It must not wait."""
        self.pending_records.append(partial(measure, *args, **named))


class WorkspaceSession(Session):
    """A transaction that sees one workspace's rows."""

    def __init__(self, connection: asyncpg.Connection, workspace_id: UUID, user_id: UUID | None) -> None:
        super().__init__(connection)
        self.workspace_id = workspace_id
        self.user_id = user_id


class PublicSession(Session):
    """A transaction that belongs to no workspace."""


class ElevatedSession(Session):
    """A transaction across workspaces: for operators' and jobs' code that says so in its signature."""

    def __init__(self, connection: asyncpg.Connection, reason: str) -> None:
        super().__init__(connection)
        self.reason = reason
