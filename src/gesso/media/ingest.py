"""From untrusted bytes to a picture we vouch for: checked, measured, hashed, with thumbnails and a blur.

Everything here is pure and heavy: run it in a worker thread (`service.Ingest` does, a few at a time).
Memory: a decoded picture takes 4 bytes a pixel, up to four times over while it is decoded, turned upright and encoded:
0.8 GB for the largest one taken (seen: PNG with 49 million pixels), 12 MB for a usual 1024². Decoders of WebP and AVIF
hold as much again, so half as many pixels are taken of those; and large pictures are decoded one at a time.

Thumbnails are WebP with 320, 640 and 1280 pixels on the longer side, never enlarged, at encoder effort 2:
twice as fast as effort 4 for 1.7 % more bytes.
"""

import hashlib
import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, ImageOps

from gesso.media import mark
from gesso.media.containers import AVIF, JPEG, PNG, WEBP, Container, HostileFile, read_container, trailing

__all__ = ["THUMB_SIDES", "CleanFile", "HostileFile", "Limits", "Prepared", "clean_upload", "prepare"]

# Of what is odd about a file the decoder tells in one line per oddity: thousands in a file made for it.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

THUMB_SIDES = (320, 640, 1280)
"""Longer sides of the thumbnails, in pixels."""

