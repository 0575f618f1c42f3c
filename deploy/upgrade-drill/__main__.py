"""An upgrade under load, on this machine: `python deploy/upgrade-drill [REVISION] [--database URL]`.

Runs two webs and two workers of an earlier commit under load, migrates with this working tree's code while they run,
then replaces the processes one by one. Prints what it took and what was lost: nothing.

REVISION    a commit of this repository; the last one whose schema differs from this tree's when left out
--database  the owner's address of an empty database; an embedded one is started when left out
"""

import argparse
import asyncio
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "local-cluster"))  # one way of running parts for both

import revisions
import upgrade
from parts import ClusterError
from rich.console import Console

console = Console()


def main() -> int:
    """Exit code 0 when nothing was lost."""
    parser = argparse.ArgumentParser(prog="python deploy/upgrade-drill", description=__doc__.splitlines()[0])
    parser.add_argument("revision", nargs="?", help="a commit; the last with another schema when left out")
    parser.add_argument("--database", help="the owner's address of an empty database; embedded when left out")
    chosen = parser.parse_args()
    try:
        revision = chosen.revision or revisions.before_this_schema()
        found = asyncio.run(upgrade.run(revision, chosen.database, say=console.print))
    except (ClusterError, subprocess.CalledProcessError) as error:
        console.print(f"[bold red]upgrade-drill:[/] {error}", highlight=False, soft_wrap=True)
        return 1
    for line in found.lines():
        console.print(line, highlight=False, soft_wrap=True)
    for fault in found.faults:
        console.print(f"[bold red]wrong:[/] {fault}", highlight=False, soft_wrap=True)
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
