"""Structured logs. Secrets are masked by name and by shape before anything is written."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from gesso.core.settings import LogSettings

_SECRET_NAMES = re.compile(r"(key|secret|token|password|authorization|cookie|credential)", re.IGNORECASE)
_HARMLESS_NAMES = frozenset({"key_id", "client_key", "storage_key", "model_key", "idempotency_key", "dedupe_key"})
_SECRET_SHAPES = re.compile(
    r"(?i)\b(?:bearer|key|basic)\s+[A-Za-z0-9_\-.:=+/]{12,}|\b(?:sk|pk|rk|whsec)[-_][A-Za-z0-9_\-]{12,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
MASK = "•••"


def redact(text: str) -> str:
    """`text` with everything that looks like a credential masked."""
    return _SECRET_SHAPES.sub(MASK, text)


def _mask(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            hide = _SECRET_NAMES.search(name) and name not in _HARMLESS_NAMES
            event[name] = MASK if hide and name != "event" else redact(value)
    return event


def setup_logging(settings: LogSettings) -> None:
    """Route structlog and the standard library's logging to one masked stream on stderr."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for noisy in ("uvicorn.access", "httpx2", "httpcore2", "pgqueuer", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
