"""The command: examine, print, exit code."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Annotated

import typer
from rich.table import Table

from gesso.cli.common import beside_up, console, database_server, fail, settings_or_fail
from gesso.cli.doctor import database, outside, sealed, setup, work
from gesso.cli.doctor.findings import Finding, ill
from gesso.core.errors import Unavailable
from gesso.core.logs import redact
from gesso.core.settings import Settings
from gesso.runtime import open_database

_COLOURS = {"well": "[green]well[/]", "look": "[yellow]look[/]", "ill": "[red]ill[/]"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Examine settings, database, queue, money, file store, mail and providers. Exit code 1 if anything is ill."""
    with database_server(beside_up(settings_or_fail())) as (settings, _):
        findings = asyncio.run(_examine(settings))
    sick = [one.part for one in findings if one.state == "ill"]
    if as_json:
        document = {"well": not sick, "findings": [one.to_json() for one in findings]}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
        raise typer.Exit(1 if sick else 0)
    table = Table("part", "", "finding", "what to do", box=None, header_style="dim")
    for one in findings:
        table.add_row(one.part, _COLOURS[one.state], one.found, one.way_out)
    console.print(table)
    if sick:
        fail(f"{len(sick)} of {len(findings)} parts need you: {', '.join(sick)}.")


async def _examine(settings: Settings) -> list[Finding]:
    findings = [
        *await _safely("settings", setup.examine(settings)),
        *await _safely("file store and mail", outside.examine(settings)),
    ]
    findings.append(await database.reach(settings))
    schema, usable = await database.schema(settings)
    findings.append(schema)
    if not usable:
        return findings
    db = open_database(settings)
    try:
        findings += await _safely("money", database.examine(db, settings))
        findings += await _safely("work", work.examine(db))
        findings += await _safely("sealed keys", sealed.examine(db, settings))
        findings += await _safely("connections", outside.connections(db, settings))
    finally:
        await db.close()
    return findings


async def _safely(part: str, looking: Awaitable[list[Finding]]) -> list[Finding]:
    """What could not be looked at is a finding, too; the other parts are looked at all the same."""
    try:
        return await looking
    except Unavailable as error:
        way_out = "Is GESSO_SECRET_KEY the one of the last `gesso migrate`? The roles' passwords follow from it."
        return [ill(part, error.detail, way_out)]
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        found = f"could not be looked at ({type(error).__name__}: {redact(str(error))[:200]})"
        return [ill(part, found, "Mend the other parts first; if this one stays, report it as a fault of gesso.")]
