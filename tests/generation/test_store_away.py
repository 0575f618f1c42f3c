"""The bucket away, hanging, breaking off, slow: pages go on, answers are clear and in time, nothing is bought twice."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from gesso.db.embedded import EmbeddedPostgres
from gesso.generation import patience
from tests.bucket import Bucket, Mode, Proxy, moto_server
from tests.conftest import create_database
from tests.generation.house import House, Person, opened, settings_for, working
from tests.media.pictures import picture

TIMEOUT = 0.5
SOON = 30.0
"""Seconds; generous, since the machine is shared. Without bounds a body would be waited for ten minutes."""
AWAY: tuple[Mode, ...] = ("refuse", "hang", "busy", "broken")


@pytest.fixture(scope="session")
async def proxy() -> AsyncIterator[Proxy]:
    with moto_server() as url:
        async with Proxy(url).running() as running:
            yield running


@pytest.fixture(scope="session")
async def shore(
    postgres: EmbeddedPostgres, template: str, sandbox: str, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """A house without a worker whose files are in a bucket behind the proxy."""
    url = await create_database(postgres, f"gesso_shore_{time.monotonic_ns()}", template)
    settings = settings_for(url, Path(tmp_path_factory.mktemp("shore")), sandbox)
    bucket = Bucket(proxy.url, Bucket(proxy.target).make().name)
    async with opened(replace(settings, storage=bucket.settings(timeout_seconds=TIMEOUT)), worker=False) as found:
        yield found


@pytest.fixture(autouse=True)
async def clear(request: pytest.FixtureRequest, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", (0.1, 0.4))
    proxy.mode = "pass"
    yield
    proxy.mode = "pass"


async def uploaded(ada: Person) -> str:
    answer = await ada.http.post("/api/media/uploads", files={"file": ("dunes.png", picture(900, 700), "image/png")})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.mark.parametrize("mode", AWAY)
async def test_answers_are_clear_and_in_time(shore: House, proxy: Proxy, mode: Mode) -> None:
    ada = await shore.person()
    picture_id, other = await uploaded(ada), await uploaded(ada)
    proxy.mode = mode
    begun = time.monotonic()
    asked = (
        ada.http.get(f"/media/{picture_id}/original", headers={"Accept": "application/json"}),
        ada.http.get(f"/media/{picture_id}/320"),
        ada.http.post("/api/media/uploads", files={"file": ("a.png", picture(64, 64), "image/png")}),
        ada.http.post("/gallery/selection/download", data={"pick": [picture_id, other]}),
        ada.http.get("/api/media"),
        ada.http.get("/gallery"),
    )
    original, small, upload, archive, listed, page = await asyncio.gather(*asked)
    assert time.monotonic() - begun < SOON
    assert (original.status_code, original.json()["code"]) == (503, "unavailable")
    assert (small.status_code, upload.status_code, archive.status_code) == (503, 503, 503)
    assert "file store" in upload.json()["detail"] and "127.0.0.1" not in original.text + small.text + upload.text
    assert (listed.status_code, len(listed.json()["items"]), page.status_code) == (200, 0, 200)
    proxy.mode = "pass"
    assert (await ada.http.get(f"/media/{picture_id}/original")).status_code == 200


@pytest.mark.parametrize("mode", ["cut", "slow"])
async def test_a_body_that_breaks_off_or_trickles_is_cut_and_not_waited_for(
    shore: House, proxy: Proxy, mode: Mode
) -> None:
    ada = await shore.person()
    picture_id = await uploaded(ada)
    proxy.mode = mode
    begun = time.monotonic()
    try:
        answer = await ada.http.get(f"/media/{picture_id}/original")
        assert answer.status_code == 503
    except httpx2.RemoteProtocolError:
        pass  # it had begun: cut off, so that nobody takes the part for the whole
    assert time.monotonic() - begun < SOON


async def test_a_page_that_hangs_on_the_bucket_slows_no_other(shore: House, proxy: Proxy) -> None:
    ada = await shore.person()
    picture_id = await uploaded(ada)
    proxy.mode = "hang"
    hanging = [asyncio.create_task(ada.http.get(f"/media/{picture_id}/original")) for _ in range(60)]
    took, first = [], time.monotonic()
    while not all(task.done() for task in hanging):
        begun = time.monotonic()
        assert (await ada.http.get("/api/credits")).status_code == 200
        took.append(time.monotonic() - begun)
    assert {(await task).status_code for task in hanging} == {503}
    assert sorted(took)[len(took) // 2] < (time.monotonic() - first) / 3, "it did not wait for those"


async def test_readyz_tells_and_does_not_hang(shore: House, proxy: Proxy) -> None:
    async def storage_is(words: str) -> httpx2.Response:
        async with asyncio.timeout(20), httpx2.AsyncClient(base_url=shore.url, timeout=SOON) as client:
            while True:
                answer = await client.get("/readyz")
                if answer.json()["storage"] == words:
                    return answer
                await asyncio.sleep(0.1)

    await storage_is("ok")
    proxy.mode = "hang"
    assert (await storage_is("not writable")).status_code == 503
    async with httpx2.AsyncClient(base_url=shore.url) as client:
        assert (await client.get("/healthz")).status_code == 200


async def test_what_was_typed_is_kept_when_its_picture_cannot_be_stored(shore: House, proxy: Proxy) -> None:
    ada = await shore.person()
    proxy.mode = "refuse"
    page = await ada.http.post(
        "/create",
        data={"model": "juggernaut-lightning", "prompt": "a lighthouse of glass at dusk", "count": "1"},
        files={"upload": ("dunes.png", picture(64, 64), "image/png")},
    )
    assert page.status_code == 422 and "a lighthouse of glass at dusk" in page.text
    assert "The file store could not write a file." in page.text
    assert await ada.wallet() == ("100", "0")


@pytest.mark.parametrize("mode", ["refuse", "hang", "busy"])
async def test_a_result_waits_for_the_bucket_and_is_paid_once(shore: House, proxy: Proxy, mode: Mode) -> None:
    ada = await shore.person()
    proxy.mode = mode
    before = len(await shore.bill())
    async with working(shore.settings):
        generation_id = await ada.asked("a lighthouse at dusk", count=2)
        heads = len(proxy.heads)
        async with asyncio.timeout(20):
            while len(await shore.bill()) == before or (mode != "refuse" and len(proxy.heads) < heads + 8):
                await asyncio.sleep(0.05)
        assert (await ada.status(generation_id))["status"] == "running"
        proxy.mode = "pass"
        status = await ada.ended(generation_id)
    assert (status["status"], status["charged"]["credits"]) == ("succeeded", "2")
    assert await ada.wallet() == ("98", "0") and await shore.wrong() == ()
    attempts = await shore.attempts(generation_id)
    assert {attempt["state"] for attempt in attempts} == {"succeeded"}
    assert len(await shore.bill()) - before == len(attempts)  # made once, and the provider asked once
    for asset in (await ada.http.get("/api/media")).json()["items"]:
        assert (await ada.http.get(asset["url"])).status_code == 200


async def test_a_bucket_that_never_returns_costs_nothing(shore: House, proxy: Proxy) -> None:
    ada = await shore.person()
    generation_id = await ada.asked("a lighthouse at dusk")
    proxy.mode = "refuse"
    async with working(shore.settings):
        await ada.until(generation_id, lambda status: status["status"] == "running")
    soon = patience.GIVE_UP_BEFORE.total_seconds() + 2
    await shore.rows(
        "UPDATE generation SET deadline_at = now() + make_interval(secs => $2) WHERE id = $1", generation_id, soon
    )
    async with working(shore.settings):
        status = await ada.ended(generation_id)
    assert (status["status"], status["error"]["code"]) == ("failed", "not_stored")
    assert "file store" in status["error"]["message"] and "Nothing was charged" in status["error"]["message"]
    assert await ada.wallet() == ("100", "0") and await shore.wrong() == ()
    assert (await ada.http.get("/api/media")).json()["items"] == []


async def test_a_picture_to_work_from_is_waited_for_before_anything_is_sent(shore: House, proxy: Proxy) -> None:
    ada = await shore.person()
    reference = await uploaded(ada)
    before = len(await shore.bill())
    answer = await ada.http.post(
        "/api/generate/image",
        json={"model": "seedream-edit", "prompt": "the same at night", "count": 1, "references": [reference]},
    )
    assert answer.status_code == 202, answer.text
    generation_id = answer.json()["id"]
    proxy.mode = "busy"
    async with working(shore.settings):
        heads = len(proxy.heads)
        async with asyncio.timeout(20):
            while len(proxy.heads) < heads + 6:
                await asyncio.sleep(0.05)
        assert await shore.attempts(generation_id) == [] and len(await shore.bill()) == before
        proxy.mode = "pass"
        status = await ada.ended(generation_id)
    assert status["status"] == "succeeded"
    assert len(await shore.bill()) == before + 1
