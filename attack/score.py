"""What was tried, and what came of it."""

import os
import platform
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx2
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).with_name("RESULTS.md")
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Force:
    """How hard it is tried: requests sent at once, how often each race is run, and of long lists each so many-th."""

    crowd: int
    rounds: int
    step: int = 1

    def of(self, things: Iterable[Thing]) -> list[Thing]:
        """What is tried of a list."""
        return list(things)[:: self.step]


@dataclass
class Attack:
    """One way to get something for nothing. `wins`: what worked, which is nothing; `seen`: what was answered."""

    name: str
    tries: int = 0
    wins: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    found: str = ""
    """What the figures were afterwards."""

    def saw(self, answer: httpx2.Response, *, won: bool = False, what: str = "") -> None:
        """A try and its answer. `won`: it did what it must not; `what` was tried."""
        self.tries += 1
        self.seen[str(answer.status_code)] += 1
        if won:
            self.wins.append(f"{what or answer.request.url.path}: {answer.status_code} {answer.text[:160]}")

    def must(self, holds: bool, otherwise: str) -> None:
        """What has to hold after all tries."""
        if not holds:
            self.wins.append(otherwise)

    @property
    def observed(self) -> str:
        """Answers by frequency, then the figures."""
        answers = ", ".join(f"{count} × {status}" for status, count in self.seen.most_common())
        return "; ".join(part for part in (answers, self.found) if part)


def show(console: Console, attacks: Sequence[Attack], seconds: float) -> None:
    """Print the table."""
    table = Table("attack", "tries", "successes", "observed", box=None, header_style="dim")
    for one in attacks:
        count = f"[bold red]{len(one.wins)}[/]" if one.wins else "[green]0[/]"
        table.add_row(one.name, f"{one.tries:,}", count, one.observed)
    console.print(table)
    for one in attacks:
        for win in one.wins:
            console.print(f"[bold red]{one.name}:[/] ", end="")
            console.print(win, markup=False, highlight=False)
    console.print(f"[dim]took[/] {seconds:.0f} s", highlight=False)


def keep(attacks: Sequence[Attack], command: str, seconds: float) -> None:
    """Write RESULTS.md."""
    where = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [
        "# What attackers got", "",
        f"{where}, attackers, PostgreSQL and the sandbox's Stripe on the same machine; commit {_commit()}; "
        f"`{command}`; {seconds:.0f} s; {sum(one.tries for one in attacks):,} tries, "
        f"{sum(len(one.wins) for one in attacks)} successes.", "",
        "| attack | tries | successes | observed |", "|---|---:|---:|---|",
        *(f"| {one.name} | {one.tries:,} | {len(one.wins)} | {one.observed} |" for one in attacks),
        *(f"\n**{one.name}**: {win}" for one in attacks for win in one.wins), "",
    ]  # fmt: skip
    RESULTS.write_text("\n".join(lines))


def _commit() -> str:
    told = subprocess.run(
        [shutil.which("git") or "git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "unknown"
