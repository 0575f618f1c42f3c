"""`gesso secrets …`: which keys seal what, and changing the site's secret while the product runs."""

from typing import Annotated

import typer
from rich.table import Table

from gesso.catalog import resealing
from gesso.catalog.resealing import Held, Resealed
from gesso.cli.common import console, direct_url, fail, run_with_database
from gesso.core.sealed import Sealer
from gesso.core.settings import Settings
from gesso.db import Database
from gesso.db.address import Roles, normalise_url
from gesso.db.migrate import MigrationError, alone, ensure_roles
from gesso.runtime import database_limits

secrets = typer.Typer(no_args_is_help=True, help="What is sealed, and the keys it is sealed under.")

SHOWN = 5
MEANING = {
    "seals": "GESSO_SECRET_KEY: opens and seals",
    "opens": "GESSO_SECRET_KEY_OTHERS: opens only",
    "missing": "unknown here: does not open",
}


def state_of(key_id: str, sealer: Sealer) -> str:
    """`seals`, `opens` or `missing`."""
    return "seals" if key_id == sealer.key_id() else "opens" if key_id in sealer.key_ids() else "missing"


@secrets.command("list")
def list_keys() -> None:
    """Show the keys by their ids and how many values are sealed under each. Exit code 1 when a key is missing."""

    async def run(db: Database, settings: Settings) -> tuple[Sealer, tuple[Held, ...]]:
        async with db.elevated("secrets list") as tx:
            return settings.sealer, await resealing.holdings(tx)

    sealer, holdings = run_with_database(run)
    owners = {held.key_id: held.owners for held in holdings}
    table = Table("key", "known as", "values", "of", box=None, header_style="dim")
    for key_id in dict.fromkeys([*sealer.key_ids(), *owners]):
        of = owners.get(key_id, ())
        table.add_row(key_id, MEANING[state_of(key_id, sealer)], str(len(of)), named(of))
    console.print(table)
    if any(state_of(held.key_id, sealer) == "missing" for held in holdings):
        fail("Some values are sealed under a secret that is not here. Name it in GESSO_SECRET_KEY_OTHERS.")


@secrets.command("rotate")
def rotate(
    retire: Annotated[
        bool, typer.Option("--retire", help="Change nothing; say whether GESSO_SECRET_KEY_OTHERS can go.")
    ] = False,
) -> None:
    """Seal everything anew under GESSO_SECRET_KEY, while the product runs. Killed in the middle, run it again.

    Exit code 1 when something is left that needs another secret.
    """
    if retire:
        _retire()
        return

    async def run(db: Database, settings: Settings) -> tuple[Sealer, Resealed, tuple[Held, ...]]:
        url = normalise_url(direct_url(settings))
        try:
            async with alone(url):
                await ensure_roles(Roles(url, settings.database.role_prefix, settings.secret_key, url),
                                   database_limits(settings))  # fmt: skip
        except MigrationError as error:
            fail(str(error))
        done = await resealing.reseal(db, settings.sealer)
        return settings.sealer, done, await _left(db, settings.sealer)

    sealer, done, left = run_with_database(run)
    console.print(f"Key {sealer.key_id()} seals. {done.anew} values sealed anew, {done.standing} were already.")
    console.print("The database's roles have their passwords from GESSO_SECRET_KEY.", highlight=False)
    if done.shut:
        fail(
            f"{len(done.shut)} do not open: {named(done.shut)}. Name the secret they were sealed under in "
            "GESSO_SECRET_KEY_OTHERS and run this again, or give the keys again (gesso connection key)."
        )
    if left:
        fail(
            "Something was sealed under another secret meanwhile. Restart what still has that one, and run this again."
        )
    console.print("When every process has this secret: gesso secrets rotate --retire", highlight=False)


def _retire() -> None:
    async def run(db: Database, settings: Settings) -> tuple[Settings, tuple[Held, ...]]:
        return settings, await _left(db, settings.sealer)

    settings, left = run_with_database(run)
    if left:
        count = sum(len(held.owners) for held in left)
        fail(f"{count} values need another secret than GESSO_SECRET_KEY ({named(left[0].owners)}). "
             "Run: gesso secrets rotate")  # fmt: skip
    if not settings.other_secrets:
        console.print("GESSO_SECRET_KEY_OTHERS is empty, and nothing needs it.", highlight=False)
        return
    console.print("Nothing here needs GESSO_SECRET_KEY_OTHERS: take it away and restart web and workers one by one.")
    console.print("Backups from before open under the old secret only: keep it with them.", highlight=False)


async def _left(db: Database, sealer: Sealer) -> tuple[Held, ...]:
    """What needs another key than the one that seals."""
    async with db.elevated("secrets: what is left") as tx:
        return tuple(held for held in await resealing.holdings(tx) if held.key_id != sealer.key_id())


def named(owners: tuple[str, ...]) -> str:
    """The first few, and how many more."""
    more = f" and {len(owners) - SHOWN} more" if len(owners) > SHOWN else ""
    return ", ".join(owners[:SHOWN]) + more
