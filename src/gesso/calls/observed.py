"""What calls to providers look like from outside: how long, how they ended, what they cost. Metrics and spans.

A span names adapter, connection, operation and outcome, and nothing of what was sent or answered.
"""

import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Generic, TypeVar

from gesso.calls.attempts import Attempt, Cost
from gesso.catalog.items import Connection
from gesso.core.telemetry import metrics, tracing
from gesso.db import WorkspaceSession
from gesso.providers.base import (
    Connected,
    Done,
    Failed,
    InputFile,
    MediaRequest,
    Operation,
    Pending,
    Provider,
    TestReport,
    WebhookNotice,
)
from gesso.providers.errors import ProviderError, WebhookRejected
from gesso.providers.text import Judge, Judgement, TextEnd, TextRequest, Writer

Face = TypeVar("Face", bound=Connected)
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


class _Observed(Generic[Face]):
    """An adapter whose every request is measured; else as the adapter it wraps."""

    __slots__ = ("_connection", "_inner")

    def __init__(self, inner: Face, connection: Connection) -> None:
        self._inner = inner
        self._connection = connection

    async def test(self) -> TestReport:
        with observing(self._connection, "test") as seen:
            report = await self._inner.test()
            seen.outcome = OK if report.ok else report.problem or "failed"
            return report

    async def aclose(self) -> None:
        await self._inner.aclose()


class ObservedProvider(_Observed[Provider]):
    """Its face for pictures and videos."""

    __slots__ = ()

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


class ObservedWriter(_Observed[Writer]):
    """Its face for text. A text that nobody waits for any more counts as cut off."""

    __slots__ = ()

    async def write(self, request: TextRequest, key: str) -> AsyncGenerator[str | TextEnd]:
        adapter, begun, shown = self._connection.adapter, time.perf_counter(), False
        with observing(self._connection, "write"):
            async for piece in self._inner.write(request, key):
                if isinstance(piece, TextEnd):
                    metrics.TOKENS.labels(adapter, "input").inc(piece.usage.input_tokens or 0)
                    metrics.TOKENS.labels(adapter, "output").inc(piece.usage.output_tokens or 0)
                elif not shown:
                    shown = True
                    metrics.FIRST_WORD_SECONDS.labels(adapter).observe(time.perf_counter() - begun)
                yield piece


class ObservedJudge(_Observed[Judge]):
    """Its face for moderation."""

    __slots__ = ()

    async def judge(self, model: str, text: str, images: tuple[InputFile, ...] = ()) -> Judgement:
        with observing(self._connection, "judge"):
            return await self._inner.judge(model, text, images)


def ended(
    tx: WorkspaceSession, connection: Connection | None, attempt: Attempt, outcome: str, cost: Cost | None
) -> None:
    """Count a call that has come to its end, once `tx` has committed. `cost` None: its estimate stays. What a call on a
    person's own key costs is not the site's."""
    adapter = connection.adapter if connection is not None else "gone"
    tx.record(metrics.ATTEMPTS.labels(adapter, outcome).inc)
    seconds = (datetime.now(UTC) - attempt.created_at).total_seconds()
    tx.record(metrics.ATTEMPT_SECONDS.labels(adapter).observe, max(0.0, seconds))
    micro, basis = (cost.micro_usd, cost.state) if cost else (attempt.provider_cost_micro_usd, "estimated")
    if micro and not attempt.own_key:
        tx.record(metrics.COST_USD.labels(adapter, basis).inc, micro / MICRO_USD)
