"""The drill itself: the old release at work, the new one's migration, one process after the other replaced."""

import asyncio
import contextlib
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx2
import revisions
from load import Person, Tally, people
from parts import ClusterError, Part, free_port

from gesso.db.embedded import EmbeddedPostgres

PEOPLE = 3
SETTLED_SECONDS = 4.0
"""How long the load runs before, between and after."""
READY_SECONDS, STOP_SECONDS, END_SECONDS = 60.0, 40.0, 60.0
LONGEST_SECONDS = 10.0
"""Nobody may wait longer for a page, while everything is upgraded on one small machine."""
Say = Callable[[str], None]


@dataclass
class Site:
    """The running parts, old and new. A part's code is the folder it imports `gesso` from."""

    folder: Path
    environment: dict[str, str]
    ports: dict[str, int]
    sandbox_port: int
    parts: dict[str, Part] = field(default_factory=dict)

    @property
    def addresses(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports.values()]

    def part(self, name: str, code: Path, *arguments: str, **more: str) -> Part:
        environment = {**self.environment, **more, "PYTHONPATH": str(code)}
        return Part(name, [sys.executable, "-m", *arguments], environment, self.folder / f"{name}.log")

    async def command(self, code: Path, *arguments: str) -> None:
        """Run a `gesso` command to its end. Raises ClusterError with its last words when it fails."""
        part = self.part("-".join(arguments[:2]), code, "gesso", *arguments)
        await part.start()
        assert part.process is not None
        if await part.process.wait() != 0:
            raise ClusterError(f"gesso {' '.join(arguments)} failed:\n{part.log.read_text(errors='replace')[-2000:]}")

    async def start_sandbox(self, code: Path) -> None:
        """The provider: it knows nothing of releases and stays."""
        self.parts["sandbox"] = self.part(
            "sandbox", code, "gesso", "sandbox", "--port", str(self.sandbox_port), GESSO_SANDBOX_PAINTERS="1"
        )  # fmt: skip
        await self.parts["sandbox"].start()
        await self.parts["sandbox"].until(lambda: _answers(self.sandbox_port, "/"), READY_SECONDS, "answering")

    async def replace(self, name: str, code: Path) -> None:
        """Stop a part if it runs, and start it from `code`; returns once it is at work."""
        if name in self.parts:
            await _stop(self.parts[name])
        if name in self.ports:
            port = self.ports[name]
            self.parts[name] = self.part(name, code, "gesso", "serve", GESSO_PORT=str(port))
            await self.parts[name].start()
            await self.parts[name].until(lambda: _answers(port, "/readyz"), READY_SECONDS, "ready")
            return
        part = self.parts[name] = self.part(name, code, "gesso", "work")
        begins = part.log.stat().st_size if part.log.exists() else 0

        async def working() -> bool:
            return b"worker.started" in part.log.read_bytes()[begins:]

        await part.start()
        await part.until(working, READY_SECONDS, "at work")


@dataclass
class Found:
    """What a drill took, and what went wrong."""

    old: str
    schemas: tuple[str, str]
    tally: Tally
    migrate_seconds: float = 0.0
    slowest_in_migration: float = 0.0
    replace_seconds: float = 0.0
    slowest_in_replacement: float = 0.0
    asked: int = 0
    pictures: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        tally = self.tally
        yield f"from {self.old}, schema {self.schemas[0]}, to this tree, schema {self.schemas[1]}"
        yield f"migrated under load in {self.migrate_seconds:.1f} s"
        yield f"    longest request meanwhile: {self.slowest_in_migration:.2f} s"
        yield f"two webs and two workers replaced, one by one, in {self.replace_seconds:.1f} s"
        yield f"    longest request meanwhile, all its tries together: {self.slowest_in_replacement:.2f} s"
        yield f"{len(tally.answered)} requests, {tally.again} tries more, {len(tally.failed)} failed"
        yield f"{self.asked} generations accepted, {self.pictures} pictures delivered and charged"
        yield f"{self.seconds:.0f} s in all"


async def run(revision: str, database: str | None, *, say: Say) -> Found:
    """Carry the drill out. Raises ClusterError when it cannot."""
    begun = time.monotonic()
    with _folder() as folder:
        old, new = revisions.export(revision, folder / "old"), revisions.ROOT / "src"
        schemas = revisions.schema_at(revision), revisions.schema_here()
        found = Found(f"{revision} ({revisions.subject(revision)})", schemas, Tally())
        async with _database(folder, database) as owner_url:
            site = _site(folder, owner_url)
            try:
                await _carry_out(site, old, new, found, owner_url, say)
            finally:
                for name in sorted(site.parts, key=lambda name: name == "sandbox"):
                    await site.parts[name].clear_away()
        found.seconds = time.monotonic() - begun
        if found.faults:
            kept = shutil.copytree(folder, folder.with_name(f"{folder.name}-logs"), ignore=_all_but_logs)
            found.faults.append(f"the logs are in {kept}")
    return found


