"""Showing and keeping what a run has found."""

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from chaos.run import Outcome

RESULTS = Path(__file__).with_name("RESULTS.md")


def show(console: Console, outcome: Outcome) -> None:
    """Print the tables."""
    table = Table("holds", "what must hold", "found", box=None, header_style="dim")
    for finding in outcome.findings:
        table.add_row("[green]yes[/]" if finding.holds else "[bold red]NO[/]", finding.what, finding.told)
    console.print(table)
    for title, counted in _counts(outcome):
        console.print(f"[dim]{title}:[/] {counted}", highlight=False)
    console.print(f"[dim]command:[/] {outcome.plan.command} [dim]took[/] {outcome.seconds:.0f} s", highlight=False)
    if not outcome.holds:
        console.print(f"[bold red]Something was lost.[/] Logs and the list of acts are in {outcome.folder}")


def keep(outcome: Outcome) -> None:
    """Write RESULTS.md."""
    where = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [
        "# What the chaos found", "",
        f"{where}, load and PostgreSQL on the same machine; commit {_commit()}; `{outcome.plan.command}`; "
        f"{outcome.attack_seconds / 60:.0f} minutes of attack, {outcome.seconds / 60:.0f} in all.", "",
        "| holds | what must hold | found |", "|---|---|---|",
        *(f"| {'yes' if one.holds else '**NO**'} | {one.what} | {one.told} |" for one in outcome.findings),
        "", *(f"- **{title}**: {counted}" for title, counted in _counts(outcome)), "",
    ]  # fmt: skip
    RESULTS.write_text("\n".join(lines))


def _counts(outcome: Outcome) -> list[tuple[str, str]]:
    deaths, mischief = outcome.site.deaths, outcome.mischief
    others = {what: count for what, count in mischief.done.items() if not what.startswith("kill")}
    return [
        ("killed", f"{mischief.total} ({_list(mischief.killed)})"),
        ("of those at a crash point", _list(deaths.points)),
        ("other acts", _list(others)),
        ("ended by themselves and were started again", _list(deaths.exits) or "none"),
        ("clients", _list(outcome.crowd.counts)),
    ]


def _list(counted: Mapping[str, int]) -> str:
    ordered = sorted(counted.items(), key=lambda item: -item[1])
    return ", ".join(f"{count:,} {what}" for what, count in ordered if count)


def _commit() -> str:
    told = subprocess.run(
        ["git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"
