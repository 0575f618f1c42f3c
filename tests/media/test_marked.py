"""The site's mark: on every size, legible on light and dark; no route gives the clean file away while a plan marks."""

import io
import re
import zipfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from pydantic import SecretStr

from gesso.accounts.access import Actor
from gesso.core.clock import FixedClock, SystemClock
from gesso.core.settings import StorageSettings
from gesso.db import Database
from gesso.jobs import Tasks
from gesso.media import repository, tasks, unlock
from gesso.media.ingest import prepare
from gesso.media.models import Asset
from gesso.media.service import Ingest, new_asset, store
from gesso.media.storage import Storage
from tests.cast import make_user
from tests.media.conftest import PLANS, NewClient, media_app
from tests.media.nights import OTHERS, nobody, on
from tests.media.pictures import next_id, picture
from tests.security.site import routes_of

WORDS = "AI Character Studio"
SIZES = ("original", "320", "640", "1280")


def flat(shade: int, kind: str = "PNG", size: tuple[int, int] = (900, 600), mode: str = "RGB") -> bytes:
    """A picture of one shade: whatever differs from it was drawn on it."""
    out = io.BytesIO()
    image = Image.new("L", size, shade).convert(mode)
    if "A" in mode:
        image.putalpha(180)
    image.save(out, kind, quality=95)
    return out.getvalue()


def drawn(data: bytes, shade: int) -> tuple[float, float, float, float, int]:
    """What differs from a shade: left, top, right, bottom as shares of the picture, and the strongest contrast."""
    with Image.open(io.BytesIO(data)) as opened:
        grey = opened.convert("L")
    marked = grey.point(lambda value: 255 if abs(value - shade) > 12 else 0)
    box = marked.getbbox()
    assert box is not None, "nothing is drawn"
    inside = grey.crop(box).getextrema()
    low, high = (int(value) for value in inside)  # type: ignore[call-overload]
    return box[0] / grey.width, box[1] / grey.height, box[2] / grey.width, box[3] / grey.height, high - low


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_it_is_small_at_the_lower_right_and_legible_on_any_ground(shade: int) -> None:
    prepared = prepare(flat(shade), words=WORDS)
    assert prepared.marked is not None
    for data in (prepared.marked, *prepared.thumbs.values()):
        left, top, right, bottom, contrast = drawn(data, shade)
        assert left > 0.55 and top > 0.85 and right < 0.995 and bottom < 0.995
        assert contrast > 100
    with Image.open(io.BytesIO(prepared.marked)) as opened:
        assert opened.size == (prepared.width, prepared.height) == (900, 600)


@pytest.mark.parametrize(
    ("kind", "mode", "delivered"),
    [
        ("PNG", "RGB", "image/png"), ("PNG", "LA", "image/png"), ("JPEG", "L", "image/jpeg"),
        ("WEBP", "RGB", "image/webp"), ("AVIF", "RGB", "image/jpeg"), ("AVIF", "RGBA", "image/png"),
    ],
)  # fmt: skip
def test_every_kind_of_picture_can_be_marked(kind: str, mode: str, delivered: str) -> None:
    data = flat(200, kind, (64, 40), mode)
    prepared = prepare(data, words="A very long name of a site, and 日本")
    assert prepared.marked is not None and prepared.clean is not None
    assert (prepared.media_type, prepared.clean.size_bytes) == (delivered, len(data))
    again = prepare(prepared.marked)
    assert (again.media_type, again.sha256, again.size_bytes) == (delivered, prepared.sha256, prepared.size_bytes)
    assert prepare(data).sha256 == prepared.clean.sha256 != prepared.sha256


async def kept(db: Database, storage: Storage, actor: Actor, count: int = 1) -> list[Asset]:
    """Marked pictures as a worker stores them."""
    found = []
    for seed in range(count):
        data, asset_id = picture(300, 200, seed=seed), next_id()
        prepared = prepare(data, words=WORDS)
        files = await store(storage, actor.workspace_id, asset_id, prepared, data)
        async with db.workspace(actor.workspace_id, actor.user_id) as tx:
            new = new_asset(asset_id, actor.user_id, files, prepared, source="generated")
            found.append(await repository.add_asset(tx, new))
    return found


