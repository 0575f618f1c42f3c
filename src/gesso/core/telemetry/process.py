"""Switch on what the settings ask for, when a process starts, and off when it ends."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from gesso.core.settings import Settings
from gesso.core.telemetry import product, reports, tracing

log = structlog.get_logger()


@contextmanager
def telling(settings: Settings, *, role: str) -> Iterator[None]:
    """Traces, error reports and product events of a process, as far as they are set up, while the block lasts.

    `role` is what the process does: "web" or "worker". Ending takes a few seconds at most, whoever is dead.
    """
    traces = tracing.start(f"gesso-{role}")
    reports.start(settings, role=role)
    product.start(settings.telemetry, secret=settings.secret_key)
    if traces:
        log.info("telemetry.traces_on")
    try:
        yield
    finally:
        product.close()
        reports.close()
        tracing.close()
