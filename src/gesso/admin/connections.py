"""What operators do with connections, for pages and API alike. Every change is written into the audit log."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from pydantic import SecretStr

from gesso.admin import traces
from gesso.admin.frame import Deed
from gesso.admin.standing import ConnectionLine, lines
from gesso.calls import gate, history
from gesso.calls.history import Hour
from gesso.catalog import service as catalog
from gesso.catalog.edits import connections as edits
from gesso.catalog.edits.ordering import STEP, moved, put_in_order
from gesso.catalog.items import Connection
from gesso.core.errors import GessoError, NotFound
from gesso.core.sealed import Sealer
from gesso.db import Database, ElevatedSession
from gesso.providers.base import TestReport

ATTEMPTS = 20
HOURS = 24

_RECENT_ATTEMPTS = """
SELECT workspace_id, id, generation_id, purpose, model_key, state, error_kind, error_detail, provider_cost_micro_usd,
    cost_state, created_at, finished_at
FROM attempt WHERE connection_id = $1 ORDER BY created_at DESC LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What an operator says of a connection."""

    name: str
    base_url: str | None = None
    sandbox: bool = False
    limits: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecentAttempt:
    """A call as the list of the newest shows it. Cost in micro-dollars, None when unknown."""

    workspace_id: UUID
    id: UUID
    generation_id: UUID | None
    purpose: str
    model_key: str
    state: str
    error_kind: str | None
    error_detail: str | None
    provider_cost_micro_usd: int | None
    cost_state: str
    created_at: datetime
    finished_at: datetime | None

    @property
    def took_ms(self) -> int | None:
        """From asking to the result, in milliseconds."""
        if self.finished_at is None:
            return None
        return round((self.finished_at - self.created_at).total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Detail:
    """One connection with its history: `hours` are the last day's, the running one included."""

    line: ConnectionLine
    hours: tuple[Hour, ...]
    attempts: tuple[RecentAttempt, ...]


async def detail(tx: ElevatedSession, key: str, now: datetime) -> tuple[Detail, tuple[ConnectionLine, ...]]:
    """A connection, and all of them for the list beside it. Raises NotFound."""
    every = await lines(tx, now)
    line = next((line for line in every if line.key == key), None)
    if line is None:
        raise NotFound("There is no such connection.")
    connection_id = line.connection.id
    day = await history.hours(tx, now - timedelta(hours=HOURS - 1), now)
    rows = await tx.fetch(_RECENT_ATTEMPTS, connection_id, ATTEMPTS)
    mine = tuple(hour for hour in day if hour.connection_id == connection_id)
    return Detail(line, mine, tuple(RecentAttempt(**row) for row in rows)), every


async def add(
    tx: ElevatedSession, sealer: Sealer, deed: Deed, *, key: str, adapter: str, facts: Facts, api_key: SecretStr | None
) -> Connection:
    """Add a connection behind all others. Raises as `catalog.add_connection`, and for wrong limits."""
    standing = await catalog.list_connections(tx)
    last = max((one.priority for one in standing), default=0)
    connection = await catalog.add_connection(
        tx, sealer, key=key, adapter=adapter, name=facts.name, api_key=api_key, base_url=facts.base_url,
        sandbox=facts.sandbox, priority=last + STEP, options=facts.options,
    )  # fmt: skip
    connection, _ = await edits.update_connection(tx, sealer, key, **_of(facts))
    await deed.note(tx, "connection.added", connection=key, adapter=adapter, sandbox=facts.sandbox)
    return connection


async def change(
    tx: ElevatedSession, sealer: Sealer, deed: Deed, key: str, facts: Facts, api_key: SecretStr | None
) -> Connection:
    """Change what is known of it; a new key, if one is given. Raises as `update_connection`."""
    before = await traces.values(tx, "connection", key)
    connection, changed = await edits.update_connection(tx, sealer, key, **_of(facts), api_key=api_key)
    if changed:
        told = traces.between(before, await traces.values(tx, "connection", key))
        await deed.note(tx, "connection.changed", connection=key, changed=list(changed), **told)
    if "api_key" in changed:
        await gate.resume(tx, connection.id)
    return connection


