"""Figures against what was promised: a table on the terminal and a page in the repository."""

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "RESULTS.md"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `must` and `target` are limits; `most` says that smaller is better. Without limits it is a remark.

    `right` is False when what was measured went wrong in a way no figure shows.
    """

    what: str
    value: float
    unit: str = ""
    must: float | None = None
    target: float | None = None
    most: bool = False
    note: str = ""
    right: bool = True

    @property
    def verdict(self) -> str:
        if not self.right:
            return "missed"
        if self.must is None:
            return ""
        if self.target is not None and self._within(self.target):
            return "target met"
        return "met" if self._within(self.must) else "missed"

    def _within(self, limit: float) -> bool:
        return self.value <= limit if self.most else self.value >= limit

    def shown(self, value: float | None) -> str:
        if value is None:
            return ""
        digits = 0 if abs(value) >= 100 or float(value).is_integer() else (1 if abs(value) >= 10 else 2)
        return f"{value:,.{digits}f}{self.unit}"


def show(console: Console, rows: Sequence[Row], title: str) -> None:
    """Print the table."""
    table = Table("what", "found", "must", "target", "", "how", title=title, title_justify="left", header_style="dim")
    for name in ("found", "must", "target"):
        next(column for column in table.columns if column.header == name).justify = "right"
    colours = {"target met": "green", "met": "yellow", "missed": "bold red", "": "dim"}
    for row in rows:
        verdict = f"[{colours[row.verdict]}]{row.verdict}[/]"
        table.add_row(row.what, row.shown(row.value), row.shown(row.must), row.shown(row.target), verdict, row.note)
    console.print(table)


def write(rows: Sequence[Row], command: str, seconds: float) -> None:
    """Write RESULTS.md."""
    lines = [
        "# What was measured",
        "",
        f"`{command}` on {datetime.now(UTC):%-d %B %Y}, commit {commit()}, {seconds / 60:.0f} minutes.",
        f"{machine()} PostgreSQL, load generator and product share it. How it is measured: `bench/README.md`.",
        "",
        "| what | found | must | target | | how |",
        "|---|--:|--:|--:|---|---|",
        *(
            f"| {row.what} | {row.shown(row.value)} | {row.shown(row.must)} | {row.shown(row.target)} "
            f"| {row.verdict} | {row.note} |"
            for row in rows
        ),
        "",
    ]
    RESULTS.write_text("\n".join(lines), encoding="utf-8")


def commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=RESULTS.parent).stdout.strip()

    changed = " with uncommitted changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + changed


def machine() -> str:
    information = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":", 1)[1].strip() for line in information.splitlines() if "model name" in line), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({model or platform.machine()}), {memory:.0f} GB, {platform.system()}, "
        f"Python {platform.python_version()}."
    )
