"""`python -m attack`: try everything, judge, print, write RESULTS.md. Exit code 1 when anything succeeds."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import structlog
from rich.console import Console
from tests.conftest import FAST, SECRET

from attack.run import attacked
from attack.score import Attack, Force, keep, show
from attack.site import opened
from gesso.db.embedded import EmbeddedPostgres
from gesso.db.migrate import migrate

CROWD, ROUNDS = 24, 5


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m attack", description=__doc__)
    parser.add_argument("--crowd", type=int, default=CROWD, help=f"requests sent at once in a race ({CROWD})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each race is run ({ROUNDS})")
    given = parser.parse_args(arguments)
    console, begun = Console(), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="gesso-attack-"))
    folder.chmod(0o755)  # as root the database runs as another user
    command = f"python -m attack --crowd {given.crowd} --rounds {given.rounds}"
    console.print(f"[bold]attack[/] {command}", highlight=False)
    with (folder / "attack.log").open("w") as log:  # what the product has to say
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(log))
        attacks = asyncio.run(_run(folder, Force(given.crowd, given.rounds), console))
    seconds, won = time.monotonic() - begun, any(one.wins for one in attacks)
    show(console, attacks, seconds)
    keep(attacks, command, seconds)
    if won:
        console.print(f"[bold red]Something succeeded.[/] The site's log is in {folder}")
        sys.exit(1)
    shutil.rmtree(folder, ignore_errors=True)


async def _run(folder: Path, force: Force, console: Console) -> list[Attack]:
    server = EmbeddedPostgres(folder / "postgres", FAST)
    await asyncio.to_thread(server.start)
    try:
        connection = await asyncpg.connect(server.url())
        await connection.execute("CREATE DATABASE gesso")
        await connection.close()
        await migrate(server.url("gesso"), secret=SECRET)
        async with opened(server.url("gesso"), folder / "data") as site:
            return await attacked(site, force, lambda name: console.print(f"[dim]{name}[/]", highlight=False))
    finally:
        server.close()


if __name__ == "__main__":
    main()
