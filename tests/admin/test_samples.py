"""Sample pictures of models and styles: taken in as strictly as uploads, shown to everybody, replaced, removed."""

import io
from datetime import UTC, datetime, timedelta

from PIL import Image

from gesso.catalog.rows import samples_named
from gesso.media import samples
from gesso.media.storage import Storage
from tests.admin.conftest import Panel
from tests.media.pictures import picture

MODEL = "juggernaut-lightning"
AT = f"/admin/models/{MODEL}"


async def shown(panel: Panel) -> str | None:
    items = (await panel.user.get("/api/models")).json()["items"]
    found: str | None = next(item["sample_url"] for item in items if item["key"] == MODEL)
    return found


async def test_a_picture_is_given_replaced_and_taken_away(panel: Panel) -> None:
    exif = Image.Exif()
    exif[0x010E] = "where it was taken"
    first = picture(1600, 1000, "JPEG", seed=1, exif=exif)
    given = await panel.operator.post(f"{AT}/sample", files={"file": ("first.jpg", first, "image/jpeg")})
    assert (given.status_code, given.headers["location"]) == (303, AT)

    async def own() -> bool:
        return (await shown(panel) or "").startswith("/samples/")

    await panel.until(own)
    address = await shown(panel) or ""
    assert address in (await panel.user.get("/create")).text and address in (await panel.operator.get(AT)).text

    async with panel.product.client() as stranger:
        answer = await stranger.get(address)
        assert answer.headers["content-type"] == "image/webp" and b"where it was taken" not in answer.content
        assert Image.open(io.BytesIO(answer.content)).size == (640, 400)
        known = await stranger.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert known.status_code == 304 and "immutable" in known.headers["cache-control"]
        for missing in (f"/samples/{'0' * 64}.webp", "/samples/..%2fhealth", "/samples/x.webp"):
            assert (await stranger.get(missing)).status_code == 404

    file = {"file": ("second.png", picture(300, 200, seed=2), "image/png")}
    replaced = await panel.operator.put(f"/api/admin/models/{MODEL}/sample", files=file)
    assert replaced.json()["sample_url"] not in (None, address)
    again = await panel.operator.put(f"/api/admin/models/{MODEL}/sample", files=file)
    assert again.json()["sample_url"] == replaced.json()["sample_url"], "named by its content"
    assert (await panel.operator.post(f"{AT}/sample/remove")).status_code == 303

    async def none() -> bool:
        return await shown(panel) is None

    await panel.until(none)
    assert [deed["model"] for deed in await panel.audited("model.sample_changed")] == [MODEL] * 3
    assert len(await panel.audited("model.sample_removed")) == 1

    storage = Storage.from_url(panel.product.settings.storage_url)
    kept = await panel.operator.put("/api/admin/styles/noir/sample", files=file)
    soon = datetime.now(UTC) + timedelta(minutes=1)
    assert await samples.remove_unused(panel.product.db, storage, samples_named, soon - timedelta(days=1)) == 0
    assert await samples.remove_unused(panel.product.db, storage, samples_named, soon) == 1
    assert (await panel.user.get(kept.json()["sample_url"])).status_code == 200
    assert (await panel.user.get(address)).status_code == 404


async def test_what_is_no_picture_is_refused_at_its_field(panel: Panel) -> None:
    before = await shown(panel)
    for file, said in (
        ({"file": ("a.png", b"<svg onload=alert(1)>", "image/png")}, "picture"),
        ({"file": ("", b"", "application/octet-stream")}, "Choose a picture first"),
        ({"other": ("a.png", picture(), "image/png")}, "Choose a picture first"),
    ):
        answer = await panel.operator.post(f"{AT}/sample", files=file)
        assert answer.status_code == 422 and said in answer.text, answer.text
        assert 'id="sample-form-error"' in answer.text and 'value="Juggernaut Lightning"' in answer.text
    assert await shown(panel) == before
    missing = await panel.operator.put(
        "/api/admin/models/none/sample", files={"file": ("a.png", picture(), "image/png")}
    )
    assert missing.status_code == 404
