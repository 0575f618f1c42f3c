"""Error reports to Sentry, when SENTRY_DSN is set: every log line of level `error`, with its exception.

Nothing is collected by itself: no integrations, no requests, headers, cookies, bodies, local variables or
breadcrumbs. A report is a log line plus the places in the code; of an exception's text the first line, masked as
logs are, since later lines of database and validation errors quote values.
"""

import contextlib
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from gesso import __version__
from gesso.core import logs
from gesso.core.settings import Settings

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

TEXT_LIMIT = 300
CLOSE_SECONDS = 2.0
TAGS = ("request_id", "generation_id", "attempt_id", "workspace_id", "job", "schedule", "route", "trace_id")
_INNER = frozenset({"event", "level", "exc_info", "timestamp", "_record", "_from_structlog", "stack_info", *TAGS})
_REPORTED = "__gesso_reported__"


def start(settings: Settings, *, role: str) -> None:
    """Switch reports on for this process if there is a DSN."""
    dsn = settings.telemetry.sentry_dsn
    if dsn is None:
        return
    import sentry_sdk
    from sentry_sdk.integrations.dedupe import DedupeIntegration

    sentry_sdk.init(
        dsn=dsn.get_secret_value(),
        environment=settings.telemetry.sentry_environment or settings.site.env,
        release=settings.site.release or f"gesso@{__version__}",
        server_name=role,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[DedupeIntegration()],
        before_send=_scrubbed,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        send_client_reports=False,
        propagate_traces=False,
        enable_metrics=False,
        shutdown_timeout=CLOSE_SECONDS,
    )
    sentry_sdk.set_tag("role", role)
    logs.on_error(_report)


def close() -> None:
    """Send what is left, for a moment at most."""
    if "sentry_sdk" in sys.modules:
        import sentry_sdk

        logs.on_error(None)
        sentry_sdk.get_client().close(timeout=CLOSE_SECONDS)


def _report(line: MutableMapping[str, Any]) -> None:
    """Send one log line, unless the same exception was reported further in."""
    import sentry_sdk
    from sentry_sdk.utils import event_from_exception

    error = _exception(line.get("exc_info"))
    if error is not None:
        if getattr(error, _REPORTED, False):
            return
        with contextlib.suppress(AttributeError, TypeError):  # some take no attributes
            setattr(error, _REPORTED, True)
    report: Any = {}
    hint: dict[str, Any] = {}
    if error is not None:
        report, hint = event_from_exception(error, client_options=sentry_sdk.get_client().options)
    name = str(line.get("event", ""))
    report |= {
        "level": "error",
        "logentry": {"message": name},
        "tags": {tag: str(line[tag]) for tag in TAGS if line.get(tag) is not None},
        "extra": logs.mask({key: value for key, value in line.items() if key not in _INNER}),
        "fingerprint": [name, type(error).__name__ if error is not None else ""],
    }
    sentry_sdk.capture_event(report, hint)


def _exception(found: Any) -> BaseException | None:
    if isinstance(found, tuple):
        found = found[1]
    if found is True:
        found = sys.exception()
    return found if isinstance(found, BaseException) else None


def _scrubbed(event: "Event", _: "Hint") -> "Event":
    """The last look before a report leaves: what could hold a secret is dropped, the rest masked."""
    loose: dict[str, Any] = event  # type: ignore[assignment]
    for part in ("request", "user", "breadcrumbs", "modules", "spans"):
        loose.pop(part, None)
    for one in (loose.get("exception") or {}).get("values", ()):
        one["value"] = logs.redact(str(one.get("value") or "").split("\n", 1)[0])[:TEXT_LIMIT]
        for frame in (one.get("stacktrace") or {}).get("frames", ()):
            frame.pop("vars", None)
    for part in ("logentry", "extra", "tags"):
        if part in loose:
            loose[part] = logs.mask(loose[part])
    return event
