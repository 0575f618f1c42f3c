"""A folder in memory for what a run makes in masses: made by the process that starts it, gone when it ends.

A database is eight hundred small files, and a run makes hundreds: on a disk each costs 0.4 s of processor time, in
memory a tenth of it. Where there is no `/dev/shm`, or little room in it, the server stays on the disk.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

ROOT = Path("/dev/shm")
NEEDED = 3 * 2**30
"""Bytes to be free, in the folder and in memory: a run needs half a gigabyte."""
_NAME = "gesso-tests-"
_VARIABLE = "GESSO_TESTS_MEMORY"


def make() -> None:
    """Make the folder of this run and tell the processes that it starts."""
    _remove_left_behind()
    os.environ.pop(_VARIABLE, None)
    if _enough():
        folder = ROOT / f"{_NAME}{os.getpid()}"
        folder.mkdir()
        folder.chmod(0o755)  # the server runs as another user when the tests run as root
        os.environ[_VARIABLE] = str(folder)


def folder() -> Path | None:
    """The folder of this run, if there is one."""
    found = os.environ.get(_VARIABLE)
    return Path(found) if found else None


def keep_bytecode() -> None:
    """Where Python may not write bytecode beside its sources, let the processes that tests start share theirs here.

    Each compiles half a second's worth of sources otherwise. This process goes on as it was started.
    """
    found = folder()
    if found is not None and sys.dont_write_bytecode:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(found / "bytecode")


def remove() -> None:
    """Stop the server and remove the folder."""
    found = folder()
    if found is None:
        return
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        state = json.loads((found / "postgres/server.json").read_text())
        os.kill(state["supervisor"], signal.SIGTERM)
        deadline = time.monotonic() + 30
        while Path(f"/proc/{state['pid']}").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    shutil.rmtree(found, ignore_errors=True)


def _enough() -> bool:
    try:
        room = os.statvfs(ROOT)
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return False
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    return room.f_bavail * room.f_frsize >= NEEDED and available >= NEEDED


def _remove_left_behind() -> None:
    """What runs that were killed have left."""
    for found in ROOT.glob(f"{_NAME}*"):
        if not Path(f"/proc/{found.name.removeprefix(_NAME)}").exists():
            shutil.rmtree(found, ignore_errors=True)
