"""The figures of a drill: on the terminal, and in RESULTS.md."""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from proof import Proof
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "RESULTS.md"
console = Console()


@dataclass(frozen=True, slots=True)
class Round:
    """What happened while the parts were treated in one way. Seconds; `cut` streams broke off instead of ending."""

    name: str
    parts: str
    seconds: float
    requests: int
    failed: int
    reasons: str
    slowest: float
    cut: int
    right: bool


_ROUND = ("round", "what was done", "seconds", "requests", "failed", "slowest answer", "streams cut", "")


def show(rounds: Sequence[Round], proofs: Sequence[Proof]) -> None:
    """Print both tables."""
    table = Table(*_ROUND, box=None, header_style="dim")
    for one in rounds:
        table.add_row(*_cells(one)[:-1], _verdict(one.right))
    console.print(table)
    for one in rounds:
        if one.reasons:
            console.print(f"[dim]{one.name}:[/] {one.reasons}", highlight=False)
    table = Table("afterwards", "found", "", box=None, header_style="dim")
    for proof in proofs:
        table.add_row(proof.what, proof.found, _verdict(proof.right))
    console.print(table)


def write(rounds: Sequence[Round], proofs: Sequence[Proof], command: str, seconds: float) -> None:
    """Write RESULTS.md."""
    lines = [
        "# Rolling restarts under load",
        "",
        f"`{command}` on {datetime.now(UTC):%-d %B %Y}, commit {_commit()}, {seconds:.0f} seconds.",
        f"{_machine()} PostgreSQL, S3 (moto), the sandbox, two webs, two workers, nginx and the visitors share it.",
        f"Load average at the end: {os.getloadavg()[1]:.1f} over five minutes.",
        "",
        f"| {' | '.join(_ROUND)} |",
        "|---|---|--:|--:|--:|--:|--:|---|",
        *(f"| {' | '.join(_cells(one))} |" for one in rounds),
        "",
        *(f"{one.name}: {one.reasons}\n" for one in rounds if one.reasons),
        "| afterwards | found | |",
        "|---|---|---|",
        *(f"| {one.what} | {one.found} | {'right' if one.right else 'WRONG'} |" for one in proofs),
        "",
    ]
    RESULTS.write_text("\n".join(lines), encoding="utf-8")


def _cells(one: Round) -> tuple[str, ...]:
    return (
        one.name, one.parts, f"{one.seconds:.0f}", str(one.requests), str(one.failed), f"{one.slowest:.1f} s",
        str(one.cut), "right" if one.right else "WRONG",
    )  # fmt: skip


def _verdict(right: bool) -> str:
    return "[green]right[/]" if right else "[bold red]wrong[/]"


def _commit() -> str:
    def git(*arguments: str) -> str:
        if (program := shutil.which("git")) is None:
            return ""
        command = [program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=RESULTS.parent, check=False)
        return done.stdout.strip()

    changed = " with uncommitted changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


def _machine() -> str:
    information = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":", 1)[1].strip() for line in information.splitlines() if "model name" in line), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({model or platform.machine()}), {memory:.0f} GB, {platform.system()}, "
        f"Python {platform.python_version()}."
    )
