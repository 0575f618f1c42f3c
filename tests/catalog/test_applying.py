"""Editions and operators: the file is followed where nobody touched a value, and never where somebody did."""

from dataclasses import replace

from gesso.catalog.changes import Change
from gesso.catalog.editions import Edition, load_edition, parse_edition
from gesso.catalog.registry import Catalog
from gesso.catalog.service import edition_apply, edition_diff, set_model_enabled
from gesso.db import Database
from tests.cast import make_user
from tests.catalog.helpers import seed_studio, settings
from tests.catalog.test_editions import GOOD, SECOND_MODEL

STUDIO = load_edition("studio")


def edition(text: str = GOOD, name: str = "test") -> Edition:
    return parse_edition(text.encode(), f"{name}.toml")


async def diff(db: Database, wanted: Edition) -> tuple[Change, ...]:
    async with db.elevated("test: diff") as tx:
        return await edition_diff(tx, wanted)


async def apply(db: Database, wanted: Edition) -> tuple[Change, ...]:
    async with db.elevated("test: apply") as tx:
        return await edition_apply(tx, wanted)


def brief(changes: tuple[Change, ...]) -> set[tuple[str, str, str, str | None]]:
    return {(change.verb, change.table, change.key, change.column) for change in changes}


async def test_applying_again_changes_nothing(fresh_db: Database) -> None:
    await apply(fresh_db, edition())
    before = await Catalog.load(fresh_db)
    assert await apply(fresh_db, edition()) == ()
    assert await diff(fresh_db, edition()) == ()
    after = await Catalog.load(fresh_db)
    assert before.snapshot == after.snapshot


async def test_what_is_stored_is_what_the_file_says(fresh_db: Database) -> None:
    await apply(fresh_db, STUDIO)
    catalog = await Catalog.load(fresh_db)
    assert catalog.edition == STUDIO.face
    for wanted in STUDIO.models:
        found = catalog.model(wanted.key, enabled_only=False)
        assert found == replace(wanted, id=found.id, connection_id=found.connection_id)
    assert [plan.key for plan in catalog.plans()] == [plan.key for plan in STUDIO.plans]
    assert catalog.plan("free") == replace(STUDIO.plans[0], id=catalog.plan("free").id)


async def test_a_new_price_is_shown_with_whom_it_touches(fresh_db: Database) -> None:
    await apply(fresh_db, edition())
    for name in ("Ada", "Ben", "Cleo"):
        await make_user(fresh_db, name)
    dearer = edition(
        GOOD.replace('price = { credits = "1" }', 'price = { credits = "2" }').replace("parallel = 2", "parallel = 1")
    )
    changes = await diff(fresh_db, dearer)
    assert {(c.table, c.key, c.column, c.touches) for c in changes} == {
        ("model", "painter", "price", 3), ("plan", "free", "parallel", 3),
    }  # fmt: skip
    price = next(change for change in changes if change.column == "price")
    assert (price.before, price.after) == ({"credits": "1"}, {"credits": "2"})
    assert await apply(fresh_db, dearer) == changes
    rule = (await Catalog.load(fresh_db)).model("painter").price
    assert rule is not None
    assert rule.per_output({}) == 2_000_000


async def test_a_plan_change_touches_those_on_the_plan_only(fresh_db: Database) -> None:
    second = '[[plans]]\nkey = "pro"\nname = "Pro"\nparallel = 4\nmax_count = 8\n'
    await apply(fresh_db, edition(GOOD + second))
    await make_user(fresh_db, "Ada")
    await make_user(fresh_db, "Ben", plan="pro")
    await make_user(fresh_db, "Cleo", plan="a plan that is gone")  # served as the default plan
    by_plan = {
        change.key: change.touches
        for change in await diff(
            fresh_db, edition((GOOD + second).replace("max_count", "queue_priority = 1\nmax_count"))
        )
    }
    assert by_plan == {"free": 2, "pro": 1}
    removed = await diff(fresh_db, edition())
    assert [(change.verb, change.key, change.touches) for change in removed] == [("remove", "pro", 1)]


async def test_an_operators_value_stays_and_is_shown(fresh_db: Database) -> None:
    await apply(fresh_db, edition())
    async with fresh_db.elevated("test: an operator") as tx:
        await tx.execute_raw(
            "UPDATE model SET price = $1, name = 'Our painter', edited_at = now() WHERE key = 'painter'",
            {"credits": "7"},
        )
    dearer = GOOD.replace('price = { credits = "1" }', 'price = { credits = "2" }')
    changed = edition(dearer.replace("typical_seconds = 3", "typical_seconds = 5"))
    for changes in (await diff(fresh_db, changed), await apply(fresh_db, changed)):
        assert brief(changes) == {
            ("keep", "model", "painter", "price"), ("keep", "model", "painter", "name"),
            ("change", "model", "painter", "typical_seconds"),
        }  # fmt: skip
    # also after the next change of the file, and the one after that
    assert ("keep", "model", "painter", "price") in brief(await apply(fresh_db, edition()))
    painter = (await Catalog.load(fresh_db)).model("painter")
    assert painter.price is not None
    assert (painter.name, painter.price.to_json(), painter.typical_seconds) == ("Our painter", {"credits": "7"}, 3)


