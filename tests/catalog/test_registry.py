"""The catalogue in memory: one snapshot, swapped when the database changes."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from gesso.catalog.items import Model
from gesso.catalog.registry import POLL_SECONDS, Catalog
from gesso.catalog.service import set_connection_enabled, set_model_enabled
from gesso.core.errors import InvalidInput, NotFound, Unavailable
from gesso.core.ids import new_id
from gesso.db import Database, Listener
from tests.catalog.helpers import seed_studio, studio_catalog


@pytest.fixture
async def catalog(fresh_db: Database) -> AsyncIterator[Catalog]:
    """Studio's catalogue, following changes as a web process does."""
    catalog = await studio_catalog(fresh_db)
    listener = Listener(fresh_db)
    catalog.follow(listener)
    await listener.start()
    yield catalog
    await catalog.close()
    await listener.close()


async def until(catalog: Catalog, key: str, *, enabled: bool) -> None:
    """Wait until the catalogue sees the model on or off: sooner than it would by looking (POLL_SECONDS)."""
    async with asyncio.timeout(POLL_SECONDS - 5):
        while any(model.key == key for model in catalog.models()) is not enabled:
            await asyncio.sleep(0.005)


async def test_a_change_in_another_process_is_heard_of(catalog: Catalog, fresh_database_url: str) -> None:
    elsewhere = Database(fresh_database_url, secret="a secret for tests only, long enough to pass")
    try:
        async with elsewhere.elevated("test: an operator elsewhere") as tx:
            await set_model_enabled(tx, "photo-flux", False)
        await until(catalog, "photo-flux", enabled=False)
        async with elsewhere.elevated("test: an operator elsewhere") as tx:
            await set_model_enabled(tx, "photo-flux", True)
        await until(catalog, "photo-flux", enabled=True)
    finally:
        await elsewhere.close()


async def test_a_change_that_notified_nobody_is_found_by_polling(
    catalog: Catalog, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gesso.catalog.registry.POLL_SECONDS", 0.05)
    await catalog.close()
    catalog.follow(Listener(catalog._database))
    owner = await asyncpg.connect(fresh_database_url)
    await owner.execute("UPDATE model SET enabled = false WHERE key = 'flux-ultra'")
    await owner.close()
    await until(catalog, "flux-ultra", enabled=False)


async def test_a_reader_keeps_the_snapshot_it_took(catalog: Catalog, fresh_db: Database) -> None:
    before = catalog.snapshot
    async with fresh_db.elevated("test") as tx:
        await set_model_enabled(tx, "flux-ultra", False)
    await until(catalog, "flux-ultra", enabled=False)
    assert before.models["flux-ultra"].enabled
    assert not catalog.snapshot.models["flux-ultra"].enabled


async def test_models_keep_their_order_and_the_order_of_their_settings(catalog: Catalog) -> None:
    assert [model.key for model in catalog.models("image")][:2] == ["juggernaut-lightning", "photo-flux"]
    assert [model.key for model in catalog.models("video")] == ["kling", "stable-video"]
    assert list(catalog.model("photo-flux").settings) == [
        "prompt", "negative_prompt", "size", "style", "count", "steps", "guidance", "seed", "output_format",
    ]  # fmt: skip
    assert catalog.default_model is not None
    assert catalog.default_model.key == "juggernaut-lightning"
    assert catalog.default_plan.name == "Free"
    assert catalog.edition.brand.title == "gesso"


async def test_a_model_off_or_unknown_is_refused_by_name(catalog: Catalog, fresh_db: Database) -> None:
    with pytest.raises(InvalidInput) as unknown:
        catalog.model("flux\ud800" + "x" * 100)
    assert "Choose one of: juggernaut-lightning" in unknown.value.fields["model"]
    unknown.value.detail.encode()
    async with fresh_db.elevated("test") as tx:
        await set_model_enabled(tx, "juggernaut-lightning", False)
    await until(catalog, "juggernaut-lightning", enabled=False)
    with pytest.raises(InvalidInput, match="switched off"):
        catalog.model("juggernaut-lightning")
    assert isinstance(catalog.model("juggernaut-lightning", enabled_only=False), Model)
    assert catalog.default_model is not None
    assert catalog.default_model.key == "photo-flux"


async def test_models_of_a_connection_that_is_off_are_off(catalog: Catalog, fresh_db: Database) -> None:
    everything, keys = catalog.models(enabled_only=False), [each.key for each in catalog.connections()]
    async with fresh_db.elevated("test") as tx:
        for key in keys:
            await set_connection_enabled(tx, key, False)
    await until(catalog, "flux-schnell", enabled=False)
    assert catalog.models() == ()
    assert catalog.default_model is None
    assert len(catalog.models(enabled_only=False)) == len(everything) > 6
    assert catalog.connection(catalog.model("flux-schnell", enabled_only=False).connection_id).key == "fal"
    with pytest.raises(NotFound):
        catalog.connection(new_id())


async def test_a_plan_that_is_gone_becomes_the_default_plan(catalog: Catalog) -> None:
    assert catalog.plan("free").key == "free"
    assert catalog.plan("a plan of last year") is catalog.default_plan


async def test_an_unreadable_row_does_not_take_the_others_with_it(fresh_db: Database, fresh_database_url: str) -> None:
    catalog = await studio_catalog(fresh_db)
    before = {model.key for model in catalog.models()}
    owner = await asyncpg.connect(fresh_database_url)
    await owner.execute("""UPDATE model SET price = '{"credits": "-1"}' WHERE key = 'flux-ultra'""")
    await owner.close()
    await catalog.refresh()
    assert {model.key for model in catalog.models()} == before - {"flux-ultra"}


async def test_before_an_edition_was_applied_there_is_no_catalogue(fresh_db: Database) -> None:
    with pytest.raises(Unavailable, match="gesso migrate"):
        await Catalog.load(fresh_db)
    await seed_studio(fresh_db)
    await Catalog.load(fresh_db)


async def test_the_database_refuses_an_enabled_model_without_a_price(fresh_db: Database) -> None:
    await seed_studio(fresh_db)
    with pytest.raises(asyncpg.CheckViolationError, match="model_priced_check"):
        async with fresh_db.elevated("test") as tx:
            await tx.execute_raw("UPDATE model SET price = NULL WHERE key = 'flux-ultra'")
    async with fresh_db.elevated("test") as tx:
        await tx.execute_raw("UPDATE model SET price = NULL, enabled = false WHERE key = 'flux-ultra'")
        with pytest.raises(InvalidInput, match="FLUX Ultra has no price yet"):
            await set_model_enabled(tx, "flux-ultra", True)


async def test_the_application_may_read_the_catalogue_and_not_write_it(fresh_db: Database) -> None:
    await seed_studio(fresh_db)
    for table in ("connection", "model", "plan", "pack", "style_preset", "edition_state"):
        async with fresh_db.public() as tx:
            await tx.fetch(f"SELECT * FROM {table}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with fresh_db.public() as tx:
                await tx.execute_raw(f"DELETE FROM {table}")
