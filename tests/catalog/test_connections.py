"""Connections: seeded from the environment, handled by operators, and never telling their key."""

import dataclasses
import io
import json
import logging

import pytest
from pydantic import SecretStr

from gesso.catalog import service
from gesso.catalog.items import Connection
from gesso.catalog.registry import Catalog
from gesso.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from gesso.core.sealed import Sealer
from gesso.db import Database
from tests.catalog.helpers import SEALER, seed_studio, settings

KEY = "12345678-aaaa-bbbb-cccc-1234567890ab:0123456789abcdef0123456789abcdef"
OTHER = "99999999-aaaa-bbbb-cccc-1234567890ab:fedcba9876543210fedcba9876543210"


async def fal(db: Database) -> Connection:
    async with db.elevated("test") as tx:
        return await service.get_connection(tx, "fal")


def secret_of(connection: Connection, sealer: Sealer = SEALER) -> str | None:
    config = service.provider_config(connection, sealer, "http://127.0.0.1:9")
    return config.api_key.get_secret_value() if config.api_key else None


async def test_without_a_key_the_sandbox_answers_in_development_only(fresh_db: Database) -> None:
    await seed_studio(fresh_db, settings("development"))
    connection = await fal(fresh_db)
    assert (connection.sandbox, connection.enabled) == (True, True)
    config = service.provider_config(connection, SEALER, "http://127.0.0.1:9/")
    assert (config.base_url, config.sandbox, config.api_key) == ("http://127.0.0.1:9/fal", True, None)
    with pytest.raises(Unavailable, match="none is running"):
        service.provider_config(connection, SEALER, None)
    await seed_studio(fresh_db, settings("production"))
    connection = await fal(fresh_db)
    assert (connection.sandbox, connection.enabled) == (False, False)
    assert (await Catalog.load(fresh_db)).models() == ()


async def test_a_key_from_the_environment_is_sealed_and_used(fresh_db: Database) -> None:
    seeded = await seed_studio(fresh_db, settings("production", fal_key=KEY, fal_base_url="https://proxy.example/fal"))
    assert "fal" in seeded.connections
    connection = await fal(fresh_db)
    assert (connection.sandbox, connection.enabled, connection.key_hint) == (False, True, "cdef")
    assert connection.sealed_key is not None
    assert KEY.encode() not in connection.sealed_key
    config = service.provider_config(connection, SEALER, None)
    assert config.base_url == "https://proxy.example/fal"
    assert secret_of(connection) == KEY


async def test_starting_again_changes_nothing_and_a_new_key_in_the_environment_is_taken(fresh_db: Database) -> None:
    await seed_studio(fresh_db, settings("development"))
    assert (await seed_studio(fresh_db, settings("development", fal_key=KEY))).connections == ("fal",)
    sealed = (await fal(fresh_db)).sealed_key
    assert (await seed_studio(fresh_db, settings("development", fal_key=KEY))).connections == ()
    assert (await fal(fresh_db)).sealed_key == sealed
    assert (await seed_studio(fresh_db, settings("development", fal_key=OTHER))).connections == ("fal",)
    assert secret_of(await fal(fresh_db)) == OTHER
    # a variable that went missing is no reason to forget the key
    assert "fal" not in (await seed_studio(fresh_db, settings("production"))).connections
    assert secret_of(await fal(fresh_db)) == OTHER


async def test_what_an_operator_did_wins_over_the_environment(fresh_db: Database) -> None:
    await seed_studio(fresh_db, settings("development"))
    async with fresh_db.elevated("test: an operator") as tx:
        await service.replace_key(tx, SEALER, "fal", SecretStr(KEY))
    connection = await fal(fresh_db)
    assert (connection.sandbox, secret_of(connection)) == (False, KEY)
    assert (await seed_studio(fresh_db, settings("development", fal_key=OTHER))).connections == ()
    async with fresh_db.elevated("test: an operator") as tx:
        await service.set_connection_enabled(tx, "fal", False)
    await seed_studio(fresh_db, settings("development", fal_key=OTHER))
    connection = await fal(fresh_db)
    assert (connection.enabled, secret_of(connection)) == (False, KEY)


