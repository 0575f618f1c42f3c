"""What holds calls back: a connection's limits, its pauses and its breaker, the same for all processes.

Everything is counted in Postgres from the attempts themselves, so a killed worker leaves nothing behind that
would have to be given back: its open attempts go on counting until another worker ends them, as they should,
for the provider may still be working on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog

from gesso.catalog.own_keys import repository as own_keys
from gesso.core.logs import redact
from gesso.db import ElevatedSession, Session, WorkspaceSession
from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, ProviderError, Unavailable

log = structlog.get_logger()

OPEN_AFTER = 5
"""Failures in a row after which the breaker opens; then one probe at a time until a call succeeds."""
BUSY_PAUSE_SECONDS = (0.5, 300.0)
"""A provider's Retry-After is respected between these bounds."""
MISCONFIGURED_PAUSE_SECONDS = 120.0
"""How long nobody calls with a refused key or an empty account; then one tries again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls at once and calls a minute; None = unlimited."""

    in_flight: int | None = None
    per_minute: int | None = None
    open_after: int = OPEN_AFTER

    @classmethod
    def of(cls, limits: Mapping[str, int]) -> "Limits":
        """From a connection's `limits`: `concurrency` and `requests_per_minute`."""
        return cls(limits.get("concurrency"), limits.get("requests_per_minute"))


async def report_success(tx: Session, connection_id: UUID) -> None:
    """A call went well: close the breaker."""
    await tx.fetchval("SELECT calls_report_success($1)", connection_id)


async def report_failure(
    tx: WorkspaceSession, connection_id: UUID, error: ProviderError, *, own_key: bool = False
) -> None:
    """Note what an error says about the connection itself; a refused request says nothing about it.

    A person's own key that is refused rests until its person mends it, and concerns nobody else.
    """
    if own_key and isinstance(error, Misconfigured):
        if error.kind != "model":
            await own_keys.rest(tx, connection_id, error.kind)
        return
    reason, pause = _meaning(error)
    if reason is None:
        return
    detail = redact(error.note or error.message)[:500]
    failures = await tx.fetchval(
        "SELECT calls_report_failure($1, $2, $3, $4, $5)", connection_id, reason, detail, pause, OPEN_AFTER
    )
    if isinstance(error, Misconfigured):
        log.error("connection.misconfigured", connection_id=str(connection_id), kind=error.kind, detail=detail)
    elif reason == "unavailable" and not own_key:
        log.warning("connection.unavailable", connection_id=str(connection_id), failures=failures, detail=detail)


async def closed(tx: Session) -> frozenset[UUID]:
    """Connections whose key is refused or whose account is empty, as far as the last calls told.

    Past the pause they still count until a call succeeds, for a while: then nobody can say any more.
    """
    rows = await tx.fetch(
        "SELECT connection_id FROM connection_health WHERE reason IN ('key', 'credit') AND (paused_until > now()"
        " OR last_failure_at > greatest(coalesce(last_success_at, '-infinity'), now() - interval '10 minutes'))"
    )
    return frozenset(row["connection_id"] for row in rows)


async def resume(tx: ElevatedSession, connection_id: UUID) -> None:
    """Forget what was wrong with a connection: an operator has mended or tried it."""
    await tx.execute_raw("DELETE FROM connection_health WHERE connection_id = $1", connection_id)


def _meaning(error: ProviderError) -> tuple[str | None, float]:
    """(what is wrong with the connection, seconds to stay away from it)."""
    if isinstance(error, Busy):
        least, most = BUSY_PAUSE_SECONDS
        return "busy", min(max(error.retry_after, least), most)
    if isinstance(error, OutcomeUnknown):  # a provider that loses calls is as good as down
        return "unavailable", 0.0
    if isinstance(error, Unavailable):
        return "unavailable", min(error.retry_after or 0.0, BUSY_PAUSE_SECONDS[1])
    if isinstance(error, Misconfigured):
        # A wrong model is that model's trouble; key and credit concern all calls of the connection.
        return error.kind, 0.0 if error.kind == "model" else MISCONFIGURED_PAUSE_SECONDS
    return None, 0.0
