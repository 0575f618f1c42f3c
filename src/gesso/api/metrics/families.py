"""Figures of the site, and of this process's pools and streams, as Prometheus families.

A site's figure is the same whichever process tells it: take `max`, never `sum`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import GaugeMetricFamily

MICRO_USD = 1_000_000
Labelled = Sequence[tuple[Sequence[str], float]]


def _family(name: str, text: str, values: Labelled, *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"gesso_{name}", text, labels=labels)
    for given, value in values:
        family.add_metric([str(one) for one in given], value)
    return family


def _one(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    return _family(name, text, [] if value is None else [((), float(value))])


def of_process(pools: Mapping[str, Mapping[str, int]], streams: int | None) -> Iterator[GaugeMetricFamily]:
    """What is open in this process now; `streams` is None where there can be none."""
    yield _family(
        "db_pool_connections", "Pooled connections by state: in_use, idle, limit (of both together).",
        [((pool, state), count) for pool, states in pools.items() for state, count in states.items()],
        "pool", "state",
    )  # fmt: skip
    yield _one("event_streams_open", "Event streams that browsers hold open here.", streams)


def of_site(figures: Mapping[str, Any] | None) -> Iterator[GaugeMetricFamily]:
    """What is true of the site; only that it could not be found out, when there are no figures."""
    yield _one("site_up", "1 when the figures of the site could be read, else 0.", 0 if figures is None else 1)
    if figures is None:
        return
    yield _one("site_looked_timestamp_seconds", "When these figures were looked up.", figures["at"])
    yield _one("site_look_seconds", "What looking them up took.", figures["took"])
    yield from _money(figures)
    yield from _work(figures)
    yield from _providers(figures["connections"])
    server = figures["server"]
    yield _one("site_db_connections", "Connections of the whole PostgreSQL server.", server["connections"])
    yield _one("site_db_connections_limit", "Its max_connections.", server["limit"])


def _money(figures: Mapping[str, Any]) -> Iterator[GaugeMetricFamily]:
    ledger, books = figures["facts"].get("ledger", {}), figures["facts"].get("books", {})
    yield _one("site_ledger_mismatches", "Figures that differ from the journal. Must be 0.", ledger.get("mismatches"))
    yield _one("site_ledger_verified_timestamp_seconds", "When the whole ledger was verified last.", ledger.get("at"))
    yield _one("site_charges_without_delivery", "Charges without their picture. Must be 0.", books.get("charges"))
    yield _one("site_deliveries_without_charge", "Pictures without their charge. Must be 0.", books.get("deliveries"))
    yield _one("site_books_checked_timestamp_seconds", "When charges and pictures were compared last.", books.get("at"))
    holds, uncertain = figures["holds"], figures["uncertain"]
    yield _one("site_holds_open", "Reservations of credits that are open.", holds["open"])
    yield _one("site_holds_oldest_seconds", "Age of the oldest open one.", holds["oldest"])
    yield _one(
        "site_holds_overdue", "Open five minutes after their deadline: the sweep fails. Must be 0.", holds["overdue"]
    )
    yield _one(
        "site_attempts_uncertain",
        "Calls of the last 24 h of which nobody knows if they were taken.",
        uncertain["count"],
    )
    yield _one("site_attempts_uncertain_unpriced", "Those of them whose cost is unknown, too.", uncertain["unknown"])
    yield _one("site_attempts_uncertain_usd", "What the others may have cost.", uncertain["micro_usd"] / MICRO_USD)


def _work(figures: Mapping[str, Any]) -> Iterator[GaugeMetricFamily]:
    rows = figures["generations"]
    yield _family(
        "site_generations", "Generations not ended: waiting (for a place of their workspace), queued, running.",
        [((row["state"], row["priority"]), row["count"]) for row in rows], "state", "priority",
    )  # fmt: skip
    yield _family(
        "site_generations_oldest_seconds",
        "How long the oldest of them has been in that state, a running one since its turn.",
        [((row["state"], row["priority"]), row["oldest"]) for row in rows], "state", "priority",
    )  # fmt: skip
    jobs = figures["jobs"]
    yield _family(
        "site_jobs", "Jobs in the queue: queued, running, abandoned (no heartbeat; part of running).",
        [((job["task"], state), job[state]) for job in jobs for state in ("queued", "running", "abandoned")],
        "task", "state",
    )  # fmt: skip
    yield _family(
        "site_jobs_oldest_seconds", "How long the oldest queued job that is due has waited.",
        [((job["task"],), job["oldest"]) for job in jobs], "task",
    )  # fmt: skip
    yield _one("site_workers", "Workers seen within a minute.", figures["workers"]["seen"])
    yield _one("site_worker_seen_seconds", "Since any worker was seen.", figures["workers"]["last"])


def _providers(connections: Sequence[Mapping[str, Any]]) -> Iterator[GaugeMetricFamily]:
    named = [((one["key"], one["adapter"]), one) for one in connections]
    yield _family(
        "site_connection_paused", "1 while nobody calls a connection, with the reason: busy, unavailable, key, credit.",
        [((*names, one["paused"] or ""), float(one["paused"] is not None)) for names, one in named],
        "connection", "adapter", "reason",
    )  # fmt: skip
    yield _family(
        "site_connection_breaker_open", "1 while a connection failed so often in a row that only probes are sent.",
        [(names, float(bool(one["open"]))) for names, one in named], "connection", "adapter",
    )  # fmt: skip
    yield _family(
        "site_connection_failures", "Failures in a row.",
        [(names, one["failures"]) for names, one in named], "connection", "adapter",
    )  # fmt: skip
    yield _family(
        "site_connection_success_seconds", "Since a call went well (noted once a minute).",
        [(names, one["success"]) for names, one in named if one["success"] is not None], "connection", "adapter",
    )  # fmt: skip
