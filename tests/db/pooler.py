"""A real pgbouncer before a test's database, with the configuration that deploy/pgbouncer documents."""

import asyncio
import configparser
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is missing: apt-get install pgbouncer")
KEEPS_STATEMENTS = PGBOUNCER is not None and tuple(
    int(part)
    for part in subprocess.run([PGBOUNCER, "--version"], capture_output=True, text=True).stdout.split()[1].split(".")
) >= (1, 21)
"""Whether this pgbouncer keeps prepared statements across server connections; Debian 12's does not."""
CONFIGURATION = Path(__file__).parents[2] / "deploy" / "pgbouncer"


@contextlib.asynccontextmanager
async def bouncing(folder: Path, owner_url: str, users: str, **options: str) -> AsyncIterator[str]:
    """pgbouncer before the database of `owner_url`; gives the owner's address with the pooler's port in it.

    `users` is the text of its auth_file. `options` replace lines of the documented configuration.
    """
    assert PGBOUNCER is not None
    parts = urlsplit(owner_url)
    name = parts.path.strip("/")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir(exist_ok=True)
    (folder / "userlist.txt").write_text(users)
    config = configparser.ConfigParser(comment_prefixes=(";",), interpolation=None)
    config.read(CONFIGURATION / "pgbouncer.ini")
    config["databases"] = {name: f"host={parts.hostname} port={parts.port} dbname={name}"}
    config["pgbouncer"].update(
        {"listen_port": str(port), "auth_file": str(folder / "userlist.txt"), "unix_socket_dir": "", **options}
    )
    with (folder / "pgbouncer.ini").open("w") as file:
        config.write(file)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    as_nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PGBOUNCER, str(folder / "pgbouncer.ini")], stdout=log, stderr=log, cwd="/", **as_nobody
        )  # type: ignore[call-overload]  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while True:
                assert process.poll() is None, (folder / "log").read_text()
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.02)
        yield parts._replace(netloc=f"{parts.netloc.rsplit('@', 1)[0]}@127.0.0.1:{port}").geturl()
    finally:
        process.kill()
        process.wait()
