"""Everything an operator with several machines has, on one: PostgreSQL, S3, provider, two webs, two workers, nginx."""

import asyncio
import contextlib
import secrets
import shutil
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx2
from frontdoor import make_front_door
from parts import ClusterError, Part, free_port, listening

from gesso.db.embedded import EmbeddedPostgres

READY_SECONDS = 150.0
STOP_SECONDS = 60.0
"""More than drain, finish and grace together: what an operator's supervisor would wait."""


@dataclass
class Cluster:
    """The running parts. `address` is nginx's; each web also answers on its own port."""

    folder: Path
    address: str
    owner_url: str
    environment: dict[str, str]
    sandbox_url: str
    web_ports: dict[str, int] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client needs to believe nginx's certificate."""
        return ssl.create_default_context(cafile=str(self.folder / "nginx" / "cert.pem"))

    async def run(self, *arguments: str) -> str:
        """Run a `gesso` command to its end. Raises ClusterError with its last words when it fails."""
        part = Part(arguments[0], _gesso(*arguments), self.environment, self.folder / f"{'-'.join(arguments[:2])}.log")
        await part.start()
        assert part.process is not None
        code = await part.process.wait()
        said = part.log.read_text(errors="replace")
        if code != 0:
            raise ClusterError(f"gesso {' '.join(arguments)} ended with code {code}:\n{said[-2000:]}")
        return said

    async def start_web(self, name: str) -> float:
        """Start a web server; returns the seconds until it was ready."""
        await self.parts[name].start()
        return await self.parts[name].until(lambda: self._ready(name), READY_SECONDS, "ready")

    async def start_worker(self, name: str) -> float:
        """Start a worker; returns the seconds until it took work."""
        part = self.parts[name]
        begins = part.log.stat().st_size if part.log.exists() else 0

        async def working() -> bool:
            return b"worker.started" in part.log.read_bytes()[begins:]

        await part.start()
        return await part.until(working, READY_SECONDS, "at work")

    async def start(self, name: str) -> float:
        """Start a web server or a worker."""
        return await (self.start_web(name) if name.startswith("web") else self.start_worker(name))

    async def release_of(self, name: str) -> str:
        """What a web server says it is."""
        async with httpx2.AsyncClient(trust_env=False) as client:
            return str((await client.get(f"http://127.0.0.1:{self.web_ports[name]}/healthz")).json()["release"])

    async def _ready(self, name: str) -> bool:
        with contextlib.suppress(httpx2.HTTPError):
            async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
                answer = await client.get(f"http://127.0.0.1:{self.web_ports[name]}/readyz")
                return answer.status_code == 200
        return False


@contextlib.asynccontextmanager
async def running(
    *, port: int | None = None, paint_seconds: str = "0.3-1.0", options: tuple[str, ...] = ()
) -> AsyncIterator[Cluster]:
    """The whole cluster, cleared away at the end; its logs stay when something went wrong. Raises ClusterError.

    `options` are PostgreSQL's own.
    """
    with _folder() as folder:
        server = EmbeddedPostgres(folder / "postgres", options)
        server.start()
        cluster: Cluster | None = None
        try:
            cluster = await _prepared(folder, server, port or free_port(), paint_seconds)
            yield cluster
        finally:
            if cluster is not None:
                await _clear_away(cluster)
            await _close(server, folder / "postgres")


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gesso-cluster-"))
    folder.chmod(0o755)  # as root, nginx and PostgreSQL run as other users
    try:
        yield folder
    except ClusterError as error:
        raise ClusterError(f"{error}\nThe logs are in {folder}.") from None
    shutil.rmtree(folder, ignore_errors=True)


