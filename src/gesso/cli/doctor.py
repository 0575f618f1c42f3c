"""`gesso doctor`: looks at each part and says what is wrong and what to do."""

import asyncio
from collections.abc import AsyncIterator

from rich.table import Table

from gesso.catalog import service
from gesso.catalog.registry import Catalog
from gesso.cli.common import beside_up, console, database_server, direct_url, fail, settings_or_fail
from gesso.core.errors import GessoError
from gesso.core.sealed import Sealer
from gesso.core.settings import Settings
from gesso.credits import service as credits
from gesso.db import Database
from gesso.db.address import pools_transactions
from gesso.db.migrate import current_revision, schema_of
from gesso.media.storage import Storage
from gesso.runtime import open_database

Finding = tuple[str, bool, str]
"""Part, whether it is well, and a sentence."""


def doctor() -> None:
    """Check settings, database, schema, storage, workers, ledger and connections. Exit code 1 if anything is ill."""
    with database_server(beside_up(settings_or_fail())) as (settings, _):
        findings = asyncio.run(_examine(settings))
    table = Table("part", "", "finding", box=None, header_style="dim")
    for part, well, text in findings:
        table.add_row(part, "[green]well[/]" if well else "[red]ill[/]", text)
    console.print(table)
    ill = [part for part, well, _ in findings if not well]
    if ill:
        fail(f"{len(ill)} of {len(findings)} parts need you: {', '.join(ill)}.")


async def _examine(settings: Settings) -> list[Finding]:
    findings: list[Finding] = [("settings", True, f"{settings.site.env}, edition {settings.site.edition}")]
    findings.append(await _address(settings))
    revision = await current_revision(direct_url(settings))
    migrated = schema_of(revision) in ("current", "newer")
    findings.append(("schema", migrated, f"revision {revision}" if migrated else "Run: gesso migrate"))
    findings.append(await _storage(settings))
    if not migrated:
        return findings
    db = open_database(settings)
    try:
        findings += [finding async for finding in _inside(db, settings)]
    finally:
        await db.close()
    return findings


async def _address(settings: Settings) -> Finding:
    if await pools_transactions(direct_url(settings)):
        return "database", False, "A pooler stands before it. Give its own address in GESSO_DATABASE_DIRECT_URL."
    separate = settings.database.direct_url is not None
    return "database", True, "web and workers go through a pooler" if separate else "reached directly"


async def _storage(settings: Settings) -> Finding:
    try:
        await Storage.from_url(settings.storage_url, settings.storage).check()
    except (GessoError, ValueError) as error:
        return "storage", False, str(error)
    return "storage", True, settings.storage_url.split("?")[0]


async def _inside(db: Database, settings: Settings) -> AsyncIterator[Finding]:
    async with db.elevated("doctor") as tx:
        workers = await tx.fetchval("SELECT count(*) FROM worker_seen WHERE seen_at > now() - interval '1 minute'")
        mismatches = await credits.verify(tx)
        connections = await service.list_connections(tx)
    yield "workers", workers > 0, f"{workers} seen within a minute" if workers else "None. Run: gesso work"
    yield "ledger", not mismatches, "every balance is right" if not mismatches else "Run: gesso ledger verify"
    try:
        models = len((await Catalog.load(db)).models())
    except GessoError as error:  # no edition was applied yet
        yield "models", False, error.detail
        return
    yield "models", models > 0, f"{models} can be used" if models else "None is on. Look at: gesso connection list"
    for connection in connections:
        if connection.enabled:
            try:
                report = await service.test_connection(
                    connection, Sealer(settings.secret_key), settings.site.sandbox_url
                )
            except GessoError as error:
                yield f"connection {connection.key}", False, error.detail
            else:
                yield f"connection {connection.key}", report.ok, " ".join(report.sentences)
