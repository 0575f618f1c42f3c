"""OpenTelemetry traces, on when OTEL_EXPORTER_OTLP_ENDPOINT names a collector (OTLP over HTTP).

Off, a span is one shared object that does nothing, and the SDK is never imported. On, spans carry names, kinds
and outcomes: never a statement's parameters, a prompt, a key, a header, a cookie or an address's query.
"""

import os
import threading
from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from gesso import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer

Kind = Literal["INTERNAL", "SERVER", "CLIENT", "CONSUMER"]
CLOSE_SECONDS = 3.0
STATEMENT_LIMIT = 1000

_provider: "TracerProvider | None" = None
_tracer: "Tracer | None" = None


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the standard variables ask for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return bool(environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def start(service: str) -> bool:
    """Switch tracing on for this process if the environment wants it. `service` names it unless OTEL_SERVICE_NAME does.

    Endpoint, headers, sampler and batching follow the standard OTEL_* variables.
    """
    global _provider, _tracer
    if _tracer is not None or not wanted():
        return _tracer is not None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    attributes = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or service, "service.version": __version__}
    # Closed by us: the SDK's own hook may hold up the end of the process for half a minute.
    _provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = _provider.get_tracer("gesso", __version__)
    return True


def close() -> None:
    """Send what is left, for a few seconds at most, and switch tracing off."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        closing = threading.Thread(target=provider.shutdown, name="close traces", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


class Span:
    """A span that is not recorded. Used as a context manager; an exception passing through marks it as failed."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        return None

    def set(self, name: str, value: str | int | float | bool) -> None:
        """Add an attribute."""

    def rename(self, name: str) -> None:
        """Give it another name, once more is known."""

    def fail(self, outcome: str) -> None:
        """Mark it as failed, for this reason."""


SILENT = Span()
"""What every span is while tracing is off."""


class _Recorded(Span):
    """A span of a trace. Errors are told by their type: a message may quote what nobody may see."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: "OtelSpan") -> None:
        self._span = span
        self._token: Any = None

    def __enter__(self) -> Self:
        from opentelemetry import context, trace

        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        from opentelemetry import context

        if kind is not None:
            self.fail(kind.__name__)
        context.detach(self._token)
        self._span.end()

    def set(self, name: str, value: str | int | float | bool) -> None:
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, outcome: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("error.type", outcome)
        self._span.set_status(Status(StatusCode.ERROR, outcome))


def span(name: str, kind: Kind = "INTERNAL", **attributes: str | int | float | bool) -> Span:
    """A part of the trace that is under way; nothing when there is none. In attributes' names `__` stands for a dot."""
    if _tracer is None:
        return SILENT
    from opentelemetry import trace

    if not trace.get_current_span().is_recording():
        return SILENT
    return _begin(name, kind, None, attributes)


def root(name: str, kind: Kind, parent: str | None, **attributes: str | int | float | bool) -> Span:
    """The first span of this process: of the trace named by the `traceparent` given, or of a new one."""
    if _tracer is None:
        return SILENT
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": parent} if parent else {}
    return _begin(name, kind, TraceContextTextMapPropagator().extract(carrier, Context()), attributes)


def _begin(name: str, kind: Kind, context: "Context | None", attributes: Mapping[str, Any]) -> Span:
    from opentelemetry.trace import SpanKind

    assert _tracer is not None
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    return _Recorded(_tracer.start_span(name, context, SpanKind[kind], named))


def statement(sql: str) -> Span:
    """A statement on its way to the database. `sql` holds placeholders, never values."""
    if _tracer is None:
        return SILENT
    return span(_summary(sql), "CLIENT", db__system__name="postgresql", db__query__text=_collapsed(sql))


@lru_cache(512)
def _collapsed(sql: str) -> str:
    return " ".join(sql.split())[:STATEMENT_LIMIT]


@lru_cache(512)
def _summary(sql: str) -> str:
    """Its first three words: "SELECT * FROM", "SELECT ledger_hold($1", "UPDATE output SET" """
    return " ".join(sql.split()[:3]).split("(")[0][:60]


def traceparent() -> str | None:
    """The current place in the trace (W3C Trace Context), to be written down for whoever goes on; None when off."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def trace_id() -> str | None:
    """The trace under way, as hex digits, for log lines; None when there is none."""
    if _tracer is None:
        return None
    from opentelemetry import trace

    found = trace.get_current_span().get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else None
