"""What a picture file says about itself, read from its bytes without decoding a pixel.

The walk follows each format to its last byte, so that a file cut short, one with something hidden after
its end, or one that claims a billion pixels is refused before a decoder sees it. Layouts: PNG (W3C PNG 3rd
ed. §5), JPEG (ITU T.81 annex B), WebP (RFC 9649), AVIF (ISO/IEC 14496-12 and 23008-12).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gesso.core.errors import InvalidInput

PNG, JPEG, WEBP, AVIF = "image/png", "image/jpeg", "image/webp", "image/avif"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_VIDEO_BRANDS = {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"qt  "}
# In JPEG's entropy-coded data every marker but a stuffed zero and the restart marks ends the scan.
_JPEG_FILL = re.compile(rb"\xff{1,4096}(?!\xff)")
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""Begins with one plain byte, which `re` finds sixteen times as fast as one or more of it."""
MOST_PARTS = 20_000
"""Chunks, segments or boxes of one file: a 50 MB PNG in pieces of 8 kB has 6,400. Millions of empty ones are small to
send and take seconds and hundreds of megabytes to walk through."""
MOST_SCANS = 32
"""Passes over a JPEG's pixels. Encoders make ten or so; each may take 100 bytes of file and 0.1 s of a large one."""
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class HostileFile(InvalidInput):
    """The bytes are not a picture we accept. `reason` is a sentence for people."""

    code = "bad_file"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, fields={"file": reason})
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Container:
    """`width` and `height` in pixels as stored, before orientation; `end` is the offset after the picture."""

    media_type: str
    width: int
    height: int
    animated: bool
    end: int
    lossless: bool = False


def read_container(data: bytes) -> Container:
    """Identify `data` by its bytes and walk its structure. Raises `HostileFile`."""
    if not data:
        raise HostileFile("The file is empty.")
    try:
        if data.startswith(_PNG_SIGNATURE):
            return _png(data)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data[4:8] == b"ftyp":
            return _avif(data)
    except (struct.error, IndexError):
        raise HostileFile("The file is cut short or damaged.") from None
    if data[:6] in (b"GIF87a", b"GIF89a"):
        raise HostileFile("GIF files are not taken. Save it as PNG, JPEG or WebP.")
    raise HostileFile("The file is not a PNG, JPEG, WebP or AVIF.")


def _parts() -> Iterator[None]:
    """One step for each part of a file, up to as many as a picture may have. Raises `HostileFile` after the last."""
    for _ in range(MOST_PARTS):
        yield
    raise HostileFile("The file is made of too many pieces.")


def trailing(data: bytes, container: Container) -> bytes:
    """What follows the picture's end, padding of zeros and white space aside."""
    return data[container.end :].strip(b"\0 \t\r\n")


def _png(data: bytes) -> Container:
    position, width, height, animated, pixels = 8, 0, 0, False, False
    for _ in _parts():
        length, kind = struct.unpack_from(">I4s", data, position)
        body, position = position + 8, position + 12 + length
        if position > len(data):
            raise HostileFile("The file is cut short.")
        if kind == b"IHDR" and length == 13 and body == 16:
            width, height = struct.unpack_from(">II", data, body)
        elif kind == b"acTL":
            animated = True
        elif kind == b"IDAT":
            pixels = True
        elif kind == b"IEND":
            break
    if not (width and height and pixels):
        raise HostileFile("The file is damaged.")
    return Container(PNG, width, height, animated, position)


def _jpeg(data: bytes) -> Container:
    position, width, height, scans = 2, 0, 0, 0
    for _ in _parts():
        fill = _JPEG_FILL.match(data, position)
        if fill is None:
            raise HostileFile("The file is damaged.")
        position = fill.end()
        marker = data[position]
        position += 1
        if marker == 0xD9:
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        if length < 2 or position + length > len(data):
            raise HostileFile("The file is cut short or damaged.")
        if marker in _JPEG_FRAMES and not width:
            height, width = struct.unpack_from(">HH", data, position + 3)
        position += length
        if marker == 0xDA:
            scans += 1
            if scans > MOST_SCANS:
                raise HostileFile("The file is drawn in too many steps.")
            following = _JPEG_MARKER.search(data, position)
            if following is None:
                raise HostileFile("The file is cut short.")
            position = following.start()
    if not (width and height):
        raise HostileFile("The file is damaged.")
    return Container(JPEG, width, height, False, position)


def _webp(data: bytes) -> Container:
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    end += end & 1
    if end > len(data):
        raise HostileFile("The file is cut short.")
    position, width, height, animated, lossless = 12, 0, 0, False, False
    for _ in _parts():
        if position + 8 > end:
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        body, position = position + 8, position + 8 + length + (length & 1)
        if position > end:
            raise HostileFile("The file is damaged.")
        if kind == b"VP8X":
            animated = bool(data[body] & 0x02)
            width = 1 + int.from_bytes(data[body + 4 : body + 7], "little")
            height = 1 + int.from_bytes(data[body + 7 : body + 10], "little")
        elif kind == b"VP8 " and not width and length >= 10:
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, body + 6))
        elif kind == b"VP8L" and length >= 5:
            bits = int.from_bytes(data[body + 1 : body + 5], "little")
            width, height = width or 1 + (bits & 0x3FFF), height or 1 + (bits >> 14 & 0x3FFF)
            lossless = True
        elif kind in (b"ANIM", b"ANMF"):
            animated = True
    if not (width and height):
        raise HostileFile("The file is damaged.")
    return Container(WEBP, width, height, animated, end, lossless)


def _avif(data: bytes) -> Container:
    (length,) = struct.unpack_from(">I", data, 0)
    brands = {data[at : at + 4] for at in (8, *range(16, min(length, len(data)), 4))}
    if not brands & {b"avif", b"avis"}:
        video = brands & _VIDEO_BRANDS
        raise HostileFile("Videos are not taken here." if video else "The file is not a PNG, JPEG, WebP or AVIF.")
    position, width, height = 0, 0, 0
    for _ in _parts():
        if len(data) - position < 8 or not data[position + 4 : position + 8].isalnum():
            break
        size, kind = struct.unpack_from(">I4s", data, position)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, position + 8)
        elif size == 0:
            size = len(data) - position
        if size < 8 or position + size > len(data):
            raise HostileFile("The file is cut short.")
        if kind == b"meta":
            meta = data[position : position + size]
            for found in re.finditer(b"ispe", meta):
                stored = struct.unpack_from(">II", meta, found.end() + 4)
                width, height = max(width, stored[0]), max(height, stored[1])
        position += size
    if not (width and height):
        raise HostileFile("The file is damaged.")
    return Container(AVIF, width, height, data[8:12] == b"avis", position)
