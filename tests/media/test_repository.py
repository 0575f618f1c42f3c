"""Rows: paging without gaps, search by its index, isolation, the bin, totals."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from gesso.core.errors import NotFound
from gesso.core.ids import new_id
from gesso.db import Database
from gesso.media import bin, repository
from gesso.media.models import Asset, Doomed, Filters, Usage
from tests.cast import make_user
from tests.media.pictures import add, id_at, row, utc


async def walk(db: Database, actor, filters: Filters, limit: int, between=None) -> list[Asset]:
    """All pages, with `between` run after each of them."""
    seen: list[Asset] = []
    cursor: UUID | None = None
    while True:
        async with db.workspace(actor.workspace_id, actor.user_id) as tx:
            found, cursor = await repository.page(tx, filters, before=cursor, limit=limit)
        seen += found
        if cursor is None:
            return seen
        if between:
            await between()


async def test_a_row_comes_back_whole(db: Database) -> None:
    ada = await make_user(db)
    new = row(
        ada, generation_id=new_id(), output_index=2, negative_prompt="fog", seed=2**62, took_ms=8600,
        params={"quality": "high", "steps": 28}, charged={"credits": "1"}, width=896, height=1152,
    )  # fmt: skip
    (asset,) = await add(db, ada, new)
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        assert await repository.get(tx, new.id) == asset
        assert list(await repository.by_ids(tx, [new_id(), new.id])) == [new.id]
    for name in ("generation_id", "seed", "params", "charged", "took_ms", "sha256", "prompt", "user_id"):
        assert getattr(asset, name) == getattr(new, name)
    assert asset.workspace_id == ada.workspace_id and not asset.favourite and asset.deleted_at is None
    assert abs(asset.made_at - datetime.now(UTC)) < timedelta(seconds=20)


async def test_a_seed_beyond_64_bits_costs_the_seed_not_the_picture(db: Database) -> None:
    ada = await make_user(db)
    (asset,) = await add(db, ada, row(ada, seed=2**64 - 1))
    assert asset.seed is None


async def test_paging_gives_everything_once_newest_first(db: Database) -> None:
    ada = await make_user(db)
    ids = [row.id for row in await add(db, ada, *(row(ada) for _ in range(23)))]
    for limit in (1, 5, 23, 100):
        assert [asset.id for asset in await walk(db, ada, Filters(), limit)] == sorted(ids, reverse=True)


async def test_pages_have_no_gap_and_no_repeat_while_pictures_arrive_and_go(db: Database) -> None:
    ada = await make_user(db)
    started = [asset.id for asset in await add(db, ada, *(row(ada) for _ in range(40)))]
    doomed = sorted(started)[:3]

    async def meanwhile() -> None:
        await add(db, ada, row(ada), row(ada))
        if doomed:
            async with db.workspace(ada.workspace_id, ada.user_id) as tx:
                await repository.delete(tx, [doomed.pop()], datetime.now(UTC))

    seen = [asset.id for asset in await walk(db, ada, Filters(), 7, meanwhile)]
    assert seen == sorted(set(started) - set(sorted(started)[:3]), reverse=True)


async def test_filters(db: Database) -> None:
    ada = await make_user(db)
    plain, flux, liked, upload = await add(
        db, ada, row(ada, model_key="seedream", model_name="Seedream"), row(ada, model_key="flux"), row(ada),
        row(ada, source="upload", model_key=None, model_name=None, prompt=""),
    )  # fmt: skip
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await repository.favourite(tx, [liked.id], True)

        async def ids(filters: Filters) -> set[UUID]:
            return {asset.id for asset in (await repository.page(tx, filters))[0]}

        assert await ids(Filters()) == {plain.id, flux.id, liked.id}
        assert await ids(Filters(model="seedream")) == {plain.id}
        assert await ids(Filters(favourite=True)) == {liked.id}
        assert await ids(Filters(source="upload")) == {upload.id}
        assert await ids(Filters(source=None)) == {plain.id, flux.id, liked.id, upload.id}
        assert await ids(Filters(kind="video")) == set()
        assert await ids(Filters(model="flux", favourite=True)) == {liked.id}
        assert (await repository.overview(tx)).models == (("flux", "Flux"), ("seedream", "Seedream"))


async def test_dates_are_ranges_of_ids(db: Database) -> None:
    ada = await make_user(db)
    days = [utc(2026, 5, day, 12) for day in (10, 11, 12)]
    for day in days:
        await add(db, ada, row(ada, id_at(day)))
    edge = utc(2026, 5, 11)
    await add(db, ada, row(ada, UUID(int=int(edge.timestamp() * 1000) << 80)))
    may_11 = Filters(since=edge, until=utc(2026, 5, 12))
    assert [asset.made_at for asset in await walk(db, ada, may_11, 10)] == [days[1], edge]
    assert [asset.made_at for asset in await walk(db, ada, Filters(since=utc(2026, 5, 12)), 10)] == [days[2]]
    assert [asset.made_at for asset in await walk(db, ada, Filters(until=edge), 10)] == [days[0]]
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        spans = [may_11, Filters(until=edge), Filters(since=utc(2026, 6, 1))]
        assert await repository.counts(tx, Filters(), spans) == [2, 1, 0]
        assert await repository.counts(tx, Filters(model="other"), spans) == [0, 0, 0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ridges", {"a", "b"}),
        ("RIDG", {"a", "b"}),
        ("violet ridges", {"a"}),
        ("ridges violet", {"a"}),
        ("teal", {"b", "c"}),
        ("o'brien", {"c"}),
        ("seedream", {"c"}),
        ("sand-col", {"a"}),
        ("lora ink", {"b"}),
        ("sky", {"a", "b"}),
        ("nowhere", set()),
        ("!!!", set()),
        ("ridges & !violet | ' \\ :* <->", {"a"}),
        ("'; DROP TABLE asset; --", set()),
        ("", {"a", "b", "c"}),
        ("x" * 5000, set()),
    ],
)
async def test_search_takes_words_as_beginnings(db: Database, query: str, expected: set[str]) -> None:
    ada = await make_user(db)
    prompts = {
        "a": "Violet ridges, sand-coloured sky",
        "b": "teal ridges at dawn, sea/sky <lora:ink:0.8>",
        "c": "Portrait of O'Brien in teal",
    }
    made = {
        name: row(ada, prompt=prompt, model_name="Seedream 4" if name == "c" else "Flux")
        for name, prompt in prompts.items()
    }
    await add(db, ada, *made.values())
    found = {asset.id for asset in await walk(db, ada, Filters(q=query), 10)}
    assert found == {made[name].id for name in expected}


async def test_search_pages_like_the_list_whatever_the_density(db: Database) -> None:
    """2,300 rows: more than two windows of the walk, with words in one of 2, 100 and 1,150 of them."""
    ada = await make_user(db)
    ids = sorted(new_id() for _ in range(2300))
    words = {n: [w for w, every in (("half", 2), ("some", 100), ("rare", 1150)) if n % every == 0] for n in range(2300)}
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        for n, asset_id in enumerate(ids):
            await repository.add_asset(tx, row(ada, asset_id, prompt=" ".join(words[n]) or "nothing"))
    for word, limit in (("half", 100), ("some", 7), ("rare", 5)):
        expected = [ids[n] for n in range(2300) if word in words[n]][::-1]
        assert [asset.id for asset in await walk(db, ada, Filters(q=word), limit)] == expected
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        found = await repository.around(tx, ids[1150], Filters(q="some"), span=3)
    assert [asset.id for asset in found.newer] == [ids[1200], ids[1300], ids[1400]]
    assert [asset.id for asset in found.older] == [ids[1100], ids[1000], ids[900]]
    assert found.position is None


async def test_search_respects_the_other_filters(db: Database) -> None:
    ada = await make_user(db)
    liked, other, binned, upload = await add(
        db, ada, row(ada), row(ada, model_key="x"), row(ada), row(ada, source="upload")
    )
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await repository.favourite(tx, [liked.id], True)
        await repository.delete(tx, [binned.id], datetime.now(UTC))

        async def ids(**filters: object) -> set[UUID]:
            return {a.id for a in (await repository.page(tx, Filters(q="violet", **filters)))[0]}  # type: ignore[arg-type]

        assert await ids() == {liked.id, other.id}
        assert await ids(favourite=True) == {liked.id}
        assert await ids(model="x") == {other.id}
        assert await ids(source="upload") == {upload.id}
        assert await ids(until=other.made_at) <= {liked.id}


async def test_neighbours_and_position(db: Database) -> None:
    ada = await make_user(db)
    ids = sorted((asset.id for asset in await add(db, ada, *(row(ada) for _ in range(9)))), reverse=True)
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        middle = await repository.around(tx, ids[4], Filters(), span=2)
        first = await repository.around(tx, ids[0], Filters(), span=2)
        last = await repository.around(tx, ids[8], Filters(), span=2)
    assert [a.id for a in middle.newer] == [ids[3], ids[2]] and [a.id for a in middle.older] == [ids[5], ids[6]]
    assert (middle.position, middle.total) == (5, 9)
    assert first.newer == () and first.position == 1
    assert last.older == () and last.position == 9


async def test_another_workspace_sees_and_changes_nothing(db: Database) -> None:
    ada, bob = await make_user(db), await make_user(db, "Bob")
    (asset,) = await add(db, ada, row(ada))
    now = datetime.now(UTC)
    async with db.workspace(bob.workspace_id, bob.user_id) as tx:
        with pytest.raises(NotFound):
            await repository.get(tx, asset.id)
        assert await repository.by_ids(tx, [asset.id]) == {}
        assert (await repository.page(tx, Filters()))[0] == ()
        assert await repository.delete(tx, [asset.id], now) == []
        assert await repository.favourite(tx, [asset.id], True) == []
        assert await tx.fetchval("SELECT count(*) FROM asset WHERE id = $1", asset.id) == 0
        assert await tx.execute_raw("UPDATE asset SET prompt = '' WHERE id = $1", asset.id) == 0
        assert await tx.fetchval("SELECT count(*) FROM media_usage") == 0
    async with db.public() as tx:
        assert await tx.fetchval("SELECT count(*) FROM asset") == 0
    for attempt in (
        "SELECT media_search($1, 'violet', $2, $3, false, 9, null, null, null, false)",
        "SELECT media_models($1)",
    ):
        args = (ada.workspace_id, UUID(int=0), UUID(int=2**128 - 1)) if "$2" in attempt else (ada.workspace_id,)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db.workspace(bob.workspace_id, bob.user_id) as tx:
                await tx.fetch(attempt, *args)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.workspace(bob.workspace_id, bob.user_id) as tx:
            await tx.fetch("SELECT media_models(NULL)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.workspace(bob.workspace_id, bob.user_id) as tx:
            await repository.add_asset(tx, row(bob))
            await tx.execute_raw("UPDATE asset SET workspace_id = $1", ada.workspace_id)


async def test_the_application_cannot_remove_rows(db: Database) -> None:
    ada = await make_user(db)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.workspace(ada.workspace_id, ada.user_id) as tx:
            await tx.execute_raw("DELETE FROM asset")


async def test_delete_and_undo(db: Database) -> None:
    ada = await make_user(db)
    one, two = await add(db, ada, row(ada), row(ada))
    now = datetime.now(UTC)
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        assert set(await repository.delete(tx, [one.id, two.id, new_id()], now)) == {one.id, two.id}
        assert await repository.delete(tx, [one.id], now) == []
        with pytest.raises(NotFound):
            await repository.get(tx, one.id)
        assert await repository.favourite(tx, [one.id], True) == []
        assert await repository.restore(tx, [one.id], now + timedelta(hours=23)) == [one.id]
        assert (await repository.get(tx, one.id)).deleted_at is None
        assert await repository.restore(tx, [two.id], now + timedelta(hours=25)) == []


async def test_totals_follow_every_change(db: Database) -> None:
    ada = await make_user(db)
    now = datetime.now(UTC)
    one, two, upload = await add(
        db, ada, row(ada, size_bytes=10), row(ada, size_bytes=20), row(ada, source="upload", size_bytes=5)
    )
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        assert await repository.usage(tx) == Usage(2, 0, 35)
        await repository.favourite(tx, [one.id, two.id], True)
        assert await repository.usage(tx) == Usage(2, 0, 35)
        await repository.delete(tx, [one.id, upload.id], now)
        assert await repository.usage(tx) == Usage(1, 0, 20)
        await repository.restore(tx, [one.id], now)
        assert await repository.usage(tx) == Usage(2, 0, 30)
        await repository.delete(tx, [two.id], now)
    async with db.elevated("test") as tx:
        doomed = [Doomed(asset.id, ada.workspace_id, "person", (), now) for asset in (one, two)]
        assert (await bin.remove(tx, doomed, now.date(), {})).rows == 1  # only what is in the bin
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        assert await repository.usage(tx) == Usage(1, 0, 10)
    bob = await make_user(db, "Bob")
    async with db.workspace(bob.workspace_id, bob.user_id) as tx:
        assert await repository.usage(tx) == Usage(0, 0, 0)


async def test_totals_are_exact_when_many_write_at_once(db: Database) -> None:
    ada = await make_user(db)
    await asyncio.gather(*(add(db, ada, row(ada, size_bytes=7), row(ada, size_bytes=7)) for _ in range(12)))
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        assert await repository.usage(tx) == Usage(24, 0, 168)


async def test_removing_a_workspace_removes_its_assets(db: Database, database_url: str) -> None:
    ada = await make_user(db)
    await add(db, ada, row(ada))
    owner = await asyncpg.connect(database_url)
    await owner.execute("DELETE FROM workspace WHERE id = $1", ada.workspace_id)
    assert await owner.fetchval("SELECT count(*) FROM asset WHERE workspace_id = $1", ada.workspace_id) == 0
    await owner.close()


async def test_search_uses_the_word_index_under_the_application_role(db: Database) -> None:
    """Without it the wait for a word that is nowhere grows with the number of pictures."""
    ada = await make_user(db)
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await tx.execute_raw(
            "INSERT INTO asset (id, workspace_id, kind, source, storage_key, sha256, media_type, size_bytes, "
            "width, height, thumbhash, prompt) SELECT gen_random_uuid(), $1, 'image', 'generated', "
            "gen_random_uuid()::text, $2, 'image/png', 1, 1, 1, $2, 'word' || (n % 500) "
            "FROM generate_series(1, 6000) n",
            ada.workspace_id,
            bytes(32),
        )
    scans = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'asset_tsv_idx'"
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await tx.fetchval("SELECT pg_stat_force_next_flush()")
        before = await tx.fetchval(scans)
        assert (await repository.page(tx, Filters(q="nowhere")))[0] == ()
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await tx.fetchval("SELECT pg_stat_force_next_flush()")
        await asyncio.sleep(0.05)
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        assert await tx.fetchval(scans) > before
