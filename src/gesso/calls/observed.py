"""What calls to providers look like from outside: how long, how they ended, what they cost. Metrics and spans.

A span names adapter, connection, operation and outcome, and nothing of what was sent or answered.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from gesso.calls.attempts import Attempt, Cost
from gesso.catalog.items import Connection
from gesso.core.telemetry import metrics, tracing
from gesso.db import WorkspaceSession
from gesso.providers.base import Done, Failed, MediaRequest, Operation, Pending, Provider, TestReport, WebhookNotice
from gesso.providers.errors import ProviderError, WebhookRejected

OK = "ok"
MICRO_USD = 1_000_000


class Seen:
    """How one request ended, as far as its answer tells."""

    __slots__ = ("outcome",)

    def __init__(self) -> None:
        self.outcome = OK


@contextmanager
def observing(connection: Connection, operation: str) -> Iterator[Seen]:
    """Measure one request to a provider. What it raises is its outcome; set `outcome` when the answer tells more."""
    seen, begun = Seen(), time.perf_counter()
    with tracing.span(
        f"provider.{operation}", "CLIENT", gesso__adapter=connection.adapter, gesso__connection=connection.key
    ) as span:
        try:
            yield seen
        except ProviderError as error:
            seen.outcome = error.code
            raise
        except WebhookRejected:
            seen.outcome = "webhook_rejected"
            raise
        except Exception:
            seen.outcome = "crashed"
            raise
        except BaseException:  # our own wish to stop
            seen.outcome = "cut_off"
            raise
        finally:
            took = time.perf_counter() - begun
            metrics.PROVIDER_CALL_SECONDS.labels(connection.adapter, operation, seen.outcome).observe(took)
            span.set("gesso.outcome", seen.outcome)
            if seen.outcome != OK:
                span.fail(seen.outcome)


class Observed:
    """An adapter for pictures and videos whose every request is measured; else as the adapter it wraps."""

    __slots__ = ("_connection", "_inner")

    def __init__(self, inner: Provider, connection: Connection) -> None:
        self._inner = inner
        self._connection = connection

    @property
    def can_find(self) -> bool:
        return self._inner.can_find

    async def submit(self, request: MediaRequest, key: str) -> Operation | Done:
        with observing(self._connection, "submit"):
            return await self._inner.submit(request, key)

    async def poll(self, operation: Operation) -> Pending | Done | Failed:
        with observing(self._connection, "poll") as seen:
            state = await self._inner.poll(operation)
            if isinstance(state, Failed):
                seen.outcome = state.error.code
            return state

    async def cancel(self, operation: Operation) -> bool:
        with observing(self._connection, "cancel"):
            return await self._inner.cancel(operation)

    async def find(self, key: str) -> Operation | None:
        with observing(self._connection, "find"):
            return await self._inner.find(key)

    def recall(self, model: str, request_id: str) -> Operation | None:
        return self._inner.recall(model, request_id)

    async def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        with observing(self._connection, "webhook"):
            return await self._inner.parse_webhook(headers, body)

    async def test(self) -> TestReport:
        with observing(self._connection, "test") as seen:
            report = await self._inner.test()
            seen.outcome = OK if report.ok else report.problem or "failed"
            return report

    async def aclose(self) -> None:
        await self._inner.aclose()


def ended(
    tx: WorkspaceSession, connection: Connection | None, attempt: Attempt, outcome: str, cost: Cost | None
) -> None:
    """Count a call that has come to its end, once `tx` has committed. `cost` None: its estimate stays."""
    adapter = connection.adapter if connection is not None else "gone"
    tx.record(metrics.ATTEMPTS.labels(adapter, outcome).inc)
    seconds = (datetime.now(UTC) - attempt.created_at).total_seconds()
    tx.record(metrics.ATTEMPT_SECONDS.labels(adapter).observe, max(0.0, seconds))
    micro, basis = (cost.micro_usd, cost.state) if cost else (attempt.provider_cost_micro_usd, "estimated")
    if micro:
        tx.record(metrics.COST_USD.labels(adapter, basis).inc, micro / MICRO_USD)