async def _carry_out(site: Site, old: Path, new: Path, found: Found, owner_url: str, say: Say) -> None:
    say(f"Starting {found.old} …")
    await asyncio.gather(site.command(old, "migrate"), site.start_sandbox(new))
    names = ["web-1", "worker-1", "web-2", "worker-2"]
    await asyncio.gather(*(site.replace(name, old) for name in names))
    async with people(PEOPLE, site.addresses, found.tally) as persons:
        await asyncio.gather(
            *(site.command(old, "credits", "grant", one.email, "1000", "--reason", "drill") for one in persons)
        )
        async with _living(persons):
            await asyncio.sleep(SETTLED_SECONDS)
            say("Migrating under load …")
            begun = time.monotonic()
            await site.command(new, "migrate")
            found.migrate_seconds = time.monotonic() - begun
            found.slowest_in_migration = found.tally.slowest(begun, time.monotonic())
            await asyncio.sleep(SETTLED_SECONDS)  # the old release on the new schema
            begun = time.monotonic()
            for name in names:
                say(f"Replacing {name} …")
                await site.replace(name, new)
            found.replace_seconds = time.monotonic() - begun
            await asyncio.sleep(SETTLED_SECONDS)
            found.slowest_in_replacement = found.tally.slowest(begun, time.monotonic())
        say("Waiting for what is under way …")
        without_end = sum(await asyncio.gather(*(one.until_ended(END_SECONDS) for one in persons)))
        found.asked = sum(len(one.asked) for one in persons)
    if without_end:
        found.faults.append(f"{without_end} accepted generations have no end")
    await _prove(site, new, found, owner_url)


@contextlib.asynccontextmanager
async def _living(persons: list[Person]) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(one.live(stop)) for one in persons]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


_PROOF = """
SELECT (SELECT count(*) FROM generation WHERE finished_at IS NULL) AS without_end,
       (SELECT count(*) FROM generation WHERE state = 'failed') AS failed,
       (SELECT count(*) FROM credit_hold WHERE state = 'open') AS holds,
       (SELECT count(*) FROM asset WHERE source = 'generated') AS pictures,
       (SELECT coalesce(sum(amount), 0) / 1000000 FROM credit_journal WHERE kind = 'capture') AS charged
"""


async def _prove(site: Site, new: Path, found: Found, owner_url: str) -> None:
    owner = await asyncpg.connect(owner_url)
    row = await owner.fetchrow(_PROOF)
    await owner.close()
    assert row is not None
    found.pictures = row["pictures"]
    found.faults += [f"failed request: {one}" for one in found.tally.failed]
    if row["without_end"] or row["holds"]:
        found.faults.append(f"{row['without_end']} generations without an end, {row['holds']} holds left open")
    if row["pictures"] != row["charged"]:
        found.faults.append(f"{row['pictures']} pictures and {row['charged']} credits charged for them")
    if row["pictures"] + row["failed"] != found.asked:
        found.faults.append(f"{found.asked} asked for, {row['pictures']} delivered and {row['failed']} failed")
    if row["failed"]:
        found.faults.append(f"{row['failed']} generations failed, though the provider did not")
    slowest = max(found.slowest_in_migration, found.slowest_in_replacement)
    if slowest > LONGEST_SECONDS:
        found.faults.append(f"somebody waited {slowest:.1f} s")
    try:
        await site.command(new, "ledger", "verify")
    except ClusterError as error:
        found.faults.append(str(error))


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gesso-upgrade-"))
    folder.chmod(0o755)  # as root, PostgreSQL runs as another user
    try:
        yield folder
    except ClusterError as error:
        raise ClusterError(f"{error}\nThe logs are in {folder}.") from None
    shutil.rmtree(folder, ignore_errors=True)


def _all_but_logs(_: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".log")]


@contextlib.asynccontextmanager
async def _database(folder: Path, given: str | None) -> AsyncIterator[str]:
    if given is not None:
        yield given
        return
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        yield server.url()
    finally:
        server.close()


def _site(folder: Path, owner_url: str) -> Site:
    sandbox_port = free_port()
    environment = {
        "DATABASE_URL": owner_url,
        "GESSO_SECRET_KEY": secrets.token_urlsafe(48),
        "GESSO_DATA_DIR": str(folder / "data"),
        "GESSO_STORAGE_URL": (folder / "files").as_uri(),
        "GESSO_SANDBOX_URL": f"http://127.0.0.1:{sandbox_port}",
        "GESSO_SANDBOX_PAINT_SECONDS": "0.3-1.0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return Site(folder, environment, {"web-1": free_port(), "web-2": free_port()}, sandbox_port)


async def _stop(part: Part) -> None:
    """Ask it to stop and wait for its end: of its own accord, or by the signal, as earlier releases of the web did."""
    assert part.process is not None
    part.process.terminate()
    try:
        code = await asyncio.wait_for(part.process.wait(), STOP_SECONDS)
    except TimeoutError:
        raise ClusterError(f"{part.name} did not end within {STOP_SECONDS:.0f} s") from None
    if code not in (0, -signal.SIGTERM):
        raise ClusterError(f"{part.name} ended with code {code}")


async def _answers(port: int, path: str) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
            return (await client.get(f"http://127.0.0.1:{port}{path}")).status_code == 200
    return False
