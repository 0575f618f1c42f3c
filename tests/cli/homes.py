"""The real `gesso` command, as an operator types it, on a data folder of its own."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from typer.testing import CliRunner

from gesso.cli import common
from gesso.cli.main import app
from gesso.db.embedded import EmbeddedPostgres

GESSO = str(Path(sys.executable).parent / "gesso")
_OURS = ("DATABASE_URL", "GESSO_", "FAL_", "PYTEST_")


@dataclass
class Home:
    """An installation: its data folder, and what is in the environment of its commands."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        sandbox = {"GESSO_SANDBOX_PAINT_SECONDS": "0", "GESSO_SANDBOX_PAINTERS": "0"}
        return {**kept, "GESSO_DATA_DIR": str(self.folder), "COLUMNS": "200", **sandbox}

    def gesso(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [GESSO, *arguments], env=self.environment | environment, capture_output=True, text=True, timeout=180
        )

    def typed(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The same without a process of its own: twenty times as fast, with the tests' own logging."""
        wanted = self.environment | environment
        given: dict[str, str | None] = {**dict.fromkeys(os.environ), **wanted}
        with (
            mock.patch("gesso.cli.common.setup_logging"),
            mock.patch.object(common.console, "_width", 200),
            mock.patch.object(common.errors, "_width", 200),
        ):
            # in a thread, since a command has an event loop of its own, and the test may have one already
            with ThreadPoolExecutor(1) as thread:
                done = thread.submit(CliRunner().invoke, app, list(arguments), env=given).result()
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def start(self, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """Start a command that goes on."""
        with log.open("wb") as file:
            return subprocess.Popen(
                [GESSO, *arguments], env=self.environment, stdout=file, stderr=file, start_new_session=True
            )

    def database_url(self) -> str:
        """The owner's address of the embedded database, which must be running."""
        return EmbeddedPostgres(self.folder / "postgres").url("gesso")


def said(done: subprocess.CompletedProcess[str], code: int, *words: str) -> str:
    """The words of a command, checked for its exit code and for what it must say. No traceback ever."""
    text = done.stdout + done.stderr
    assert done.returncode == code, text
    assert "Traceback" not in text and all(word in text for word in words), text
    return text


def make_home(base: Path) -> Home:
    """A folder with a space in its name, which the database's own user can reach when the tests run as root."""
    for path in (base, *list(base.parents)[:2]):
        path.chmod(0o755)
    return Home(base / "my data")