async def _prepared(folder: Path, server: EmbeddedPostgres, port: int, paint_seconds: str) -> Cluster:
    sandbox_port, s3_port = free_port(), free_port()
    cluster = Cluster(
        folder=folder,
        address=f"https://127.0.0.1:{port}",
        owner_url=await _operators_database(server),
        environment={},
        sandbox_url=f"http://127.0.0.1:{sandbox_port}",
        web_ports={"web-1": free_port(), "web-2": free_port()},
    )
    cluster.environment = _environment(cluster, f"http://127.0.0.1:{s3_port}", port)
    s3 = Part("s3", [sys.executable, "-m", "moto.server", "-p", str(s3_port)], {}, folder / "s3.log")
    sandbox_environment = {
        "GESSO_SANDBOX_PAINT_SECONDS": paint_seconds,
        "GESSO_SANDBOX_PAINTERS": "1",
        "SSL_CERT_FILE": str(folder / "nginx" / "cert.pem"),  # its webhooks come through nginx, as a provider's do
    }
    sandbox = Part(
        "sandbox", _gesso("sandbox", "--port", str(sandbox_port)), sandbox_environment, folder / "sandbox.log"
    )
    cluster.parts |= {"s3": s3, "sandbox": sandbox}
    for name, web_port in cluster.web_ports.items():
        environment = {**cluster.environment, "GESSO_PORT": str(web_port)}
        cluster.parts[name] = Part(name, _gesso("serve"), environment, folder / f"{name}.log")
    for name in ("worker-1", "worker-2"):
        cluster.parts[name] = Part(name, _gesso("work"), cluster.environment, folder / f"{name}.log")
    nginx = make_front_door(folder / "nginx", port, list(cluster.web_ports.values()))
    cluster.parts["nginx"] = nginx
    if await listening(port):
        raise ClusterError(f"Port {port} is taken; choose another with --port.")
    try:
        await _start_all(cluster, s3_port, sandbox_port, port)
    except BaseException:
        await _clear_away(cluster)
        raise
    return cluster


async def _clear_away(cluster: Cluster) -> None:
    await asyncio.gather(*(part.clear_away() for part in cluster.parts.values()))


async def _start_all(cluster: Cluster, s3_port: int, sandbox_port: int, port: int) -> None:
    parts = cluster.parts
    await asyncio.gather(parts["s3"].start(), parts["sandbox"].start(), cluster.run("migrate"))
    await parts["s3"].until(lambda: listening(s3_port), READY_SECONDS, "listening")
    await parts["sandbox"].until(lambda: listening(sandbox_port), READY_SECONDS, "listening")
    async with httpx2.AsyncClient(trust_env=False) as client:
        (await client.put(f"http://127.0.0.1:{s3_port}/gesso-files")).raise_for_status()
    await asyncio.gather(*(cluster.start(name) for name in ("web-1", "web-2", "worker-1", "worker-2")))
    await parts["nginx"].start()
    await parts["nginx"].until(lambda: listening(port), READY_SECONDS, "listening")


async def _close(server: EmbeddedPostgres, folder: Path) -> None:
    """Stop PostgreSQL and wait for its end: it writes into its folder until then."""
    server.close()
    for _ in range(100):
        if not server.running() and not (folder / "data" / "postmaster.pid").exists():
            return
        await asyncio.sleep(0.1)


async def _operators_database(server: EmbeddedPostgres) -> str:
    """A database as a hosting company hands it out: its owner may create roles and is no superuser."""
    password = secrets.token_hex(16)
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(f"CREATE ROLE art LOGIN CREATEROLE PASSWORD '{password}'")
        await connection.execute("CREATE DATABASE art OWNER art")
    finally:
        await connection.close()
    port = server.url().rpartition(":")[2].partition("/")[0]
    return f"postgresql://art:{password}@127.0.0.1:{port}/art"


def _environment(cluster: Cluster, s3_url: str, port: int) -> dict[str, str]:
    """What /etc/gesso.env would hold on each machine."""
    return {
        "GESSO_ENV": "production",
        "GESSO_SECRET_KEY": secrets.token_urlsafe(48),
        "GESSO_BASE_URL": f"https://127.0.0.1:{port}",
        "GESSO_DATA_DIR": str(cluster.folder / "data"),
        "GESSO_LOG_FORMAT": "json",
        "GESSO_RELEASE": "first",
        "DATABASE_URL": cluster.owner_url,
        "GESSO_STORAGE_URL": "s3://gesso-files/pictures",
        "GESSO_STORAGE_ENDPOINT": s3_url,
        "GESSO_STORAGE_ALLOW_HTTP": "true",
        "GESSO_STORAGE_ACCESS_KEY_ID": "cluster",
        "GESSO_STORAGE_SECRET_ACCESS_KEY": secrets.token_hex(16),
        "FAL_KEY": "cluster:sandbox",
        "FAL_BASE_URL": f"{cluster.sandbox_url}/fal",
    }


def _gesso(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gesso", *arguments]
