"""Verified TLS to the database, with authorities made for the test: the right one is believed, no other."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import asyncpg
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gesso.core.errors import Unavailable
from gesso.core.ids import new_id
from gesso.db import Database
from gesso.db.address import connect, driver_arguments
from gesso.db.migrate import migrate, newest_revision
from tests.cli.homes import make_home, said
from tests.conftest import SECRET
from tests.db.pooler import bouncing, needs_pgbouncer


@dataclass
class Authority:
    """A certificate authority with one server's certificate, as files."""

    ca: Path
    certificate: Path
    key: Path


def make_authority(folder: Path, name: str, host: str) -> Authority:
    """An authority, and a certificate for `host` (a name or an address) signed by it."""
    now = datetime.now(UTC)

    def certificate(subject: str, key: ec.EllipticCurvePrivateKey, issuer: str) -> x509.CertificateBuilder:
        names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (subject, issuer)]
        return (
            x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )  # fmt: skip

    def store(file: Path, data: bytes) -> Path:
        file.write_bytes(data)
        file.chmod(0o644)
        return file

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate(name, ca_key, name).add_extension(x509.BasicConstraints(True, None), critical=True)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    server = certificate(host, key, name).add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
    pem = serialization.Encoding.PEM
    return Authority(
        store(folder / f"{name}.ca.pem", ca.sign(ca_key, hashes.SHA256()).public_bytes(pem)),
        store(folder / f"{name}.crt", server.sign(ca_key, hashes.SHA256()).public_bytes(pem)),
        store(
            folder / f"{name}.key",
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        ),
    )


@pytest.fixture
def folder(shared_folder: Path) -> Path:
    path = shared_folder / f"tls-{new_id().hex[-8:]}"
    path.mkdir()
    path.chmod(0o755)
    return path


def with_tls(url: str, ca: Path, mode: str = "verify-full") -> str:
    return f"{url}?sslmode={mode}&sslrootcert={ca}"


async def right_and_wrong(url: str, trusted: Authority, stranger: Authority) -> None:
    """What must hold of an owner's address whose server shows `trusted`'s certificate."""
    assert await migrate(with_tls(url, trusted.ca), secret=SECRET) == newest_revision()
    connection = await connect(with_tls(url, trusted.ca))
    assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    await connection.close()
    good = Database(with_tls(url, trusted.ca), secret=SECRET)
    async with good.public() as tx:
        assert await tx.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    await good.close()
    bad = Database(with_tls(url, stranger.ca), secret=SECRET)
    with structlog.testing.capture_logs() as lines, pytest.raises(Unavailable):
        async with bad.public():
            pass
    assert "certificate is not to be trusted" in str(lines)
    await bad.close()
    home = make_home(trusted.ca.parent)
    nowhere = with_tls(url, stranger.ca.with_name("nowhere.pem"))
    for address, words in (
        (with_tls(url, stranger.ca), ("certificate is not to be trusted", "sslrootcert")),
        (nowhere, ("No such file",)),
    ):
        refused = await asyncio.to_thread(
            home.typed, "ledger", "verify", DATABASE_URL=address, GESSO_SECRET_KEY=SECRET
        )  # fmt: skip
        said(refused, 1, *words)


@contextlib.asynccontextmanager
async def postgres_with_tls(folder: Path, server: Authority) -> AsyncIterator[str]:
    """A PostgreSQL that speaks TLS and nothing else on TCP; the embedded one is built without it."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))
    binaries = binaries or (Path(found).parent if (found := shutil.which("initdb")) else None)
    if binaries is None:
        pytest.skip("no PostgreSQL with TLS on this machine: apt-get install postgresql")
    who = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    home, port = folder / "pg", _free_port()
    home.mkdir()
    (home / "password").write_text("local only")
    for name, file in {"server.crt": server.certificate, "server.key": server.key}.items():
        shutil.copy(file, home / name)
        (home / name).chmod(0o600)
    if who:
        for path in (home, *home.iterdir()):
            shutil.chown(path, "nobody", "nogroup")
    options = {"cwd": "/", "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **who}
    data = str(home / "data")
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "owner", f"--pwfile={home / 'password'}", "-A", "scram-sha-256",
         "-E", "UTF8", "--no-sync"], check=True, **options,
    )  # type: ignore[call-overload]  # fmt: skip
    (home / "data" / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    settings = {
        "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "ssl": "on",
        "ssl_cert_file": home / "server.crt", "ssl_key_file": home / "server.key",
    }  # fmt: skip
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    process = subprocess.Popen([binaries / "postgres", "-D", data, "-p", str(port), *arguments], **options)  # type: ignore[call-overload]
    try:
        url = f"postgresql://owner:local%20only@127.0.0.1:{port}/postgres"
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError, asyncpg.CannotConnectNowError):
                    await (await connect(with_tls(url, server.ca))).close()
                    break
                await asyncio.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_postgres_is_believed_only_with_its_authority(folder: Path) -> None:
    trusted, stranger = make_authority(folder, "ours", "127.0.0.1"), make_authority(folder, "other", "127.0.0.1")
    async with postgres_with_tls(folder, trusted) as url:
        await right_and_wrong(url, trusted, stranger)


@needs_pgbouncer
async def test_a_certificate_for_another_host_is_refused(folder: Path, fresh_database_url: str) -> None:
    """`verify-full` looks at the name, `verify-ca` at the authority only. Here a pooler holds the certificate."""
    elsewhere = make_authority(folder, "elsewhere", "db.example.com")
    owner = fresh_database_url.split("//")[1].split("@")[0].split(":")
    async with bouncing(
        folder / "pgbouncer", fresh_database_url, f'"{owner[0]}" "{owner[1]}"\n', client_tls_sslmode="require",
        client_tls_key_file=str(elsewhere.key), client_tls_cert_file=str(elsewhere.certificate),
    ) as pooled:  # fmt: skip
        with pytest.raises(OSError, match="IP address mismatch"):
            await connect(with_tls(pooled, elsewhere.ca))
        await (await connect(with_tls(pooled, elsewhere.ca, "verify-ca"))).close()


def test_addresses_as_hosts_give_them() -> None:
    """Neon's own, and libpq's word for the machine's authorities."""
    arguments = driver_arguments("postgres://o:p@ep-x-pooler.eu.neon.tech/db?sslmode=require&channel_binding=require")
    assert arguments == {"dsn": "postgresql://o:p@ep-x-pooler.eu.neon.tech/db?sslmode=require"}
    arguments = driver_arguments("postgresql://o:p@h/db?sslmode=verify-full&sslrootcert=system&connect_timeout=7")
    assert arguments == {"dsn": "postgresql://o:p@h/db", "ssl": True, "timeout": 7}
    two = "postgresql://o:p@one:5432,two:5433/db?target_session_attrs=read-write"
    assert driver_arguments(two) == {"dsn": two}
