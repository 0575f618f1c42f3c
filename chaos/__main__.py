"""`python -m chaos`: attack, mend, wait, judge, print. Exit code 1 when any line fails."""

import argparse
import asyncio
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from chaos.report import keep, show
from chaos.run import Plan, run

KILLS, KILLS_A_MINUTE = 3_000, 300


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help=f"processes to kill (default {KILLS})")
    parser.add_argument(
        "--minutes", type=float, help=f"at most so many of attack (default: one for {KILLS_A_MINUTE} kills)"
    )
    parser.add_argument("--seed", type=int, help="the same seed gives the same lives, crash points and acts")
    parser.add_argument(
        "--life", type=float, default=Plan.life, help="length of lives, 1 = usual: shorter is more kills a minute"
    )
    parser.add_argument("--workers", type=int, default=Plan.workers, help=f"worker processes ({Plan.workers})")
    parser.add_argument("--webs", type=int, default=Plan.webs, help=f"web processes ({Plan.webs})")
    parser.add_argument("--folder", type=Path, help="an empty folder for data and logs, which then stays in any case")
    parser.add_argument("--keep", action="store_true", help="write the table to chaos/RESULTS.md")
    given = parser.parse_args(arguments)
    minutes = given.minutes or given.kills / KILLS_A_MINUTE
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    plan = Plan(given.kills, minutes * 60, seed, given.workers, given.webs, life=given.life, folder=given.folder)
    console = Console()
    console.print(f"[bold]chaos[/] {plan.command}", highlight=False)
    try:
        outcome = asyncio.run(run(plan, console))
    except KeyboardInterrupt:
        sys.exit(130)
    show(console, outcome)
    if given.keep:
        keep(outcome)
    sys.exit(0 if outcome.holds else 1)


if __name__ == "__main__":
    main()
