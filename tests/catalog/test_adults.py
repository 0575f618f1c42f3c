"""Models for adults: only in an edition that wants them, where the operator confirmed it, for who may see them."""

import dataclasses

import pytest
from pydantic import SecretStr

from gesso.catalog import service
from gesso.catalog.editions import Edition, EditionError, load_edition
from gesso.catalog.editions.edition import Policy
from gesso.catalog.editions.loader import parse_edition
from gesso.catalog.edits.models import ModelFacts, ModelRefused, save_model
from gesso.catalog.registry import Catalog
from gesso.core.errors import InvalidInput
from gesso.core.settings import Settings
from gesso.db import Database
from tests.catalog.helpers import SEALER, seed_studio, settings

CAPABILITIES = {
    "type": "object", "additionalProperties": False, "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string", "maxLength": 500},
        "count": {"type": "integer", "minimum": 1, "maximum": 1, "default": 1},
    },
}  # fmt: skip
KEY = SecretStr("pc-" + "0" * 30)


def grown_up(*, confirmed: bool = True, promptchan_key: SecretStr | None = None) -> Settings:
    given = settings()
    return dataclasses.replace(
        given,
        site=given.site.model_copy(update={"adult_content": confirmed}),
        providers=given.providers.model_copy(update={"promptchan_api_key": promptchan_key}),
    )


def for_adults() -> Edition:
    """Studio with the other policy."""
    edition = load_edition("studio")
    face = dataclasses.replace(edition.face, policy=Policy("adult"))
    return dataclasses.replace(edition, face=face, file_hash="ad" * 32)


async def add_model(db: Database) -> None:
    """An adult model, as an operator would put it on a connection."""
    async with db.elevated("test: a model for adults") as tx:
        await service.add_connection(tx, SEALER, key="grown", adapter="promptchan", api_key=KEY)
        await tx.execute_raw(
            "INSERT INTO model (id, key, kind, connection_id, upstream, name, description, capabilities, price, wire,"
            " tags, fallbacks, position, origin, typical_seconds, enabled)"
            " SELECT gen_random_uuid(), 'portraits', kind, c.id, 'picture',"
            " 'Portraits', '', capabilities, price, '{}', '{}', '{}', 999, 'operator', 30, true FROM model m,"
            " connection c WHERE m.key = 'juggernaut-lightning' AND c.key = 'grown'"
        )


async def test_a_general_site_takes_no_connection_for_adults(fresh_db: Database) -> None:
    await seed_studio(fresh_db)
    with pytest.raises(InvalidInput, match="content policy of this site is general"):
        await add_model(fresh_db)


async def test_a_key_in_the_environment_of_a_general_site_connects_nothing(fresh_db: Database) -> None:
    await seed_studio(fresh_db, grown_up(promptchan_key=KEY))
    assert "promptchan" not in {one.adapter for one in (await Catalog.load(fresh_db)).adults.connections()}


async def test_an_edition_for_adults_needs_the_operators_word(fresh_db: Database) -> None:
    with pytest.raises(InvalidInput, match="GESSO_ADULT_CONTENT"):
        await seed_studio(fresh_db, grown_up(confirmed=False), for_adults())
    await seed_studio(fresh_db, grown_up(promptchan_key=KEY), for_adults())
    assert "promptchan" in {one.adapter for one in (await Catalog.load(fresh_db)).adults.connections()}


async def test_adult_models_are_in_the_catalogue_for_adults_only(fresh_db: Database) -> None:
    await seed_studio(fresh_db, grown_up(), for_adults())
    await add_model(fresh_db)
    catalog = await Catalog.load(fresh_db)
    everybody, adults = ({model.key for model in view.models()} for view in (catalog, catalog.adults))
    assert adults - everybody == {"portraits"}
    assert catalog.adults.model("portraits").name == "Portraits"
    with pytest.raises(InvalidInput) as caught:
        catalog.model("portraits")
    assert "Portraits" not in caught.value.detail, "nobody else learns that it exists"
    assert "portraits" not in catalog.snapshot.models
    async with fresh_db.elevated("test: off") as tx:
        await service.set_connection_enabled(tx, "grown", False)
    await catalog.adults.refresh()
    assert "portraits" not in {model.key for model in catalog.adults.models()}


async def test_a_site_that_turns_general_again_has_none_of_them(fresh_db: Database) -> None:
    await seed_studio(fresh_db, grown_up(), for_adults())
    await add_model(fresh_db)
    async with fresh_db.elevated("test: general again") as tx:
        await service.edition_apply(tx, load_edition("studio"))
    catalog = await Catalog.load(fresh_db)
    assert "portraits" not in {model.key for model in catalog.adults.models()}
    assert "portraits" not in catalog.adults.snapshot.models
    async with fresh_db.elevated("test: on") as tx:
        for switch in (
            service.set_model_enabled(tx, "portraits", True),
            service.set_connection_enabled(tx, "grown", True),
        ):
            with pytest.raises(InvalidInput, match="content policy"):
                await switch
        grown = ModelFacts("Portraits", "", "grown", "picture", CAPABILITIES, price={"credits": "1"}, enabled=True)
        with pytest.raises(ModelRefused, match="apply an edition whose policy is “adult”") as caught:
            await save_model(tx, "portraits", None, grown)
        assert set(caught.value.fields) == {"connection"}
        with pytest.raises(ModelRefused, match="content policy"):
            await save_model(tx, "more-portraits", "image", grown)
        await save_model(tx, "portraits", None, dataclasses.replace(grown, enabled=False))
        await service.set_model_enabled(tx, "portraits", False)


def test_an_edition_with_a_connection_for_adults_and_the_general_policy_is_refused() -> None:
    text = (
        'modules = ["image"]\n[brand]\nname = "A"\ntitle = "A"\n[defaults]\nplan = "free"\nmodel = "m"\n'
        '[[connections]]\nkey = "grown"\nadapter = "promptchan"\nname = "Promptchan"\n'
    )
    with pytest.raises(EditionError) as caught:
        parse_edition(text.encode(), "a.toml")
    assert "a.toml:10: “promptchan” has adult models, and the content policy here is general" in str(caught.value)
    with pytest.raises(EditionError) as caught:
        parse_edition(text.replace("[defaults]", '[policy]\ncontent = "adult"\n[defaults]').encode(), "a.toml")
    assert "adult models" not in str(caught.value)
