"""The site under attack: PostgreSQL, webs, workers and sandbox as processes of their own, and what stands between."""

import asyncio
import contextlib
import json
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx2

from chaos.nursery import Nursery
from chaos.points import Fates
from chaos.proxy import Proxy
from gesso.core.settings import Settings, load_settings
from gesso.db import Database
from gesso.db.database import set_json_codec
from gesso.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from gesso.runtime import open_database

EDITION = Path(__file__).with_name("edition.toml")
SECRET = "chaos knows no secrets, but the product wants one of some length"
PUBLIC_URL = "https://chaos.example.org"
"""A public name, so that providers are given a webhook to call; the sandbox is told where it really leads."""
SERVER_OPTIONS = (
    # What the kernel was given survives any kill of ours; only a power cut needs it on the disk as well.
    "fsync=off", "full_page_writes=off",
    "scram_iterations=1", "checkpoint_timeout=30s", "max_wal_size=256MB", "log_min_messages=error",
)  # fmt: skip
DISK_BYTES = {"files": 512 * 2**20, "postgres": 3 * 2**30}


@dataclass
class Slot:
    """A place for one process of the product, filled again whenever its process dies."""

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    pid: int | None = None
    armed: str | None = None
    """Where it dies by itself."""
    life: float = math.inf
    """Seconds of processor time after which it is killed."""
    ours: bool = False
    """We sent the kill: so it is no crash point's."""

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]


@dataclass
class Deaths:
    """What died of what. `exits` are ends that nobody ordered: codes by kind of process."""

    kills: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Processes that died by SIGKILL."""
        return sum(self.kills.values()) + sum(self.points.values())


class Site:
    """Everything that runs. Slots are restarted by `revive` until `calm` is set."""

    def __init__(
        self, folder: Path, server: EmbeddedPostgres, nursery: Nursery, web: Proxy, sandbox: Proxy, slots: list[Slot],
        settings: Settings, disks: frozenset[str], fates: Fates,
    ) -> None:  # fmt: skip
        self.folder, self.server, self.nursery = folder, server, nursery
        self.web, self.sandbox, self.slots = web, sandbox, slots
        self.settings, self.disks, self.fates = settings, disks, fates
        self.deaths = Deaths()
        self.closing = False
        self._births: set[asyncio.Task[None]] = set()

    # --- processes --------------------------------------------------------------------------------------

    async def start(self, slot: Slot) -> None:
        """Fill the slot."""
        fate = self.fates.next(slot.name)
        slot.armed, slot.life, slot.ours = fate.point, fate.life, False
        environment = slot.environment | {"GESSO_CRASH_AT": slot.armed or ""}
        log = self.folder / "logs" / f"{slot.name}.log"
        slot.pid = await self.nursery.birth(slot.arguments, environment, log, lambda status: self._died(slot, status))

    def _died(self, slot: Slot, status: int) -> None:
        slot.pid, pause = None, 0.0
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            if slot.ours or slot.armed is None:
                self.deaths.kills[slot.kind] += 1
            else:
                self.deaths.points[slot.armed.partition("*")[0]] += 1
        elif not self.closing:
            # It gave up by itself, as with no database to be reached: any supervisor would wait a moment.
            self.deaths.exits[f"{slot.kind} {os.waitstatus_to_exitcode(status)}"] += 1
            pause = 0.3
        if not self.closing:
            task = asyncio.create_task(self._revive(slot, pause))
            self._births.add(task)
            task.add_done_callback(self._births.discard)

    async def _revive(self, slot: Slot, pause: float) -> None:
        await asyncio.sleep(pause)
        if not self.closing:
            await self.start(slot)

    def strike(self, slot: Slot, number: signal.Signals) -> bool:
        """Send a signal; False when nobody is there."""
        if slot.pid is None:
            return False
        slot.ours = slot.ours or number == signal.SIGKILL
        with contextlib.suppress(ProcessLookupError):
            os.kill(slot.pid, number)
            return True
        return False

    def of(self, kind: str) -> list[Slot]:
        """The slots of one kind."""
        return [slot for slot in self.slots if slot.kind == kind]

    async def stop(self) -> None:
        """End every process, politely first."""
        self.closing = True
        await asyncio.gather(*self._births, return_exceptions=True)
        for slot in self.slots:
            self.strike(slot, signal.SIGCONT)
            self.strike(slot, signal.SIGTERM)
        deadline = time.monotonic() + 8
        while any(slot.pid for slot in self.slots) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        for slot in self.slots:
            self.strike(slot, signal.SIGKILL)

    # --- database ---------------------------------------------------------------------------------------

    def server_pids(self) -> tuple[int, int] | None:
        """(postmaster, supervisor), or None while there is no server."""
        try:
            state = json.loads((self.server.folder / "server.json").read_text())
        except (OSError, ValueError):
            return None
        return int(state["pid"]), int(state["supervisor"])

    def owner_url(self) -> str:
        """The database's address for its owner, who sees everything."""
        assert self.settings.database.url is not None
        return self.settings.database.url.get_secret_value()

    @contextlib.asynccontextmanager
    async def owner(self, seconds: float = 30) -> AsyncIterator[asyncpg.Connection]:
        """A connection as the owner, waiting for a server that is just coming back."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                connection = await asyncpg.connect(self.owner_url(), timeout=5)
                await set_json_codec(connection)
                break
            except (OSError, asyncpg.PostgresError):
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)
        try:
            yield connection
        finally:
            await connection.close(timeout=2)

    def database(self) -> Database:
        """The product's own view of its database."""
        return open_database(self.settings)

    async def bill(self) -> dict[str, object]:
        """What the sandbox says it has done and what that cost."""
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{self.sandbox.port}/_bill")
        answer.raise_for_status()
        found: dict[str, object] = answer.json()
        return found

    # --- disks ------------------------------------------------------------------------------------------

    def fill(self, disk: str) -> bool:
        """Let a disk be full from now on. False when that cannot be done here."""
        place = self.folder / disk
        if disk in self.disks:
            used = _used(place)
            return _mount("-o", f"remount,size={max(used, 4096)}", str(place))
        if disk == "files" and os.geteuid() != 0:
            _writable(place, False)  # no disk of its own here: a folder that takes nothing comes nearest
            return True
        return False

    def empty(self, disk: str) -> None:
        """End of `fill`."""
        place = self.folder / disk
        if disk in self.disks:
            _mount("-o", f"remount,size={DISK_BYTES[disk]}", str(place))
        elif disk == "files" and os.geteuid() != 0:
            _writable(place, True)


