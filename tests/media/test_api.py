"""`/api/media`: lists, one picture, delete and undo, favourites, uploads."""

import io

import httpx2
import pytest
from PIL import Image

from gesso.accounts.access import Actor
from gesso.core.ids import new_id
from gesso.db import Database
from gesso.media.storage import Storage
from tests.cast import make_user
from tests.media.conftest import NewClient
from tests.media.pictures import add, id_at, keep, picture, row, utc

SHAPE = {
    "id", "kind", "url", "thumbnails", "width", "height", "media_type", "size_bytes", "seed", "duration_ms",
    "thumbhash", "source", "generation_id", "prompt", "negative_prompt", "model", "model_name", "params", "charged",
    "took_ms", "favourite", "created_at",
}  # fmt: skip


async def test_the_shape_of_a_picture(client: httpx2.AsyncClient, db: Database, ada: Actor, storage: Storage) -> None:
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        asset = await keep(
            tx, storage, picture(300, 200), prompt="teal", seed=7, charged={"credits": "1"}, model_key="flux"
        )
    shown = (await client.get(f"/api/media/{asset.id}")).json()
    assert set(shown) == SHAPE
    assert shown["id"] == str(asset.id)
    assert (shown["width"], shown["height"], shown["media_type"]) == (300, 200, "image/png")
    assert (shown["seed"], shown["model"], shown["charged"]) == (7, "flux", {"credits": "1"})
    for address in (shown["url"], *shown["thumbnails"].values()):
        assert (await client.get(address)).status_code == 200
    assert set(shown["thumbnails"]) == {"320", "640", "1280"}