def addresses(app: FastAPI, asset: Asset) -> Iterator[str]:
    """Every address of this room that names a picture, as GET; a new route joins by itself."""
    for method, pattern in routes_of(app):
        if method == "GET" and "{asset_id}" in pattern:
            for variant in (*SIZES, "clean", "clean-640", "original%231"):
                path = pattern.format(asset_id=asset.id, variant=variant)
                yield from (path, f"{path}?download=1", f"{path}?marked", f"{path}?marked=0&download=1&plan=free")


def same_pixels(one: bytes, other: bytes) -> bool:
    """Whether two files show the same, in the lower right where a mark would be."""
    shown = []
    for data in (one, other):
        with Image.open(io.BytesIO(data)) as opened:
            shown.append(np.asarray(opened.convert("RGB").resize((150, 100)), int)[70:, 75:])
    return float(np.abs(shown[0] - shown[1]).mean()) < 3


async def zipped(client: httpx2.AsyncClient, assets: list[Asset]) -> list[bytes]:
    answer = await client.post("/gallery/selection/download", data={"pick": [str(one.id) for one in assets]})
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return [archive.read(name) for name in archive.namelist()]


async def test_no_route_gives_the_clean_file_while_the_plan_marks(
    app: FastAPI, db: Database, storage: Storage, new_client: NewClient
) -> None:
    ada, eve = await make_user(db, plan="marked"), await make_user(db, "Eve", plan="free")
    asset, other = await kept(db, storage, ada, 2)
    assert asset.clean is not None
    clean = await storage.get(asset.clean.key)
    hers, strangers, nobodys = await new_client(ada), await new_client(eve), await new_client(None)
    asked = set(addresses(app, asset))
    assert {f"/media/{asset.id}/original", f"/api/media/{asset.id}", f"/gallery/{asset.id}"} <= asked
    for address in sorted(asked):
        for client, statuses in ((hers, {200, 404}), (strangers, {404}), (nobodys, {204, 303, 401})):
            for headers in ({}, {"Range": "bytes=0-"}, {"HX-Request": "true"}):
                answer = await client.get(address, headers=headers)
                assert answer.status_code in statuses | ({206} if client is hers else set()), address
                assert clean not in answer.content and asset.clean.key not in answer.text
                if answer.headers.get("content-type", "").startswith("image/"):
                    assert not same_pixels(answer.content, clean), address
    for data, one in zip(await zipped(hers, [asset, other]), (asset, other), strict=True):
        assert one.clean is not None and not same_pixels(data, await storage.get(one.clean.key))
    answer = await strangers.post("/gallery/selection/download", data={"pick": [str(asset.id), str(other.id)]})
    assert answer.status_code == 404


async def test_an_upgrade_gives_the_clean_file_at_once_and_for_good(
    app: FastAPI, db: Database, storage: Storage, ingest: Ingest, new_client: NewClient
) -> None:
    ada = await make_user(db, plan="marked")
    asset, other = await kept(db, storage, ada, 2)
    assert asset.clean is not None
    clean, client = await storage.get(asset.clean.key), await new_client(ada)
    held = {size: (await client.get(f"/media/{asset.id}/{size}")).headers["etag"] for size in SIZES}
    await on(db, ada, "free")
    for size in SIZES:  # what a browser keeps is asked for again, and it is another file
        answer = await client.get(f"/media/{asset.id}/{size}", headers={"If-None-Match": held[size]})
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-cache")
        assert answer.content == clean
    told = (await client.get(f"/api/media/{asset.id}")).json()
    assert (told["size_bytes"], told["media_type"]) == (len(clean), "image/png")
    assert "?marked" not in (await client.get("/gallery")).text
    assert clean in await zipped(client, [asset, other])

    async with db.elevated("test") as tx:
        jobs = await tx.fetch("SELECT payload FROM pgqueuer WHERE entrypoint = $1", unlock.TASK)
    assert sum(str(ada.workspace_id).encode() in row["payload"] for row in jobs) == 1, "asked for once"
    work = unlock.Unlocking(db, storage, ingest, PLANS, Tasks())
    await work.run_job({"workspace_id": str(ada.workspace_id)})
    await work.run_job({"workspace_id": str(ada.workspace_id)})
    await on(db, ada, "marked")  # a plan that marks marks new pictures only
    for size in SIZES:
        answer = await client.get(f"/media/{asset.id}/{size}")
        assert same_pixels(answer.content, clean) and "immutable" in answer.headers["cache-control"]
    assert len((await client.get(f"/media/{asset.id}/320")).content) < len(clean) * 4
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        assert (await repository.usage(tx)).bytes == 2 * 0 + sum(
            one.size_bytes for one in (await repository.by_ids(tx, [asset.id, other.id])).values()
        )
    (new,) = await kept(db, storage, ada)
    assert new.clean is not None
    assert not same_pixels((await client.get(f"/media/{new.id}/1280")).content, await storage.get(new.clean.key))