async def test_a_key_goes_in_and_never_comes_out(fresh_db: Database) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        async with fresh_db.elevated("test: an operator") as tx:
            connection = await service.add_connection(
                tx, SEALER, key="fal-two", adapter="fal", name="Second", api_key=SecretStr(f" {KEY}\n"), priority=5
            )
            config = service.provider_config(connection, SEALER, None)
            shown = [
                repr(connection), str(connection), repr(config), str(tx), f"{await service.list_connections(tx)}",
                json.dumps(dataclasses.asdict(connection), default=repr),
            ]  # fmt: skip
    finally:
        logging.getLogger().removeHandler(handler)
    secret_part = KEY.split(":")[1]
    for text in (*shown, stream.getvalue()):
        assert secret_part not in text
    assert "sealed_key" not in repr(connection)
    assert secret_of(connection) == KEY  # blanks around it are no part of it


async def test_a_key_opens_for_its_own_connection_and_site_only(fresh_db: Database) -> None:
    await seed_studio(fresh_db, settings("production", fal_key=KEY))
    async with fresh_db.elevated("test: an operator") as tx:
        other = await service.add_connection(tx, SEALER, key="fal-two", adapter="fal", api_key=SecretStr(OTHER))
    first = await fal(fresh_db)
    moved = dataclasses.replace(other, sealed_key=first.sealed_key)
    with pytest.raises(Unavailable, match="GESSO_SECRET_KEY"):
        service.provider_config(moved, SEALER, None)
    with pytest.raises(Unavailable, match="GESSO_SECRET_KEY"):
        service.provider_config(first, Sealer("another secret, also long enough to pass"), None)


async def test_wrong_connections_are_refused_by_field(fresh_db: Database) -> None:
    async with fresh_db.elevated("test: an operator") as tx:
        with pytest.raises(InvalidInput) as caught:
            await service.add_connection(tx, SEALER, key="My Fal", adapter="fall", base_url="ftp://x")
        assert set(caught.value.fields) == {"key", "adapter", "base_url", "api_key"}
        for bad in ("", "  ", "two words\nlines", "schlüssel", "x" * 5000):
            with pytest.raises(InvalidInput) as unusable:
                await service.add_connection(tx, SEALER, key="fal", adapter="fal", api_key=SecretStr(bad))
            assert set(unusable.value.fields) == {"api_key"}
            assert not bad.strip() or bad not in unusable.value.detail
        await service.add_connection(tx, SEALER, key="fal", adapter="fal", sandbox=True)
        with pytest.raises(Conflict):
            await service.add_connection(tx, SEALER, key="fal", adapter="fal", sandbox=True)
        with pytest.raises(NotFound):
            await service.set_connection_enabled(tx, "kie", False)


async def test_a_connection_without_a_key_cannot_be_switched_on(fresh_db: Database) -> None:
    await seed_studio(fresh_db, settings("production"))
    async with fresh_db.elevated("test: an operator") as tx:
        with pytest.raises(InvalidInput, match="has no key yet"):
            await service.set_connection_enabled(tx, "fal", True)
        await service.replace_key(tx, SEALER, "fal", SecretStr("short:key"))
        await service.set_connection_enabled(tx, "fal", True)
        connection = await service.get_connection(tx, "fal")
    assert (connection.enabled, connection.key_hint) == (True, None)  # too short to show a part of it


@pytest.mark.parametrize("adapter", ["openai", "comfyui"])
async def test_a_server_of_ones_own_may_want_no_key(fresh_db: Database, adapter: str) -> None:
    address = "http://10.0.0.5:8188"
    given = settings("production", **{f"{adapter}_base_url": address})  # type: ignore[arg-type]
    assert adapter in (await seed_studio(fresh_db, given)).connections
    async with fresh_db.elevated("test: an operator") as tx:
        connection = await service.get_connection(tx, adapter)
        assert (connection.enabled, connection.sandbox, connection.base_url) == (True, False, address)
        assert service.provider_config(connection, SEALER, None).api_key is None
        await service.set_connection_enabled(tx, adapter, False)
        await service.set_connection_enabled(tx, adapter, True)
        await service.add_connection(tx, SEALER, key="local", adapter=adapter, base_url="http://127.0.0.1:8000")
        with pytest.raises(InvalidInput) as caught:
            await service.add_connection(tx, SEALER, key="own", adapter=adapter)
        assert set(caught.value.fields) == {"api_key"}
    assert adapter not in (await seed_studio(fresh_db, given)).connections


async def test_testing_a_connection_tells_what_happened(fresh_db: Database) -> None:
    await seed_studio(fresh_db, settings("development"))
    report = await service.test_connection(await fal(fresh_db), SEALER, "http://127.0.0.1:9")
    assert not report.ok
    assert not report.reachable
    assert report.sentences
