"""The site's visible mark on films: every frame decoded, drawn on and encoded anew as H.264 in MP4; sound as it came.

Heavy (about a second of a core for a second of 1080p) and fed with strangers' files, so it is a program of its own:
`marking` starts it with lowered priority, with limits on memory and time, and without the site's secrets. It reads
eight bytes of length and the film from its standard input, which the worker keeps open: when that ends, the worker is
gone and so are we. It answers on its standard output: the film (exit code 0), or why not (`DAMAGED`: a sentence; else
the kind of error).
"""

import io
import os
import sys
import threading
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from gesso.media import mark
from gesso.media.containers import HostileFile
from gesso.media.video import DAMAGED, LENGTH, film_in, opened, sniff

MEMORY_BYTES = 2 * 2**30
"""Of data that the program may have: 0.3 GB are used for 1080p, 0.8 GB for 2160p."""
_NICE, _KILL_ME_FIRST = 10, "1000"

_SOUND = frozenset({"aac", "mp3", "opus", "flac", "alac"})
"""What browsers play in an MP4; other sound becomes AAC."""
_QUALITY = {"preset": "veryfast", "crf": "20"}
_COLOURS = ("color_range", "colorspace", "color_primaries", "color_trc")
_FULL_RANGE = 2

Pixels = NDArray[np.uint8]