_FORMATS = {PNG: "PNG", JPEG: "JPEG", WEBP: "WEBP", AVIF: "AVIF"}
_THUMB_QUALITY, _THUMB_EFFORT = 80, 2
_SAMPLE_EFFORT = 6  # made once, seen by everybody
_UPLOAD_QUALITY = 95
_UPLOAD_SIDE = 4096
_LARGE_PIXELS, _one_large = 4096 * 4096, threading.Lock()
_ICC_LIMIT = 32 * 1024
_ORIENTATION_TAG, _UPRIGHT, _SIDEWAYS = 0x0112, 1, (5, 6, 7, 8)
_NOT_PICTURES = ("text/", "video/", "audio/", "application/json", "application/xml", "image/svg")


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_bytes` of the file, `max_pixels` in all (half as many of WebP and AVIF), `max_side` in pixels."""

    max_bytes: int = 50 * 2**20
    max_pixels: int = 50_000_000
    max_side: int = 16_384


@dataclass(frozen=True, slots=True)
class CleanFile:
    """What is known of the file behind a marked one. `sha256` has 32 bytes."""

    media_type: str
    sha256: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known of an accepted picture.

    `width` and `height` in pixels, upright. `sha256` (32 bytes) and `size_bytes` are of the file as given.
    `thumbs` maps longer side to WebP bytes; where the picture is smaller than a side, it keeps its own size.
    `thumbhash` is at most 25 bytes (see `blur`). `duration_ms` is None for stills.

    Where the picture was marked, `marked` is the file to deliver, all of this describes that one, and `clean` tells
    of the file as given.
    """

    media_type: str
    sha256: bytes
    width: int
    height: int
    size_bytes: int
    thumbs: dict[int, bytes]
    thumbhash: bytes
    duration_ms: int | None = None
    marked: bytes | None = None
    clean: CleanFile | None = None


def prepare(
    data: bytes, *, declared_type: str | None = None, limits: Limits | None = None, words: str | None = None
) -> Prepared:
    """Check `data` and derive everything that is stored beside it. CPU-bound: tens of milliseconds.

    With `words` the picture is marked with them: what is delivered, and described, is then `marked`.

    The type comes from the bytes; `declared_type` (a Content-Type) only counts when it says that this was
    never meant to be a picture. Raises `HostileFile` for anything but one whole, still PNG, JPEG, WebP or
    AVIF within `limits`.
    """
    container = _check(data, declared_type, limits or Limits())
    if trailing(data, container):
        raise HostileFile("The file goes on after the end of the picture.")
    with _room_for(container), _open(data, container) as opened:
        width, height = opened.size
        if _orientation(opened) in _SIDEWAYS:
            width, height = height, width
        if container.media_type == JPEG and words is None:
            # The decoder can shrink by 2, 4 or 8 while it reads: enough for the thumbnails of a photograph.
            opened.draft("RGB", (max(THUMB_SIDES), max(THUMB_SIDES)))
        picture = _decode(opened)
    media_type, digest, marked, clean = container.media_type, hashlib.sha256(data).digest(), None, None
    if words is not None:
        clean = CleanFile(media_type, digest, len(data))
        picture = mark.draw(_coloured(picture), words)
        media_type, marked = mark.encode(picture, media_type, lossless=container.lossless)
        digest = hashlib.sha256(marked).digest()
    thumbs, blur = derive(picture)
    size = len(data if marked is None else marked)
    return Prepared(media_type, digest, width, height, size, thumbs, blur, marked=marked, clean=clean)


def clean_upload(data: bytes, *, declared_type: str | None = None, limits: Limits | None = None) -> bytes:
    """A person's picture made anew from its pixels: upright, at most 4096 px a side, no EXIF, GPS or XMP.

    Making it anew also drops whatever else the file carried. JPEG stays JPEG (quality 95), PNG stays PNG;
    WebP and AVIF become WebP. Phones append film clips and depth maps to a JPEG, so extra bytes are allowed
    there and dropped. Raises `HostileFile` as `prepare` does.
    """
    container = _check(data, declared_type, limits or Limits())
    if container.media_type != JPEG and trailing(data, container):
        raise HostileFile("The file goes on after the end of the picture.")
    with _room_for(container), _open(data, container) as opened:
        picture = _decode(opened)
    if max(picture.size) > _UPLOAD_SIDE:
        picture.thumbnail((_UPLOAD_SIDE, _UPLOAD_SIDE), Image.Resampling.LANCZOS)
    profile = _profile(picture)
    out = io.BytesIO()
    if container.media_type == JPEG:
        picture.convert("RGB").save(out, "JPEG", quality=_UPLOAD_QUALITY, subsampling=0, icc_profile=profile)
    elif container.media_type == PNG:
        picture.save(out, "PNG", compress_level=3, icc_profile=profile)
    else:
        options = {"lossless": container.lossless, "method": _THUMB_EFFORT, "icc_profile": profile}
        picture.save(out, "WEBP", quality=_UPLOAD_QUALITY, **options)
    return out.getvalue()


def small(
    data: bytes, side: int, *, declared_type: str | None = None, limits: Limits | None = None
) -> tuple[str, bytes]:
    """A person's picture made anew as `clean_upload` does, but WebP of at most `side` pixels: (its SHA-256, it)."""
    clean = clean_upload(data, declared_type=declared_type, limits=limits)
    with Image.open(io.BytesIO(clean)) as opened:
        picture = _shrink(_decode(opened), side)
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=_THUMB_QUALITY, method=_SAMPLE_EFFORT)
    return hashlib.sha256(out.getvalue()).hexdigest(), out.getvalue()


def _check(data: bytes, declared_type: str | None, limits: Limits) -> Container:
    if len(data) > limits.max_bytes:
        raise HostileFile(f"The file is larger than {limits.max_bytes // 2**20} MB.")
    if declared_type and declared_type.strip().lower().startswith(_NOT_PICTURES):
        raise HostileFile("The file is not a PNG, JPEG, WebP or AVIF.")
    container = read_container(data)
    if container.animated:
        raise HostileFile("Animated files are not taken. Save one frame of it as a still.")
    if max(container.width, container.height) > limits.max_side:
        raise HostileFile(f"The file is more than {limits.max_side:,} pixels wide or high.")
    most = limits.max_pixels if container.media_type in (PNG, JPEG) else limits.max_pixels // 2
    if container.width * container.height > most:
        raise HostileFile(f"The file has more than {most // 1_000_000} million pixels.")
    return container


@contextmanager
def _room_for(container: Container) -> Iterator[None]:
    """Wait until no other large picture is being decoded in this process."""
    if container.width * container.height <= _LARGE_PIXELS:
        yield
        return
    with _one_large:
        yield


def _open(data: bytes, container: Container) -> Image.Image:
    """Open with the one decoder the bytes call for; its own idea of the size must agree with the header's."""
    try:
        opened = Image.open(io.BytesIO(data), formats=(_FORMATS[container.media_type],))
    except Exception as error:
        raise HostileFile("The file is damaged.") from error
    larger = opened.width * opened.height > container.width * container.height
    if larger or getattr(opened, "n_frames", 1) > 1:
        raise HostileFile("The file is damaged.")
    return opened


def _decode(opened: Image.Image) -> Image.Image:
    """The pixels, upright, as L, LA, RGB or RGBA; `info` keeps nothing but a small colour profile."""
    try:
        profile = opened.info.get("icc_profile")
        opened.load()
        picture = opened if _orientation(opened) == _UPRIGHT else ImageOps.exif_transpose(opened)
        if picture.mode.startswith("I"):
            # 16-bit grey: scaled, because a plain conversion clips everything above 255 to white.
            picture = picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
        if picture.mode not in ("L", "LA", "RGB", "RGBA"):
            picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    except Exception as error:  # decoders fail in a dozen ways on hostile bytes, all meaning the same
        raise HostileFile("The file is cut short or damaged.") from error
    keep = isinstance(profile, bytes) and len(profile) <= _ICC_LIMIT and opened.mode != "CMYK"
    picture.info = {"icc_profile": profile} if keep else {}
    return picture


def _orientation(opened: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; unreadable EXIF counts as upright, since browsers ignore it too."""
    try:
        value = opened.getexif().get(_ORIENTATION_TAG, _UPRIGHT)
    except Exception:  # noqa: BLE001 (hostile EXIF fails in many ways and none of them spoils the picture)
        return _UPRIGHT
    return value if value in range(1, 9) else _UPRIGHT


def _profile(picture: Image.Image) -> bytes:
    profile = picture.info.get("icc_profile", b"")
    return profile if isinstance(profile, bytes) else b""


def derive(picture: Image.Image) -> tuple[dict[int, bytes], bytes]:
    """Thumbnails from large to small, each made from the one before, and the blur from the smallest."""
    profile = _profile(picture)
    picture = _coloured(picture)
    thumbs: dict[int, bytes] = {}
    current, encoded, drawn = picture, b"", (0, 0)
    for side in sorted(THUMB_SIDES, reverse=True):
        current = _shrink(current, side)
        if current.size != drawn:
            out = io.BytesIO()
            current.save(out, "WEBP", quality=_THUMB_QUALITY, method=_THUMB_EFFORT, icc_profile=profile)
            encoded, drawn = out.getvalue(), current.size
        thumbs[side] = encoded
    from gesso.media.blur import thumb_hash  # with the first picture: numpy would be a tenth of every process's start

    return thumbs, thumb_hash(current)


def _coloured(picture: Image.Image) -> Image.Image:
    """Grey pictures as RGB or RGBA. Their profile is one for grey and does not go along."""
    if picture.mode in ("L", "LA"):
        return picture.convert("RGB" if picture.mode == "L" else "RGBA")
    return picture


def _shrink(picture: Image.Image, side: int) -> Image.Image:
    longest = max(picture.size)
    if longest <= side:
        return picture
    size = (max(1, round(picture.width * side / longest)), max(1, round(picture.height * side / longest)))
    if picture.width == size[0] * 2 and picture.height == size[1] * 2:
        return picture.reduce(2)
    # looks like bicubic when it makes smaller (50 dB of Lanczos), for a little more than half the work
    return picture.resize(size, Image.Resampling.HAMMING, reducing_gap=2.0)
