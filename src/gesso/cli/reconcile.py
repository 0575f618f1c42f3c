"""`gesso reconcile`: our calls against what a provider billed."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gesso.calls.reconcile import service as bills
from gesso.calls.reconcile.bills import Biller, FileBill, SandboxBill
from gesso.calls.reconcile.matching import Drift, Missing, Phantom
from gesso.calls.reconcile.service import Comparison, Period
from gesso.catalog import service as catalog
from gesso.catalog.items import Connection
from gesso.cli.common import console, fail, run_with_database
from gesso.core.clock import SystemClock
from gesso.core.settings import Settings
from gesso.db import Database

SHOWN = 50
MICRO_USD = 1_000_000


@dataclass(frozen=True)
class Job:
    """What one bill is compared with: the connections that share it."""

    connections: tuple[Connection, ...]
    bill: Biller


def reconcile(
    connection: Annotated[
        str | None, typer.Argument(help="Only this one. Without it: all that the sandbox serves.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="The provider's bill as a table (CSV); needs the connection. Columns: docs/providers.md."),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="From this moment on (UTC); else from --days ago, or the file's first day.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Up to this moment (UTC); else now, or the file's last day.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="How many days back, where the sandbox's bill is read.")] = 7,
    tolerance: Annotated[float, typer.Option(min=0, max=100, help="Per cent by which prices may differ.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare our calls with the provider's bill. Exit code 1 when anything is missing, unknown to us, or has another
    price; 2 when there was nothing to compare."""
    if file is not None and connection is None:
        fail("Say whose bill it is: gesso reconcile fal --file bill.csv")

    async def run(db: Database, settings: Settings) -> tuple[list[Comparison], list[str]]:
        async with db.elevated("reconcile: connections") as tx:
            known = await catalog.list_connections(tx)
            if connection is not None:
                known = (await catalog.get_connection(tx, connection),)
        now = SystemClock().now()
        jobs, left = _jobs(known, file, settings.site.sandbox_url)
        period = _period(since, until, now, None if file is not None else days)
        found = []
        for job in jobs:
            one = await bills.compare(
                db, job.connections, job.bill, now=now, period=period, tolerance=tolerance / 100
            )  # fmt: skip
            found.append(one)
        if found:
            await bills.keep(db, found, now)
        return found, left

    found, left = run_with_database(run)
    if as_json:
        typer.echo(json.dumps({"comparisons": [one.to_json() for one in found], "not_compared": left}, indent=2))
    else:
        for one in found:
            _show(one)
        if left:
            console.print(f"Not compared: {', '.join(left)}. Their bills come as files: gesso reconcile KEY --file …",
                          highlight=False)  # fmt: skip
    if not found:
        raise typer.Exit(2)
    if any(one.findings for one in found):
        if as_json:
            raise typer.Exit(1)
        fail(_summary(found))
    if not as_json:
        console.print("Every call and every line of the bill agree.")


def _jobs(known: Iterable[Connection], file: Path | None, sandbox_url: str | None) -> tuple[list[Job], list[str]]:
    """What can be compared, and the connections that cannot: their provider does not tell its bill."""
    if file is not None:
        return [Job(tuple(known), FileBill(file))], []
    served: dict[str, list[Connection]] = {}
    left = []
    for one in known:
        address = one.base_url or ("" if not one.sandbox else sandbox_url or "")
        if sandbox_url is not None and (address + "/").startswith(sandbox_url.rstrip("/") + "/"):
            served.setdefault(one.adapter, []).append(one)
        elif one.enabled:
            left.append(one.key)
    return [Job(tuple(group), SandboxBill(sandbox_url or "", adapter)) for adapter, group in served.items()], left


def _period(since: datetime | None, until: datetime | None, now: datetime, days: int | None) -> Period | None:
    """None: as long as the bill is."""
    if since is None and until is None and days is None:
        return None
    end = until.replace(tzinfo=UTC) if until is not None else now
    begin = since.replace(tzinfo=UTC) if since is not None else end - timedelta(days=days or 7)
    if begin >= end:
        fail("--since must lie before --until.")
    return Period(begin, end)


def _show(one: Comparison) -> None:
    names = ", ".join(one.connections)
    if one.period is None:
        console.print(f"[bold]{names}[/]: the bill is empty.")
        return
    console.print(
        f"[bold]{names}[/] from {_time(one.period.since)} to {_time(one.period.until)} (UTC)", highlight=False
    )
    table = Table(
        "day", "connection", "calls", "lines", "ours $", "theirs $", "cost unknown", box=None, header_style="dim"
    )
    for (connection, day), sums in sorted(one.days.items(), key=lambda item: (item[0][1], item[0][0])):
        table.add_row(
            str(day), connection or "nobody's", str(sums.calls), str(sums.lines), _usd(sums.ours_micro_usd),
            _usd(sums.theirs_micro_usd), str(sums.unknown or ""),
        )  # fmt: skip
    console.print(table)
    if one.findings:
        _show_findings(one.findings)


def _show_findings(findings: Sequence[Drift]) -> None:
    table = Table("what", "when", "job or call", "model", "ours $", "theirs $", box=None, header_style="dim")
    for drift in findings[:SHOWN]:
        told = bills.told(drift)
        ours, theirs = (None if told[f"{side}_micro_usd"] is None else _usd(told[f"{side}_micro_usd"])
                        for side in ("ours", "theirs"))  # fmt: skip
        name = told["reference"] or (f"call {told['attempt']}" if told["attempt"] else "")
        table.add_row(
            words(drift), told["at"][:19].replace("T", " "), name, told["model"] or "",
            ours or "", theirs or "",
        )  # fmt: skip
    console.print(table)
    if len(findings) > SHOWN:
        console.print(f"… and {len(findings) - SHOWN:,} more; --json shows all.", highlight=False)


def words(drift: Drift) -> str:
    """What is wrong."""
    if isinstance(drift, Missing):
        return "not on the bill"
    if isinstance(drift, Phantom):
        return "billed twice" if drift.why == "twice" else "no call of ours"
    return "another price"


def _summary(found: Sequence[Comparison]) -> str:
    counts = {kind: sum(one.counts[kind] for one in found) for kind in ("missing", "phantom", "priced")}
    return (
        f"{counts['missing']:,} calls are not on the bill, {counts['phantom']:,} lines of it are no calls of ours or "
        f"billed twice, {counts['priced']:,} have another price."
    )


def _usd(micro: int) -> str:
    return f"{micro / MICRO_USD:,.6f}"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
