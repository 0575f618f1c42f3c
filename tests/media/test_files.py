"""`/media/{id}/{variant}`: whole, in part, unchanged, and only for whom it belongs to."""

from datetime import UTC, datetime

import httpx2
import pytest

from gesso.accounts.access import Actor
from gesso.core.ids import new_id
from gesso.db import Database
from gesso.media import repository
from gesso.media.models import Asset
from gesso.media.storage import Storage
from tests.cast import make_user
from tests.media.conftest import NewClient
from tests.media.pictures import keep, picture

DATA = picture(700, 500, "JPEG", quality=92)


@pytest.fixture
async def asset(db: Database, storage: Storage, ada: Actor) -> Asset:
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        return await keep(tx, storage, DATA, prompt='Amber bottle, "warm" light\r\nX-Evil: 1')


async def test_the_original_and_its_headers(client: httpx2.AsyncClient, asset: Asset) -> None:
    answer = await client.get(f"/media/{asset.id}/original")
    assert answer.status_code == 200
    assert answer.content == DATA
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"].startswith("inline; ")


@pytest.mark.parametrize("side", [320, 640, 1280])
async def test_thumbnails(client: httpx2.AsyncClient, asset: Asset, side: int) -> None:
    answer = await client.get(f"/media/{asset.id}/{side}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/webp"
    assert answer.content[:4] == b"RIFF"
    assert answer.headers["content-length"] == str(len(answer.content))
    part = await client.get(f"/media/{asset.id}/{side}", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")


async def test_download_has_a_friendly_name_and_no_way_out_of_the_header(
    client: httpx2.AsyncClient, asset: Asset
) -> None:
    answer = await client.get(f"/media/{asset.id}/original?download=1")
    name = f"amber-bottle-warm-light-x-evil-1-{asset.id.hex[-8:]}.jpg"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=100-", 100, None),
        ("bytes=-7", -7, None),
        ("bytes=-99999999", 0, None),
        ("bytes=0-99999999", 0, None),
        ("bytes= 5 - 9 ", 5, 10),
    ],
)
async def test_ranges(client: httpx2.AsyncClient, asset: Asset, header: str, start: int, end: int | None) -> None:
    answer = await client.get(f"/media/{asset.id}/original", headers={"Range": header})
    assert answer.status_code == 206
    assert answer.content == DATA[start:end]
    first = start if start >= 0 else len(DATA) + start
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(DATA)}"
    assert answer.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize("header", [f"bytes={len(DATA)}-", "bytes=99999999-100000000", "bytes=-0"])
async def test_ranges_outside_of_the_file(client: httpx2.AsyncClient, asset: Asset, header: str) -> None:
    answer = await client.get(f"/media/{asset.id}/original", headers={"Range": header})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"
    assert answer.content == b""


@pytest.mark.parametrize(
    "header", ["bytes=9-5", "items=0-5", "bytes=0-1,5-9", "bytes=-", "bytes=a-b", "bytes=1-\u0662", "bytes=0x1-2"]
)
async def test_ranges_that_mean_nothing_give_all_of_it(client: httpx2.AsyncClient, asset: Asset, header: str) -> None:
    answer = await client.get(f"/media/{asset.id}/original", headers={"Range": header.encode()})
    assert (answer.status_code, len(answer.content)) == (200, len(DATA))


async def test_what_the_browser_has_is_not_sent_again(client: httpx2.AsyncClient, asset: Asset) -> None:
    path = f"/media/{asset.id}/original"
    etag = (await client.get(path)).headers["etag"]
    assert etag != (await client.get(f"/media/{asset.id}/320")).headers["etag"]
    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = await client.get(path, headers={"If-None-Match": given})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
        assert "immutable" in answer.headers["cache-control"]
    assert (await client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_if_range(client: httpx2.AsyncClient, asset: Asset) -> None:
    path = f"/media/{asset.id}/original"
    etag = (await client.head(path)).headers["etag"]
    same = await client.get(path, headers={"Range": "bytes=0-9", "If-Range": etag})
    other = await client.get(path, headers={"Range": "bytes=0-9", "If-Range": '"old"'})
    assert (same.status_code, other.status_code) == (206, 200)


async def test_head_says_the_same_without_the_bytes(client: httpx2.AsyncClient, asset: Asset) -> None:
    for variant in ("original", "320"):
        path = f"/media/{asset.id}/{variant}"
        head, get = await client.head(path), await client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-length", "content-type", "etag"):
            assert head.headers[name] == get.headers[name]


async def test_strangers_and_other_workspaces(new_client: NewClient, db: Database, asset: Asset) -> None:
    bob = await new_client(await make_user(db, "Bob"))
    nobody = await new_client(None)
    for variant in ("original", "320"):
        path = f"/media/{asset.id}/{variant}"
        assert (await bob.get(path)).status_code == 404
        etag_guess = {"If-None-Match": "*"}
        assert (await bob.get(path, headers=etag_guess)).status_code == 404
        refused = await nobody.get(path, headers={"Accept": "application/json"})
        assert refused.status_code == 401
        assert DATA[:100] not in refused.content


async def test_deleted_pictures_are_gone_at_once(
    client: httpx2.AsyncClient, db: Database, ada: Actor, asset: Asset
) -> None:
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        await repository.delete(tx, [asset.id], datetime.now(UTC))
    assert (await client.get(f"/media/{asset.id}/original")).status_code == 404


async def test_a_missing_file_is_not_found(client: httpx2.AsyncClient, storage: Storage, asset: Asset) -> None:
    await storage.delete([asset.storage_key])
    assert (await client.get(f"/media/{asset.id}/original")).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/media/{id}/..%2foriginal",
        "/media/{id}/..",
        "/media/{id}/original%00",
        "/media/{id}/ORIGINAL",
        "/media/{id}/641",
        "/media/..%2f..%2fetc/original",
        "/media/%2e%2e/original",
        "/media/not-an-id/original",
        "/media/{id}",
        "/media//original",
        "/media/{other}/original",
        "/media/{{{id}}}/original%2f..%2f320",
    ],
)
async def test_path_tricks_find_nothing(client: httpx2.AsyncClient, asset: Asset, path: str) -> None:
    answer = await client.get(path.replace("{id}", str(asset.id)).replace("{other}", str(new_id())))
    assert answer.status_code == 404
