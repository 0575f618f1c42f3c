"""Pictures are checked by their bytes, measured upright, and derived; hostile ones are refused."""

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.PngImagePlugin import PngInfo

from gesso.media.containers import read_container
from gesso.media.ingest import HostileFile, Limits, clean_upload, prepare
from tests.media.pictures import picture, png_chunk, png_claiming

UPRIGHT = Image.Exif()
UPRIGHT[Base.Orientation] = 1


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("kind", "media_type", "options"),
    [
        ("PNG", "image/png", {}),
        ("JPEG", "image/jpeg", {"quality": 90}),
        ("JPEG", "image/jpeg", {"progressive": True}),
        ("WEBP", "image/webp", {"quality": 80}),
        ("WEBP", "image/webp", {"lossless": True}),
        ("WEBP", "image/webp", {"exif": UPRIGHT.tobytes()}),
        ("AVIF", "image/avif", {}),
    ],
)
def test_each_format_is_recognised_and_measured(kind: str, media_type: str, options: dict[str, object]) -> None:
    data = picture(1500, 900, kind, **options)
    prepared = prepare(data)
    assert (prepared.media_type, prepared.width, prepared.height) == (media_type, 1500, 900)
    assert prepared.size_bytes == len(data)
    sizes = {side: opened(thumb).size for side, thumb in prepared.thumbs.items()}
    assert sizes == {320: (320, 192), 640: (640, 384), 1280: (1280, 768)}
    assert {opened(thumb).format for thumb in prepared.thumbs.values()} == {"WEBP"}
    assert 5 <= len(prepared.thumbhash) <= 25


def test_thumbnails_look_like_the_picture() -> None:
    data = picture(1024, 1024, "PNG")
    for thumb in prepare(data).thumbs.values():
        small = opened(thumb).convert("RGB")
        red, green, blue = small.getpixel((small.width // 8, small.height // 8))
        assert red > 190 and green < 80 and blue < 80


def test_small_pictures_are_never_enlarged() -> None:
    prepared = prepare(picture(400, 200))
    assert {side: opened(thumb).size for side, thumb in prepared.thumbs.items()} == {
        320: (320, 160), 640: (400, 200), 1280: (400, 200),
    }  # fmt: skip
    assert prepared.thumbs[640] == prepared.thumbs[1280]


def test_one_pixel_and_extreme_shapes() -> None:
    assert prepare(picture(1, 1)).width == 1
    prepared = prepare(picture(4000, 3))
    assert opened(prepared.thumbs[320]).size == (320, 1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_pixel_layout_gives_thumbnails(mode: str) -> None:
    out = io.BytesIO()
    if mode == "I;16":
        Image.new("I;16", (50, 40), 40_000).save(out, "PNG")
    else:
        Image.open(io.BytesIO(picture(50, 40))).convert(mode).save(out, "PNG")
    prepared = prepare(out.getvalue())
    assert opened(prepared.thumbs[320]).size == (50, 40)
    if mode == "I;16":
        assert abs(opened(prepared.thumbs[320]).convert("L").getpixel((20, 20)) - 156) < 6


def test_cmyk_jpeg() -> None:
    out = io.BytesIO()
    Image.new("CMYK", (60, 60), (0, 255, 255, 0)).save(out, "JPEG")
    red, green, blue = opened(prepare(out.getvalue()).thumbs[320]).convert("RGB").getpixel((30, 30))
    assert red > 200 and green < 60 and blue < 60


def test_transparency_survives_into_thumbnails() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (80, 80), (10, 200, 10, 0)).save(out, "PNG")
    assert opened(prepare(out.getvalue()).thumbs[320]).convert("RGBA").getpixel((5, 5))[3] == 0


def test_orientation_counts_and_turns_the_thumbnail() -> None:
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    prepared = prepare(picture(600, 300, "JPEG", exif=exif))
    assert (prepared.width, prepared.height) == (300, 600)
    thumb = opened(prepared.thumbs[320])
    assert thumb.size == (160, 320)
    red, green, _ = thumb.convert("RGB").getpixel((150, 10))  # the red block moves to the right top
    assert red > 180 and green < 90


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "text": b"just some words",
    "html": b"<!doctype html><script>alert(1)</script>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "json": b'{"detail": "not a picture"}',
    "gif": picture(20, 20, "GIF"),
    "tiff": picture(20, 20, "TIFF"),
    "bmp": picture(20, 20, "BMP"),
    "executable": b"MZ\x90\0" + b"\0" * 200,
    "mp4": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0" * 64,
    "signature only": b"\x89PNG\r\n\x1a\n",
    "jpeg marker only": b"\xff\xd8\xff",
    "webp head only": b"RIFF\x20\0\0\0WEBP",
    "png with a page behind it": picture(40, 40) + b"<script>alert(document.domain)</script>",
    "png with a zip behind it": picture(40, 40) + b"PK\3\4" + b"\0" * 30,
    "jpeg with a page behind it": picture(40, 40, "JPEG") + b"<html>",
    "webp with a page behind it": picture(40, 40, "WEBP") + b"<html>",
    "avif with a page behind it": picture(40, 40, "AVIF") + b"<html><body>",
    "png without pixels": png_claiming(40, 40, b""),
    "png with too few pixels": png_claiming(400, 400),
    "png with a wrong checksum": picture(40, 40).replace(b"IDAT", b"IDAT\1", 1),
    "bomb by area": png_claiming(12_000, 12_000),
    "bomb by side": png_claiming(1_000_000, 1),
    "bomb by both": png_claiming(2**31 - 1, 2**31 - 1),
    "no width": png_claiming(0, 40),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(HostileFile) as refused:
        prepare(HOSTILE[name])
    assert refused.value.reason.endswith(".") and refused.value.fields["file"] == refused.value.reason
    if "behind it" not in name or "jpeg" not in name:
        with pytest.raises(HostileFile):
            clean_upload(HOSTILE[name])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95, 0.999])
