"""The gallery and the lightbox as pages and fragments: what is on them, and that forms do what they say."""

import io
import re
import zipfile
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from gesso.accounts.access import Actor
from gesso.core.ids import new_id
from gesso.db import Database
from gesso.media import gallery, repository
from gesso.media.storage import Storage
from tests.cast import make_user
from tests.media.conftest import NewClient
from tests.media.pictures import add, id_at, keep, picture, row

HTMX = {"HX-Request": "true"}


def tiles(html: str) -> list[str]:
    return re.findall(r'<article class="tile[^>]* id="([0-9a-f-]{36})"', html)


def next_link(html: str) -> str | None:
    found = re.search(r'<a class="btn btn--line" href="([^"]+)" rel="next"', html)
    return found[1].replace("&amp;", "&") if found else None


def days(html: str) -> list[tuple[str, str]]:
    return re.findall(r'<div class="day"><h2>([^<]+)</h2><span>([^<]+)</span>', html)


async def test_an_empty_gallery_says_what_to_do(client: httpx2.AsyncClient) -> None:
    html = (await client.get("/gallery")).text
    assert "No pictures yet" in html and 'href="/create"' in html
    assert "Search prompts" not in html


async def test_days_and_pages_without_scripts(
    client: httpx2.AsyncClient, db: Database, ada: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "PAGE", 4)
    noon = datetime.now(UTC).replace(hour=0, minute=0, second=1)
    moments = [noon + timedelta(milliseconds=n) for n in range(3)]
    moments += [noon - timedelta(days=1, milliseconds=n) for n in range(1, 4)] + [noon - timedelta(days=400)]
    made = await add(db, ada, *(row(ada, id_at(moment)) for moment in moments))
    first = (await client.get("/gallery")).text
    assert days(first) == [("Today", "3"), ("Yesterday", "3")]
    second_href = next_link(first)
    assert second_href
    second = (await client.get(second_href)).text
    assert days(second)[0] == ("Yesterday", "3")  # a page of its own has its own headings
    assert str((noon - timedelta(days=400)).year) in days(second)[1][0]
    assert next_link(second) is None
    assert tiles(first) + tiles(second) == [str(asset.id) for asset in sorted(made, key=lambda a: a.id, reverse=True)]

    joined = (await client.get(second_href, headers=HTMX)).text
    assert "<html" not in joined and "Yesterday" not in joined and "data-continues" in joined
    assert tiles(joined) == tiles(second)


