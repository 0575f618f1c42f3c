"""From untrusted bytes to a film we vouch for: checked, measured, hashed, with a poster's thumbnails and its blur.

As `ingest`, pure and heavy: run it in a worker thread. Only MP4 and WebM with one of a few codecs are taken, so that
a file made to harm meets as few decoders as possible, and only what the poster needs is decoded.
"""

import hashlib
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from PIL import Image, ImageStat

from gesso.media.containers import HostileFile
from gesso.media.ingest import Prepared, derive

MP4, WEBM = "video/mp4", "video/webm"
_DEMUXERS = {MP4: "mp4", WEBM: "webm"}
_CODECS = {MP4: frozenset({"h264", "hevc", "av1", "mpeg4", "vp9"}), WEBM: frozenset({"vp8", "vp9", "av1"})}
_EBML = b"\x1a\x45\xdf\xa3"
_STILL_BRANDS = frozenset({b"avif", b"avis", b"heic", b"mif1"})

POSTER_SHARE = 0.1
"""Where the poster is looked for: after this share of the film, for the first frame is often black or a fade."""
POSTER_LATEST_SECONDS = 2.0
_MOST_FRAMES = 150
_MOST_PACKETS = 100_000
_WHOLE_SHARE = Fraction(9, 10)
"""Share of the length it claims that a film must hold: its last frames may carry no length of their own."""
_PLAIN = 6.0
"""Standard deviation of brightness (0–255) below which a frame shows nothing."""

LENGTH, DAMAGED = struct.Struct(">Q"), 3
"""How `marking` tells the program that marks films how long one is, and that program that the film is at fault: the
exit code, with a sentence on the standard output. Here, for no web process shall import FFmpeg."""


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """`max_bytes` of the file, `max_side` in pixels, `max_seconds` of play."""

    max_bytes: int = 200 * 2**20
    max_side: int = 4096
    max_seconds: int = 600


def sniff(data: bytes) -> str | None:
    """The media type of a film by its first bytes; None when they are not a film's."""
    if data[:4] == _EBML:
        return WEBM
    return MP4 if data[4:8] == b"ftyp" and data[8:12] not in _STILL_BRANDS else None


def prepare_video(data: bytes, *, limits: VideoLimits | None = None) -> Prepared:
    """Check `data` and derive everything that is stored beside it. CPU-bound: tenths of a second.

    Width and height are those of the poster, upright. Raises `HostileFile` for anything but an MP4 or WebM with
    one film in a known codec, within `limits`, whose beginning can be decoded.
    """
    limits = limits or VideoLimits()
    if len(data) > limits.max_bytes:
        raise HostileFile(f"The video is larger than {limits.max_bytes // 2**20} MB.")
    media_type = sniff(data)
    if media_type is None:
        raise HostileFile("The file is not an MP4 or WebM video.")
    with opened(data, media_type) as container:
        stream = film_in(container, media_type)
        if max(stream.width, stream.height) > limits.max_side:
            raise HostileFile(f"The video is more than {limits.max_side:,} pixels wide or high.")
        seconds = _seconds(container, stream)
        if seconds is None or seconds <= 0:
            raise HostileFile("The video does not say how long it is.")
        if seconds > limits.max_seconds:
            raise HostileFile(f"The video is longer than {limits.max_seconds // 60} minutes.")
        _check_whole(container, stream, seconds)
        poster = _poster(container, stream, min(float(seconds) * POSTER_SHARE, POSTER_LATEST_SECONDS))
    thumbs, blur = derive(poster)
    return Prepared(
        media_type, hashlib.sha256(data).digest(), poster.width, poster.height, len(data), thumbs, blur,
        duration_ms=round(seconds * 1000),
    )  # fmt: skip


@contextmanager
def opened(data: bytes, media_type: str) -> Iterator[Any]:
    """The container. Whatever a decoder raises means the same, `HostileFile`; references to other files are not
    followed. `media_type` as of `sniff`."""
    import av  # here: every web process imports this module, none decodes, and FFmpeg takes 25 MB

    try:
        with av.open(
            io.BytesIO(data), format=_DEMUXERS[media_type], options={"protocol_whitelist": "", "enable_drefs": "0"},
            metadata_errors="replace",
        ) as container:  # fmt: skip
            yield container
    except HostileFile:
        raise
    except (av.error.FFmpegError, OSError, ValueError, EOFError, MemoryError) as error:
        raise HostileFile("The video is cut short or damaged.") from error


def film_in(container: Any, media_type: str) -> Any:
    """The one film in a container, in a codec we take. Raises `HostileFile`."""
    if len(container.streams.video) != 1:
        raise HostileFile("The file does not hold exactly one video.")
    stream = container.streams.video[0]
    context = stream.codec_context
    if context is None:
        raise HostileFile("The video is cut short or damaged.")
    if context.name not in _CODECS[media_type] and context.name != "libdav1d":
        raise HostileFile("The video is coded in a way that browsers do not play.")
    context.thread_count = 1
    if not (stream.width and stream.height):
        raise HostileFile("The video does not say how large it is.")
    return stream


def _seconds(container: Any, stream: Any) -> Fraction | None:
    if stream.duration is not None and stream.time_base is not None:
        return Fraction(stream.duration * stream.time_base)
    return Fraction(container.duration, 1_000_000) if container.duration else None


def _check_whole(container: Any, stream: Any, seconds: Fraction) -> None:
    """Read every packet, decoding none: a film whose end is missing plays, and then stops. Rewinds."""
    end, packets = Fraction(0), 0
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        packets += 1
        if packet.is_corrupt or packets > _MOST_PACKETS:
            raise HostileFile("The video is cut short or damaged.")
        if packet.pts is not None and packet.time_base is not None:
            end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
    if end < seconds * _WHOLE_SHARE:
        raise HostileFile("The video is cut short.")
    container.seek(0)


def _poster(container: Any, stream: Any, at_seconds: float) -> Image.Image:
    """The first frame from `at_seconds` on that shows something; else the one that shows most of those looked at.

    Decoded forward from the start: the frames after a cut are only right when all before them were read.
    """
    best: tuple[float, Image.Image] | None = None
    for number, frame in enumerate(container.decode(stream)):
        late = frame.time is None or frame.time >= at_seconds
        if late or number >= _MOST_FRAMES - 1:
            picture = _upright(frame)
            shows = _shows(picture)
            if best is None or shows > best[0]:
                best = (shows, picture)
            if shows >= _PLAIN:
                break
        if number >= _MOST_FRAMES:
            break
    if best is None:
        raise HostileFile("The video has no frame that can be read.")
    return best[1]


def _upright(frame: Any) -> Image.Image:
    picture: Image.Image = frame.to_image()
    turn = round(getattr(frame, "rotation", 0) or 0) % 360
    return picture.rotate(turn, expand=True) if turn else picture


def _shows(picture: Image.Image) -> float:
    small = picture.convert("L").resize((32, 32))
    return ImageStat.Stat(small).stddev[0]
