"""`gesso storage …`: copy all files into another store, see whether they are what the rows say, and clean up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, TypeVar

import typer
from pydantic_settings import SettingsConfigDict
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from gesso.catalog.registry import Catalog
from gesso.cli.common import console, errors, fail, run_with_database
from gesso.core.clock import SystemClock
from gesso.core.settings import Settings, SettingsError, StorageSettings, read_settings
from gesso.db import Database
from gesso.media import storage_rows
from gesso.media.deletions import Count
from gesso.media.storage import Storage, redirect_origin
from gesso.media.storage_check import Checked, check_files
from gesso.media.storage_move import Move, Moved, survey
from gesso.media.storage_rows import FileRow
from gesso.media.tasks import Cleaned, clean
from gesso.runtime import others_of
from gesso.web.render import bytes_text

Result = TypeVar("Result")
storage = typer.Typer(no_args_is_help=True, help="The file store.")

_SHOWN = 50
"""Problems that are listed; more are only counted."""


class FromSettings(StorageSettings):
    """Another store's address and key for `--from`, where they are not the site's own."""

    model_config = SettingsConfigDict(env_prefix="GESSO_STORAGE_FROM_")


class ToSettings(StorageSettings):
    """The same for `--to`."""

    model_config = SettingsConfigDict(env_prefix="GESSO_STORAGE_TO_")


def require_storage(settings: Settings) -> None:
    """End the command with a sentence when the file store can never work as it is set up."""
    try:
        store = Storage.from_url(settings.storage_url, settings.storage)
        redirect_origin(settings)
        refused = asyncio.run(store.refusal())
    except SettingsError as error:
        refused = str(error)
    if refused:
        fail(refused)


@storage.command("move")
def move(
    source: Annotated[
        str | None, typer.Option("--from", help="URL to copy from; the site's own when left out.")
    ] = None,
    target: Annotated[str | None, typer.Option("--to", help="URL to copy to; the site's own when left out.")] = None,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Files at a time.")] = 8,
    trust_size: Annotated[
        bool, typer.Option("--trust-size", help="Do not read again what is there with the right size.")
    ] = False,
    delete_source: Annotated[
        bool, typer.Option("--delete-source", help="When all is verified, delete it from where it was.")
    ] = False,
) -> None:
    """Copy all files from one store to another and verify each. Run it again to go on where it stopped.

    Keys of another service than the site's own: GESSO_STORAGE_FROM_… and GESSO_STORAGE_TO_… (docs/storage.md).
    """
    if not source and not target:
        fail("Name the other store: --to URL, or --from URL.")

    async def run(db: Database, settings: Settings) -> Moved:
        ours = Storage.from_url(settings.storage_url, settings.storage)
        origin = _other(source, FromSettings, "--from", settings) or ours
        goal = _other(target, ToSettings, "--to", settings) or ours
        if origin.overlaps(goal):
            fail("Both are the same store, or one lies inside the other.")
        if delete_source and origin.overlaps(ours):
            fail("The site still uses the store to be deleted. Set GESSO_STORAGE_URL to the new one first.")
        if refused := await origin.refusal() or await goal.refusal():
            fail(refused)
        with console.status("Looking at what there is …"):
            count, size = await survey(origin)
        console.print(f"{count:,} files, {bytes_text(size)}: {origin.name} → {goal.name}", highlight=False)
        with _progress(DownloadColumn(), TransferSpeedColumn()) as progress:
            task = progress.add_task("Copying and verifying", total=size)
            return await Move(
                origin, goal, partial(storage_rows.hashes, db), parallel=parallel, trust_size=trust_size,
                delete_source=delete_source, advance=partial(progress.advance, task),
            ).run()  # fmt: skip

    _report_move(_run(run), delete_source)


def _report_move(moved: Moved, delete_source: bool) -> None:
    words = [f"{moved.copied:,} copied ({bytes_text(moved.copied_bytes)})", f"{moved.skipped:,} were there already"]
    if moved.gone:
        words.append(f"{moved.gone:,} deleted meanwhile")
    if delete_source:
        words.append(f"{moved.deleted:,} deleted from the source")
    console.print(f"{', '.join(words)}.", highlight=False)
    _list(moved.problems)
    if moved.stopped:
        fail("A store does not answer any more; stopped. Run the same command again to go on.")
    if moved.problems:
        kept = " Nothing was deleted." if delete_source else ""
        fail(f"{len(moved.problems):,} files are not right in the new store.{kept}")
    console.print("Every file was verified.")


@storage.command("check")
def check(
    sample: Annotated[int, typer.Option(min=1, help="So many pictures, by chance.")] = 200,
    every: Annotated[bool, typer.Option("--all", help="Every picture: reads the whole store.")] = False,
) -> None:
    """See whether the files of pictures are there and unchanged. Exit code 1 if any is not."""

    async def run(db: Database, settings: Settings) -> Checked:
        store = Storage.from_url(settings.storage_url, settings.storage)
        total = await storage_rows.count(db)
        with _progress(MofNCompleteColumn()) as progress:
            task = progress.add_task("Reading", total=total if every else min(sample, total))
            pages = storage_rows.every(db) if every else _page(await storage_rows.some(db, sample))
            return await check_files(store, pages, partial(progress.advance, task))

    checked = _run(run)
    console.print(f"{checked.assets:,} pictures looked at, {bytes_text(checked.bytes)}.", highlight=False)
    _list(checked.problems)
    if checked.problems:
        fail(f"{len(checked.problems):,} files are missing or damaged.")
    console.print("Every file is what its row says.")


@storage.command("clean")
def clean_up(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, only say what would go.")] = False,
) -> None:
    """Do now what is done every night at 03:00: what plans keep no longer and unused uploads go into the bin; what was
    in it long enough goes for good, and so do files nobody refers to. All of it is counted in the panel's report."""

    async def run(db: Database, settings: Settings) -> Cleaned:
        catalog, store, clock = (
            await Catalog.load(db),
            Storage.from_url(settings.storage_url, settings.storage),
            SystemClock(),
        )
        today = clock.now().astimezone(settings.site.zone).date()
        with console.status("Looking at what there is …" if dry_run else "Cleaning up …"):
            return await clean(db, store, clock, today, others_of(catalog), dry_run=dry_run)

    cleaned = _run(run)
    table = Table("What", "Pictures", "Videos", "Uploads", "Files", "Size")
    for what, count in (
        ("Kept no longer by its plan, into the bin", cleaned.binned),
        ("Unused uploads, into the bin", cleaned.unused),
        ("Out of the bin, for good", cleaned.purged),
        ("Files nobody refers to, for good", cleaned.orphans),
        ("Samples shown nowhere, for good", Count(files=cleaned.samples)),
    ):
        rows = (
            f"{number:,}" if number else "–" for number in (count.pictures, count.videos, count.uploads, count.files)
        )
        table.add_row(what, *rows, bytes_text(count.bytes) if count.bytes else "–")
    console.print(table)
    if cleaned.came_back:
        console.print(f"{cleaned.came_back:,} came back out of the bin: their plan keeps them now.", highlight=False)
    if dry_run:
        console.print("Nothing was changed. What goes into the bin stays there for a day or two.")


async def _page(rows: tuple[FileRow, ...]) -> AsyncIterator[tuple[FileRow, ...]]:
    yield rows


def _other(url: str | None, owner: type[StorageSettings], named: str, settings: Settings) -> Storage | None:
    """The store of an option, opened with the settings of its own if there are any, else with the site's."""
    if url is None:
        return None
    own = read_settings(owner)
    return Storage.from_url(url, own if own.model_fields_set else settings.storage, named=named)


def _run(work: Callable[[Database, Settings], Awaitable[Result]]) -> Result:
    try:
        return run_with_database(work)
    except SettingsError as error:
        fail(str(error))


def _progress(*columns: ProgressColumn) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), *columns, TimeRemainingColumn(), console=errors, transient=True
    )


def _list(problems: Sequence[tuple[str, str]]) -> None:
    if not problems:
        return
    table = Table("file", "what is wrong", box=None, header_style="dim")
    for key, words in problems[:_SHOWN]:
        table.add_row(key, words)
    console.print(table)
    if len(problems) > _SHOWN:
        console.print(f"… and {len(problems) - _SHOWN:,} more.", highlight=False)
