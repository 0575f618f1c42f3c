"""A short film from one picture: the camera drifts and closes in, as image-to-video models like to do."""

import math
import tempfile
from pathlib import Path

import av
from PIL import Image

MAX_SIDE_PX = 1280
MAX_SECONDS = 20.0
_ENCODER = {"preset": "veryfast", "crf": "26", "threads": "1"}
_ZOOM = 0.16
"""Share of the picture that the camera closes in by, over the whole film, at motion 1."""


def film(picture: Image.Image, *, width: int, height: int, seconds: float, fps: int, seed: int, motion: float) -> bytes:
    """An MP4 (H.264, yuv420p, no sound) of `seconds` at `fps` frames a second.

    `width` and `height` even, at most 1,280; `motion` 0–1. The same arguments give the same film.
    """
    if max(width, height) > MAX_SIDE_PX or not 0 < seconds <= MAX_SECONDS:
        raise ValueError("a film of the sandbox has sides up to 1,280 and lasts up to 20 seconds")
    frames = max(2, round(seconds * fps))
    source = _covering(picture, width, height)
    with tempfile.TemporaryDirectory() as folder:  # the index goes to the front, which needs a file to reopen
        path = Path(folder) / "film.mp4"
        with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=fps, options=_ENCODER)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for number in range(frames):
                box = _camera(number / (frames - 1), width, height, seed, motion)
                still = source.resize((width, height), Image.Resampling.BILINEAR, box=box)
                container.mux(stream.encode(av.VideoFrame.from_image(still)))  # type: ignore[no-untyped-call]
            container.mux(stream.encode(None))
        return path.read_bytes()


def _covering(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The middle of the picture, filling width × height."""
    scale = max(width / picture.width, height / picture.height)
    size = (max(width, round(picture.width * scale)), max(height, round(picture.height * scale)))
    scaled = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return scaled.crop((left, top, left + width, top + height))


def _camera(at: float, width: int, height: int, seed: int, motion: float) -> tuple[float, float, float, float]:
    """What the camera sees at `at` (0–1): an eased path whose direction the seed chooses."""
    eased = (1 - math.cos(math.pi * at)) / 2
    share = 1 - _ZOOM * motion * eased
    wide, high = width * share, height * share
    angle = math.tau * (seed % 360) / 360
    left = (width - wide) / 2 * (1 + 0.8 * math.cos(angle) * eased)
    top = (height - high) / 2 * (1 + 0.8 * math.sin(angle) * eased)
    return left, top, left + wide, top + high