@contextlib.contextmanager
def _environ(environment: Mapping[str, str]) -> Iterator[None]:
    """This process's own environment, for as long as the site is open: it reads the same settings as its parts."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.asynccontextmanager
async def opened(folder: Path, *, workers: int, webs: int, seed: int, life: float = 1.0) -> AsyncIterator[Site]:
    """The site, running and healthy. `folder` must be empty; it is left with its logs. `life`: see `Fates`."""
    (folder / "logs").mkdir(parents=True)
    for path in (folder, *list(folder.parents)[:1]):
        path.chmod(0o755)  # as root the database runs as another user
    async with contextlib.AsyncExitStack() as stack:
        disks = frozenset(disk for disk in DISK_BYTES if _own_disk(folder / disk, DISK_BYTES[disk]))
        for disk in disks:
            stack.callback(_mount_off, folder / disk)
        stack.callback(_save_logs, folder)
        server = EmbeddedPostgres(folder / "postgres" / "cluster", SERVER_OPTIONS)
        await asyncio.to_thread(server.start)
        stack.callback(server.close)
        keeper = asyncio.create_task(_keep(server))
        stack.callback(keeper.cancel)
        webs_at, sandbox_at = _free_ports(webs), _free_ports(1)
        web = await stack.enter_async_context(Proxy.opened(webs_at))
        sandbox = await stack.enter_async_context(Proxy.opened(sandbox_at))
        environment = _environment(folder, server, web.port, sandbox.port)
        stack.enter_context(_environ(environment))
        nursery = await stack.enter_async_context(Nursery.opened(folder / "logs" / "nursery.log"))
        await _prepared(server, nursery, folder / "logs" / "migrate.log")
        slots = [
            Slot("sandbox-1", ("sandbox", "--port", str(sandbox_at[0])), environment),
            *(Slot(f"web-{n}", ("serve",), environment | {"GESSO_PORT": str(p)}) for n, p in enumerate(webs_at, 1)),
            *(Slot(f"worker-{n}", ("work",), environment) for n in range(1, workers + 1)),
        ]
        site = Site(
            folder,
            server,
            nursery,
            web,
            sandbox,
            slots,
            load_settings(),
            disks,
            Fates(random.Random(seed), slots, life),
        )
        stack.push_async_callback(site.stop)
        for slot in slots:
            await site.start(slot)
        await _until_healthy(webs_at)
        yield site


def _environment(folder: Path, server: EmbeddedPostgres, web_port: int, sandbox_port: int) -> dict[str, str]:
    return {
        "DATABASE_URL": server.url("gesso"),
        "GESSO_SECRET_KEY": SECRET,
        "GESSO_ENV": "development",
        "GESSO_EDITION": str(EDITION),
        "GESSO_BASE_URL": PUBLIC_URL,
        "GESSO_DATA_DIR": str(folder / "data"),
        "GESSO_STORAGE_URL": (folder / "files" / "store").as_uri(),
        "GESSO_SANDBOX_URL": f"http://127.0.0.1:{sandbox_port}",
        "GESSO_SANDBOX_FOLDER": str(folder / "sandbox"),
        "GESSO_SANDBOX_PAINTERS": "0",
        "GESSO_SANDBOX_QUEUE_SECONDS": "0.05",
        "GESSO_SANDBOX_PAINT_SECONDS": "0.05-0.4",
        "GESSO_SANDBOX_WEBHOOK_ORIGIN": f"http://127.0.0.1:{web_port}",
        "GESSO_LOG_FORMAT": "json",
        "GESSO_LOG_LEVEL": "info",
        "GESSO_DATABASE_POOL_SIZE": "6",
        "GESSO_WORKER_CONCURRENCY": "3",  # what dies with a worker waits for its lease: few at once, many workers
    }


async def _prepared(server: EmbeddedPostgres, nursery: Nursery, log: Path) -> None:
    """The database made, migrated and filled, by the product's own command."""
    connection = await asyncpg.connect(server.url())
    await connection.execute("CREATE DATABASE gesso")
    await connection.close()
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    await nursery.birth(["migrate"], {}, log, ended.set_result)
    if await ended != 0:
        raise RuntimeError(f"gesso migrate failed: {log.read_text()}")