def _of(facts: Facts) -> dict[str, Any]:
    return {
        "name": facts.name, "base_url": facts.base_url, "sandbox": facts.sandbox, "limits": facts.limits,
        "options": facts.options,
    }  # fmt: skip


async def replace_key(tx: ElevatedSession, sealer: Sealer, deed: Deed, key: str, api_key: SecretStr) -> Connection:
    """Give it another key, and forget what was wrong with the old one. Raises NotFound, InvalidInput."""
    await catalog.replace_key(tx, sealer, key, api_key)
    connection = await catalog.get_connection(tx, key)
    await gate.resume(tx, connection.id)
    await deed.note(tx, "connection.key_replaced", connection=key)
    return connection


async def switch(tx: ElevatedSession, deed: Deed, key: str, enabled: bool) -> Connection:
    """Switch it on or off. Raises NotFound, InvalidInput without a key."""
    await catalog.set_connection_enabled(tx, key, enabled)
    connection = await catalog.get_connection(tx, key)
    if enabled:
        await gate.resume(tx, connection.id)
    await deed.note(tx, "connection.enabled" if enabled else "connection.disabled", connection=key)
    return connection


async def resume(tx: ElevatedSession, deed: Deed, key: str) -> Connection:
    """End its pause: the next call is made at once. Raises NotFound."""
    connection = await catalog.get_connection(tx, key)
    await gate.resume(tx, connection.id)
    await deed.note(tx, "connection.resumed", connection=key)
    return connection


async def remove(tx: ElevatedSession, deed: Deed, key: str) -> Connection:
    """Remove it for good. Raises NotFound, Conflict while models use it."""
    connection = await edits.delete_connection(tx, key)
    await deed.note(tx, "connection.removed", connection=key, adapter=connection.adapter)
    return connection


async def order(tx: ElevatedSession, deed: Deed, keys: Sequence[str]) -> tuple[str, ...]:
    """Put these first, in this order. Raises InvalidInput."""
    placed = await put_in_order(tx, "connection", keys)
    await deed.note(tx, "connection.ordered", order=list(placed))
    return placed


async def move(tx: ElevatedSession, deed: Deed, key: str, by: int) -> tuple[str, ...]:
    """One place up (−1) or down (+1). Raises InvalidInput."""
    standing = [one.key for one in await catalog.list_connections(tx)]
    return await order(tx, deed, moved(standing, key, by))


async def test(app: FastAPI, deed: Deed, key: str) -> TestReport:
    """Make the provider's cheapest real call, outside any transaction; a good answer ends a pause. Raises NotFound."""
    db: Database = app.state.db
    settings = app.state.settings
    async with db.elevated("operator: test a connection") as tx:
        connection = await catalog.get_connection(tx, key)
    report = await _tested(connection, settings.sealer, settings.site.sandbox_url)
    async with db.elevated("operator: note the test") as tx:
        if report.ok:
            await gate.resume(tx, connection.id)
        await deed.note(tx, "connection.tested", connection=key, ok=report.ok)
    return report


async def test_all(app: FastAPI, deed: Deed) -> dict[str, TestReport]:
    """Test every connection that is on, side by side."""
    async with app.state.db.elevated("operator: test all connections") as tx:
        keys = [one.key for one in await catalog.list_connections(tx) if one.enabled]
    reports = await asyncio.gather(*(test(app, deed, key) for key in keys))
    return dict(zip(keys, reports, strict=True))


async def _tested(connection: Connection, sealer: Sealer, sandbox_url: str | None) -> TestReport:
    try:
        return await catalog.test_connection(connection, sealer, sandbox_url)
    except GessoError as error:
        return TestReport(False, None, None, None, (error.detail,))
