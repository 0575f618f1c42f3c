"""The site's mark on films: on every frame, in a process of its own that may die, hang or be left behind."""

import asyncio
import io
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import httpx2
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from gesso.accounts.access import Actor
from gesso.db import Database
from gesso.jobs import Tasks
from gesso.media import marking, repository, unlock
from gesso.media.containers import HostileFile
from gesso.media.ingest import Prepared
from gesso.media.marking import Marking
from gesso.media.models import Asset
from gesso.media.service import Ingest, new_asset, store
from gesso.media.storage import Storage
from tests.cast import make_user
from tests.media.conftest import PLANS, NewClient
from tests.media.pictures import next_id
from tests.media.test_marked import WORDS, on

SHADE = 90


@lru_cache
def made(
    kind: str = "mp4", codec: str = "libx264", sound: str = "", width: int = 320, height: int = 180, frames: int = 12,
    pixels: str = "yuv420p",
) -> bytes:  # fmt: skip
    """A film of one shade of grey: whatever differs from it was drawn on it."""
    out = io.BytesIO()
    with av.open(out, "w", format=kind) as target:
        film = target.add_stream(codec, rate=12)
        film.width, film.height, film.pix_fmt = width, height, pixels
        line: Any = target.add_stream(sound, rate=48_000, options={"strict": "-2"}) if sound else None
        if line:
            line.codec_context.layout = "stereo"
        for _ in range(frames):
            frame = av.VideoFrame.from_image(Image.new("RGB", (width, height), (SHADE,) * 3))
            target.mux(film.encode(frame))
        target.mux(film.encode(None))
        for at in range(0, frames * 4000 if sound else 0, 960):
            wave = np.sin(np.arange(at, at + 960) / 20).astype(np.float32)
            heard = av.AudioFrame.from_ndarray(np.tile(wave, (2, 1)), format="fltp", layout="stereo")
            heard.sample_rate, heard.pts = 48_000, at
            target.mux(line.encode(heard))
        if line:
            target.mux(line.encode(None))
    return out.getvalue()


def turned() -> bytes:
    """The film as a telephone keeps one: lying down, with word in its header to turn it by a quarter."""
    data = made()
    upright = b"".join(number.to_bytes(4, "big", signed=True) for number in (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30))
    quarter = b"".join(number.to_bytes(4, "big", signed=True) for number in (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))
    place = data.index(upright, data.index(b"tkhd"))
    return data[:place] + quarter + data[place + len(upright) :]


FILMS = {
    "mp4": (made(sound="aac"), "aac", (320, 180)),
    "webm": (made("webm", "libvpx-vp9", "libopus"), "opus", (320, 180)),
    "sound an mp4 cannot play": (made("webm", "libvpx", "vorbis"), "aac", (320, 180)),
    "odd sides, silent": (made("webm", "libvpx-vp9", width=321, height=181), None, (320, 180)),
    "standing": (turned(), None, (180, 320)),
    "four colours a pixel": (made(pixels="yuv444p"), None, (320, 180)),
}


def frames_of(data: bytes) -> Iterator[Image.Image]:
    with av.open(io.BytesIO(data)) as source:
        for frame in source.decode(video=0):
            yield frame.to_image()


def where(picture: Image.Image) -> tuple[float, float, float, float]:
    """What differs from the shade, as shares of the picture: left, top, right, bottom."""
    drawn = picture.convert("L").point(lambda value: 255 if abs(value - SHADE) > 14 else 0).getbbox()
    assert drawn is not None, "nothing is drawn"
    wide, high = picture.size
    return drawn[0] / wide, drawn[1] / high, drawn[2] / wide, drawn[3] / high


def packets(data: bytes) -> list[bytes]:
    with av.open(io.BytesIO(data)) as source:
        return [bytes(packet) for packet in source.demux(audio=0) if packet.size]


def assert_marked(picture: Image.Image) -> None:
    left, top, right, bottom = where(picture)
    assert left > 0.35 and top > 0.8 and 0.9 < right < 0.99 and 0.9 < bottom < 0.99


@pytest.mark.parametrize("name", FILMS)
async def test_every_frame_carries_it_and_time_and_sound_stay(name: str, ingest: Ingest) -> None:
    data, sound, size = FILMS[name]
    prepared = await ingest.prepare(data, kind="video", words=WORDS)
    marked = prepared.marked
    assert marked is not None and prepared.clean is not None
    assert (prepared.media_type, prepared.width, prepared.height) == ("video/mp4", *size)
    assert prepared.duration_ms is not None and abs(prepared.duration_ms - 1000) < 60
    assert prepared.clean.size_bytes == len(data) and prepared.size_bytes == len(marked)
    shown = list(frames_of(marked))
    assert len(shown) == 12
    for picture in (*shown, *(Image.open(io.BytesIO(thumb)) for thumb in prepared.thumbs.values())):
        assert picture.size == size
        assert_marked(picture)
    assert marked.index(b"moov") < marked.index(b"mdat"), "it begins to play before it is there"
    with av.open(io.BytesIO(marked)) as source:
        assert [line.codec_context.name for line in source.streams.audio] == ([sound] if sound else [])
        assert source.streams.video[0].codec_context.name == "h264"
    if sound and name != "sound an mp4 cannot play":
        assert packets(marked) == packets(data)


