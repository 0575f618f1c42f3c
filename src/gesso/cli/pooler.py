"""`gesso pooler-users`: what a pooler must know to let web and worker in."""

from pathlib import Path
from typing import Annotated

import typer

from gesso.cli.common import console, fail, settings_or_fail
from gesso.db.address import Roles


def pooler_users(
    file: Annotated[Path, typer.Argument(help="The file to write, such as /etc/pgbouncer/userlist.txt.")],
) -> None:
    """Write pgbouncer's `auth_file`: the two application roles with the passwords that follow from the secret."""
    settings = settings_or_fail()
    roles = Roles("", settings.database.role_prefix, settings.secret_key, "")
    text = "".join(f'"{role}" "{roles.password(role)}"\n' for role in (roles.app, roles.elevated))
    part = file.with_name(f"{file.name}.part")
    try:
        part.touch(mode=0o600)
        part.chmod(0o600)
        part.write_text(text)
        part.rename(file)
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}.")
    console.print(f"{file} names {roles.app} and {roles.elevated}. Only you may read it: give it to pgbouncer's user.")
