"""Bringing database and catalogue to what code and settings say."""

from rich.table import Table

from gesso.catalog.changes import Change
from gesso.catalog.editions import EditionError, load_edition
from gesso.catalog.editions.edition import Edition
from gesso.catalog.service import Seeded, seed
from gesso.cli.common import console, direct_url, fail
from gesso.core.settings import Settings
from gesso.db.migrate import MigrationError, migrate
from gesso.runtime import database_limits, open_database


async def prepare_database(settings: Settings) -> Seeded:
    """Migrate, then seed the edition and the connections from the environment. Again changes nothing."""
    try:
        await migrate(
            direct_url(settings), secret=settings.secret_key, role_prefix=settings.database.role_prefix,
            limits=database_limits(settings),
        )  # fmt: skip
    except MigrationError as error:
        fail(str(error))
    edition = edition_or_fail(settings.site.edition)
    db = open_database(settings)
    try:
        async with db.elevated("start: seed the catalogue") as tx:
            return await seed(tx, settings, edition)
    finally:
        await db.close()


def edition_or_fail(name_or_path: str) -> Edition:
    """The edition, or a sentence per mistake in its file."""
    try:
        return load_edition(name_or_path)
    except EditionError as error:
        fail(str(error))


def show_changes(changes: tuple[Change, ...]) -> None:
    """Print a table of what an edition changes and whom it touches."""
    if not changes:
        console.print("Nothing to change.")
        return
    table = Table("what", "where", "before", "after", "workspaces touched", box=None, header_style="dim")
    for change in changes:
        where = f"{change.table} {change.key}" + (f" · {change.column}" if change.column else "")
        touched = "" if change.touches is None else str(change.touches)
        table.add_row(change.verb, where, _short(change.before), _short(change.after), touched)
    console.print(table)


def _short(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
