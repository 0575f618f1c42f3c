"""`gesso backup` and `gesso restore`: the database in one file, and what has to go with it."""

import asyncio
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from gesso.cli.common import console, database_server, direct_url, fail, settings_or_fail
from gesso.core.settings import Settings
from gesso.db import backup as backups
from gesso.db.migrate import MigrationError
from gesso.runtime import database_limits


def backup(file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")]) -> None:
    """Write the database into one file, while everything runs. The file store is copied after it, not by it."""
    with database_server(settings_or_fail()) as (settings, _), console.status("Backing up …"):
        try:
            about = asyncio.run(
                backups.backup(
                    direct_url(settings), file, secret=settings.secret_key,
                    role_prefix=settings.database.role_prefix, files=_where(settings),
                )
            )  # fmt: skip
        except backups.BackupError as error:
            fail(str(error))
    megabytes = file.stat().st_size / 1e6
    console.print(f"{file}: the database at {about.made_at}, schema {about.revision}, {megabytes:.1f} MB.")
    console.print(f"Not in it, and needed with it: the files at {about.files} (copy them now, after the database),")
    console.print("and GESSO_SECRET_KEY, which opens the provider keys: keep it elsewhere than this file.")


def restore(
    file: Annotated[Path, typer.Argument(help="What `gesso backup` wrote.")],
    other_secret: Annotated[
        bool, typer.Option("--other-secret", help="Go on under another GESSO_SECRET_KEY; provider keys are lost.")
    ] = False,
) -> None:
    """Bring a backup back into an empty database. Never let two sites run from the same backup."""
    with database_server(settings_or_fail()) as (settings, _), console.status("Restoring …"):
        try:
            about = asyncio.run(
                backups.restore(
                    direct_url(settings), file, secret=settings.secret_key, older_secrets=settings.other_secrets,
                    other_secret=other_secret, role_prefix=settings.database.role_prefix,
                    limits=database_limits(settings),
                )
            )  # fmt: skip
        except (backups.BackupError, MigrationError) as error:
            fail(str(error))
    console.print(f"The database is as it was at {about.made_at}, made by gesso {about.gesso}.")
    console.print(
        f"Now bring back the files (they were at {about.files}, here they belong at {_where(settings)}), then:"
    )
    console.print("gesso migrate, gesso ledger verify, gesso doctor; then start web and worker.", highlight=False)


def _where(settings: Settings) -> str:
    """The file store's address without credentials or parameters."""
    parts = urlsplit(settings.storage_url)
    return parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1], query="", fragment="").geturl()
