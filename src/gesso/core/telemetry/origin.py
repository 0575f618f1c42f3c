"""Where work came from, written down with it, so that whoever continues it elsewhere can name the same request."""

from contextvars import ContextVar
from typing import Any

import structlog

from gesso.core.telemetry import tracing

untracked: ContextVar[bool] = ContextVar("untracked", default=False)
"""Whether the person of this request asked not to be tracked (DNT, Sec-GPC)."""


def current() -> dict[str, Any] | None:
    """The request, the trace and the wish not to be tracked of what runs now, as JSON; None when there is nothing."""
    found: dict[str, Any] = {}
    if request_id := structlog.contextvars.get_contextvars().get("request_id"):
        found["request_id"] = request_id
    if parent := tracing.traceparent():
        found["traceparent"] = parent
    if untracked.get():
        found["untracked"] = True
    return found or None
