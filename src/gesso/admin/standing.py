"""How connections stand and have fared, as the panel shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from gesso.calls import history
from gesso.calls.gate import OPEN_AFTER
from gesso.calls.history import Standing
from gesso.catalog import service as catalog
from gesso.catalog.items import Connection
from gesso.core.money import MICRO
from gesso.db import ElevatedSession
from gesso.providers.registry import ADAPTERS

HealthKind = Literal["ok", "warn", "bad", "none"]
SHAKY = 0.1
"""From this share of failed calls in the last hour on, a connection is not called healthy."""

_RECENT = """
SELECT connection_id, count(*) AS calls, count(*) FILTER (WHERE state = 'succeeded') AS succeeded,
    count(*) FILTER (WHERE state IN ('failed', 'uncertain')) AS failed,
    count(*) FILTER (WHERE state IN ('failed', 'uncertain') AND error_kind NOT LIKE 'rejected%') AS faulty,
    (percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at) * 1000)
        FILTER (WHERE state = 'succeeded'))::integer AS p50_ms
FROM attempt WHERE finished_at >= $1 GROUP BY 1
"""
_MODELS = "SELECT connection_id, count(*) AS models FROM model GROUP BY 1"
_PAUSES: Mapping[str, tuple[HealthKind, str, str]] = {
    "busy": ("warn", "Slowed by the provider", "It goes on by itself; lower its limits if this comes often."),
    "unavailable": ("bad", "Not answering", "It is tried again by itself; fallbacks serve meanwhile."),
    "key": (
        "bad", "Key refused",
        "Give it a key that works, then test it. Until then people see that its models are unavailable.",
    ),
    "credit": (
        "bad", "Account is empty",
        "Top up the account at the provider, then test it. Until then people see that its models are unavailable.",
    ),
    "model": ("warn", "A model is refused", "Check what the provider calls its models."),
}  # fmt: skip
"""Why a connection is paused → how bad, in a word, and what to do."""


@dataclass(frozen=True, slots=True)
class Health:
    """In a word how a connection is; `detail` is what the provider said, `until` when it is tried again by itself,
    `way_out` what the operator does about it."""

    kind: HealthKind
    label: str
    detail: str = ""
    until: datetime | None = None
    paused: bool = False
    way_out: str = ""

    @property
    def said(self) -> str:
        """What the provider said, as a sentence."""
        text = self.detail.strip()
        return text if not text or text.endswith((".", "!", "?")) else f"{text}."


@dataclass(frozen=True, slots=True)
class Recent:
    """The last hour of a connection. `faulty`: failed for another reason than what was asked for. `p50_ms`: of the
    calls that succeeded, from asking to the result."""

    calls: int = 0
    succeeded: int = 0
    failed: int = 0
    faulty: int = 0
    p50_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ConnectionLine:
    """One connection in the list."""

    connection: Connection
    adapter_title: str
    health: Health
    recent: Recent
    live: int
    models: int

    @property
    def key(self) -> str:
        return self.connection.key

    @property
    def name(self) -> str:
        return self.connection.name

    @property
    def running(self) -> str:
        """Calls at once, and how many there may be."""
        most = self.connection.limits.get("concurrency")
        return f"{self.live} / {most}" if most else str(self.live)

    @property
    def delivered(self) -> str:
        """The share of the last hour's calls that succeeded."""
        ended = self.recent.succeeded + self.recent.failed
        return share(self.recent.succeeded, ended) if ended else "–"

    @property
    def latency(self) -> str:
        return duration(self.recent.p50_ms)

    @property
    def recent_words(self) -> str:
        if not self.recent.calls:
            return "No calls in the last hour."
        return f"{self.recent.calls:,} calls in the last hour, {self.recent.failed:,} of them failed."


async def lines(tx: ElevatedSession, now: datetime) -> tuple[ConnectionLine, ...]:
    """All connections in their order."""
    standings = await history.standings(tx, OPEN_AFTER)
    recent = {
        row["connection_id"]: Recent(row["calls"], row["succeeded"], row["failed"], row["faulty"], row["p50_ms"])
        for row in await tx.fetch(_RECENT, now - timedelta(hours=1))
    }
    models: dict[UUID, int] = {row["connection_id"]: row["models"] for row in await tx.fetch(_MODELS)}
    return tuple(
        line_of(one, standings.get(one.id), recent.get(one.id, Recent()), models.get(one.id, 0), now)
        for one in await catalog.list_connections(tx)
    )


def line_of(
    connection: Connection, standing: Standing | None, recent: Recent, models: int, now: datetime
) -> ConnectionLine:
    """What the list says of one."""
    adapter = ADAPTERS.get(connection.adapter)
    return ConnectionLine(
        connection=connection,
        adapter_title=adapter.title if adapter else connection.adapter,
        health=health_of(connection, standing, recent, now),
        recent=recent,
        live=standing.live if standing else 0,
        models=models,
    )


def health_of(connection: Connection, standing: Standing | None, recent: Recent, now: datetime) -> Health:
    """The one word for it, from what is known."""
    if not connection.enabled:
        return Health("none", "Off")
    adapter = ADAPTERS.get(connection.adapter)
    if adapter is None:
        return Health("bad", "No such adapter", f"This version does not speak “{connection.adapter}”.")
    if connection.sealed_key is None and not connection.sandbox and adapter.needs_key:
        return Health("bad", "No key", way_out="Give it a key, or switch it off.")
    if standing is not None and standing.paused_until is not None and standing.paused_until > now:
        kind, label, way_out = _PAUSES.get(standing.reason or "", ("bad", "Paused", ""))
        return Health(kind, label, standing.detail or "", standing.paused_until, paused=True, way_out=way_out)
    if standing is not None and standing.probing:
        return Health("warn", "Trying again", standing.detail or "", paused=True, way_out=_PAUSES["unavailable"][2])
    if standing is not None and _failed_last(standing) and standing.reason in ("key", "credit"):
        # the pause is over, and nobody has tried since
        kind, label, way_out = _PAUSES[standing.reason]
        return Health(kind, label, standing.detail or "", paused=True, way_out=way_out)
    if recent.calls and recent.faulty / recent.calls > SHAKY:
        works = standing is not None and standing.last_success_at is not None and not _failed_last(standing)
        since = "; it has worked since" if works else ""
        return Health("warn", "Some calls fail", f"{recent.faulty:,} of {recent.calls:,} in the last hour{since}.")
    if standing is None or standing.last_success_at is None:
        return Health("none", "Not used yet")
    return Health("ok", "Healthy")


def _failed_last(standing: Standing) -> bool:
    """Whether the last call that said anything about the connection failed."""
    failed, succeeded = standing.last_failure_at, standing.last_success_at
    return failed is not None and (succeeded is None or failed > succeeded)


def share(part: int, whole: int) -> str:
    """98.6 %; – of nothing."""
    if not whole:
        return "–"
    return f"{100 * part / whole:.1f}".removesuffix(".0") + " %"


def duration(milliseconds: int | None) -> str:
    """212 ms, 1.2 s, 2 min 5 s."""
    if milliseconds is None:
        return "–"
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def dollars(micro_usd: int | None) -> str:
    """$1.20, $0.0039; – when nobody knows."""
    if micro_usd is None:
        return "–"
    if micro_usd and micro_usd < MICRO / 100:
        return "$" + f"{micro_usd / MICRO:.6f}".rstrip("0")
    return f"${micro_usd / MICRO:,.2f}"
