"""Any month of the gallery at once: places in addresses, the way on in both directions, the months on offer."""

import asyncio
import re
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import asyncpg
import httpx2
import pytest

from gesso.accounts.access import Actor
from gesso.core.errors import InvalidInput
from gesso.db import Database
from gesso.media import bin, gallery, repository, timeline
from gesso.media.inputs import parse_place, zone_of
from gesso.media.models import Asset, Filters, first_id
from tests.cast import make_user
from tests.media.pictures import add, id_at, row, utc

HTMX = {"HX-Request": "true"}
MONTHS = [(2024, 1), (2025, 2), (2025, 3), (2025, 12), (2026, 1)]


@pytest.fixture
async def archive(db: Database, ada: Actor) -> list[Asset]:
    """Ten pictures in each of MONTHS, newest first; the third of each is a favourite."""
    rows = [
        row(ada, id_at(utc(year, month, 5 + n, 12)), prompt=f"{'teal' if n % 2 else 'amber'} peaks {n}")
        for year, month in MONTHS
        for n in range(10)
    ]
    made = sorted(await add(db, ada, *rows), key=lambda asset: asset.id, reverse=True)
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await repository.favourite(tx, [asset.id for asset in made[2::10]], True)
    return made


def ids(assets: list[Asset]) -> list[str]:
    return [str(asset.id) for asset in assets]


def before(assets: list[Asset], year: int, month: int = 1) -> list[Asset]:
    return [asset for asset in assets if asset.made_at < utc(year, month, 1)]


def tiles(html: str) -> list[str]:
    return re.findall(r'<article class="tile[^>]* id="([0-9a-f-]{36})"', html)


def way(html: str, rel: str) -> str | None:
    found = re.search(rf'<a class="btn btn--line" href="([^"]+)" rel="{rel}"', html)
    return found[1].replace("&amp;", "&") if found else None


@pytest.mark.parametrize(
    ("text", "zone", "first_above"),
    [
        ("2025-03", UTC, utc(2025, 4, 1)),
        ("2025-12", UTC, utc(2026, 1, 1)),
        ("2025-03", zone_of("Europe/Zurich"), utc(2025, 3, 31, 22)),
        ("2025-03-09", UTC, utc(2025, 3, 10)),
        ("2025-03-09T10:00:00Z", UTC, utc(2025, 3, 9, 10)),
        ("0001-01", UTC, utc(1970, 1, 1)),
    ],
)
def test_a_place_is_the_first_id_above_it(text: str, zone, first_above: datetime) -> None:
    assert parse_place(text, zone) == first_id(first_above)


