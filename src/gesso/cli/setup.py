"""Bringing database and catalogue to what code and settings say."""

from rich.table import Table

from gesso.catalog.changes import Change
from gesso.catalog.editions import EditionError, load_edition
from gesso.catalog.editions.edition import Edition
from gesso.catalog.service import Seeded, seed
from gesso.cli.common import console, direct_url, fail
from gesso.core.errors import InvalidInput
from gesso.core.settings import Settings
from gesso.db.migrate import MigrationError, migrate
from gesso.runtime import database_limits, open_database

_PRICES = frozenset({"month_cents", "year_cents", "currency"})


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
    except InvalidInput as error:  # the policy wants the operator's word, or no Stripe
        fail(error.detail)
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
    for sentence in consequences(changes):
        console.print(sentence)


def consequences(changes: tuple[Change, ...]) -> list[str]:
    """What the table does not say of itself: what stays as it was bought, and where those go whose plan is gone."""
    told = []
    plans = [change for change in changes if change.table == "plan"]
    if any(change.verb == "change" and change.column in _PRICES for change in plans):
        told.append(
            "Running subscriptions keep the price they were bought at; whoever subscribes from now on pays the new."
        )
    gone = [change for change in plans if change.verb == "remove" and change.touches]
    for change in gone:
        told.append(
            f"The plan {change.key} goes. {_count(change.touches or 0)} on it: from now on as on the default plan,"
            " with all that was given."
        )
    if any(change.table == "model" and change.verb == "remove" for change in changes):
        told.append("Models that go are switched off, not deleted: what was made with them stays as it is.")
    return told


def show_missing(edition: Edition) -> None:
    """Say which parts an edition wants that this release has not got."""
    if edition.face.missing:
        console.print(
            f"Not in this release, and so absent everywhere until one has it: {', '.join(edition.face.missing)}."
        )


def _count(workspaces: int) -> str:
    return "1 workspace" if workspaces == 1 else f"{workspaces:,} workspaces"


def _short(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
