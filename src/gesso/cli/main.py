"""The commands. Each parses, calls one function of a room, and prints what happened.

The long-running ones import what they run when they run it: so a part of `gesso up` holds only itself in
memory, and `gesso ledger verify` need not load the web server.
"""

import asyncio
from typing import Annotated

import typer
from rich.table import Table

from gesso.cli import backup, catalog, people
from gesso.cli.common import console, database_server, fail, require_usable, run_with_database, settings_or_fail
from gesso.cli.doctor import doctor
from gesso.cli.pooler import pooler_users
from gesso.cli.reconcile import reconcile
from gesso.cli.secrets import secrets
from gesso.cli.setup import prepare_database, show_changes
from gesso.cli.storage import require_storage, storage
from gesso.cli.up import up
from gesso.core.loading import loading
from gesso.core.settings import Settings
from gesso.credits import service as credits
from gesso.credits.tasks import FACT as LEDGER
from gesso.db import Database, facts

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they may hold secrets
    help="gesso: a self-hosted platform for AI pictures.",
)
ledger = typer.Typer(no_args_is_help=True, help="The credit ledger.")
app.add_typer(ledger, name="ledger")
app.add_typer(people.users, name="user")
app.add_typer(people.grants, name="credits")
app.add_typer(catalog.connections, name="connection")
app.add_typer(catalog.models, name="model")
app.add_typer(catalog.editions, name="edition")
app.add_typer(storage, name="storage")
app.add_typer(secrets, name="secrets")
app.command("doctor")(doctor)
app.command("pooler-users")(pooler_users)
app.command("reconcile")(reconcile)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)


@app.command("up")
def up_command(
    port: Annotated[int | None, typer.Option(help="Port of the web server; GESSO_PORT, else 8000.")] = None,
    edition: Annotated[
        str | None, typer.Option(help="Name or file of the edition; GESSO_EDITION, else studio.")
    ] = None,
) -> None:
    """Run everything in this terminal: database, sandbox, web and worker. Ctrl-C stops it all."""
    up(port, edition)


@app.command("serve")
def serve_command() -> None:
    """Run the web server."""
    with loading():
        from gesso.cli.serve import serve

    with database_server(settings_or_fail()) as (settings, _):
        asyncio.run(require_usable(settings))
        require_storage(settings)
        serve(settings)


@app.command()
def work() -> None:
    """Run a worker."""
    with loading():
        from gesso.worker import run_worker

    with database_server(settings_or_fail()) as (settings, _):
        asyncio.run(require_usable(settings))
        require_storage(settings)
        asyncio.run(run_worker(settings))


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8790,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Run the stand-in for the providers."""
    with loading():
        from gesso.sandbox.app import serve as serve_sandbox

    serve_sandbox(host, port)


@app.command("migrate")
def migrate_command() -> None:
    """Bring the database to this version's schema, and the catalogue to the edition and the environment."""
    with database_server(settings_or_fail()) as (settings, _):
        with console.status("Migrating …"):
            seeded = asyncio.run(prepare_database(settings))
    console.print("The database is up to date.")
    if seeded.changes:
        show_changes(seeded.changes)
    if seeded.pending:
        console.print("[yellow]These changes of the edition wait for `gesso edition apply`:[/]")
        show_changes(seeded.pending)


@ledger.command("verify")
def verify() -> None:
    """Recompute every balance from the journal. Exit code 1 on any mismatch."""

    async def run(db: Database, _: Settings) -> int:
        async with db.elevated("ledger verify") as tx:
            mismatches = await credits.verify(tx)
            await facts.note(tx, LEDGER, {"mismatches": len(mismatches)})
        table = Table("workspace", "account", "expected", "found", box=None, header_style="dim")
        for mismatch in mismatches:
            table.add_row(
                str(mismatch.workspace_id or "site"), mismatch.account, str(mismatch.expected), str(mismatch.found)
            )
        if mismatches:
            console.print(table)
        return len(mismatches)

    found = run_with_database(run)
    if found:
        fail(f"{found} figures differ from the journal.")
    console.print("The ledger is right: every balance follows from the journal.")