async def test_pages_and_filters(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    made = await add(db, ada, *(row(ada, prompt=f"number {n}", model_key=f"m{n % 2}") for n in range(7)))
    seen, cursor = [], None
    while True:
        body = (await client.get("/api/media", params={"limit": 3, **({"cursor": cursor} if cursor else {})})).json()
        seen += [item["id"] for item in body["items"]]
        cursor = body["next"]
        if not cursor:
            break
    assert seen == sorted((str(asset.id) for asset in made), reverse=True)

    async def count(**params: object) -> int:
        answer = await client.get("/api/media", params=params)
        assert answer.status_code == 200, answer.text
        return len(answer.json()["items"])

    assert await count(model="m1") == 3
    assert await count(q="numb 3") == 1
    assert await count(source="upload") == 0
    assert await count(source="all") == 7
    assert await count(kind="video") == 0
    await client.put(f"/api/media/{made[0].id}/favourite")
    assert await count(favourite="true") == 1


async def test_dates(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    await add(db, ada, *(row(ada, id_at(utc(2026, 5, day, 12))) for day in (10, 11, 12)))
    for params, expected in (
        ({"from": "2026-05-11"}, 2),
        ({"to": "2026-05-11"}, 2),
        ({"from": "2026-05-11", "to": "2026-05-11"}, 1),
        ({"from": "2026-05-11T12:00:00.001Z"}, 1),
        ({"to": "2026-05-11T14:00:00+02:00"}, 1),
        ({"from": "9999-12-31"}, 0),
        ({"from": "0001-01-01"}, 3),
    ):
        assert len((await client.get("/api/media", params=params)).json()["items"]) == expected, params


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "WyJ4Il0"}, "cursor"),
        ({"cursor": "WzVd"}, "cursor"),
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"kind": "song"}, "kind"),
        ({"source": "elsewhere"}, "source"),
        ({"from": "yesterday"}, "from"),
        ({"to": "9999-12-31"}, "to"),
        ({"to": "2026-13-01"}, "to"),
        ({"q": "a\0b"}, "q"),
        ({"q": "x" * 201}, "q"),
        ({"model": "\0"}, "model"),
    ],
)
async def test_bad_questions_name_the_field(client: httpx2.AsyncClient, params: dict[str, str], field: str) -> None:
    answer = await client.get("/api/media", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in {error["field"] for error in answer.json()["errors"]}


async def test_delete_and_restore(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    (asset,) = await add(db, ada, row(ada))
    path = f"/api/media/{asset.id}"
    assert (await client.delete(path)).status_code == 204
    assert (await client.delete(path)).status_code == 204  # a repeat after a lost answer
    assert (await client.get(path)).status_code == 404
    assert (await client.put(f"{path}/favourite")).status_code == 404
    restored = await client.post(f"{path}/restore")
    assert (restored.status_code, restored.json()["id"]) == (200, str(asset.id))
    assert (await client.post(f"{path}/restore")).status_code == 200
    assert (await client.get(path)).status_code == 200


async def test_favourite(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    (asset,) = await add(db, ada, row(ada))
    for method, value in (("PUT", True), ("PUT", True), ("DELETE", False), ("DELETE", False)):
        answer = await client.request(method, f"/api/media/{asset.id}/favourite")
        assert answer.json()["favourite"] is value


async def test_others_pictures_are_not_there(new_client: NewClient, db: Database, ada: Actor) -> None:
    (asset,) = await add(db, ada, row(ada))
    bob = await new_client(await make_user(db, "Bob"))
    nobody = await new_client(None)
    for method, path in (
        ("GET", ""), ("DELETE", ""), ("POST", "/restore"), ("PUT", "/favourite"), ("DELETE", "/favourite"),
    ):  # fmt: skip
        for target in (asset.id, new_id()):
            answer = await bob.request(method, f"/api/media/{target}{path}")
            assert answer.status_code == 404, (method, path)
            assert answer.json()["code"] == "not_found"
        assert (await nobody.request(method, f"/api/media/{asset.id}{path}")).status_code == 401
    assert (await bob.get("/api/media")).json() == {"items": [], "next": None}
    assert (await bob.get("/api/media/not-an-id")).status_code == 422


async def test_upload_is_cleaned_stored_and_listed_apart(client: httpx2.AsyncClient, storage: Storage) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SecretPhone"
    exif[0x0112] = 6
    data = picture(400, 300, "JPEG", exif=exif)
    answer = await client.post("/api/media/uploads", files={"file": ("me.jpg", data, "image/jpeg")})
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    assert (shown["source"], shown["width"], shown["height"], shown["charged"]) == ("upload", 300, 400, None)
    stored = (await client.get(shown["url"])).content
    assert b"SecretPhone" not in stored and Image.open(io.BytesIO(stored)).size == (300, 400)
    assert (await client.get("/api/media")).json()["items"] == []
    assert [item["id"] for item in (await client.get("/api/media?source=upload")).json()["items"]] == [shown["id"]]


@pytest.mark.parametrize(
    ("data", "declared", "status"),
    [
        (b"", "image/png", 422),
        (b"<script>alert(1)</script>", "image/png", 422),
        (picture(50, 50)[:120], "image/png", 422),
        (picture(50, 50, "GIF"), "image/gif", 422),
        (picture(50, 50) + b"<html>", "image/png", 422),
        (picture(50, 50), "text/html", 422),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 2**20, "image/png", 413),
    ],
)
async def test_hostile_uploads(
    client: httpx2.AsyncClient, storage: Storage, data: bytes, declared: str, status: int
) -> None:
    answer = await client.post("/api/media/uploads", files={"file": ("a.png", data, declared)})
    assert answer.status_code == status
    assert answer.json()["errors"][0]["field"] == "file"
    assert [found async for found in storage.batches()] == []
    assert (await client.get("/api/media?source=all")).json()["items"] == []


async def test_uploads_need_a_file_and_a_session(client: httpx2.AsyncClient, new_client: NewClient) -> None:
    assert (await client.post("/api/media/uploads")).status_code == 422
    assert (await client.post("/api/media/uploads", data={"file": "words"})).status_code == 422
    nobody = await new_client(None)
    answer = await nobody.post("/api/media/uploads", files={"file": ("a.png", picture(9, 9), "image/png")})
    assert answer.status_code == 401


async def test_another_site_cannot_delete(client: httpx2.AsyncClient, db: Database, ada: Actor) -> None:
    (asset,) = await add(db, ada, row(ada))
    answer = await client.delete(f"/api/media/{asset.id}", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert (await client.get(f"/api/media/{asset.id}")).status_code == 200
