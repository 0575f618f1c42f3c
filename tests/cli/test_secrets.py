"""`gesso secrets`: the site's secret changes while the product runs; killed in the middle, and done by two at once."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace

import asyncpg
import pytest
from pydantic import SecretStr

from gesso.catalog import resealing
from gesso.catalog.connections import seal_key
from gesso.catalog.items import Connection
from gesso.catalog.own_keys import repository as own_keys
from gesso.catalog.registry import CHANNEL, Catalog
from gesso.catalog.service import provider_config
from gesso.core.ids import new_id
from gesso.core.sealed import Sealer
from gesso.db import Database, Listener
from gesso.db.embedded import EmbeddedPostgres
from tests.cast import make_user
from tests.cli.homes import GESSO, Home, make_home, said
from tests.conftest import SECRET

NEW = "the second secret of this site, long enough to pass"
FOREIGN = "a secret that nobody here has ever known of"
MANY = 2 * resealing.AT_ONCE + 30


@dataclass
class Site:
    """An installation with many sealed keys, and the secret they were sealed under."""

    home: Home
    old: str

    @property
    def halfway(self) -> dict[str, str]:
        """The environment of a process that has the new secret and still knows the old one."""
        return {"GESSO_SECRET_KEY": NEW, "GESSO_SECRET_KEY_OTHERS": f"{self.old}, "}

    async def run(self, code: int, words: tuple[str, ...], *command: str, **environment: str) -> str:
        """A command to its end: its exit code, and words among what it says."""
        return said(await asyncio.to_thread(self.home.typed, *command, **environment), code, *words)

    def process(self, secret: str, other: str) -> Database:
        """The database as a running web or worker has it."""
        return Database(self.home.database_url(), secret=secret, other_secrets=(other,), pool_size=2)


async def add(owner: asyncpg.Connection, key: str, secret: str) -> None:
    sealer, one = Sealer(secret), new_id()
    await owner.execute(
        "INSERT INTO connection (id, key, adapter, name, sealed_key, key_id, origin)"
        " VALUES ($1, $2, 'fal', $2, $3, $4, 'operator')",
        one, key, sealer.seal(f"key-of:{key}".encode(), f"connection:{one}"), sealer.key_id(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = make_home(tmp_path_factory.mktemp("secrets"))
    server = EmbeddedPostgres(home.folder / "postgres", ("fsync=off",))
    server.start()
    said(home.typed("migrate"), 0, "up to date")
    yield Site(home, (home.folder / "secret_key").read_text())
    server.close()


async def keys_open(catalog: Catalog, sealer: Sealer) -> int:
    """How many connections' keys this process can open; each must be the right one."""
    await catalog.refresh()
    found = [one for one in catalog.snapshot.connections.values() if one.sealed_key is not None]
    for one in found:
        config = provider_config(one, sealer, None)
        assert config.api_key is not None and config.api_key.get_secret_value() == f"key-of:{one.key}"
    return len(found)


