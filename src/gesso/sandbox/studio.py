"""Painting in processes of its own, so that the event loop never waits for arithmetic."""

import asyncio
import contextlib
import io
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import ModuleType
from typing import TypeVar

from PIL import Image, UnidentifiedImageError

from gesso.sandbox.painter import Format, encode, film, paint
from gesso.sandbox.painter.references import compose, mean_colours

_MAX_REFERENCE_PIXELS = 64_000_000

T = TypeVar("T")
R = TypeVar("R")


class BadReference(ValueError):
    """An input picture cannot be read; the first argument is its index."""


@dataclass(frozen=True)
class Order:
    """One picture to paint. `references` are encoded pictures; `blacked`: nothing but black (a censored result)."""

    prompt: str
    seed: int
    width: int
    height: int
    file_format: Format
    references: tuple[bytes, ...] = ()
    blacked: bool = False


@dataclass(frozen=True)
class FilmOrder:
    """One film to make, from `picture` (encoded) or from a painted one. See `painter.film`."""

    prompt: str
    seed: int
    width: int
    height: int
    seconds: float
    fps: int = 24
    motion: float = 1.0
    picture: bytes | None = None


def _open(index: int, data: bytes) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(data))
        if picture.width * picture.height > _MAX_REFERENCE_PIXELS:
            raise BadReference(index)
        return picture.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError):
        raise BadReference(index) from None


def _work(order: Order) -> bytes:
    if order.blacked:
        return encode(Image.new("RGB", (order.width, order.height)), order.file_format)
    references = [_open(i, data) for i, data in enumerate(order.references)]
    colours = mean_colours(references) if references else None
    picture = paint(order.prompt, seed=order.seed, width=order.width, height=order.height, reference_colours=colours)
    if references:
        picture = compose(picture, references, seed=order.seed)
    return encode(picture, order.file_format)


def _film(order: FilmOrder) -> bytes:
    if order.picture is not None:
        picture = _open(0, order.picture)
    else:
        picture = paint(order.prompt, seed=order.seed, width=order.width, height=order.height)
    return film(
        picture, width=order.width, height=order.height, seconds=order.seconds, fps=order.fps, seed=order.seed,
        motion=order.motion,
    )  # fmt: skip


def _measure(data: bytes) -> tuple[int, int]:
    return _open(0, data).size


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _prepare_worker() -> None:
    """A worker ignores Ctrl-C (its parent ends it), gives way to other work, and never outlives its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(5)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hides the main module while a painter starts.

    A spawned process would first import its parent's main module again: for the command line that is the whole
    product, seconds for nothing, and for a script without the usual guard it is the script itself.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class Studio:
    """A lazily started pool of painters. `close()` ends it. Without workers it paints in a thread of this process."""

    def __init__(self, workers: int = 2) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def _executor(self) -> ProcessPoolExecutor:
        if self._pool is None:
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, mp_context=spawn, initializer=_prepare_worker)
        return self._pool

    async def _run(self, work: Callable[[T], R], argument: T) -> R:
        pool = self._executor()
        try:
            with _without_main():
                future = pool.submit(work, argument)
            return await asyncio.wrap_future(future)
        except BrokenProcessPool:
            # Somebody killed a painter. The pool is of no more use; whoever notices first puts it away.
            if self._pool is pool:
                self._pool = None
                pool.shutdown(wait=False)
            raise

    async def _run_again(self, work: Callable[[T], R], argument: T) -> R:
        """Painting has no side effects: after a broken pool it is simply done again in a new one."""
        if self._workers == 0:
            return await asyncio.to_thread(work, argument)
        try:
            return await self._run(work, argument)
        except BrokenProcessPool:
            return await self._run(work, argument)

    async def paint(self, order: Order) -> bytes:
        """The picture as a file. Raises BadReference when an input picture cannot be read."""
        return await self._run_again(_work, order)

    async def film(self, order: FilmOrder) -> bytes:
        """The film as an MP4. Raises BadReference when its picture cannot be read."""
        return await self._run_again(_film, order)

    async def measure(self, data: bytes) -> tuple[int, int]:
        """Width and height of a picture. Raises BadReference."""
        return await self._run_again(_measure, data)

    async def close(self) -> None:
        """Ends the painters after the pictures they are at; what waits is dropped."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
