"""`python -m bench.million`: a workspace with a million pictures; every page and API at depth, and what it reads.

    python -m bench.million                                in a folder of its own, removed afterwards
    python -m bench.million --database /srv/demo           fills (once) a data folder that `gesso up` then opens:
                                                           GESSO_DATA_DIR=/srv/demo gesso up
    python -m bench.million --database postgresql://…      the same with a database somewhere else (its owner's URL)

A filled database is only measured again. Figures go to bench/MILLION.md when there are a million pictures.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
from rich.console import Console

from bench import archive, depth, sightseeing
from bench.archive import Space
from bench.house import free_port, until_up
from gesso.accounts import service as accounts
from gesso.accounts.hooks import AccountHooks
from gesso.accounts.visit import Visit
from gesso.analytics.rollup import roll_up
from gesso.catalog.registry import Catalog
from gesso.cli.common import database_server, owner_url
from gesso.cli.setup import prepare_database
from gesso.core.clock import SystemClock
from gesso.core.settings import Settings, load_settings
from gesso.db import Database
from gesso.media.storage import Storage
from gesso.runtime import open_database

console = Console()
EMAIL = "ada@million.test"
PASSWORD = "a million pictures of light"
MEMBERS = (("Ada Kovac", EMAIL), ("Ben Okafor", "ben@million.test"), ("Cleo Marin", "cleo@million.test"))
"""Ada owns the workspace; Ben asked for a fifth of its pictures, Cleo for twenty requests in three years."""
SMALL_SPACES = 100
IDLE = timedelta(days=5)
"""Nobody asked for anything in the big workspace since: the newest pictures of all are others'."""
_SMALL = """
WITH people AS (SELECT n, gen_random_uuid() AS workspace_id, gen_random_uuid() AS user_id
    FROM generate_series(1, $1) n),
users AS (INSERT INTO app_user (id, email, name)
    SELECT user_id, 'small-' || n || '@million.test', 'Small ' || n FROM people),
spaces AS (INSERT INTO workspace (id, name, kind, plan_key)
    SELECT workspace_id, 'Small ' || n, 'personal', $2 FROM people)
SELECT workspace_id, user_id FROM people
"""


@contextlib.contextmanager
def home(database: str | None) -> Iterator[Settings]:
    """Settings of the database to fill: a URL's, a data folder's, or those of a folder that lives as long as this."""
    temporary = None
    environment = {"DATABASE_URL": "", "GESSO_ENV": "development"}
    if database and "://" in database:
        environment["DATABASE_URL"] = database
    elif database:
        environment["GESSO_DATA_DIR"] = str(Path(database).resolve())
    else:
        temporary = tempfile.mkdtemp(prefix="gesso-million-")
        environment["GESSO_DATA_DIR"] = temporary
    if folder := environment.get("GESSO_DATA_DIR"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder).chmod(0o755)  # the server runs as another user when this runs as root
    os.environ.update(environment)
    try:
        with database_server(load_settings()) as (settings, _):
            yield settings
    finally:
        if temporary:
            time.sleep(1)  # the server notices within a fifth of a second that nobody uses it, and stops
            shutil.rmtree(temporary, ignore_errors=True)


async def people(db: Database, owner: asyncpg.Connection) -> tuple[UUID, tuple[UUID, ...]]:
    """The big workspace and its members, made on first use."""
    catalog = await Catalog.load(db)
    hooks = AccountHooks(default_plan=lambda: catalog.default_plan.key)
    made = []
    for name, email in MEMBERS:
        found = await owner.fetchval("SELECT id FROM app_user WHERE email = $1", email)
        if found is None:
            visit = Visit(at=datetime.now(UTC))
            found = (
                await accounts.create_user(db, email=email, name=name, password=PASSWORD, hooks=hooks, visit=visit)
            ).user_id
        made.append(found)
    await catalog.close()
    workspace = await owner.fetchval(
        "SELECT workspace_id FROM membership WHERE user_id = $1 ORDER BY created_at", made[0]
    )
    for member in made[1:]:
        await owner.execute(
            "INSERT INTO membership (workspace_id, user_id, role) VALUES ($1, $2, 'member') ON CONFLICT DO NOTHING",
            workspace, member,
        )  # fmt: skip
    return workspace, tuple(made)