async def test_days_follow_the_reader_s_zone(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    await add(db, ada, row(ada, id_at(datetime(2026, 5, 11, 22, 30, tzinfo=UTC))))
    assert ("Monday, 11 May", "1") in days((await client.get("/gallery")).text)
    for zone, expected in (("Europe/Zurich", "Tuesday, 12 May"), ("../../etc/passwd", "Monday, 11 May")):
        client.cookies.set("gesso_zone", zone)
        assert days((await client.get("/gallery")).text)[0][0] == expected


async def test_filters_reach_the_tiles_and_their_links(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    teal, _, pink = await add(
        db, ada, row(ada, prompt="teal peaks"), row(ada, prompt="teal sea", model_key="m", model_name="Mono"),
        row(ada, prompt="pink peaks"),
    )  # fmt: skip
    html = (await client.get("/gallery?q=peaks&model=flux")).text
    assert tiles(html) == [str(pink.id), str(teal.id)]
    assert f'href="/gallery/{teal.id}?q=peaks&amp;model=flux"' in html
    assert "Mono" in html  # the menu still offers the others
    lightbox = (await client.get(f"/gallery/{teal.id}?q=peaks&model=flux")).text
    assert f'href="/gallery/{pink.id}?q=peaks&amp;model=flux"' in lightbox
    nothing = (await client.get("/gallery?q=nowhere")).text
    assert "Nothing found" in nothing and tiles(nothing) == []
    for odd in ("?from=rubbish&to=x", "?favourite=yes", "?q=%00%00", "?model=%00", "?rows=huge", "?day=x&select=9"):
        assert (await client.get(f"/gallery{odd}")).status_code == 200, odd
    assert (await client.get("/gallery?cursor=rubbish")).status_code == 422


async def test_prompts_are_text_not_markup(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    evil = '"><script>alert(1)</script>'
    (asset,) = await add(db, ada, row(ada, prompt=evil, model_name=evil, negative_prompt=evil))
    for path in ("/gallery", f"/gallery/{asset.id}", "/gallery?q=alert"):
        html = (await client.get(path)).text
        assert "<script>alert" not in html and "&lt;script&gt;" in html
        assert ' style="' not in html and not re.search(r"<script(?![^>]*\bsrc=)", html)


async def test_the_lightbox_tells_everything(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    older = row(ada)
    asset = row(
        ada, prompt="Amber bottle, warm light", negative_prompt="fog", model_name="Flux Ultra", seed=48151623,
        params={"quality": "standard", "num_inference_steps": 28, "guidance_scale": 4.5}, took_ms=8600,
        charged={"credits": "0.5"}, width=864, height=1152, size_bytes=412_345,
    )  # fmt: skip
    newer = row(ada)
    await add(db, ada, older, asset, newer)
    html = (await client.get(f"/gallery/{asset.id}")).text
    for words in (
        "Amber bottle", "fog", "Flux Ultra", "864 × 1,152 · 3:4", "Standard", "48151623", "<dd>28</dd>", "<dd>4.5</dd>",
        "8.6 s", "0.5 credits", "PNG, 412 kB", "2 of 3", "Ada Kovac",
        f'href="/create?from={asset.id}"', f'href="/create?from={asset.id}&amp;vary=1"',
        f'href="/create?from={asset.id}&amp;mode=rerun"', f'href="/create?input={asset.id}"',
        f'href="/gallery/{newer.id}" data-key="ArrowLeft"', f'href="/gallery/{older.id}" data-key="ArrowRight"',
    ):  # fmt: skip
        assert words in html, words
    fragment = (await client.get(f"/gallery/{asset.id}", headers=HTMX)).text
    assert "<html" not in fragment and "Flux Ultra" in fragment


async def test_an_upload_offers_only_what_it_can(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    (asset,) = await add(db, ada, row(ada, source="upload", prompt="", model_key=None, model_name=None))
    html = (await client.get(f"/gallery/{asset.id}")).text
    assert re.findall(r'href="(/create\?[^"]+)"', html) == [f"/create?input={asset.id}"]
    assert tiles((await client.get("/gallery")).text) == []


async def test_delete_one_goes_on_to_its_neighbour_and_can_be_undone(
    client: httpx2.AsyncClient, db: Database, ada: Actor
) -> None:
    older, asset = await add(db, ada, row(ada), row(ada))
    answer = await client.post(f"/gallery/{asset.id}/delete?model=flux")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/gallery/{older.id}?model=flux")
    assert (await client.get(f"/gallery/{asset.id}")).status_code == 404
    html = (await client.get(answer.headers["location"])).text
    undo = re.search(r'data-undo="(/gallery/restore/\d+)"', html)
    assert undo
    assert (await client.post(undo[1])).status_code == 303
    assert (await client.get(f"/gallery/{asset.id}")).status_code == 200
    assert (await client.post(undo[1])).status_code == 404
    last = await client.post(f"/gallery/{older.id}/delete?q=nothing", headers=HTMX)
    assert (last.status_code, last.headers["x-next"]) == (204, "/gallery?q=nothing")
    assert "gesso:toast" in last.headers["hx-trigger"]


async def test_undo_brings_back_one_act_only(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    made = await add(db, ada, *(row(ada) for _ in range(4)))
    picks = [str(asset.id) for asset in made]
    first = await client.post("/gallery/selection/delete", data={"pick": picks[:2]}, headers=HTMX)
    await client.post("/gallery/selection/delete", data={"pick": picks[2:3]}, headers=HTMX)
    undo = re.search(r"/gallery/restore/\d+", first.headers["hx-trigger"])
    assert undo
    assert (await client.post(undo[0], headers=HTMX)).status_code == 204
    assert set(tiles((await client.get("/gallery")).text)) == {picks[0], picks[1], picks[3]}
    for moment in ("0", "x", "9" * 30, "-1"):
        assert (await client.post(f"/gallery/restore/{moment}")).status_code == 404


async def test_selection_favourites(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    one, two = await add(db, ada, row(ada), row(ada))
    form = {"pick": [str(one.id), str(one.id), str(new_id())], "back": "/gallery?q=violet"}
    answer = await client.post("/gallery/selection/favourite", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/gallery?q=violet")
    assert tiles((await client.get("/gallery?favourite=1")).text) == [str(one.id)]
    heart = await client.post(f"/gallery/{one.id}/favourite", data={"value": "off"}, headers=HTMX)
    assert 'aria-pressed="false"' in heart.text
    assert tiles((await client.get("/gallery?favourite=1")).text) == []
    assert (await client.post(f"/gallery/{two.id}/favourite", data={})).headers["location"] == f"/gallery/{two.id}"


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_the_way_back_stays_on_this_site(client: httpx2.AsyncClient, db: Database, ada: Actor, back: str) -> None:
    (asset,) = await add(db, ada, row(ada))
    form = {"pick": [str(asset.id)], "back": back}
    assert (await client.post("/gallery/selection/favourite", data=form)).headers["location"] == "/gallery"


async def test_download_as_zip(client: httpx2.AsyncClient, db: Database, ada: Actor, storage: Storage) -> None:
    datas = [picture(300, 200, kind, seed=n) for n, kind in enumerate(("PNG", "JPEG", "WEBP"))]
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        made = [await keep(tx, storage, data, prompt="Same words, same name") for data in datas]
        lost = await keep(tx, storage, picture(20, 20))
    await storage.delete([lost.storage_key])
    form = {"pick": [str(asset.id) for asset in (*made, lost)]}
    answer = await client.post("/gallery/selection/download", data=form)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip"
    assert re.search(r'attachment; filename="pictures-\d{4}-\d\d-\d\d\.zip"', answer.headers["content-disposition"])
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert [archive.read(name) for name in archive.namelist()] == datas
        assert [name.rsplit(".")[-1] for name in archive.namelist()] == ["png", "jpg", "webp"]
    one = await client.post("/gallery/selection/download", data={"pick": [str(made[0].id)]})
    assert one.headers["location"] == f"/media/{made[0].id}/original?download=1"


@pytest.mark.parametrize(
    ("verb", "picks", "status"),
    [
        ("delete", [], 422),
        ("delete", ["not-an-id"], 422),
        ("delete", [str(new_id()) for _ in range(201)], 422),
        ("download", [str(new_id())], 404),
        ("explode", [str(new_id())], 404),
    ],
)
async def test_odd_selections(client: httpx2.AsyncClient, verb: str, picks: list[str], status: int) -> None:
    assert (await client.post(f"/gallery/selection/{verb}", data={"pick": picks})).status_code == status


async def test_others_pictures_cannot_be_seen_or_changed(
    new_client: NewClient, db: Database, ada: Actor, storage: Storage
) -> None:
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        asset = await keep(tx, storage, picture(40, 40))
    bob = await new_client(await make_user(db, "Bob"))
    pick = {"pick": [str(asset.id)]}
    assert (await bob.get(f"/gallery/{asset.id}")).status_code == 404
    assert (await bob.get("/gallery/not-an-id")).status_code == 404
    assert (await bob.post(f"/gallery/{asset.id}/delete")).status_code == 404
    assert (await bob.post(f"/gallery/{asset.id}/favourite")).status_code == 404
    assert (await bob.post("/gallery/selection/download", data=pick)).status_code == 404
    await bob.post("/gallery/selection/delete", data=pick)
    await bob.post("/gallery/selection/favourite", data=pick)
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        assert not (await repository.get(tx, asset.id)).favourite
    nobody = await new_client(None)
    for path in ("/gallery", f"/gallery/{asset.id}"):
        answer = await nobody.get(path)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/login")


async def test_row_height_is_remembered(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    await add(db, ada, row(ada))
    assert "rows--medium" in (await client.get("/gallery")).text
    assert "rows--large" in (await client.get("/gallery?rows=large")).text
    assert "rows--large" in (await client.get("/gallery")).text
