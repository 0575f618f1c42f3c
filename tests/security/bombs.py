"""Files that are small to send and dear to open. Run by itself it opens each within hard limits, and says how it went.

python -m tests.security.bombs   one line of JSON: {name: [outcome, seconds]} and "peak_mb"
"""

import io
import json
import os
import resource
import struct
import tempfile
import time
import zlib
from collections.abc import Callable

from PIL import Image

from gesso.media.ingest import HostileFile, clean_upload, prepare
from tests.media.pictures import picture, png_chunk, png_claiming

MB = 2**20
MEMORY_BYTES, CPU_SECONDS = 2048 * MB, 60
"""Address space and processor time of the process; beyond them it is killed."""
SIDE = 7000
"""49 million pixels: close to the most that is taken."""


SIDEWAYS = b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def in_png(inner: bytes) -> bytes:
    whole = picture(40, 40)
    return whole[:33] + inner + whole[33:]


def in_jpeg(inner: bytes) -> bytes:
    whole = picture(40, 40, "JPEG")
    return whole[:2] + inner + whole[2:]


def exif(entries: bytes) -> bytes:
    body = b"Exif\0\0II*\0\x08\0\0\0" + entries
    return in_jpeg(b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body)


def many_scans() -> bytes:
    """A large picture whose last pass is made again a hundred times: 10 kB that take ten seconds to decode."""
    whole = saved(Image.new("RGB", (SIDE, SIDE), "teal"), "JPEG", progressive=True)
    last = whole.rfind(b"\xff\xda")
    table = whole.rfind(b"\xff\xc4", 0, last)
    return whole[:-2] + whole[table:-2] * 100 + whole[-2:]


def webp_pieces() -> bytes:
    body = picture(40, 40, "WEBP")[12:] + b"XXXX\0\0\0\0" * (10 * MB // 8)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def many_frames(kind: str) -> bytes:
    frames = [Image.new("RGB", (200, 200), (number, 0, 0)) for number in range(200)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


BOMBS: dict[str, Callable[[], bytes]] = {
    "a png of nothing but its size": lambda: png_claiming(16_000, 16_000),
    "a png that inflates": lambda: png_claiming(SIDE, SIDE, bytes(100 * MB)),
    "a png of empty chunks": lambda: in_png(png_chunk(b"prVt", b"") * (10 * MB // 12)),
    "a png of empty pixels": lambda: in_png(png_chunk(b"IDAT", b"") * (10 * MB // 12)),
    "a png of short texts": lambda: in_png(png_chunk(b"tEXt", b"a\0b") * (10 * MB // 15)),
    "a png whose text inflates": lambda: in_png(png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100 * MB)))),
    "a png whose profile inflates": lambda: in_png(png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(100 * MB)))),
    "a jpeg of comments": lambda: in_jpeg(b"\xff\xfe\0\2" * (10 * MB // 4)),
    "a jpeg of tables": lambda: in_jpeg(b"\xff\xc4\0\2" * (10 * MB // 4)),
    "a jpeg of filling": lambda: in_jpeg(b"\xff" * (10 * MB)),
    "a jpeg of many passes": many_scans,
    "a webp of empty chunks": webp_pieces,
    "an avif of empty boxes": lambda: picture(40, 40, "AVIF") + struct.pack(">I4s", 8, b"free") * (10 * MB // 8),
    "a webp as large as a png may be": lambda: saved(Image.new("RGB", (SIDE, SIDE)), "WEBP", lossless=True, method=0),
    "a gif of many frames": lambda: many_frames("GIF"),
    "a png of many frames": lambda: many_frames("PNG"),
    "a webp of many frames": lambda: many_frames("WEBP"),
    "a tiff of many frames": lambda: many_frames("TIFF"),
}
"""Refused, every one."""

HEAVY: dict[str, Callable[[], bytes]] = {
    "exif that counts to billions": lambda: exif(
        struct.pack("<H", 5000) + b"".join(struct.pack("<HHII", 256 + n, 7, 2**31 - 1, 8) for n in range(5000))
    ),
    "exif that leads to itself": lambda: exif(
        struct.pack("<H", 2) + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x0112, 3, 1, 6) + bytes(4)
    ),
    "the largest picture, sideways": lambda: saved(Image.new("RGBA", (SIDE, SIDE)), "PNG", exif=SIDEWAYS),
}
"""Odd or large, but pictures: taken, in bounded time and memory."""


def made(make: Callable[[], bytes]) -> bytes:
    """What `make` gives, made in a process beside this one, whose memory is not to count."""
    with tempfile.TemporaryFile() as file:
        child = os.fork()
        if child == 0:
            file.write(make())
            file.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        file.seek(0)
        return file.read()


def outcome(take: Callable[[bytes], object], data: bytes) -> str:
    try:
        take(data)
    except HostileFile:
        return "refused"
    return "taken"


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    found: dict[str, tuple[str, float]] = {}
    for name, make in {**BOMBS, **HEAVY}.items():
        data = made(make)
        began = time.process_time()
        outcomes = {outcome(take, data) for take in (prepare, clean_upload)}
        found[name] = (" and ".join(sorted(outcomes)), time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"found": found, "peak_mb": peak}))


if __name__ == "__main__":
    main()
