"""A running product is backed up, lost, and brought back elsewhere: nothing missing, nothing paid for twice."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from pydantic import SecretStr

from gesso.catalog import service as catalog
from gesso.core.ids import new_id
from gesso.core.sealed import Sealer
from gesso.db import Database
from gesso.db.backup import BackupError, backup, find_program, read_about, restore
from gesso.db.embedded import EmbeddedPostgres
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.cli.homes import Home, make_home, said
from tests.conftest import SECRET, create_database
from tests.product import Product, running, served, settings_for

KEY = SecretStr("of-the-provider:kept-under-seal")


@pytest.fixture(scope="module")
def elsewhere(shared_folder: Path) -> Iterator[tuple[Home, EmbeddedPostgres]]:
    """Another folder with another cluster on another port."""
    base = shared_folder / f"elsewhere-{new_id().hex[-6:]}"
    base.mkdir()
    home = make_home(base)
    server = EmbeddedPostgres(home.folder / "postgres", ("fsync=off",))
    server.start()
    yield home, server
    server.close()


async def submit(client: httpx2.AsyncClient, prompt: str) -> None:
    body = {"model": "flux-schnell", "prompt": f"{prompt} sandbox:small", "count": 1}
    answer = await client.post("/api/generate/image", json=body)
    assert answer.status_code == 202, answer.text


@contextlib.asynccontextmanager
async def under_load(client: httpx2.AsyncClient) -> AsyncIterator[None]:
    stop = asyncio.Event()

    async def go_on() -> None:
        for number in range(20):  # fewer than the credits given at sign-up pay for
            await submit(client, f"dunes, view {number}")
            await asyncio.sleep(0.2)
            if stop.is_set():
                return

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        stop.set()
        await task


async def one(connection: asyncpg.Connection, sql: str) -> Any:
    return await connection.fetchval(sql)


async def until(connection: asyncpg.Connection, sql: str, seconds: float = 180) -> None:
    async with asyncio.timeout(seconds):
        while not await connection.fetchval(sql):
            await asyncio.sleep(0.1)


async def test_what_ran_at_the_time_of_a_backup_ends_truly_after_the_restore(
    fresh_database_url: str, elsewhere: tuple[Home, EmbeddedPostgres], tmp_path: Path
) -> None:
    home, server = elsewhere
    secret = {"GESSO_SECRET_KEY": SECRET}
    file = tmp_path / "gesso.backup"
    pace = replace(Pace.instant(), queue_step_seconds=1.0)
    async with served(create_sandbox(pace=pace, workers=0)) as sandbox:
        settings = settings_for(fresh_database_url, tmp_path / "first", sandbox)
        owner = await asyncpg.connect(fresh_database_url)
        async with running(settings) as product, product.person("Ada") as ada, product.person("Ben") as ben:
            async with product.db.elevated("test: a key") as tx:
                await catalog.add_connection(tx, Sealer(SECRET), key="second", adapter="fal", api_key=KEY)
                await catalog.set_connection_enabled(tx, "second", False)
            for number in range(3):
                await submit(ada, f"harbour, view {number}")
            await until(owner, "SELECT count(*) = 3 FROM asset")
            for number in range(4):  # more than may run at once: some are asked for already, some wait
                await submit(ada, f"lighthouse {number}" + (" sandbox:queue=300" if number < 3 else ""))
            await until(owner, "SELECT count(*) > 0 FROM attempt WHERE state = 'submitted'")
            async with under_load(ben):
                made = await asyncio.to_thread(
                    home.gesso, "backup", str(file), **secret, DATABASE_URL=fresh_database_url
                )  # fmt: skip
            said(made, 0, "GESSO_SECRET_KEY", "files")
            shutil.copytree(tmp_path / "first" / "files", tmp_path / "second" / "files")
            session = dict(ada.cookies)
        await owner.close()
        assert file.stat().st_mode & 0o777 == 0o600

        said(await asyncio.to_thread(home.typed, "restore", str(file), **secret), 0, "gesso migrate")
        owner = await asyncpg.connect(server.url("gesso"))
        in_flight = await one(owner, "SELECT count(*) FROM generation WHERE finished_at IS NULL")
        assert in_flight >= 3
        assert await one(owner, "SELECT count(*) FROM attempt WHERE state = 'submitted'") > 0
        said(await asyncio.to_thread(home.typed, "migrate", **secret), 0, "up to date")
        object.__setattr__(pace, "queue_step_seconds", 0.0)  # the provider gets to those that had to queue
        settings = settings_for(server.url("gesso"), tmp_path / "second", sandbox)
        async with running(settings) as product, product.client(cookies=session) as ada:
            await until(owner, "SELECT count(*) = 0 FROM generation WHERE finished_at IS NULL")
            await all_is_right(product, owner, ada, tmp_path / "second" / "files")
        said(await asyncio.to_thread(home.typed, "ledger", "verify", **secret), 0, "The ledger is right")
        await owner.close()


async def all_is_right(product: Product, owner: asyncpg.Connection, ada: httpx2.AsyncClient, files: Path) -> None:
    """The person is signed in still, the key opens, each picture has its file and its one charge."""
    shown = (await ada.get("/api/media?limit=20")).json()["items"]
    assert len(shown) == 7  # three from before, four that were in flight
    picture = await ada.get(shown[0]["url"], follow_redirects=True)
    assert picture.headers["content-type"].startswith("image/")
    async with product.db.elevated("test: the key") as tx:
        connection = await catalog.get_connection(tx, "second")
    assert connection.sealed_key is not None
    assert Sealer(SECRET).open(connection.sealed_key, connection.seal_context) == KEY.get_secret_value().encode()
    delivered = await one(owner, "SELECT count(*) FROM asset WHERE source = 'generated'")
    charged = await one(owner, "SELECT sum(amount) FROM credit_journal WHERE kind = 'capture'")
    assert charged == delivered * 1_000_000  # flux-schnell: one credit a picture
    assert await one(owner, "SELECT count(*) FROM credit_hold WHERE state = 'open'") == 0
    assert await one(owner, "SELECT count(*) FROM attempt WHERE state IN ('started', 'submitted')") == 0
    keys = [row["storage_key"] for row in await owner.fetch("SELECT storage_key FROM asset")]
    assert keys
    assert all((files / key).exists() for key in keys)


async def test_what_does_not_fit_is_refused_in_plain_words(
    fresh_database_url: str, elsewhere: tuple[Home, EmbeddedPostgres], tmp_path: Path
) -> None:
    file = tmp_path / "gesso.backup"
    empty = await create_database(elsewhere[1], "empty")
    given: dict[str, Any] = {"secret": SECRET, "role_prefix": "gesso"}
    with pytest.raises(BackupError, match="nothing to back up"):
        await backup(empty, file, **given, files="")
    about = await backup(fresh_database_url, file, **given, files="s3://art/files")
    assert read_about(file) == about
    with pytest.raises(BackupError, match="not overwritten"):
        await backup(fresh_database_url, file, **given, files="")
    with pytest.raises(BackupError, match="another GESSO_SECRET_KEY"):
        await restore(empty, file, secret=SECRET[::-1], role_prefix="gesso")
    with pytest.raises(BackupError, match="GESSO_DATABASE_ROLE_PREFIX"):
        await restore(empty, file, secret=SECRET, role_prefix="other")
    with pytest.raises(BackupError, match="not empty"):
        await restore(fresh_database_url, file, **given)
    later = tmp_path / "later.backup"
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(later, "w") as new:
        new.writestr("gesso.json", old.read("gesso.json").replace(about.revision.encode(), b"9999"))
        new.writestr("database.dump", old.read("database.dump"))
    with pytest.raises(BackupError, match="Restore with that version"):
        await restore(empty, later, **given)
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    (tmp_path / "damaged.backup").write_bytes(damaged)
    (tmp_path / "half.backup").write_bytes(file.read_bytes()[: len(damaged) // 2])
    for name in ("damaged", "half"):
        with pytest.raises(BackupError, match="no backup of gesso's, or only a part"):
            await restore(empty, tmp_path / f"{name}.backup", **given)
    await restore(empty, file, secret=SECRET[::-1], role_prefix="gesso", other_secret=True)
    db = Database(empty, secret=SECRET[::-1])
    async with db.public() as tx:  # the roles have the passwords that follow from the new secret
        assert await tx.fetchval("SELECT gesso_schema_revision()") == about.revision
    await db.close()


async def test_a_base_backup_and_its_log_lead_to_any_moment(shared_folder: Path) -> None:
    """The commands of docs/database.md for large sites: pg_basebackup, archived WAL, recovery_target_time."""
    folder = shared_folder / f"pitr-{new_id().hex[-6:]}"
    archive = folder / "wal"
    archive.mkdir(parents=True)
    for path in (folder, archive):
        path.chmod(0o777)
    archiving = (
        "wal_level=replica",
        "archive_mode=on",
        f"archive_command=test ! -f {archive}/%f && cp %p {archive}/%f",
    )
    first = EmbeddedPostgres(folder / "first", ("fsync=off", *archiving))
    first.start()
    url = first.url()
    program = find_program("pg_basebackup", 18)
    second = folder / "second"
    second.mkdir()
    await asyncio.to_thread(
        subprocess.run, [program, "--dbname", url, "--pgdata", str(second / "data"), "--checkpoint=fast"], check=True
    )
    owner = await asyncpg.connect(url)
    await owner.execute("CREATE TABLE kept (email text)")
    mail = "INSERT INTO kept (email) VALUES ($1)"
    await owner.execute(mail, "before@example.test")
    moment = await owner.fetchval("SELECT clock_timestamp()")
    await owner.execute(mail, "mistake@example.test")
    await owner.execute("SELECT pg_switch_wal()")
    await until(owner, "SELECT last_archived_wal IS NOT NULL AND failed_count = 0 FROM pg_stat_archiver")
    await owner.close()
    first.close()

    (second / "data" / "recovery.signal").touch()
    with (second / "data" / "postgresql.auto.conf").open("a") as file:
        file.write(
            f"restore_command = 'cp {archive}/%f %p'\nrecovery_target_time = '{moment.astimezone(UTC).isoformat()}'\n"
            "recovery_target_action = 'promote'\n"
        )
    shutil.copy(folder / "first" / "password", second / "password")
    if os.geteuid() == 0:
        for path in (second, *(second / "data").rglob("*"), second / "data"):
            shutil.chown(path, "nobody", "nogroup")
    again = EmbeddedPostgres(second, ("fsync=off",))
    again.start()
    try:
        owner = await asyncpg.connect(again.url())
        await until(owner, "SELECT NOT pg_is_in_recovery()")
        found = {row["email"] for row in await owner.fetch("SELECT email FROM kept")}
        await owner.close()
        assert found == {"before@example.test"}
    finally:
        again.close()
