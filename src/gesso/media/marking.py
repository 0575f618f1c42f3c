"""Having a film marked by a program of its own (`marked_film`): a few at a time, with an end to all it may take.

Nothing is stored and nothing is paid for until the film is back, so a worker may die meanwhile: the next one fetches
the film and begins again.
"""

import asyncio
import os
import sys
import time
from contextlib import suppress

import structlog

from gesso.core import crashpoints
from gesso.core.telemetry import metrics, tracing
from gesso.media.containers import HostileFile
from gesso.media.video import DAMAGED, LENGTH

log = structlog.get_logger()

SECONDS = 900.0
"""What one film may take, a few minutes of 1080p on a busy machine; it has half an hour in all, at least."""
TRIES = 2
"""A program that was killed, for memory most likely, may have more luck when it is alone."""
_PIECE = 2**20
_INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_NOT_MARKED = "It could not be given the site's mark, which your plan's videos carry."


class Marking:
    """Marks films, `at_once` of them side by side; others wait their turn. One per worker process."""

    def __init__(self, at_once: int, *, seconds: float = SECONDS) -> None:
        self._room = asyncio.Semaphore(at_once)
        self._seconds = seconds

    async def mark(self, data: bytes, words: str) -> bytes:
        """The film as MP4 with the mark of `words`.

        Raises `HostileFile` where it cannot be read to its end, or where marking it takes more than is given to it: a
        film that should carry a mark is not delivered without one. Cancelled, it leaves no process behind.
        """
        begun, outcome = time.perf_counter(), "failed"
        try:
            with tracing.span("ingest", gesso__source="mark"):
                marked = await self._mark(data, words)
            outcome = "taken"
        except HostileFile:
            outcome = "refused"
            raise
        finally:
            metrics.INGEST_SECONDS.labels("mark", outcome).observe(time.perf_counter() - begun)
        return marked

    async def _mark(self, data: bytes, words: str) -> bytes:
        for left in reversed(range(TRIES)):
            async with self._room:
                code, answer = await self._run(data, words)
            if code == 0:
                return answer
            if code == DAMAGED:
                raise HostileFile(answer.decode())
            # a negative code is the signal that ended it
            killed = code is not None and code < 0
            error = "killed" if killed else answer.decode(errors="replace")[:80] or "timeout"
            log.warning("film.not_marked", error=error, code=code, bytes=len(data), again=bool(killed and left))
            if not killed:
                break
        raise HostileFile(_NOT_MARKED)

    async def _run(self, data: bytes, words: str) -> tuple[int | None, bytes]:
        """Exit code and answer of the program; None as code where its time ran out."""
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "gesso.media.marked_film", words,
            env=environment | {"OPENBLAS_NUM_THREADS": "1"},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._seconds):
                answer = await _talk(process, data)
                return await process.wait(), answer
        except TimeoutError:
            return None, b""
        finally:
            if process.returncode is None:
                process.kill()
                await asyncio.shield(process.wait())


async def _talk(process: asyncio.subprocess.Process, data: bytes) -> bytes:
    """Give it the film, and read until it has said all. Its standard input stays open: see `marked_film`."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(BrokenPipeError, ConnectionResetError):  # it ended early: its code says why
        process.stdin.write(LENGTH.pack(len(data)))
        for start in range(0, len(data), _PIECE):
            process.stdin.write(data[start : start + _PIECE])
            await process.stdin.drain()
        crashpoints.reach("film.marking")
    return await process.stdout.read()
