"""Use of the embedded server: hold its lock, start its supervisor when there is none, know its address."""

import asyncio
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import quote

import structlog

from gesso.db.embedded import supervisor

log = structlog.get_logger()

START_TIMEOUT_SECONDS = 60.0


class EmbeddedPostgresError(Exception):
    """The embedded server did not start. The text holds the end of its log."""


class EmbeddedPostgres:
    """A server in `folder`, running for as long as any process holds one of these open.

    `options` are settings such as "fsync=off"; they matter only to the process that starts the server.
    """

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        self.folder = folder.resolve()
        self.options = tuple(options)
        self._users: IO[str] | None = None

    def start(self) -> None:
        """Make sure that the server answers. Safe from many processes at once. Raises EmbeddedPostgresError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._users is None:
            self._users = (self.folder / "users.lock").open("a")
            fcntl.flock(self._users, fcntl.LOCK_SH)
        with (self.folder / "start.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            deadline = time.monotonic() + START_TIMEOUT_SECONDS
            process: subprocess.Popen[bytes] | None = None
            while not self.running():
                if process is None or process.poll() is not None:
                    if time.monotonic() > deadline or (process is not None and process.returncode):
                        raise EmbeddedPostgresError(f"The embedded PostgreSQL did not start.\n{self._log_end()}")
                    process = self._spawn()
                time.sleep(0.02)

    def running(self) -> bool:
        """Whether the server answers now, under a supervisor that lives.

        The file of one that was killed still stands there, and its server may answer while it ends.
        """
        try:
            state = json.loads((self.folder / "server.json").read_text())
            os.kill(state["supervisor"], 0)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return False
        except PermissionError:
            pass  # alive, and another user's
        return supervisor.accepting(state["port"])

    async def keep_running(self) -> None:
        """Start a new supervisor whenever the old one was killed. Runs until cancelled."""
        while True:
            await asyncio.sleep(0.5)
            if not await asyncio.to_thread(self.running):
                try:
                    await asyncio.to_thread(self.start)
                except EmbeddedPostgresError as error:
                    log.error("embedded_postgres.down", detail=str(error))

    def url(self, database: str = "postgres") -> str:
        """`postgresql://` address of a database as the superuser, which owns everything here."""
        port = json.loads((self.folder / "server.json").read_text())["port"]
        password = quote((self.folder / "password").read_text().strip(), safe="")
        return f"postgresql://{supervisor.SUPERUSER}:{password}@127.0.0.1:{port}/{database}"

    def close(self) -> None:
        """Stop using the server; it ends a second after its last user."""
        if self._users is not None:
            self._users.close()
            self._users = None

    def _spawn(self) -> subprocess.Popen[bytes]:
        with (self.folder / "server.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, supervisor.__file__, str(self.folder), *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _log_end(self) -> str:
        lines = (self.folder / "server.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-15:])