def test_a_file_cut_short_is_refused(kind: str, share: float) -> None:
    data = picture(300, 200, kind)
    with pytest.raises(HostileFile):
        prepare(data[: int(len(data) * share)])


def test_padding_after_the_end_is_no_harm() -> None:
    assert prepare(picture(40, 40, "JPEG") + b"\0" * 32 + b"\r\n").width == 40


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
def test_animation_is_refused(kind: str) -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue", "green")]
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(HostileFile, match="Animated"):
        prepare(out.getvalue())


def test_limits() -> None:
    data = picture(300, 200)
    with pytest.raises(HostileFile, match="larger than"):
        prepare(data, limits=Limits(max_bytes=len(data) - 1))
    with pytest.raises(HostileFile, match="wide or high"):
        prepare(data, limits=Limits(max_side=299))
    with pytest.raises(HostileFile, match="million pixels"):
        prepare(data, limits=Limits(max_pixels=59_999))
    assert prepare(data, limits=Limits(len(data), 60_000, 300)).width == 300


def test_the_bytes_decide_but_a_declared_page_is_refused() -> None:
    assert prepare(picture(40, 40, "JPEG"), declared_type="image/png").media_type == "image/jpeg"
    assert prepare(picture(40, 40), declared_type="application/octet-stream").media_type == "image/png"
    for declared in ("text/html; charset=utf-8", "image/svg+xml", "application/json"):
        with pytest.raises(HostileFile):
            prepare(picture(40, 40), declared_type=declared)


def test_a_text_bomb_inside_a_png_is_refused() -> None:
    info = PngInfo()
    info.add_text("comment", "x" * 80_000_000, zip=True)
    with pytest.raises(HostileFile):
        prepare(picture(40, 40, pnginfo=info))


def test_apng_control_chunk_alone_counts_as_animation() -> None:
    data = picture(40, 40)
    forged = data[:33] + png_chunk(b"acTL", struct.pack(">II", 3, 0)) + data[33:]
    assert read_container(forged).animated


def photograph(kind: str = "JPEG", *, orientation: int = 1, width: int = 400, height: int = 300) -> bytes:
    """What a phone makes: place, camera and a thumbnail of the uncropped scene in its EXIF."""
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    exif[Base.Make] = "SecretPhone"
    exif[Base.ImageDescription] = "Ada's kitchen"
    exif.get_ifd(IFD.GPSInfo).update(
        {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (47.0, 22.0, 8.4), GPS.GPSLongitudeRef: "E"}
    )
    return picture(width, height, kind, exif=exif)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_uploads_lose_everything_but_their_pixels(kind: str) -> None:
    data = photograph(kind)
    assert opened(data).getexif().get_ifd(IFD.GPSInfo)
    clean = clean_upload(data)
    image = opened(clean)
    assert not image.getexif()
    assert not {"exif", "xmp", "comment"} & set(image.info)
    for secret in (b"SecretPhone", b"kitchen", b"Exif"):
        assert secret not in clean
    prepared = prepare(clean)
    assert (prepared.width, prepared.height) == (400, 300)
    assert prepared.media_type == {"JPEG": "image/jpeg", "PNG": "image/png"}.get(kind, "image/webp")


def test_png_text_and_jpeg_comments_go_too() -> None:
    info = PngInfo()
    info.add_text("Author", "Ada Kovac")
    assert b"Kovac" not in clean_upload(picture(40, 40, pnginfo=info))
    assert b"Kovac" not in clean_upload(picture(40, 40, "JPEG", comment=b"by Ada Kovac"))


def test_uploads_are_turned_upright_before_the_tag_goes() -> None:
    clean = opened(clean_upload(photograph(orientation=8)))
    assert clean.size == (300, 400)
    red, green, _ = clean.convert("RGB").getpixel((20, 380))  # the block moves to the left bottom
    assert red > 180 and green < 90


def test_a_phone_s_film_behind_its_picture_is_dropped() -> None:
    data = photograph() + b"ftypmp42" + b"motion" * 100
    clean = clean_upload(data)
    assert b"motion" not in clean
    assert prepare(clean).width == 400


def test_large_uploads_are_brought_down() -> None:
    prepared = prepare(clean_upload(photograph(width=6000, height=1500)))
    assert (prepared.width, prepared.height) == (4096, 1024)


def test_png_and_lossless_webp_keep_their_pixels() -> None:
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True})):
        data = picture(120, 90, kind, **options)
        assert opened(clean_upload(data)).convert("RGB").tobytes() == opened(data).convert("RGB").tobytes()


_SEEDS = {kind: picture(60, 40, kind) for kind in ("PNG", "JPEG", "WEBP", "AVIF")}


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(_SEEDS)),
    flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=12),
    cut=st.integers(0, 10**6),
)
def test_damaged_files_are_accepted_or_refused_but_never_crash(
    kind: str, flips: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(_SEEDS[kind])
    for position, value in flips:
        data[position % len(data)] = value
    damaged = bytes(data[: len(data) - cut % 40])
    for take in (prepare, clean_upload):
        try:
            take(damaged, limits=Limits(max_pixels=1_000_000))
        except HostileFile as refused:
            assert refused.reason
