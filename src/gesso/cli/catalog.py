"""`gesso connection …`, `gesso model …` and `gesso edition …`: providers and the product's data from the terminal."""

from typing import Annotated

import typer
from pydantic import SecretStr
from rich.table import Table

from gesso.calls import gate
from gesso.catalog import pricing, service
from gesso.catalog.editions import edition_names
from gesso.catalog.items import JUDGES, Connection
from gesso.catalog.registry import Catalog
from gesso.cli.common import console, fail, run_with_database
from gesso.cli.setup import edition_or_fail, show_changes, show_missing
from gesso.core.settings import Settings
from gesso.db import Database
from gesso.web.render import credits_words

connections = typer.Typer(no_args_is_help=True, help="Accounts at outside providers.")
models = typer.Typer(no_args_is_help=True, help="What can be asked for.")
editions = typer.Typer(no_args_is_help=True, help="The product's data.")
Key = Annotated[str, typer.Argument(help="Key of the connection, as `gesso connection list` shows it.")]
ModelKey = Annotated[str, typer.Argument(help="Key of the model, as `gesso model list` shows it.")]
File = Annotated[str, typer.Argument(help="Name of an edition, or path of its TOML file.")]
_ASKED = "Asked for when left out, so that it stays out of the shell's history."


@connections.command("list")
def list_all() -> None:
    """Show all connections. Keys are never shown, only their last characters."""

    async def run(db: Database, _: Settings) -> tuple[Connection, ...]:
        async with db.elevated("connection list") as tx:
            return await service.list_connections(tx)

    table = Table("key", "provider", "state", "credential", "address", "priority", box=None, header_style="dim")
    for one in run_with_database(run):
        credential = f"…{one.key_hint}" if one.key_hint else ("sealed" if one.sealed_key else "none")
        state = "off" if not one.enabled else ("sandbox" if one.sandbox else "on")
        table.add_row(one.key, one.adapter, state, credential, one.base_url or "the provider's own", str(one.priority))
    console.print(table)


@connections.command("add")
def add(
    key: Annotated[str, typer.Argument(help="A short name of your own, such as fal-2.")],
    adapter: Annotated[str, typer.Option(help="Which provider's wire to speak, such as fal.")],
    api_key: Annotated[str | None, typer.Option(help=_ASKED)] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Let the sandbox answer; needs no key.")] = False,
    no_key: Annotated[bool, typer.Option("--no-key", help="The server at --base-url wants none.")] = False,
    name: Annotated[str | None, typer.Option(help="What operators see.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Another address that speaks the same wire.")] = None,
    priority: Annotated[int, typer.Option(help="Lower comes first.")] = 100,
) -> None:
    """Add a connection. The key is sealed at once and never shown again."""
    secret = None if (sandbox or no_key) and api_key is None else _secret(api_key)

    async def run(db: Database, settings: Settings) -> None:
        async with db.elevated("connection add") as tx:
            await service.add_connection(
                tx, settings.sealer, key=key, adapter=adapter, name=name, api_key=secret,
                base_url=base_url, sandbox=sandbox, priority=priority,
            )  # fmt: skip

    run_with_database(run)
    console.print(f"{key} is on. Try it: gesso connection test {key}")


@connections.command("key")
def replace_key(key: Key, api_key: Annotated[str | None, typer.Option(help=_ASKED)] = None) -> None:
    """Replace a connection's key; it then talks to the provider itself and no longer to the sandbox."""
    secret = _secret(api_key)

    async def run(db: Database, settings: Settings) -> Connection:
        async with db.elevated("connection key") as tx:
            await service.replace_key(tx, settings.sealer, key, secret)
            connection = await service.get_connection(tx, key)
            await gate.resume(tx, connection.id)
            return connection

    after = "Try it: gesso connection test" if run_with_database(run).enabled else "It is off: gesso connection enable"
    console.print(f"{key} has another key. {after} {key}")


def _secret(given: str | None) -> SecretStr:
    return SecretStr(given if given is not None else typer.prompt("Provider key", hide_input=True))


