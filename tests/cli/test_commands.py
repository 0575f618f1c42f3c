"""Commands that do one thing and end: what they say, their exit codes, and that no secret is among it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gesso.db.embedded import EmbeddedPostgres
from tests.cast import PASSWORD
from tests.cli.homes import Home, make_home, said

EMAIL = "ada@example.test"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A migrated installation. Its database is held open, so that each command need not start it."""
    found = make_home(tmp_path_factory.mktemp("commands"))
    server = EmbeddedPostgres(found.folder / "postgres", ("fsync=off",))
    server.start()
    said(found.typed("migrate"), 0, "up to date", "add", "juggernaut-lightning")
    yield found
    server.close()


def test_accounts_and_top_ups_and_a_ledger_that_notices_tampering(home: Home) -> None:
    create = ("user", "create", EMAIL, "--name", "Ada", "--password", PASSWORD)
    said(home.typed(*create), 0, "can sign in now")
    said(home.typed(*create), 1, "gesso:")
    said(home.typed("credits", "grant", EMAIL, "50", "--reason", "welcome", "--key", "once"), 0, "50 credits")
    said(home.typed("credits", "grant", EMAIL, "50", "--reason", "welcome", "--key", "once"), 0, "granted before")
    said(home.typed("credits", "grant", "nobody@example.test", "1", "--reason", "x"), 1, "Nobody has the address")
    said(home.typed("ledger", "verify"), 0, "The ledger is right")

    url = home.database_url()
    balance = "SELECT available FROM credit_balance WHERE unit = 'credit'"
    assert asyncio.run(asked(url, balance)) == 75_000_000
    tamper = "UPDATE credit_balance SET available = available + $1, issued = issued + $1 WHERE unit = 'credit'"
    workspace = asyncio.run(asked(url, "SELECT workspace_id FROM credit_balance WHERE unit = 'credit'"))
    try:
        asyncio.run(asked(url, tamper, 5))
        said(home.typed("ledger", "verify"), 1, str(workspace), "credit/available", "75000000", "75000005", "differ")
    finally:
        asyncio.run(asked(url, tamper, -5))


async def asked(url: str, statement: str, *values: int) -> Any:
    """The first value of a statement, as the database's owner."""
    owner = await asyncpg.connect(url)
    try:
        return await owner.fetchval(statement, *values)
    finally:
        await owner.close()


def test_connections(home: Home) -> None:
    said(home.typed("connection", "list"), 0, "fal", "sandbox")
    said(home.typed("connection", "test", "fal"), 1, "none is running")
    secret = "0193-id:a-secret-nobody-may-see"
    add = ("connection", "add", "fal-2", "--adapter", "fal", "--api-key", secret, "--base-url", "http://127.0.0.1:9")
    assert secret not in said(home.typed(*add), 0, "fal-2 is on")
    assert secret not in said(home.typed("connection", "test", "fal-2"), 1, "fal-2 cannot be used")
    said(home.typed("connection", "disable", "fal-2"), 0, "fal-2 is off")
    listed = said(home.typed("connection", "list"), 0, "fal-2", "off")
    assert secret not in listed and secret[-4:] in listed

    other = "0193-id:another-key-nobody-may-see"
    assert other not in said(home.typed("connection", "key", "fal-2", "--api-key", other), 0, "It is off")
    said(home.typed("connection", "enable", "fal-2"), 0, "fal-2 is on")
    assert other[-4:] in said(home.typed("connection", "list"), 0, "fal-2")
    said(home.typed("connection", "key", "fal-3", "--api-key", other), 1, "no connection")
    said(home.typed("connection", "add", "practice", "--adapter", "fal", "--sandbox"), 0, "practice is on")
    local = ("connection", "add", "local", "--adapter", "openai", "--base-url", "http://127.0.0.1:9", "--no-key")
    said(home.typed(*local), 0, "local is on")
    for key in ("fal-2", "practice"):
        said(home.typed("connection", "disable", key), 0, f"{key} is off")


def test_models(home: Home) -> None:
    said(home.typed("model", "list"), 0, "flux-schnell", "image", "on", "credit")
    said(home.typed("model", "disable", "flux-schnell"), 0, "flux-schnell is off")
    lines = [line.split() for line in home.typed("model", "list").stdout.splitlines()]
    assert [line[2] for line in lines if line[:1] == ["flux-schnell"]] == ["off"]
    said(home.typed("model", "enable", "flux-schnell"), 0, "flux-schnell is on")
    said(home.typed("model", "enable", "no-such-model"), 1, "There is no model")


def test_editions(home: Home, tmp_path: Path) -> None:
    said(home.typed("edition", "diff", "studio"), 0, "Nothing to change")

    broken = tmp_path / "broken.toml"
    broken.write_text('modules = ["image"\n')
    said(home.typed("edition", "diff", str(broken)), 1, "broken.toml")


def test_doctor_and_settings(home: Home) -> None:
    said(
        home.typed("doctor"), 1, "every balance is right", "Run: gesso work", "parts need you: workers, connection fal"
    )
    weak = home.typed("doctor", GESSO_ENV="production", GESSO_SECRET_KEY="hunter2hunter2")
    assert "hunter2" not in said(weak, 1, "at least 32")
    said(home.typed("ledger", "verify", DATABASE_URL="mysql://u:p@host/x"), 1, "DATABASE_URL", "postgresql://")
