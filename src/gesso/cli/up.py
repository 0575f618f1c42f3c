"""`gesso up`: the whole product in one terminal. Starts the parts, restarts one that dies, stops them all."""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx2
from rich.panel import Panel

from gesso.billing.till import WEBHOOK_PATH, sandbox_webhook_secret
from gesso.cli.common import console, database_server, errors, fail, owner_url, sandbox_note, settings_or_fail
from gesso.cli.setup import prepare_database
from gesso.cli.storage import require_storage
from gesso.core.settings import Settings
from gesso.db.embedded import EmbeddedPostgres

HEALTHY_TIMEOUT_SECONDS = 60.0
STOP_SLACK_SECONDS = 10.0
"""Beyond what web and worker grant their work: for the hand-over, and something over."""
_PR_SET_PDEATHSIG = 1
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104


@dataclass
class Part:
    """One process of the product, kept running."""

    name: str
    arguments: Sequence[str]
    environment: dict[str, str]
    process: asyncio.subprocess.Process | None = None
    restarts: list[float] = field(default_factory=list)

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *self.arguments,
            env={**os.environ, **self.environment}, start_new_session=True, preexec_fn=_die_with_parent,
        )  # fmt: skip

    async def keep(self, stopping: asyncio.Event) -> None:
        """Restart the process whenever it dies by itself, at most five times in half a minute."""
        while not stopping.is_set():
            assert self.process is not None
            code = await self.process.wait()
            if stopping.is_set():
                return
            now = time.monotonic()
            self.restarts = [moment for moment in self.restarts if moment > now - 30] + [now]
            if len(self.restarts) > 5:
                errors.print(f"[bold red]gesso:[/] {self.name} keeps ending (exit code {code}); stopping everything.")
                stopping.set()
                return
            errors.print(f"[yellow]gesso:[/] {self.name} ended (exit code {code}); starting it again.")
            await asyncio.sleep(0.3)
            if not stopping.is_set():  # one started now would miss the signal that stops the others
                await self.start()

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


def up(port: int | None, edition: str | None) -> None:
    """Run database, migrations, sandbox, web and worker until Ctrl-C."""
    settings = settings_or_fail(port=port, edition=edition)
    _require_free(settings.site.host, settings.site.port)
    require_storage(settings)
    with database_server(settings) as (ready, server):
        code = asyncio.run(_run(ready, server))
    raise SystemExit(code)


async def _run(settings: Settings, server: EmbeddedPostgres | None) -> int:
    begun = time.monotonic()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    parts: list[Part] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _asked_to_stop, stopping, parts, number)
    sandbox_port = _sandbox_port(settings) if _needs_sandbox(settings) else None
    environment = _environment(settings, sandbox_port)
    with console.status("Preparing the database …"):
        await prepare_database(settings)
    if sandbox_port is not None:
        parts.append(Part("sandbox", ["gesso.sandbox", "--port", str(sandbox_port)], environment))
    parts += [
        Part("web", ["gesso", "serve"], environment),
        Part("worker", ["gesso", "work"], environment),
    ]
    for part in parts:
        await part.start()
    if sandbox_port is not None:
        sandbox_note(settings).write_text(environment["GESSO_SANDBOX_URL"])
    keepers = [asyncio.create_task(part.keep(stopping)) for part in parts]
    if server is not None:
        keepers.append(asyncio.create_task(server.keep_running()))
    try:
        healthy = await _until_healthy(settings, stopping)
        if healthy:
            _announce(settings, sandbox_port, time.monotonic() - begun)
        await stopping.wait()
    finally:
        await _stop(parts, _stop_seconds(settings))
        sandbox_note(settings).unlink(missing_ok=True)
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
    return 0 if healthy and not any(len(part.restarts) > 5 for part in parts) else 1