async def test_a_value_the_operator_set_back_follows_the_file_again(fresh_db: Database) -> None:
    await apply(fresh_db, edition())
    async with fresh_db.elevated("test: an operator") as tx:
        await tx.execute_raw("UPDATE model SET typical_seconds = 99 WHERE key = 'painter'")
        await tx.execute_raw("UPDATE model SET typical_seconds = 3 WHERE key = 'painter'")
    slower = edition(GOOD.replace("typical_seconds = 3", "typical_seconds = 5"))
    assert brief(await apply(fresh_db, slower)) == {("change", "model", "painter", "typical_seconds")}


async def test_a_model_the_file_drops_is_switched_off_and_comes_back(fresh_db: Database) -> None:
    await apply(fresh_db, edition(GOOD + SECOND_MODEL))
    drawer = (await Catalog.load(fresh_db)).model("drawer")
    assert brief(await apply(fresh_db, edition())) == {("remove", "model", "drawer", None)}
    assert await diff(fresh_db, edition()) == ()
    catalog = await Catalog.load(fresh_db)
    assert [model.key for model in catalog.models()] == ["painter"]
    assert catalog.model("drawer", enabled_only=False).id == drawer.id
    assert brief(await apply(fresh_db, edition(GOOD + SECOND_MODEL))) == {("change", "model", "drawer", "enabled")}
    assert (await Catalog.load(fresh_db)).model("drawer").id == drawer.id


async def test_a_model_an_operator_switched_off_stays_off(fresh_db: Database) -> None:
    await apply(fresh_db, edition())
    async with fresh_db.elevated("test: an operator") as tx:
        await set_model_enabled(tx, "painter", False)
    assert brief(await apply(fresh_db, edition())) == {("keep", "model", "painter", "enabled")}
    assert (await Catalog.load(fresh_db)).models() == ()


async def test_what_an_operator_added_is_none_of_the_editions_business(fresh_db: Database) -> None:
    await apply(fresh_db, edition())
    async with fresh_db.elevated("test: an operator") as tx:
        await tx.execute_raw(
            "INSERT INTO model (id, key, kind, connection_id, upstream, name, capabilities, typical_seconds, origin)"
            " SELECT gen_random_uuid(), 'own', kind, connection_id, upstream, 'Own', capabilities, 3, 'operator'"
            " FROM model WHERE key = 'painter'"
        )
    assert await apply(fresh_db, edition()) == ()
    assert (await Catalog.load(fresh_db)).model("own", enabled_only=False).name == "Own"


# ── starts ───────────────────────────────────────────────────────────────────────────────────────


async def test_starts_apply_the_edition_once(fresh_db: Database) -> None:
    first = await seed_studio(fresh_db)
    assert {change.verb for change in first.changes} == {"add", "change"}
    again = await seed_studio(fresh_db)
    assert (again.changes, again.pending, again.connections) == ((), (), ())


async def test_a_release_with_a_new_model_arrives_by_itself_and_a_new_price_waits(fresh_db: Database) -> None:
    given = settings(edition="test")
    await seed_studio(fresh_db, given, edition())
    await make_user(fresh_db, "Ada")
    grown = await seed_studio(fresh_db, given, edition(GOOD + SECOND_MODEL))
    assert brief(grown.changes) == {("add", "model", "drawer", None)}
    dearer = edition((GOOD + SECOND_MODEL).replace('"1" }', '"2" }').replace('"Paints."', '"Paints well."'))
    waiting = await seed_studio(fresh_db, given, dearer)
    assert waiting.changes == ()
    assert ("change", "model", "painter", "price") in brief(waiting.pending)
    painter = (await Catalog.load(fresh_db)).model("painter")
    assert painter.price is not None
    assert (painter.price.to_json(), painter.description) == ({"credits": "1"}, "Paints.")
    await apply(fresh_db, dearer)
    assert (await seed_studio(fresh_db, given, dearer)).pending == ()


async def test_another_setting_switches_editions_and_an_applied_file_survives_a_restart(fresh_db: Database) -> None:
    await seed_studio(fresh_db)
    await apply(fresh_db, edition(name="ours"))
    await seed_studio(fresh_db)  # GESSO_EDITION still says studio, as it did before
    assert (await Catalog.load(fresh_db)).edition.name == "ours"
    await seed_studio(fresh_db, settings(edition="test"), edition())
    catalog = await Catalog.load(fresh_db)
    assert (catalog.edition.name, [model.key for model in catalog.models()]) == ("test", ["painter"])