@pytest.mark.parametrize("text", ["2025", "2025-13", "9999-12", "march", "2025-03-40", "\\0", "x" * 36, "2025-3-1"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_place(text)
    assert set(refused.value.fields) == {"at"}


async def test_the_api_goes_on_from_a_month_both_ways(client: httpx2.AsyncClient, archive: list[Asset]) -> None:
    async def walk(**query: str) -> list[str]:
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            answer = (await client.get("/api/media", params={"limit": "7", **query, **cursor})).json()
            seen += [item["id"] for item in answer["items"]]
            if answer["next"] is None:
                return seen
            cursor = {"cursor": answer["next"]}

    older, newer = await walk(at="2025-03"), await walk(at="2025-03", direction="newer")
    assert older == ids(before(archive, 2025, 4))
    assert newer == ids(archive[: -len(older)])[::-1]  # nothing twice, nothing left out
    picture = archive[13]
    assert (await walk(at=str(picture.id)))[0] == str(picture.id)
    assert await walk(at=str(picture.id), direction="newer") == ids(archive[:13])[::-1]
    liked = [asset for asset in archive if asset.id in {one.id for one in archive[2::10]}]
    assert await walk(at="2025-12", favourite="true") == ids(before(liked, 2026))
    teal = [asset for asset in archive if "teal" in asset.prompt]
    assert await walk(at="2025-12", q="teal") == ids(before(teal, 2026))
    assert await walk(at="2025-02", q="teal", direction="newer") == ids(
        [asset for asset in teal if asset.made_at > utc(2025, 3, 1)]
    )[::-1]  # fmt: skip
    assert await walk(at="2023-01") == [] and await walk(at="2026-02", direction="newer") == []
    assert await walk(direction="newer") == []
    refused = await client.get("/api/media", params={"at": "someday"})
    assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "at"


async def test_months_are_counted_with_every_change(
    client: httpx2.AsyncClient, db: Database, ada: Actor, archive: list[Asset]
) -> None:
    async def months() -> dict[str, int]:
        items = (await client.get("/api/media/by/month")).json()["items"]
        assert [item["month"] for item in items] == sorted((item["month"] for item in items), reverse=True)
        return {item["month"]: item["count"] for item in items}

    all_of_them = {f"{year}-{month:02}": 10 for year, month in MONTHS}
    assert await months() == all_of_them
    now, doomed = datetime.now(UTC), [asset.id for asset in archive[:11]]  # all of January 2026, one of December
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await repository.delete(tx, doomed, now)
    assert await months() == {**{k: v for k, v in all_of_them.items() if k < "2026"}, "2025-12": 9}
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await repository.restore(tx, doomed[:3], now)
    assert (await months())["2026-01"] == 3
    async with db.elevated("test") as tx:
        binned = [one for one in await bin.due(tx, now + timedelta(days=1), now, None, 10_000) if one.id in doomed]
        assert (await bin.remove(tx, binned, now.date(), {})).pictures == 8
    await add(db, ada, row(ada, id_at(utc(2025, 12, 31, 23, 59)), source="upload"))  # uploads are no part of it
    await asyncio.gather(*(add(db, ada, row(ada, id_at(utc(2023, 7, 1)))) for _ in range(8)))
    assert await months() == {**all_of_them, "2025-12": 9, "2026-01": 3, "2023-07": 8}
    bob = await make_user(db, "Bob")
    async with db.workspace(bob.workspace_id, bob.user_id) as tx:
        assert (await repository.overview(tx)).months == ()


async def test_months_of_older_pictures_are_counted_while_others_arrive(
    db: Database, database_url: str, ada: Actor, archive: list[Asset]
) -> None:
    """What migration 0010 does, with a writer in between that it has to wait for."""
    from importlib import import_module

    count: str = import_module("gesso.db.migrations.versions.0010_depth")._COUNT.format(ada.workspace_id)
    owner = await asyncpg.connect(database_url)
    await owner.execute("DELETE FROM media_month WHERE workspace_id = $1", ada.workspace_id)
    await owner.execute("UPDATE media_usage SET months_counted = false WHERE workspace_id = $1", ada.workspace_id)
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await repository.add_asset(tx, row(ada, id_at(utc(2026, 1, 30))))
        counting = asyncio.create_task(owner.execute(count))
        await asyncio.sleep(0.2)
        assert not counting.done()
        await repository.add_asset(tx, row(ada, id_at(utc(2026, 1, 31))))
    await counting
    await owner.execute(count)  # again changes nothing
    await owner.close()
    await add(db, ada, row(ada, id_at(utc(2026, 1, 29))))
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        months = dict((await repository.overview(tx)).months)
    assert months[date(2026, 1, 1)] == 13 and sum(months.values()) == 53


async def test_a_page_in_the_middle_has_ways_up_and_down(
    client: httpx2.AsyncClient, archive: list[Asset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "PAGE", 8)
    newest = (await client.get("/gallery")).text
    assert way(newest, "prev") is None
    html = (await client.get("/gallery?at=2025-03")).text
    down, up = way(html, "next"), way(html, "prev")
    assert tiles(html) == ids(before(archive, 2025, 4)[:8]) and down and up
    above = (await client.get(up, headers=HTMX)).text
    start = len(archive) - len(before(archive, 2025, 4))
    assert tiles(above) == ids(archive[start - 8 : start])  # newest first, right above
    assert way(above, "prev") and way(above, "next") is None
    below = (await client.get(down, headers=HTMX)).text
    assert tiles(below) == ids(before(archive, 2025, 4)[8:16]) and way(below, "prev") is None
    page = (await client.get(up)).text  # the same without a script, with both ways
    assert tiles(page) == tiles(above) and way(page, "prev") and "<html" in page
    assert tiles((await client.get(way(page, "next") or "")).text) == tiles(html)
    top = html
    for _ in range(10):
        if not (following := way(top, "prev")):
            break
        top = (await client.get(following)).text
    assert tiles(top)[0] == str(archive[0].id)
    for nowhere in ("?at=rubbish", "?at=", "?at=%00"):
        assert tiles((await client.get(f"/gallery{nowhere}")).text) == tiles(newest)
    past = (await client.get("/gallery?at=2020-01")).text
    assert tiles(past) == [] and way(past, "prev") and "No pictures yet" not in past
    assert tiles((await client.get(way(past, "prev") or "")).text) == ids(archive[-8:])


async def test_the_calendar_offers_what_there_is(client: httpx2.AsyncClient, archive: list[Asset]) -> None:
    def offered(html: str) -> list[str]:
        return re.findall(r'<a href="(/gallery\\?[^"]+)" data-month', html)

    html = (await client.get("/gallery")).text
    assert offered(html) == [f"/gallery?at={year}-{month:02}" for year, month in sorted(
        MONTHS, key=lambda one: (-one[0], one[1]))]  # fmt: skip
    filtered = (await client.get("/gallery?favourite=1&from=2025-01-01")).text
    assert offered(filtered) == [
        f"/gallery?favourite=1&amp;from=2025-01-01&amp;at={month}"
        for month in ("2026-01", "2025-02", "2025-03", "2025-12")
    ]
    assert offered((await client.get("/gallery?model=nobody")).text) == []


async def test_months_of_a_filter_are_the_reader_s(db: Database, ada: Actor) -> None:
    (late,) = await add(db, ada, row(ada, id_at(utc(2026, 3, 31, 23, 30))))
    await add(db, ada, row(ada, id_at(utc(2026, 4, 20)), model_key="other"))
    months = [(date(2026, 4, 1), 1), (date(2026, 3, 1), 1)]
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        for zone, expected in ((UTC, 3), (zone_of("Europe/Zurich"), 4)):
            found = await timeline.matching(tx, months, Filters(model=late.model_key), zone)
            assert [month.month for month, _ in found] == [expected]


async def test_a_picture_opened_by_its_address_leads_back_to_its_place(
    client: httpx2.AsyncClient, archive: list[Asset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "PAGE", 8)
    for place, expected in ((3, "/gallery"), (20, f"/gallery?at={archive[20].id}")):
        html = (await client.get(f"/gallery/{archive[place].id}")).text
        assert f'href="{expected}" aria-label="Close"' in html
    assert tiles((await client.get(f"/gallery?at={archive[20].id}")).text)[0] == str(archive[20].id)
    html = (await client.get(f"/gallery/{archive[20].id}?favourite=1")).text
    assert 'href="/gallery?favourite=1" aria-label="Close"' in html


async def test_search_with_a_rare_word_beside_common_ones(db: Database) -> None:
    """2,300 rows, so that the words of the first thousand count as common; the rare one is below them."""
    ada = await make_user(db)
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await tx.execute_raw(
            "INSERT INTO asset (id, workspace_id, kind, source, storage_key, sha256, media_type, size_bytes, width, "
            "height, thumbhash, model_key, favourite, prompt) "
            "SELECT (lpad(to_hex(n), 12, '0') || '70008000000000000000')::uuid, $1::uuid, 'image', 'generated', "
            "$1::uuid::text || n, $2, 'image/png', 1, 1, 1, $2, CASE WHEN n % 5 = 0 THEN 'five' ELSE 'flux' END, "
            "n % 100 = 0, "
            "'light ' || CASE WHEN n % 3 = 0 THEN 'soft ' ELSE '' END || CASE WHEN n IN (300, 303, 45) THEN 'quokka' "
            "ELSE 'x' || n END FROM generate_series(1, 2300) n",
            ada.workspace_id, bytes(32),
        )  # fmt: skip

        async def found(**filters: object) -> list[int]:
            assets, _ = await repository.page(tx, Filters(**filters))  # type: ignore[arg-type]
            return [asset.id.int >> 80 for asset in assets]

        assert await found(q="light quokka") == [303, 300, 45]
        assert await found(q="soft quokka light") == [303, 300, 45]
        assert await found(q="quokka", model="five") == [300, 45]
        assert await found(q="quokka", favourite=True) == [300]
        assert await found(q="light quokka", favourite=True, model="five") == [300]
        assert await found(q="light nowhere") == [] and await found(q="nowhere", favourite=True) == []
        assert await found(q="quokka", until=datetime.fromtimestamp(0.2, UTC)) == [45]
        around = await repository.around(tx, UUID(int=(301 << 80) | 0x70008000000000000000), Filters(q="quokka"))
        assert [asset.id.int >> 80 for asset in around.newer] == [303]
        assert [asset.id.int >> 80 for asset in around.older] == [300, 45]
