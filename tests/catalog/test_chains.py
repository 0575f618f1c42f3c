"""Chains: read from the edition, arranged by operators, and without either the models that can, by position."""

import pytest

from gesso.catalog.items import ChainLink
from gesso.catalog.registry import CHANNEL, Catalog
from gesso.db import Database
from tests.catalog.test_applying import apply, brief, diff, edition
from tests.catalog.test_editions import GOOD, SECOND_MODEL, line_in, problems_of

TALKER = SECOND_MODEL.replace('"drawer"', '"talker"').replace('kind = "image"', 'kind = "chat"')
SEER = TALKER.replace('"talker"', '"seer"').replace('kind = "chat"', 'kind = "chat"\ntags = ["vision"]')
CHAIN = """
[chains.text]
total_seconds = 20
links = [{ model = "seer", seconds = 5 }, { model = "talker" }]
"""
BOTH = GOOD + TALKER + SEER


def keys(catalog: Catalog, chain: str) -> list[tuple[str, int]]:
    return [(model.key, seconds) for model, seconds in catalog.chain(chain)[0]]  # type: ignore[arg-type]


async def test_the_editions_chain_is_followed_until_an_operator_arranges_it(fresh_db: Database) -> None:
    await apply(fresh_db, edition(BOTH + CHAIN))
    async with fresh_db.elevated("test: all connections on") as tx:
        await tx.execute_raw("UPDATE connection SET sandbox = true, enabled = true")
    catalog = await Catalog.load(fresh_db)
    assert keys(catalog, "text") == [("seer", 5), ("talker", 12)] and catalog.chain("text")[1] == 20
    assert keys(catalog, "vision") == [("seer", 12)] and catalog.chain("vision")[1] == 30
    assert await diff(fresh_db, edition(BOTH + CHAIN)) == ()

    swapped = edition(BOTH + CHAIN.replace("seconds = 5", "seconds = 6"))
    assert brief(await apply(fresh_db, swapped)) == {("change", "chain", "text", "links")}
    async with fresh_db.elevated("test: an operator") as tx:
        await tx.execute_raw(
            "UPDATE chain SET links = $1, edited_at = now()", [ChainLink("talker", 9).to_json()]
        )  # fmt: skip
        tx.notify_after_commit(CHANNEL, {})
    assert brief(await apply(fresh_db, edition(BOTH + CHAIN))) == {("keep", "chain", "text", "links")}
    await catalog.refresh()
    assert keys(catalog, "text") == [("talker", 9)]


async def test_a_chain_the_file_drops_gives_way_to_the_models_by_position(fresh_db: Database) -> None:
    await apply(fresh_db, edition(BOTH + CHAIN))
    assert brief(await apply(fresh_db, edition(BOTH))) == {("remove", "chain", "text", None)}
    catalog = await Catalog.load(fresh_db)
    assert keys(catalog, "text") == [("talker", 12), ("seer", 12)]
    async with fresh_db.elevated("test: off") as tx:
        await tx.execute_raw("UPDATE model SET enabled = false WHERE key = 'talker'")
    await catalog.refresh()
    assert keys(catalog, "text") == [("seer", 12)]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('model = "talker"', 'model = "nobody"', "there is no model “nobody”"),
        ('model = "talker"', 'model = "painter"', "“painter” cannot be part of the chain text: it is of kind image"),
        ('model = "talker"', 'model = "seer"', "“seer” stands twice in the chain text"),
        ("seconds = 5", "seconds = 21", "“seconds” is 21; it must be from 1 to 20"),
        ('links = [{ model = "seer", seconds = 5 }, { model = "talker" }]', "links = []", "needs at least one link"),
        ("total_seconds", "seconds", "unknown key “seconds” in [chains.text]"),
        ("[chains.text]", "[chains.words]", "unknown key “words” in [chains]"),
    ],
)
def test_a_mistake_in_a_chain_is_named_with_its_line(old: str, new: str, reason: str) -> None:
    text = BOTH + CHAIN.replace(old, new)
    assert any(reason in told and line >= line_in(text, "[chains.") for line, told in problems_of(text)), problems_of(
        text
    )


async def test_a_connections_options_reach_it_and_follow_the_file(fresh_db: Database) -> None:
    fal = 'adapter = "fal"\n'
    assert fal in GOOD
    given = edition(GOOD.replace(fal, fal + "options = { region = 'eu', usd_per_credit = 0.005 }\n"))
    await apply(fresh_db, edition(GOOD))
    assert brief(await apply(fresh_db, given)) == {("change", "connection", "fal", "options")}
    (connection,) = (await Catalog.load(fresh_db)).connections()
    assert connection.options == {"region": "eu", "usd_per_credit": 0.005}