async def _until_healthy(ports: list[int], seconds: float = 150) -> None:
    async with httpx2.AsyncClient(timeout=5, trust_env=False) as client, asyncio.timeout(seconds):
        for port in ports:
            while True:
                with contextlib.suppress(httpx2.HTTPError):
                    if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                        break
                await asyncio.sleep(0.1)


async def _keep(server: EmbeddedPostgres) -> None:
    """What `gesso up` does for the database: a new supervisor whenever the old one has died."""
    while True:
        with contextlib.suppress(EmbeddedPostgresError, OSError):
            await server.keep_running()
        await asyncio.sleep(0.5)


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


# --- disks ----------------------------------------------------------------------------------------------


def _own_disk(place: Path, size: int) -> bool:
    """Make `place` a disk of its own, in memory; False where that is not allowed."""
    place.mkdir()
    return os.geteuid() == 0 and _mount("-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(place))


def _mount(*arguments: str) -> bool:
    try:
        return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _mount_off(place: Path) -> None:
    subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


def _used(place: Path) -> int:
    state = os.statvfs(place)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def _writable(place: Path, writable: bool) -> None:
    for folder in [place, *(path for path in place.rglob("*") if path.is_dir())]:
        with contextlib.suppress(OSError):
            folder.chmod(0o755 if writable else 0o555)


def _save_logs(folder: Path) -> None:
    """The database's log lies on a disk that is about to go."""
    with contextlib.suppress(OSError):
        shutil.copy(folder / "postgres" / "cluster" / "server.log", folder / "logs" / "postgres.log")
