"""A process that has imported the product and forks its parts on request, so that a restart costs milliseconds.

Run as `python -m chaos.nursery SOCKET-FD`. It imports, and starts nothing: no thread, no event loop, no
connection. Each child is a real process that runs the real command (`gesso serve`, `gesso work`, the sandbox)
with an environment and a log file of its own; it is killed, paused and reaped like any other.

One JSON object a line, both ways: `{"arguments", "environment", "log"}` is answered by `{"born": pid}`; whenever a
child has died, `{"dead": pid, "status": wait status}` comes.
"""

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def _command() -> Callable[[list[str]], None]:
    """Import everything a part will need; the function that runs one `gesso` command."""
    import gesso.app
    import gesso.cli.serve
    import gesso.sandbox.app
    import gesso.worker  # noqa: F401
    from gesso.cli.main import app
    from gesso.sandbox.painter import encode, paint

    encode(paint("dunes", seed=1, width=64, height=64), "jpeg")  # numpy and Pillow load some of theirs on first use
    return lambda arguments: app(arguments, prog_name="gesso")


def _raise(command: Callable[[list[str]], None], wish: Mapping[str, Any], keep_closed: list[int]) -> None:
    """In the child: become the part. Never returns."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in keep_closed:
            os.close(descriptor)
        log = os.open(wish["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        os.environ.update(wish["environment"])
        command(wish["arguments"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - told in the log; the process ends in any case
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Serve wishes until the other end of the socket closes; then every child dies with this process."""
    line = socket.socket(fileno=int(sys.argv[1]))
    command = _command()
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        raise SystemExit("the nursery has threads; a fork would leave their locks behind")
    woken, wake = os.pipe()
    for descriptor in (woken, wake):
        os.set_blocking(descriptor, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.set_wakeup_fd(wake)
    gc.collect()
    gc.freeze()  # what was imported is never collected, so its pages stay shared
    line.sendall(b'{"ready": true}\n')
    pending = b""
    while True:
        readable, _, _ = select.select([line.fileno(), woken], [], [])
        if woken in readable:
            os.read(woken, 4096)
            _report_deaths(line)
        if line.fileno() in readable:
            received = line.recv(1 << 16)
            if not received:
                return
            *wishes, pending = (pending + received).split(b"\n")
            for wish in map(json.loads, wishes):
                pid = os.fork()
                if pid == 0:
                    _raise(command, wish, [line.fileno(), woken, wake])
                line.sendall(json.dumps({"born": pid}).encode() + b"\n")


def _report_deaths(line: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            line.sendall(json.dumps({"dead": found[0], "status": found[1]}).encode() + b"\n")


class Nursery:
    """This side of the socket. Births are answered in order; a death runs its callback once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._births: asyncio.Queue[int] = asyncio.Queue()
        self._asking = asyncio.Lock()
        self._died: dict[int, Callable[[int], None]] = {}
        self._early: dict[int, int] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, log: Path) -> AsyncIterator["Nursery"]:
        """A nursery, from when it has imported everything; at the end all its children are gone."""
        ours, theirs = socket.socketpair()
        with log.open("ab") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "chaos.nursery", str(theirs.fileno())],
                pass_fds=[theirs.fileno()], cwd=Path(__file__).parents[1], stdin=subprocess.DEVNULL,
                stdout=sink, stderr=sink, start_new_session=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        found = cls(reader, writer)
        try:
            async with asyncio.timeout(150):
                if not await reader.readline():
                    raise RuntimeError(f"the nursery did not start; see {log}")
            listening = asyncio.create_task(found._listen())
            try:
                yield found
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
        finally:
            writer.close()
            await asyncio.to_thread(process.wait, 60)

    async def birth(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: Path, died: Callable[[int], None]
    ) -> int:
        """Fork a process that runs `gesso ARGUMENTS`. `died(wait status)` is called when it has ended. The pid."""
        async with self._asking:
            wish = {"arguments": list(arguments), "environment": dict(environment), "log": str(log)}
            self._writer.write(json.dumps(wish).encode() + b"\n")
            pid = await self._births.get()
        if pid in self._early:
            died(self._early.pop(pid))
        else:
            self._died[pid] = died
        return pid

    async def _listen(self) -> None:
        while line := await self._reader.readline():
            told = json.loads(line)
            if "born" in told:
                self._births.put_nowait(told["born"])
            elif (died := self._died.pop(told["dead"], None)) is not None:
                died(told["status"])
            else:
                self._early[told["dead"]] = told["status"]


if __name__ == "__main__":
    main()