async def filled(settings: Settings, assets: int, files: int) -> None:
    """Fill the database unless it is, and give the newest pictures files."""
    db, owner = open_database(settings), await asyncpg.connect(owner_url(settings))
    workspace, members = await people(db, owner)
    if not await owner.fetchval("SELECT EXISTS (SELECT FROM asset WHERE workspace_id = $1)", workspace):
        begun = time.perf_counter()
        small = await owner.fetch(
            _SMALL, SMALL_SPACES, await owner.fetchval("SELECT key FROM plan ORDER BY key LIMIT 1")
        )
        each = max(1, assets // 20 // SMALL_SPACES)
        spaces = [
            Space(workspace, members, assets, IDLE),
            *(Space(row["workspace_id"], (row["user_id"],), each) for row in small),
        ]
        with console.status(f"Inserting {assets:,} pictures and what belongs to them …"):
            blurs = await asyncio.to_thread(sightseeing.blurs)
            await archive.fill(owner, spaces, blurs)
            await owner.execute(
                "UPDATE usage_rolled SET until = $1", datetime.now(UTC).date() - timedelta(days=366 * archive.YEARS)
            )
            await roll_up(db, SystemClock(), settings.site.zone)
        seconds = time.perf_counter() - begun
        total = await owner.fetchval("SELECT count(*) FROM asset")
        console.print(
            f"{total:,} pictures in {1 + SMALL_SPACES} workspaces, inserted in {seconds:.0f} s.", highlight=False
        )
    if files:
        with console.status(f"Painting files for the newest {files:,} …"):
            await sightseeing.hang(owner, Storage.from_url(settings.storage_url), workspace, files)
    await owner.close()
    await db.close()


@contextlib.asynccontextmanager
async def web(settings: Settings) -> AsyncIterator[int]:
    """A web process as it is shipped, on a free port."""
    port = free_port()
    environment = {**os.environ, "DATABASE_URL": owner_url(settings), "GESSO_SECRET_KEY": settings.secret_key}
    with tempfile.TemporaryFile() as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "gesso", "serve"], stdout=log, stderr=log,
            env={**environment, "GESSO_PORT": str(port)},
        )  # fmt: skip
    try:
        await until_up(port, "/healthz", started)
        yield port
    finally:
        started.terminate()
        await asyncio.to_thread(started.wait, 30)


async def measured(settings: Settings, requests: int) -> list[depth.Finding]:
    """Every page at depth: times from a web process of its own, statements and what they read from this one."""
    async with web(settings) as port:
        times = await depth.times(settings, port, EMAIL, requests=requests)
    return await depth.looked_into(settings, times, EMAIL)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.million", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--assets", type=int, default=1_000_000, help="pictures in the big workspace (1,000,000)")
    parser.add_argument("--database", help="URL of a database, or a data folder; else a folder for this run only")
    parser.add_argument("--files", type=int, default=0, metavar="K", help="make real files for the newest K pictures")
    parser.add_argument("--requests", type=int, default=60, help="requests per line of the table (60)")
    parser.add_argument("--fill-only", action="store_true", help="measure nothing")
    given = parser.parse_args(arguments)
    with home(given.database) as settings:
        asyncio.run(prepare_database(settings))
        asyncio.run(filled(settings, given.assets, given.files))
        if given.database:
            console.print(f"Sign in as {EMAIL} with the password “{PASSWORD}”.", highlight=False)
        if given.fill_only:
            return
        findings = asyncio.run(measured(settings, given.requests))
    depth.show(console, findings)
    if given.assets >= 1_000_000:
        depth.write(findings, " ".join(["python -m bench.million", *(arguments or sys.argv[1:])]))
        console.print(f"Written to {depth.RESULTS.name}.")
    if any(finding.trouble for finding in findings):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
