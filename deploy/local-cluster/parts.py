"""One process of the cluster: started, asked to stop, killed, and never left behind."""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_OURS = ("GESSO_", "DATABASE_URL", "AWS_", "FAL_", "PG")
"""What the caller's environment may hold that would make this another installation."""


class ClusterError(Exception):
    """The cluster cannot start or a part does not do as it should. The text is a sentence."""


@dataclass
class Part:
    """A program with its environment, its log and, while it runs, its process."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it. What it says is added to its log."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, env={**kept, **self.environment}, stdout=log, stderr=log,
                stdin=asyncio.subprocess.DEVNULL, start_new_session=True, preexec_fn=_end_with_parent,
            )  # fmt: skip

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def stop(self, seconds: float) -> float:
        """SIGTERM, and wait for the end. Returns how long that took. Raises ClusterError when it does not end well."""
        assert self.process is not None
        begun = time.monotonic()
        self._signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(self.process.wait(), seconds)
        except TimeoutError:
            raise ClusterError(f"{self.name} did not end within {seconds:.0f} s; see {self.log}") from None
        if code != 0:
            raise ClusterError(f"{self.name} ended with code {code}; see {self.log}")
        return time.monotonic() - begun

    async def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self._signal(signal.SIGKILL)
        await self.process.wait()

    async def clear_away(self) -> None:
        """End it by all means, at the end of everything."""
        if self.process is not None:
            self._signal(signal.SIGINT)  # as Ctrl-C: without draining
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), 3)
            if self.process.returncode is None:
                await self.kill()

    async def until(self, holds: Callable[[], Awaitable[bool]], seconds: float, what: str) -> float:
        """Wait until `holds`. Returns how long that took. Raises ClusterError when it ends or takes too long."""
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            if await holds():
                return time.monotonic() - begun
            if not self.running:
                break
            await asyncio.sleep(0.05)
        end = "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
        raise ClusterError(f"{self.name} is not {what} after {time.monotonic() - begun:.0f} s:\n{end}")

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


def free_port() -> int:
    """A port of loopback that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def listening(port: int) -> bool:
    """Whether something takes connections there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _end_with_parent() -> None:
    """In the child: end when the script was killed, so that nothing is left running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