async def test_nothing_is_unlocked_on_a_plan_that_marks(db: Database, storage: Storage, ingest: Ingest) -> None:
    ada = await make_user(db, plan="marked")
    (asset,) = await kept(db, storage, ada)
    await unlock.Unlocking(db, storage, ingest, PLANS, Tasks()).run_job({"workspace_id": str(ada.workspace_id)})
    async with db.workspace(ada.workspace_id, ada.user_id) as tx:
        assert (await repository.get(tx, asset.id)).clean == asset.clean


async def test_the_marked_files_of_an_unlocked_picture_go_by_night_and_all_files_of_a_deleted_one(
    fresh_db: Database, storage: Storage, ingest: Ingest
) -> None:
    ada = await make_user(fresh_db, plan="marked")
    opened, locked = await kept(fresh_db, storage, ada, 2)
    assert opened.clean is not None
    clock = FixedClock(datetime.now(UTC) + timedelta(days=2))
    assert (await tasks.remove_orphans(fresh_db, storage, clock, clock.now().date(), nobody)).files == 0
    await on(fresh_db, ada, "free")
    async with fresh_db.workspace(ada.workspace_id, ada.user_id) as tx:
        await repository.delete(tx, [locked.id], clock.now() - timedelta(days=2))
    work = unlock.Unlocking(fresh_db, storage, ingest, PLANS, Tasks())
    await work.run_job({"workspace_id": str(ada.workspace_id)})
    did = await tasks.clean(fresh_db, storage, clock, clock.now().date(), OTHERS)
    assert (did.orphans.files, did.purged.files) == (4, 5)
    left = {found.key.rpartition("/")[2] async for batch in storage.batches() for found in batch}
    assert left == {"clean", "clean-320", "clean-640", "clean-1280"}


async def test_pages_name_marked_files_by_addresses_that_may_be_kept(
    db: Database, storage: Storage, new_client: NewClient
) -> None:
    ada = await make_user(db, plan="marked")
    (asset,) = await kept(db, storage, ada)
    client = await new_client(ada)
    sources = re.findall(rf"/media/{asset.id}/640[^\" ,]*", (await client.get("/gallery")).text)
    assert set(sources) == {f"/media/{asset.id}/640?marked"}
    assert "immutable" in (await client.get(sources[0])).headers["cache-control"]
    plain = await client.get(f"/media/{asset.id}/640")
    assert plain.headers["cache-control"] == "private, no-cache"
    etag = {"If-None-Match": plain.headers["etag"]}
    assert (await client.get(f"/media/{asset.id}/640", headers=etag)).status_code == 304


@pytest.fixture
async def signing(db: Database, ingest: Ingest) -> AsyncIterator[tuple[FastAPI, Storage]]:
    """A site that sends browsers to its bucket. Nobody asks the bucket here: only the address matters."""
    settings = StorageSettings.model_validate({
        "endpoint": "http://127.0.0.1:9", "allow_http": True, "access_key_id": "key",
        "secret_access_key": SecretStr("secret"), "redirect": "all",
    })  # fmt: skip
    app = media_app(db, Storage.from_url("s3://art", settings), ingest, SystemClock())
    object.__setattr__(app.state.settings, "storage", settings)
    yield app, Storage.from_url("memory://")


async def test_signed_addresses_lead_to_the_file_of_the_plan_and_are_not_kept(
    db: Database, signing: tuple[FastAPI, Storage], new_client: NewClient, client: Any
) -> None:
    app, files = signing
    ada = await make_user(db, plan="marked")
    (asset,) = await kept(db, files, ada)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app, raise_app_exceptions=False), base_url="http://gesso.test",
        cookies=(await new_client(ada)).cookies,
    ) as hers:  # fmt: skip
        for plan, names in (("marked", ("original", "640")), ("free", ("clean", "clean"))):
            await on(db, ada, plan)
            for size, name in zip(("original", "640"), names, strict=True):
                answer = await hers.get(f"/media/{asset.id}/{size}")
                assert answer.status_code == 302 and answer.headers["cache-control"] == "private, no-store"
                assert f"{asset.id}/{name}?" in answer.headers["location"]