async def test_the_secret_changes_while_processes_run_and_one_is_killed(site: Site) -> None:
    home = site.home
    owner = await asyncpg.connect(home.database_url())
    for number in range(MANY):
        await add(owner, f"many-{number}", site.old)
    # A process of before that has been told of the new secret, and one that has it already: both run all the time.
    before, after = site.process(site.old, NEW), site.process(NEW, site.old)
    sealers = Sealer(site.old, NEW), Sealer(NEW, site.old)
    catalogs = await Catalog.load(before), await Catalog.load(after)
    told = asyncio.Event()
    listener = Listener(before)

    async def heard(_: dict[str, object]) -> None:
        told.set()

    listener.on(CHANNEL, heard)
    await listener.start()
    try:
        await site.run(1, (f"{MANY} values need another secret",), "secrets", "rotate", "--retire", **site.halfway)
        killed = home.gesso("secrets", "rotate", **site.halfway, GESSO_CRASH_AT="secrets.batch*2")
        assert killed.returncode == -signal.SIGKILL
        for catalog, sealer in zip(catalogs, sealers, strict=True):
            assert await keys_open(catalog, sealer) == MANY
        half = await site.run(
            0,
            (
                "opens and seals",
                "opens only",
                "and 195 more",
            ),
            "secrets",
            "list",
            **site.halfway,
        )
        assert "key-of" not in half and NEW not in half and site.old not in half
        await asyncio.wait_for(told.wait(), 60)

        done = [
            subprocess.Popen(
                [GESSO, "secrets", "rotate"], env=home.environment | site.halfway, text=True, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for _ in range(2)
        ]  # fmt: skip
        words = [process.communicate(timeout=180)[0] for process in done]
        assert [process.returncode for process in done] == [0, 0], words
        assert sum(int(text.split(" values sealed anew")[0].split()[-1]) for text in words) == 30, words
        for catalog, sealer in zip(catalogs, sealers, strict=True):
            assert await keys_open(catalog, sealer) == MANY
        assert {held.key_id for held in await _holdings(after)} == {Sealer(NEW).key_id()}
        edited = await owner.fetchval("SELECT count(*) FROM connection WHERE edited_at IS NOT NULL")
        assert edited == 0, "the start would take them for edited by hand"

        await site.run(
            0,
            (
                "Nothing here needs",
                "Backups",
            ),
            "secrets",
            "rotate",
            "--retire",
            **site.halfway,
        )
        await before.forget_statements()  # so that it must log in anew, with a password that is not its own secret's
        assert await keys_open(catalogs[0], sealers[0]) == MANY
        await site.run(
            0,
            (
                "0 values sealed anew",
                f"{MANY} were",
            ),
            "secrets",
            "rotate",
            GESSO_SECRET_KEY=NEW,
        )
        await site.run(1, ("gesso:",), "secrets", "list")  # the old secret alone
    finally:
        await listener.close()
        await before.close()
        await after.close()
        await owner.close()


async def test_what_needs_a_missing_secret_is_named_and_left_alone(site: Site) -> None:
    owner = await asyncpg.connect(site.home.database_url())
    await owner.execute("DELETE FROM connection WHERE sealed_key IS NOT NULL")
    await site.run(0, ("0 values sealed anew",), "secrets", "rotate", **site.halfway)
    await add(owner, "good", site.old)
    await add(owner, "lost", FOREIGN)
    await site.run(
        1,
        (
            "does not open",
            "connection lost",
        ),
        "secrets",
        "list",
        **site.halfway,
    )
    doctor = await site.run(
        1,
        (
            "connection lost: sealed under",
            "sealed keys",
        ),
        "doctor",
        **site.halfway,
    )
    assert "connection good:" not in doctor
    await site.run(
        1,
        (
            "1 values sealed anew",
            "1 do not open",
            "lost",
        ),
        "secrets",
        "rotate",
        **site.halfway,
    )
    kept = await owner.fetchval("SELECT sealed_key FROM connection WHERE key = 'lost'")
    assert Sealer.sealed_under(kept) == Sealer(FOREIGN).key_id()
    given = {**site.halfway, "GESSO_SECRET_KEY_OTHERS": FOREIGN}
    await site.run(0, ("1 values sealed anew, 1 were already",), "secrets", "rotate", **given)
    await owner.close()


async def _holdings(db: Database) -> tuple[resealing.Held, ...]:
    async with db.elevated("test: holdings") as tx:
        return await resealing.holdings(tx)


async def test_a_key_that_was_replaced_meanwhile_stays(fresh_db: Database, fresh_database_url: str) -> None:
    owner = await asyncpg.connect(fresh_database_url)
    await add(owner, "fal", FOREIGN)
    place, (read,) = resealing.PLACES[0], await owner.fetch("SELECT * FROM connection")
    other = Sealer(SECRET).seal(b"given by an operator", f"connection:{read['id']}")
    await owner.execute("UPDATE connection SET sealed_key = $1", other)
    async with fresh_db.elevated("test: a late one") as tx:
        assert await resealing._one(tx, place, Sealer(NEW, FOREIGN), read) is False
    assert await owner.fetchval("SELECT sealed_key FROM connection") == other
    await owner.close()


async def test_peoples_own_keys_are_sealed_anew_with_the_rest(fresh_db: Database) -> None:
    ada, old, new = await make_user(fresh_db), Sealer(SECRET), Sealer(NEW, SECRET)
    fal = Connection(id=new_id(), key="fal", adapter="fal", name="fal")
    stand_in = replace(fal, id=new_id(), own_key=True)
    sealed = seal_key(old, stand_in, SecretStr("key-of:ada"))
    async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
        assert await own_keys.put(tx, stand_in.id, "fal", None, sealed)
    done = await resealing.reseal(fresh_db, new)
    assert (done.anew, done.shut) == (1, ())
    assert [held.owners for held in await _holdings(fresh_db)] == [(f"own key {stand_in.id}",)]
    async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
        found = (await own_keys.mine(tx)).stand_in(fal)
    assert found is not None
    config = provider_config(found, Sealer(NEW), None)
    assert config.api_key is not None and config.api_key.get_secret_value() == "key-of:ada"


async def test_every_sealed_column_is_known_to_the_rotation(fresh_database_url: str) -> None:
    owner = await asyncpg.connect(fresh_database_url)
    rows = await owner.fetch(
        """SELECT table_name, column_name FROM information_schema.columns
           WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name ~ 'seal|secret|_key$'"""
    )
    await owner.close()
    found = {(row["table_name"], row["column_name"]) for row in rows if row["column_name"] != "request_key"}  # a hash
    assert found == {(place.table, place.value) for place in resealing.PLACES}