class _Stamp:
    """The mark for frames of one size, as brightness and coverage. It has no hue, so colour planes only fade by it."""

    def __init__(self, width: int, height: int, words: str, *, full_range: bool) -> None:
        pill, (left, top) = mark.placed((width, height), words)
        self._left, self._top = left - left % 2, top - top % 2
        wide, high = min(pill.width, width - self._left) & ~1, min(pill.height, height - self._top) & ~1
        pixels = np.asarray(pill.crop((0, 0, wide, high)), np.float32)
        self._cover = pixels[..., 3] / 255
        light = pixels[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
        self._light = self._cover * (light if full_range else 16 + light * (219 / 255))
        self._faded = self._cover.reshape(high // 2, 2, wide // 2, 2).mean((1, 3))

    def press(self, brightness: Pixels, *hues: Pixels) -> None:
        """Draw it into the planes of a 4:2:0 frame."""
        high, wide = self._cover.shape
        spot = brightness[self._top : self._top + high, self._left : self._left + wide]
        spot[:] = np.rint(spot * (1 - self._cover) + self._light)
        for plane in hues:
            top, left = self._top // 2, self._left // 2
            spot = plane[top : top + high // 2, left : left + wide // 2]
            spot[:] = np.rint(128 + (spot - np.float32(128)) * (1 - self._faded))


def mark_film(data: bytes, words: str) -> bytes:
    """The film with the mark, as MP4 whose index stands first. Times of frames and sound are kept; other streams and
    words about the file are not. Raises `HostileFile` where the film cannot be read to its end.
    """
    out = _Written()
    media_type = sniff(data)
    if media_type is None:
        raise HostileFile("The file is not an MP4 or WebM video.")
    with opened(data, media_type) as source, _target(out) as target:
        film, sounds = film_in(source, media_type), source.streams.audio
        picture = target.add_stream("libx264", rate=film.average_rate or Fraction(24), options=_QUALITY)
        lines = {sound.index: _Sound(target, sound) for sound in sounds}
        frames, early = _Frames(film, picture, words), list[Any]()
        for packet in source.demux(film, *sounds):
            if packet.stream is film:
                for frame in packet.decode():
                    target.mux(frames.marked(frame))
            else:
                early.append(packet)
            if frames.count:  # nothing may be written before the encoder knows how large the film is
                for sound in early:
                    lines[sound.stream.index].carry(sound)
                early.clear()
        if not frames.count:
            raise HostileFile("The video has no frame that can be read.")
        target.mux(picture.encode(None))
        for line in lines.values():
            line.end()
    return out.getvalue()


def _target(out: "_Written") -> Any:
    """An MP4 to write. To put its index first FFmpeg reads again what it wrote, through an opening of its own."""
    return av.open(
        out, "w", format="mp4", options={"movflags": "+faststart"}, io_open=lambda url, flags, options: _Reader(out)
    )


class _Written(io.BytesIO):
    def part(self, start: int, size: int) -> bytes:
        with self.getbuffer() as view:
            return bytes(view[start : start + size if size >= 0 else None])


class _Reader(io.RawIOBase):
    """A second place in what is being written."""

    def __init__(self, written: _Written) -> None:
        self._written, self._at = written, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        found = self._written.part(self._at, size)
        self._at += len(found)
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        self._at = offset + (self._written.getbuffer().nbytes if start is None else start)
        return self._at

    def tell(self) -> int:
        return self._at


class _Frames:
    """Frames of a film on their way: upright, 4:2:0, of even size, marked, encoded."""

    def __init__(self, film: Any, picture: Any, words: str) -> None:
        self._film, self._picture, self._words = film, picture, words
        self._stamp: _Stamp | None = None
        self.count = 0

    def marked(self, frame: av.VideoFrame) -> Any:
        """The packets that this frame lets out of the encoder."""
        frame, pts, base = _even(frame), frame.pts, frame.time_base
        if self._stamp is None:
            self._begin(frame)
        assert self._stamp is not None
        if (frame.width, frame.height) != (self._picture.width, self._picture.height):
            raise HostileFile("The video changes its size.")
        frame.make_writable()
        self._stamp.press(*(_pixels(plane) for plane in frame.planes))
        frame.pts, frame.time_base, frame.pict_type = pts, base, 0
        self.count += 1
        return self._picture.encode(frame)

    def _begin(self, frame: av.VideoFrame) -> None:
        """Set the encoder up: the first frame says how large the film is once it stands upright."""
        context, known = self._picture.codec_context, self._film.codec_context
        context.width, context.height, context.pix_fmt = frame.width, frame.height, "yuv420p"
        context.thread_count, context.time_base = 1, self._film.time_base
        if (shape := self._film.sample_aspect_ratio) and shape > 0:
            context.sample_aspect_ratio = shape
        for name in _COLOURS:
            setattr(context, name, getattr(known, name))
        full = known.color_range == _FULL_RANGE or (known.pix_fmt or "").startswith("yuvj")
        if full:
            context.color_range = _FULL_RANGE
        self._stamp = _Stamp(frame.width, frame.height, self._words, full_range=full)


def _even(frame: av.VideoFrame) -> av.VideoFrame:
    """The frame upright, in 4:2:0 with eight bits, and with even sides, as H.264 wants them."""
    wide, high = max(2, frame.width & ~1), max(2, frame.height & ~1)
    turn = round(getattr(frame, "rotation", 0) or 0) % 360 // 90
    kind = "yuvj420p" if frame.format.name.startswith("yuvj") else "yuv420p"
    frame = frame.reformat(wide, high, kind)
    if not turn:
        return frame
    turned = [np.rot90(_pixels(plane), turn) for plane in frame.planes]
    upright = av.VideoFrame(turned[0].shape[1], turned[0].shape[0], kind)
    for plane, pixels in zip(upright.planes, turned, strict=True):
        _pixels(plane)[:] = pixels
    return upright


def _pixels(plane: Any) -> Pixels:
    lines: Pixels = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return lines[: plane.height, : plane.width]


class _Sound:
    """One line of sound: its packets as they are, or as AAC where an MP4 could not play them."""

    def __init__(self, target: Any, sound: Any) -> None:
        self._target = target
        self._copied = sound.codec_context.name.removeprefix("lib") in _SOUND
        if self._copied:
            self._line = target.add_stream_from_template(sound)
        else:
            self._line = target.add_stream("aac", rate=sound.rate or 48_000)
            self._line.codec_context.layout = sound.layout

    def carry(self, packet: Any) -> None:
        if not self._copied:
            for frame in packet.decode():
                self._target.mux(self._line.encode(frame))
        elif packet.dts is not None:  # the last, empty one only says that the stream has ended
            packet.stream = self._line
            self._target.mux(packet)

    def end(self) -> None:
        if not self._copied:
            self._target.mux(self._line.encode(None))


def _be_humble() -> None:
    """Everything else on the machine goes first; and where memory ends, this process ends, not the worker."""
    with suppress(OSError):
        os.nice(_NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_KILL_ME_FIRST)
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))


def _end_with(worker: int) -> None:
    """Wait until the worker closes its end, which it does when it dies at the latest."""
    while os.read(worker, 1):
        pass
    os._exit(1)


def main() -> int:
    """Read, mark, answer; the exit code."""
    _be_humble()
    worker, answer = sys.stdin.buffer, sys.stdout.buffer
    (length,) = LENGTH.unpack(worker.read(LENGTH.size))
    data = worker.read(length)
    threading.Thread(target=_end_with, args=(worker.fileno(),), daemon=True).start()
    code, said = 0, b""
    try:
        said = mark_film(data, sys.argv[1])
    except HostileFile as error:
        code, said = DAMAGED, error.reason.encode()
    except Exception as error:  # noqa: BLE001 - the worker logs what kind it was, and no more: it may quote the file
        code, said = 1, type(error).__name__.encode()
    answer.write(said)
    answer.flush()
    return code


if __name__ == "__main__":
    os._exit(main())  # past the thread that waits on the standard input