@connections.command("test")
def test(key: Key) -> None:
    """Make the provider's cheapest real call and say what happened. Exit code 1 when it cannot be used."""

    async def run(db: Database, settings: Settings) -> bool:
        async with db.elevated("connection test") as tx:
            connection = await service.get_connection(tx, key)
        report = await service.test_connection(connection, settings.sealer, settings.site.sandbox_url)
        for sentence in report.sentences:
            console.print(sentence, highlight=False)
        if report.ok:
            async with db.elevated("connection test") as tx:
                await gate.resume(tx, connection.id)
        return report.ok

    if not run_with_database(run):
        fail(f"{key} cannot be used as it is.")


@connections.command("disable")
def disable(key: Key) -> None:
    """Switch a connection off, and its models with it."""
    _switch(key, enabled=False)


@connections.command("enable")
def enable(key: Key) -> None:
    """Switch a connection on."""
    _switch(key, enabled=True)


def _switch(key: str, *, enabled: bool) -> None:
    async def run(db: Database, _: Settings) -> None:
        async with db.elevated("connection switch") as tx:
            await service.set_connection_enabled(tx, key, enabled)
            if enabled:
                await gate.resume(tx, (await service.get_connection(tx, key)).id)

    run_with_database(run)
    console.print(f"{key} is {'on' if enabled else 'off'}, in every process within a second.")


@models.command("list")
def list_models() -> None:
    """Show all models, what one picture costs with the usual settings, and whether they can be used."""

    async def run(db: Database, _: Settings) -> Catalog:
        return (await Catalog.load(db)).adults

    catalog = run_with_database(run)
    usable = {model.key for model in catalog.models()}
    table = Table("key", "kind", "state", "connection", "costs", box=None, header_style="dim")
    for model in catalog.models(enabled_only=False):
        state = "off" if not model.enabled else ("on" if model.key in usable else "its connection is off")
        unpriced = "nobody pays" if model.kind == JUDGES else "no price yet"
        costs = credits_words(pricing.usual_price(model).credits) if model.price is not None else unpriced
        table.add_row(model.key, model.kind, state, catalog.connection(model.connection_id).key, costs)
    console.print(table)


@models.command("disable")
def disable_model(key: ModelKey) -> None:
    """Take a model off the list. What is under way with it is finished."""
    _switch_model(key, enabled=False)


@models.command("enable")
def enable_model(key: ModelKey) -> None:
    """Offer a model; it needs a price."""
    _switch_model(key, enabled=True)


def _switch_model(key: str, *, enabled: bool) -> None:
    async def run(db: Database, _: Settings) -> None:
        async with db.elevated("model switch") as tx:
            await service.set_model_enabled(tx, key, enabled)

    run_with_database(run)
    console.print(f"{key} is {'on' if enabled else 'off'}, in every process within a second.")


@editions.command("list")
def list_editions() -> None:
    """Show the editions that come with gesso, what is in them, and what they want that this release has not got."""
    table = Table("name", "product", "has", "not in this release", box=None, header_style="dim")
    for name in edition_names():
        face = edition_or_fail(name).face
        table.add_row(name, face.brand.name, ", ".join(face.modules), ", ".join(face.missing))
    console.print(table)


@editions.command("diff")
def diff(file: File) -> None:
    """Show what applying an edition would change, and whom it touches."""
    edition = edition_or_fail(file)

    async def run(db: Database, _: Settings) -> None:
        async with db.elevated("edition diff") as tx:
            show_changes(await service.edition_diff(tx, edition))
        show_missing(edition)

    run_with_database(run)


@editions.command("apply")
def apply(file: File) -> None:
    """Apply an edition. What operators changed in the database stays."""
    edition = edition_or_fail(file)

    async def run(db: Database, settings: Settings) -> None:
        async with db.elevated("edition apply") as tx:
            show_changes(await service.switch(tx, settings, edition))
        show_missing(edition)

    run_with_database(run)
