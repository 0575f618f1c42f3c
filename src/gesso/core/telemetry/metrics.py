"""What each process counts about itself, for Prometheus. Every name here stands in docs/monitoring.md.

A label's values come from code or from the operator's catalogue, never from users: no ids, addresses, prompts.
What is true of the whole site (holds, queue, connections) comes from the database, in `gesso.api.metrics`.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which tells nothing that its resets do not tell

registry = CollectorRegistry()
ProcessCollector(registry=registry)
GCCollector(registry=registry)

FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Bounds in seconds for what should take milliseconds."""
SLOW = (0.5, 1, 2, 5, 10, 20, 40, 60, 120, 300, 900)
"""Bounds in seconds for what makes people wait."""


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=registry)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=registry)


def _histogram(name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, text, labels, buckets=bounds, registry=registry)


BUILD = _gauge("gesso_build_info", "Always 1; what runs here, as labels.", "version", "release", "role")

# --- web -----------------------------------------------------------------------------------------------
HTTP_SECONDS = _histogram(
    "gesso_http_request_seconds", "From a request to the first byte of its answer, by the route's pattern.", FAST,
    "route", "method", "status",
)  # fmt: skip
HTTP_IN_FLIGHT = _gauge("gesso_http_requests_in_flight", "Requests whose answer has not begun.")

# --- database ------------------------------------------------------------------------------------------
DB_POOL_WAIT_SECONDS = _histogram(
    "gesso_db_pool_wait_seconds",
    "Waits of a millisecond or more for a pooled connection: all were in use, or one had to be opened.", FAST, "pool",
)  # fmt: skip
DB_ERRORS = _counter("gesso_db_errors_total", "Transactions that failed in the database, by error.", "error")

# --- money ---------------------------------------------------------------------------------------------
CREDITS_GRANTED = _counter("gesso_credits_granted_total", "Put into wallets.", "unit", "source")
CREDITS_CHARGED = _counter("gesso_credits_charged_total", "Charged for what was delivered.", "unit")
CREDITS_RELEASED = _counter("gesso_credits_released_total", "Held, then given back undelivered.", "unit")

# --- work ----------------------------------------------------------------------------------------------
SUBMITTED = _counter("gesso_generations_submitted_total", "Generations accepted.", "kind", "source")
REFUSED = _counter("gesso_generations_refused_total", "Generations refused, by the reason.", "kind", "reason")
ENDED = _counter(
    "gesso_generations_ended_total", "Generations that came to an end; `reason` of a failure.", "kind", "state",
    "reason",
)  # fmt: skip
PICKUP_SECONDS = _histogram(
    "gesso_generation_pickup_seconds", "From a generation's turn to a worker's hands.", (*FAST, 30.0, 120.0)
)
GENERATION_SECONDS = _histogram(
    "gesso_generation_seconds", "From a worker's hands to the end, of generations that succeeded.", SLOW, "model"
)
DRIVING = _gauge("gesso_worker_generations_driving", "Generations this worker drives now.")
JOBS = _counter(
    "gesso_jobs_total",
    "Jobs run, by outcome: done, retried (failed), handed_over, deferred (nothing to do yet).",
    "task",
    "outcome",
)
JOB_SECONDS = _histogram("gesso_job_seconds", "What a job took.", SLOW, "task")
SCHEDULED = _counter("gesso_schedules_total", "Scheduled tasks run, by outcome: done, failed.", "task", "outcome")

# --- providers -----------------------------------------------------------------------------------------
PROVIDER_CALL_SECONDS = _histogram(
    "gesso_provider_call_seconds", "Requests to a provider; `outcome` is ok or the error's name.",
    (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0), "adapter", "operation", "outcome",
)  # fmt: skip
FIRST_WORD_SECONDS = _histogram(
    "gesso_provider_first_word_seconds", "From asking for a text to its first piece.",
    (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0), "adapter",
)  # fmt: skip
TOKENS = _counter(
    "gesso_provider_tokens_total", "Tokens of texts, as told; `direction` is input or output.", "adapter", "direction"
)
ATTEMPTS = _counter(
    "gesso_provider_attempts_total", "Calls seen through to their end; `outcome` is succeeded or the error's name.",
    "adapter", "outcome",
)  # fmt: skip
ATTEMPT_SECONDS = _histogram(
    "gesso_provider_attempt_seconds", "From handing a call over to its result, stored.", SLOW, "adapter"
)
COST_USD = _counter(
    "gesso_provider_cost_usd_total", "What calls cost us; `basis` is actual (told) or estimated.", "adapter", "basis"
)
HELD_BACK_SECONDS = _counter(
    "gesso_provider_held_back_seconds_total",
    "Time generations waited because a connection is full, limited or paused.", "adapter", "reason",
)  # fmt: skip

# --- safety --------------------------------------------------------------------------------------------
MODERATION = _counter(
    "gesso_moderation_total",
    "Prompts and outputs by what was found: pass, review, blocked, rule (a built-in one), unjudged_open, "
    "unjudged_closed.",
    "stage", "outcome",
)  # fmt: skip

# --- files and mail ------------------------------------------------------------------------------------
INGEST_SECONDS = _histogram(
    "gesso_ingest_seconds", "Checking a picture and making its thumbnails, the wait for a thread included.",
    (*FAST, 30.0), "source", "outcome",
)  # fmt: skip
STORAGE_SECONDS = _histogram("gesso_storage_seconds", "Operations of the file store.", FAST, "operation")
STORAGE_ERRORS = _counter("gesso_storage_errors_total", "Operations the file store did not do.", "operation")
MAILS = _counter("gesso_mails_total", "Mail by outcome: sent, retried, given_up, not_set_up.", "outcome")
