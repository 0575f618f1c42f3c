"""Films on their way in: measured, with a poster that shows something; what is not a whole film is refused."""

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from gesso.media.containers import HostileFile
from gesso.media.video import VideoLimits, prepare_video, sniff
from gesso.sandbox.painter import film, paint


@lru_cache
def mp4() -> bytes:
    picture = paint("a harbour at dusk", seed=7, width=320, height=192)
    return film(picture, width=320, height=192, seconds=1.5, fps=12, seed=7, motion=1.0)


def made(tmp_path: Path, name: str, codec: str, frames: list[Image.Image], **options: Any) -> bytes:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode(None))
    return path.read_bytes()


def plain(colour: str, count: int) -> list[Image.Image]:
    return [Image.new("RGB", (64, 48), colour)] * count


def test_an_mp4_is_measured_and_has_a_poster() -> None:
    prepared = prepare_video(mp4())
    assert (prepared.media_type, prepared.width, prepared.height) == ("video/mp4", 320, 192)
    assert prepared.duration_ms == 1500 and prepared.size_bytes == len(mp4())
    poster = Image.open(io.BytesIO(prepared.thumbs[320]))
    assert poster.size == (320, 192) and poster.format == "WEBP"
    assert 1 < len(prepared.thumbhash) <= 25


def test_a_webm_is_taken(tmp_path: Path) -> None:
    picture = paint("dunes", seed=3, width=64, height=48)
    prepared = prepare_video(made(tmp_path, "a.webm", "libvpx-vp9", [picture] * 10))
    assert (prepared.media_type, prepared.width, prepared.height) == ("video/webm", 64, 48)
    assert prepared.duration_ms is not None and 900 <= prepared.duration_ms <= 1100


def test_the_poster_is_not_the_black_beginning(tmp_path: Path) -> None:
    picture = paint("a bright aurora", seed=5, width=64, height=48)
    prepared = prepare_video(made(tmp_path, "a.mp4", "libx264", [*plain("black", 15), *[picture] * 15]))
    colours = Image.open(io.BytesIO(prepared.thumbs[320])).convert("L").getextrema()
    assert colours[1] > 60


def test_a_film_that_shows_nothing_still_has_a_poster(tmp_path: Path) -> None:
    assert prepare_video(made(tmp_path, "a.mp4", "libx264", plain("black", 12))).thumbs


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_film_cut_short_is_refused(share: float) -> None:
    with pytest.raises(HostileFile, match="cut short"):
        prepare_video(mp4()[: int(len(mp4()) * share)])


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"\0\0\0\x18ftypisom" + bytes(500), b"\x1a\x45\xdf\xa3" + b"\xff" * 500, b"<html>" * 50],
    ids=["empty", "text", "only a head", "webm noise", "a page"],
)
def test_what_is_no_film_is_refused(data: bytes) -> None:
    with pytest.raises(HostileFile):
        prepare_video(data)


def test_noise_in_the_middle_is_refused_or_read_never_worse() -> None:
    data = bytearray(mp4())
    for start in range(0, len(data), max(1, len(data) // 40)):
        spoilt = bytes(data[:start]) + b"\xa5" * 64 + bytes(data[start + 64 :])
        try:
            prepare_video(spoilt)
        except HostileFile as error:
            assert error.reason.endswith(".")


def test_a_codec_nobody_plays_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostileFile, match="browsers"):
        prepare_video(made(tmp_path, "a.mp4", "mjpeg", plain("red", 5), strict="-1"))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (VideoLimits(max_bytes=1000), "larger than"),
        (VideoLimits(max_side=200), "more than 200 pixels"),
        (VideoLimits(max_seconds=1), "longer than"),
    ],
)
def test_limits_hold(limits: VideoLimits, said: str) -> None:
    with pytest.raises(HostileFile, match=said):
        prepare_video(mp4(), limits=limits)


def test_pictures_are_not_films() -> None:
    assert sniff(mp4()) == "video/mp4"
    assert sniff(b"\0\0\0\x1cftypavif" + bytes(40)) is None
    assert sniff(b"\x89PNG\r\n\x1a\n") is None
