"""Structured logs. Secrets are masked by name and by shape before anything is written."""

import json
import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import SecretStr

from gesso.core.settings import LogSettings
from gesso.core.telemetry import tracing

_SECRET_NAMES = re.compile(r"(key|secret|token|password|authorization|cookie|credential|dsn)", re.IGNORECASE)
_HARMLESS_NAMES = frozenset(
    {
        "key_id", "client_key", "storage_key", "model_key", "idempotency_key", "dedupe_key", "idempotency_keys",
        "event",
    }
)  # fmt: skip
_SECRET_SHAPES = re.compile(
    r"(?i)\b(?:bearer|key|basic)\s+[A-Za-z0-9_\-.:=+/]{12,}|\b(?:sk|pk|rk|whsec)[-_][A-Za-z0-9_\-]{12,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?<=[?&])(?:[\w.-]*(?:token|key|signature|secret|password|credential)|sig|code|state|call)=[^&\s'\"]+"
    r"|\b(?:cookie|set-cookie|authorization)\b['\"]?\s*[:=]\s*['\"]?[^\s'\"]+"
)
# What databases and validators quote in their errors: whole rows, what somebody typed.
_QUOTED_VALUES = re.compile(r"(?<=DETAIL:)[^\n]+|(?<=input_value=).+?(?=, input_type=)", re.DOTALL)
MASK = "•••"
_DEPTH = 6

_tell_of_errors: Callable[[MutableMapping[str, Any]], None] | None = None


def redact(text: str) -> str:
    """`text` with everything that looks like a credential masked, and what errors quote of rows and input."""
    return _QUOTED_VALUES.sub(MASK, _SECRET_SHAPES.sub(MASK, text))


def mask(fields: Mapping[str, Any], depth: int = _DEPTH) -> dict[str, Any]:
    """A log line's fields, down into lists and mappings: masked by name, and by shape wherever a text stands.

    What lies deeper than `depth` becomes a text.
    """
    return {name: _masked(name, value, depth) for name, value in fields.items()}


def _masked(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, SecretStr) or (name not in _HARMLESS_NAMES and _SECRET_NAMES.search(name)):
        return MASK
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping) and depth:
        return {str(key): _masked(str(key), item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [_masked("", item, depth - 1) for item in value]
    return redact(str(value))


def on_error(tell: Callable[[MutableMapping[str, Any]], None] | None) -> None:
    """Hand every line of level `error` or worse to `tell` as well, not yet masked; None stops that."""
    global _tell_of_errors
    _tell_of_errors = tell


def _tell(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if _tell_of_errors is not None and event.get("level") in ("error", "critical"):
        try:
            _tell_of_errors(event)
        except Exception as error:  # noqa: BLE001 - whoever is told must not keep the line from being written
            event["untold"] = type(error).__name__
    return event


def _trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if (found := tracing.trace_id()) is not None:
        event["trace_id"] = found
    return event


def _plain(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.pop("color_message", None)  # uvicorn says the same once more, in colours
    return event


def _mask(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if not name.startswith("_"):  # the library's own, taken out before the line is written
            event[name] = _masked(name, value, _DEPTH)
    return event


def setup_logging(settings: LogSettings) -> None:
    """Route structlog and the standard library's logging to one masked stream on stderr."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _plain,
        _trace,
        _tell,
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
    for noisy in ("uvicorn.access", "httpx2", "httpcore2", "pgqueuer", "asyncio", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def access_writer(settings: LogSettings) -> Callable[[Mapping[str, Any]], None] | None:
    """What writes the one line of a request, or None when the settings do not want it.

    Past the general path, since it is on every request's: the fields are the web server's own (a route's pattern,
    numbers, ids), so that there is nothing to mask.
    """
    if not settings.access or settings.level in ("warning", "error"):
        return None
    as_json = settings.format == "json"

    def write(fields: Mapping[str, Any]) -> None:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        if as_json:
            line = json.dumps({"event": "request", "level": "info", "timestamp": now, **fields})
        else:
            line = f"{now} [info     ] request " + " ".join(f"{name}={value}" for name, value in fields.items())
        sys.stderr.write(line + "\n")

    return write