async def test_uneven_times_of_frames_stay(ingest: Ingest) -> None:
    out, times = io.BytesIO(), [0, 40, 200, 240, 900, 940, 980, 1000]
    with av.open(out, "w", format="mp4") as target:
        film = target.add_stream("libx264", rate=25)
        film.width, film.height, film.pix_fmt, film.codec_context.time_base = 64, 48, "yuv420p", Fraction(1, 1000)
        for time in times:
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (SHADE,) * 3))
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            target.mux(film.encode(frame))
        target.mux(film.encode(None))
    prepared = await ingest.prepare(out.getvalue(), kind="video", words=WORDS)
    assert prepared.marked is not None
    with av.open(io.BytesIO(prepared.marked)) as source:
        assert [round(float(frame.time or 0) * 1000) for frame in source.decode(video=0)] == times


async def child(*, but: frozenset[int] = frozenset()) -> int:
    """The program that marks, stopped where it stands as soon as it is there."""
    async with asyncio.timeout(60):
        while True:
            for task in Path("/proc/self/task").iterdir():
                begun = ""
                with suppress(OSError):  # a thread that has ended meanwhile
                    begun = (task / "children").read_text()
                for pid in map(int, begun.split()):
                    with suppress(OSError):
                        if pid not in but and b"gesso.media.marked_film" in Path(f"/proc/{pid}/cmdline").read_bytes():
                            os.kill(pid, signal.SIGSTOP)
                            return pid
            await asyncio.sleep(0.005)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_it_has_low_priority_an_end_to_its_memory_and_none_of_the_site_s_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GESSO_SECRET_KEY", "of nobody else's business")
    work = asyncio.create_task(Marking(1).mark(made(), WORDS))
    pid = await child()
    assert b"GESSO" not in Path(f"/proc/{pid}/environ").read_bytes()
    async with asyncio.timeout(60):
        while os.getpriority(os.PRIO_PROCESS, pid) < 10 or "unlimited" in limit_of_data(pid):
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.001)
            os.kill(pid, signal.SIGSTOP)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert gone(pid), "a worker that stops leaves nothing behind"


def limit_of_data(pid: int) -> str:
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line for line in limits if line.startswith("Max data size"))


async def test_a_killed_one_is_tried_again_and_one_without_end_is_given_up() -> None:
    killed = frozenset[int]()
    for times in (1, marking.TRIES):
        work = asyncio.create_task(Marking(1).mark(made(), WORDS))
        for _ in range(times):
            killed |= {pid := await child(but=killed)}
            os.kill(pid, signal.SIGKILL)
        if times < marking.TRIES:
            assert_marked(next(frames_of(await work)))
        else:
            with pytest.raises(HostileFile, match="mark"):
                await work
    with pytest.raises(HostileFile, match="mark"):
        await Marking(1, seconds=0.01).mark(made(), WORDS)
    with pytest.raises(HostileFile, match="exactly one video"):
        await Marking(1).mark(made()[:1500], WORDS)


async def test_pictures_do_not_wait_for_films(ingest: Ingest) -> None:
    films = [asyncio.create_task(ingest.prepare(made(), kind="video", words=WORDS)) for _ in range(3)]
    await child()
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "PNG")
    await ingest.prepare(out.getvalue(), words=WORDS)
    assert not any(film.done() for film in films), "one at a time, and that one stands still"
    for film in films:
        film.cancel()
    await asyncio.gather(*films, return_exceptions=True)


async def kept(db: Database, storage: Storage, actor: Actor, prepared: Prepared, data: bytes) -> Asset:
    asset_id = next_id()
    files = await store(storage, actor.workspace_id, asset_id, prepared, data)
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        new = new_asset(asset_id, actor.user_id, files, prepared, source="generated")
        return await repository.add_asset(tx, replace(new, kind="video"))


async def test_an_upgrade_unlocks_the_film_at_once_and_its_poster_in_a_moment(
    app: FastAPI, db: Database, storage: Storage, ingest: Ingest, new_client: NewClient
) -> None:
    data = FILMS["odd sides, silent"][0]
    prepared = await ingest.prepare(data, kind="video", words=WORDS)
    ada = await make_user(db, plan="marked")
    asset, client = await kept(db, storage, ada, prepared, data), await new_client(ada)
    assert (await original(client, asset)).content == prepared.marked
    await on(db, ada, "free")
    film = await original(client, asset)
    assert (film.content, film.headers["content-type"]) == (data, "video/webm")
    poster = await client.get(f"/media/{asset.id}/640")
    assert (poster.headers["content-type"], poster.headers["cache-control"]) == ("image/webp", "private, no-cache")
    assert_marked(Image.open(io.BytesIO(poster.content)))
    await unlock.Unlocking(db, storage, ingest, PLANS, Tasks()).run_job({"workspace_id": str(ada.workspace_id)})
    again = await client.get(f"/media/{asset.id}/640", headers={"If-None-Match": poster.headers["etag"]})
    with pytest.raises(AssertionError, match="nothing is drawn"):
        where(Image.open(io.BytesIO(again.content)))
    told = (await client.get(f"/api/media/{asset.id}")).json()
    assert (told["media_type"], told["width"], told["height"]) == ("video/webm", 321, 181)


async def original(client: httpx2.AsyncClient, asset: Asset) -> httpx2.Response:
    return await client.get(f"/media/{asset.id}/original")
