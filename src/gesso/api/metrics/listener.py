"""A port of its own for `/metrics`, which several processes of one machine share out among themselves.

Each takes the first free one from GESSO_METRICS_PORT on and notes it in `metrics/` of the data folder, in
Prometheus's own format (`file_sd_configs`). A note is named by its port, so whoever takes the port of a process that
was killed takes its note as well.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import structlog
import uvicorn

from gesso.api.metrics.exposition import Exposition
from gesso.core.settings import Settings

log = structlog.get_logger()

PORTS = 20


class _Server(uvicorn.Server):
    """uvicorn's server beside another: signals are not its business."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


@contextlib.asynccontextmanager
async def listening(settings: Settings, exposition: Exposition, *, role: str) -> AsyncIterator[None]:
    """Serve the metrics on their own port for as long as the block lasts, where one is set."""
    if settings.telemetry.port is None:
        yield
        return
    door = _bound(settings.telemetry.host, settings.telemetry.port)
    if door is None:
        log.error("metrics.no_port", first=settings.telemetry.port, tried=PORTS)
        yield
        return
    host, port = door.getsockname()[:2]
    config = uvicorn.Config(
        exposition, log_config=None, access_log=False, server_header=False, lifespan="off", ws="none",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[door]), name="metrics")
    note = _note(settings.site.data_dir, host, port, role)
    log.info("metrics.listening", port=port)
    try:
        yield
    finally:
        if note is not None:
            note.unlink(missing_ok=True)
        server.should_exit = True
        await asyncio.wait({serving}, timeout=3)


def _bound(host: str, first: int) -> socket.socket | None:
    """A socket on the first free port, or None."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(first, min(first + PORTS, 65536)):
        door = socket.socket(family)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((host, port))
            door.listen(16)
        except OSError:
            door.close()
        else:
            door.setblocking(False)
            return door
    return None


def _note(data_dir: Path, host: str, port: int, role: str) -> Path | None:
    """Say where we are, for collectors on this machine; None where the data folder is read-only."""
    path = data_dir / "metrics" / f"{port}.json"
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    draft = path.with_suffix(".draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps([{"targets": [target], "labels": {"role": role}}]))
        draft.replace(path)
    except OSError as error:
        log.info("metrics.not_noted", error=type(error).__name__)
        return None
    return path
