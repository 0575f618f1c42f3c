"""`gesso up`: one command from nothing to a picture, through kill -9 of each part, to Ctrl-C."""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import gesso
from tests.cast import PASSWORD
from tests.cli.homes import Home, make_home, said

pytestmark = pytest.mark.crash

PATIENCE = 150.0
"""For everything that is waited for, in seconds: many times what it takes, since a machine may be busy."""


class Up:
    """`gesso up`, running."""

    def __init__(self, home: Home, port: int) -> None:
        self.home, self.port = home, port
        self.url = f"http://127.0.0.1:{port}"
        self.log = home.folder.parent / "up.log"
        self.process = home.start("up", "--port", str(port), log=self.log)

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """The first true value of `holds()`. Errors of the network count as not yet."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx2.HTTPError):
                if found := holds():
                    return found
            time.sleep(0.2)
        raise AssertionError(f"{what} not within {PATIENCE} s:\n{self.log.read_text()[-4000:]}")

    def ready(self) -> bool:
        return httpx2.get(f"{self.url}/readyz", timeout=20).status_code == 200

    def part(self, command: str) -> int | None:
        """The process of `serve` or `work`."""
        for pid in descendants(self.process.pid):
            arguments = command_of(pid)
            if command in arguments and "-m" in arguments:
                return pid
        return None

    def server(self) -> int | None:
        """PostgreSQL's main process."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(json.loads((self.home.folder / "postgres" / "server.json").read_text())["pid"])
        return None


def command_of(pid: int) -> list[str]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def descendants(root: int) -> list[int]:
    """All processes under `root`, itself first."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += parents.get(pid, [])
    return found


def of_this_home(home: Home) -> set[int]:
    """Every process whose environment or command names the data folder."""
    wanted = str(home.folder).encode()
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes():
                    found.add(int(entry.name))
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_up_from_nothing_to_ctrl_c(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    first = Up(home, free_port())
    with stopped_at_the_end(first):
        first.until(lambda: first.server() and first.part("work"), "its parts")
        first.process.kill()
        first.process.wait()
        first.until(lambda: not of_this_home(home), "nothing left running")
    up = Up(home, free_port())
    with stopped_at_the_end(up):
        up.until(up.ready, "ready, from where the one before was killed")
        with httpx2.Client(base_url=up.url, timeout=60) as bea:
            the_whole_way(up, bea)
            what_is_beside_it(up)
            kill_everything_once(up, bea)
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(PATIENCE) == 0, up.log.read_text()
        up.until(lambda: not of_this_home(home), "nothing left running")
        assert "Traceback" not in up.log.read_text()


@contextlib.contextmanager
def stopped_at_the_end(up: Up) -> Iterator[None]:
    """Leave nothing behind when the test fails."""
    try:
        yield
    finally:
        for pid in descendants(up.process.pid) if up.process.poll() is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def the_whole_way(up: Up, bea: httpx2.Client) -> None:
    """Healthy, an account, a picture."""
    assert bea.get("/healthz").json() == {"status": "ok", "release": gesso.__version__}
    readiness = bea.get("/readyz").json()
    seen = readiness.pop("workers")
    assert seen in (1, 2), "the worker of the product killed before counts until its minute is over"
    assert readiness == {"status": "ready", "database": "ok", "storage": "ok", "draining": False}
    account = {"email": "bea@example.test", "name": "Bea", "password": PASSWORD}
    assert bea.post("/api/auth/signup", json=account).status_code == 201
    picture_arrives(up, bea)


def picture_arrives(up: Up, bea: httpx2.Client) -> None:
    asked = {"model": "juggernaut-lightning", "prompt": "a lighthouse at dusk sandbox:small", "count": 1}
    generation = bea.post("/api/generate/image", json=asked)
    assert generation.status_code == 202, generation.text

    def ended() -> dict[str, Any] | None:
        status: dict[str, Any] = bea.get(f"/api/generate/status/{generation.json()['id']}").json()
        return status if status.get("status") in ("succeeded", "failed", "cancelled") else None

    done = up.until(ended, "a picture")
    assert done["status"] == "succeeded" and done["charged"] == done["price"], done


def what_is_beside_it(up: Up) -> None:
    """Other commands at the same time; a second one on the same port."""
    taken = said(up.home.typed("up", GESSO_PORT=str(up.port)), 1, f"Port {up.port} on 127.0.0.1 is taken")
    assert f"GESSO_PORT={up.port + 1} make up" in taken
    said(up.home.typed("doctor"), 0, "every balance is right", "seen within a minute")


def kill_everything_once(up: Up, bea: httpx2.Client) -> None:
    """kill -9 of web and worker, then of the database: all come back, and the session still holds."""
    web, worker = up.part("serve"), up.part("work")
    assert web and worker
    os.kill(web, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    up.until(lambda: up.part("serve") not in (None, web) and up.ready(), "the web server back")
    up.until(lambda: up.part("work") not in (None, worker), "the worker back")
    server = up.server()
    assert server
    os.kill(server, signal.SIGKILL)
    up.until(lambda: up.server() not in (None, server) and up.ready(), "the database back")
    assert bea.get("/api/auth/me").json()["user"]["name"] == "Bea"
    picture_arrives(up, bea)
