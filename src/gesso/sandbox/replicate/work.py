"""Making what a prediction asks for: reading its pictures, painting, filming, and the logs that go with it."""

import asyncio
import base64
import binascii
import secrets
from collections.abc import Awaitable, Callable
from decimal import Decimal
from urllib.parse import unquote, urlsplit

from gesso.sandbox.faults import Fault
from gesso.sandbox.files import KEEP_SECONDS, FileStore
from gesso.sandbox.pace import Pace
from gesso.sandbox.replicate.job import Job
from gesso.sandbox.replicate.schemas import FilmInput, Unworkable
from gesso.sandbox.studio import BadReference, FilmOrder, Order, Studio

UPLOADS = "upload/"
"""Uploaded files lie under this name in the store, results do not."""
_LARGEST_AREA = 4096 * 4096
_OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 2.50 GiB (GPU 0; 44.40 GiB total capacity; 42.11 GiB already allocated; "
    "1.02 GiB free; 42.30 GiB reserved in total by PyTorch)"
)
_TEXTS = {"interrupted": "Prediction interrupted; please retry (code: PA)"}
_TICKS = 8
_SUFFIX = {"jpeg": "jpg", "png": "png", "webp": "webp"}


class Failing(Exception):
    """The prediction fails; the message is its error."""


class Maker:
    """Makes the files of jobs. `tell` is called whenever a job's logs have grown."""

    def __init__(self, pace: Pace, studio: Studio, files: FileStore) -> None:
        self._pace, self._studio, self._files = pace, studio, files

    async def make(self, job: Job, tell: Callable[[Job], None]) -> None:
        """Sets the job's outputs. Raises Failing."""
        seed = job.input.seed if job.input.seed is not None else secrets.randbelow(2**16)
        job.logs += f"Using seed: {seed}\n"
        tell(job)
        if slow := job.faults.get("slow"):
            await self._show(job, slow.number(10), tell)
        self._doom(job)
        try:
            pictures = [self._read(job, url) for url in job.input.files()]
            size = await self._studio.measure(pictures[0]) if pictures else None
            width, height = job.input.size(size)
            if width * height > _LARGEST_AREA:
                raise Failing(_OUT_OF_MEMORY)
            if isinstance(job.input, FilmInput):
                await self._film(job, job.input, seed, (width, height), pictures[0], tell)
            else:
                await self._paint(job, seed, (width, height), tuple(pictures), tell)
        except Unworkable as error:
            raise Failing(str(error)) from None
        except BadReference:
            raise Failing("cannot identify image file") from None

    def _doom(self, job: Job) -> None:
        """The failure a job is bound for by its faults."""
        if "safety" in job.faults:
            raise Failing(job.model.refusal)
        if fail := job.faults.get("fail"):
            raise Failing(_TEXTS.get(fail.argument or "", _OUT_OF_MEMORY))

    async def _paint(
        self, job: Job, seed: int, size: tuple[int, int], pictures: tuple[bytes, ...], tell: Callable[[Job], None]
    ) -> None:
        asked = job.input
        held_back = _places(job.faults.get("nsfw"), asked.count) if asked.checker else set()
        if job.model.single and held_back:
            raise Failing(job.model.refusal)
        fewer = job.faults.get("fewer")
        count = max(0, asked.count - int(fewer.number(1))) if fewer else asked.count
        for number in range(count):
            order = Order(asked.text, seed + number, *size, asked.file_format, pictures)
            data = await self._shown(job, self._studio.paint(order), tell)
            if number in held_back:
                job.logs += f"NSFW content detected in image {number}\n"
                continue
            stem = "output" if job.model.single else f"out-{number}"
            self._keep(job, data, f"image/{asked.file_format}", f"{stem}.{_SUFFIX[asked.file_format]}")
        if not job.outputs and not fewer:
            raise Failing(job.model.refusal)

    async def _film(
        self,
        job: Job,
        asked: FilmInput,
        seed: int,
        size: tuple[int, int],
        picture: bytes,
        tell: Callable[[Job], None],
    ) -> None:
        if job.faults.get("nsfw"):
            raise Failing(job.model.refusal)
        fps = asked.frames_per_second
        order = FilmOrder(
            "", seed, *size, seconds=asked.frames / fps, fps=fps, motion=asked.motion_bucket_id / 255, picture=picture
        )
        self._keep(job, await self._shown(job, self._studio.film(order), tell), "video/mp4", "output.mp4")

    async def _shown(self, job: Job, work: Awaitable[bytes], tell: Callable[[Job], None]) -> bytes:
        """The work's result, and a progress bar meanwhile that takes as long as the pace says."""
        making = asyncio.ensure_future(work)
        try:
            await self._show(job, self._pace.paint_seconds(), tell)
            return await making
        finally:
            making.cancel()

    async def _show(self, job: Job, seconds: float, tell: Callable[[Job], None]) -> None:
        steps = job.input.steps
        for tick in range(_TICKS + 1):
            done = steps * tick // _TICKS
            bar = "█" * (10 * tick // _TICKS)
            job.logs += f"{100 * done // steps:3d}%|{bar:<10}| {done}/{steps} [00:01<00:02, 15.01it/s]\n"
            tell(job)
            await asyncio.sleep(seconds / (_TICKS + 1))

    def _keep(self, job: Job, data: bytes, media_type: str, file_name: str) -> None:
        early = job.faults.get("removed")
        seconds = max(early.number(0), 0.001) if early else KEEP_SECONDS
        name = self._files.add(
            data, media_type, file_name, keep_seconds=seconds, prompt=job.input.text, faults=job.faults
        )
        job.outputs.append(name)

    def _read(self, job: Job, url: str) -> bytes:
        """The bytes behind an input: a data URI, or a file uploaded here. Nothing else is fetched. Raises Failing."""
        data: bytes | None = None
        if url.startswith("data:"):
            head, _, payload = url.partition(",")
            try:
                data = base64.b64decode(payload, validate=True) if head.endswith(";base64") else None
            except binascii.Error:
                data = None
        elif (path := urlsplit(url).path).startswith(prefix := f"{urlsplit(job.base_url).path}/v1/files/"):
            stored = self._files.get(UPLOADS + unquote(path.removeprefix(prefix)))
            data = stored.data if stored else None
        if data is None:
            raise Failing("Failed to download the input file. The sandbox reads data URIs and files uploaded to it.")
        return data


def predict_seconds(job: Job) -> Decimal:
    """What the job would have taken on Replicate's hardware, give or take by its id; microseconds."""
    spread = Decimal(900 + sum(map(ord, job.id)) % 200) / 1000
    return (Decimal(job.model.seconds) * max(job.input.count, 1) * spread).quantize(Decimal("0.000001"))


def _places(fault: Fault | None, count: int) -> set[int]:
    return {min(int(fault.number(0)), count - 1)} if fault else set()