def _environment(settings: Settings, sandbox_port: int | None) -> dict[str, str]:
    """What the parts must know that is not in our own environment."""
    environment = {
        "DATABASE_URL": owner_url(settings),
        "GESSO_SECRET_KEY": settings.secret_key,
        "GESSO_PORT": str(settings.site.port),
        "GESSO_EDITION": settings.site.edition,
        "GESSO_DATA_DIR": str(settings.site.data_dir.resolve()),
    }
    if sandbox_port is not None:
        environment["GESSO_SANDBOX_URL"] = f"http://127.0.0.1:{sandbox_port}"
        folder = settings.sandbox.folder or settings.site.data_dir / "sandbox"
        environment["GESSO_SANDBOX_FOLDER"] = str(folder.resolve())  # work under way outlives its restart, too
        if settings.sandbox.payment_webhook is None:
            environment["GESSO_SANDBOX_STRIPE_WEBHOOK_URL"] = f"{_web_origin(settings)}{WEBHOOK_PATH}"
            environment["GESSO_SANDBOX_STRIPE_WEBHOOK_SECRET"] = sandbox_webhook_secret(settings)
    return environment


def _needs_sandbox(settings: Settings) -> bool:
    """In development the sandbox stands in for every provider without a key."""
    return settings.site.development and settings.site.sandbox_url is None


async def _until_healthy(settings: Settings, stopping: asyncio.Event) -> bool:
    deadline = time.monotonic() + HEALTHY_TIMEOUT_SECONDS
    async with httpx2.AsyncClient(timeout=2) as client:
        while time.monotonic() < deadline and not stopping.is_set():
            with contextlib.suppress(httpx2.HTTPError):
                if (await client.get(f"{_web_origin(settings)}/readyz")).status_code == 200:
                    return True
            await asyncio.sleep(0.1)
    if not stopping.is_set():
        errors.print(f"[bold red]gesso:[/] the product did not become ready in {HEALTHY_TIMEOUT_SECONDS:.0f} s.")
        stopping.set()
    return False


def _web_origin(settings: Settings) -> str:
    """Where this machine itself finds the web server."""
    host = "127.0.0.1" if settings.site.host in _WILDCARDS else settings.site.host
    return f"http://{host}:{settings.site.port}"


def _announce(settings: Settings, sandbox_port: int | None, seconds: float) -> None:
    lines = [f"[bold]{settings.site.url}[/]   ready after {seconds:.1f} s"]
    if sandbox_port is not None:
        lines.append(f"Pictures without a key come from the sandbox: http://127.0.0.1:{sandbox_port}")
    lines.append("Ctrl-C stops everything.")
    console.print(Panel("\n".join(lines), title="gesso", title_align="left", border_style="magenta", expand=False))


def _asked_to_stop(stopping: asyncio.Event, parts: Sequence[Part], number: int) -> None:
    """The first Ctrl-C asks the parts, the second ends them at once."""
    if stopping.is_set():
        for part in parts:
            part.signal(number)
    stopping.set()


def _stop_seconds(settings: Settings) -> float:
    """What the slower of web and worker may take to stop."""
    web = settings.drain_seconds + settings.web.finish_seconds
    return max(web, settings.worker_grace_seconds) + STOP_SLACK_SECONDS


async def _stop(parts: Sequence[Part], seconds: float) -> None:
    """Web and worker first, the sandbox last, so that running work can still hand over."""
    ordered = [part for part in parts if part.name != "sandbox"], [part for part in parts if part.name == "sandbox"]
    for group in ordered:
        for part in group:
            part.signal(signal.SIGTERM)
        waits = [part.process.wait() for part in group if part.process is not None]
        try:
            await asyncio.wait_for(asyncio.gather(*waits), seconds)
        except TimeoutError:
            for part in group:
                part.signal(signal.SIGKILL)


def _die_with_parent() -> None:
    """In the child: end when `gesso up` was killed, so that nothing is left running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            fail(f"Port {port} on {host} is taken. Stop what uses it, or choose another: GESSO_PORT={port + 1} make up")


def _sandbox_port(settings: Settings) -> int:
    """The port the sandbox had last time, if it can be had again: what was under way before a restart is asked
    for at the address it was handed to, and nowhere else."""
    kept = settings.site.data_dir / "sandbox.port"
    with contextlib.suppress(OSError, ValueError, OverflowError):
        return _bound(int(kept.read_text()))
    port = _bound(0)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(str(port))
    return port


def _bound(port: int) -> int:
    """`port` itself, or a free one for 0. Raises OSError or OverflowError when it cannot be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])
