"""A job's life: waiting, painting, finished, and everything that can go wrong in between."""

import asyncio
import base64
import logging
import secrets
import time
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Any

from gesso.core import crashpoints
from gesso.sandbox.fal import record, sizes
from gesso.sandbox.fal.errors import Failure, clipped, failure_of, model_failure, request_failure
from gesso.sandbox.fal.inputs import InputFailed, load
from gesso.sandbox.fal.job import Job
from gesso.sandbox.fal.schemas import FilmInput
from gesso.sandbox.fal.webhooks import notice, signing
from gesso.sandbox.files import KEEP_SECONDS
from gesso.sandbox.studio import BadReference, FilmOrder, Order
from gesso.sandbox.workshop import KEEP_JOBS, Workshop

_KEEP_INLINE = 40
_SUFFIX = {"jpeg": "jpg", "png": "png", "webp": "webp"}

logger = logging.getLogger("gesso.sandbox.fal")


class FalWorkshop(Workshop[Job]):
    """Runs requests; an archive that lasts keeps them for an hour after their end."""

    face = "fal"
    keep_seconds = KEEP_SECONDS

    def accept(self, job: Job) -> None:
        """Takes a job on: from here it is on the bill. Positions are set at once, so the first answer shows them."""
        queue = job.faults.get("queue")
        job.position = int(queue.number(5)) if queue else 0
        self._take_on(
            job, endpoint=job.endpoint.id, key_hint=job.caller.hint, prompt=job.input.prompt, webhook=job.webhook_url
        )

    async def wait(self, job: Job) -> dict[str, Any] | Failure:
        """Waits for a job's end; it goes on even if the waiter leaves."""
        async with job.changed:
            await job.changed.wait_for(lambda: job.outcome is not None)
        assert job.outcome is not None
        return job.outcome

    async def cancel(self, job: Job) -> bool:
        """Asks a job to stop; False when it has ended."""
        if job.is_over:
            return False
        if "cancel-ignored" not in job.faults:
            job.cancelled.set()
        return True

    def _written(self, job: Job) -> dict[str, Any]:
        return record.to_json(job)

    def _read(self, data: dict[str, Any]) -> Job:
        return record.from_json(data)

    def _forget_old(self) -> None:
        """Jobs older than an hour go, and the oldest when there are too many; results in sync mode are large."""
        now = datetime.now(UTC)
        inline = sum(job.input.sync_mode for job in self._jobs.values())
        for job_id, job in list(self._jobs.items()):
            old = (now - job.created_at).total_seconds() > KEEP_SECONDS
            crowded = len(self._jobs) > KEEP_JOBS or (job.input.sync_mode and inline > _KEEP_INLINE)
            if job.is_over and (old or crowded):
                inline -= job.input.sync_mode
                del self._jobs[job_id]

    async def _run(self, job: Job) -> None:
        work = asyncio.create_task(self._work(job))
        stop = asyncio.create_task(job.cancelled.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            outcome = _ended(job, work) if work.done() else request_failure("client_cancelled")
        finally:
            work.cancel()
            stop.cancel()
        await self._finish(job, outcome)

    async def _finish(self, job: Job, outcome: dict[str, Any] | Failure) -> None:
        job.outcome, job.status, job.ended_at = outcome, "COMPLETED", datetime.now(UTC)
        job.raw, job.input = clipped(job.raw), job.input.without_pictures()
        crashpoints.reach("sandbox.painted")
        with self._archive.transaction():
            if isinstance(outcome, Failure):
                self._bill.mark(job.id, "cancelled" if outcome.error_type == "client_cancelled" else "failed")
            else:
                self._bill.charge(job.id, job.units, job.endpoint.cost_micro_usd(job.units))
            self._keep(job, is_open=job.webhook_url is not None)
        crashpoints.reach("sandbox.finished")
        await job.notify()
        self._announce_end(job)

    def _announce_end(self, job: Job) -> None:
        if job.webhook_url and job.outcome is not None:
            told = partial(self._keep, job, is_open=False)
            body = notice(job.id, job.outcome, job.faults)
            self._courier.announce(job.webhook_url, body, signing(job.id), job.faults, told)

    async def _work(self, job: Job) -> dict[str, Any] | Failure:
        try:
            async with asyncio.timeout(job.start_timeout_seconds):
                await self._queue(job)
        except TimeoutError:
            return request_failure("request_timeout", headers={"X-Fal-Request-Timeout-Type": "user"})
        if "timeout" in job.faults:
            return request_failure("request_timeout", headers={"X-Fal-Request-Timeout-Type": "user"})
        job.status, job.started_at = "IN_PROGRESS", datetime.now(UTC)
        job.log("Runner took the request")
        self._bill.mark(job.id, "running")
        await job.notify()
        began = time.monotonic()
        slow = job.faults.get("slow")
        await asyncio.sleep(slow.number(10) if slow else 0)
        try:
            outcome = _doomed(job) or await self._paint(job, began)
        except InputFailed as error:
            outcome = error.failure
        job.inference_seconds = time.monotonic() - began
        return outcome

    async def _queue(self, job: Job) -> None:
        while job.position > 0:
            await asyncio.sleep(self._pace.queue_step_seconds)
            job.position -= 1
            await job.notify()
        await asyncio.sleep(self._pace.queue_seconds)

    async def _paint(self, job: Job, began: float) -> dict[str, Any] | Failure:
        references = tuple(
            load(url, loc, base_url=job.base_url, files=self._files) for loc, url in job.input.references()
        )
        try:
            size = await self._studio.measure(references[0]) if references else None
            width, height = job.input.size(size)
            if width * height > sizes.LARGEST_AREA or min(width, height) < 16 or max(width, height) > 8192:
                return model_failure("image_too_large", ctx={"max_height": 4096, "max_width": 4096})
            if isinstance(job.input, FilmInput):
                return await self._film(job, job.input, references, width, height)
            return await self._pictures(job, references, width, height, began)
        except BadReference as error:
            loc = job.input.references()[int(error.args[0])][0]
            message = "Failed to load the image. Please ensure the image file is not corrupted."
            return model_failure("image_load_error", loc=["body", *loc], message=message)

    async def _pictures(
        self, job: Job, references: tuple[bytes, ...], width: int, height: int, began: float
    ) -> dict[str, Any]:
        asked = job.input
        seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
        fewer = job.faults.get("fewer")
        count = max(0, asked.count - int(fewer.number(1))) if fewer else asked.count
        nsfw = job.faults.get("nsfw")
        flagged = min(int(nsfw.number(0)), count - 1) if nsfw and asked.checker else -1
        images = []
        for i in range(count):
            pace, start = self._pace.paint_seconds(), time.monotonic()
            job.log(f"Painting picture {i + 1} of {count}")
            await job.notify()
            wide, high = _painted(job, width, height)
            order = Order(asked.prompt, seed + i, wide, high, asked.file_format, references, blacked=i == flagged)
            data = await self._studio.paint(order)
            await asyncio.sleep(max(0.0, pace - (time.monotonic() - start)))
            images.append(self._image(job, data, wide, high))
        flags = None if "no-flag" in job.faults else [i == flagged for i in range(count)]
        job.units = job.endpoint.units(width, height, count)
        return job.endpoint.output(images, flags, seed, asked.prompt, time.monotonic() - began)

    async def _film(
        self, job: Job, asked: FilmInput, references: tuple[bytes, ...], width: int, height: int
    ) -> dict[str, Any]:
        """The film of a Kling endpoint: no seed, no flag, one file (fact sheet, 7.6 and 7.7)."""
        pace, start = self._pace.paint_seconds(), time.monotonic()
        job.log("Making the film")
        await job.notify()
        order = FilmOrder(
            asked.prompt, secrets.randbelow(2**31), *_painted(job, width, height), asked.seconds,
            picture=references[0] if references else None,
        )  # fmt: skip
        data = await self._studio.film(order)
        await asyncio.sleep(max(0.0, pace - (time.monotonic() - start)))
        job.units = job.endpoint.film_units(asked)
        return {"video": self._file(job, data, "video/mp4", "mp4")}

    def _image(self, job: Job, data: bytes, width: int, height: int) -> dict[str, Any]:
        file = self._file(job, data, f"image/{job.input.file_format}", _SUFFIX[job.input.file_format])
        sides = {"width": width, "height": height}
        if job.endpoint.has_flag:
            return {"url": file["url"], "content_type": file["content_type"], **sides}
        return file | sides

    def _file(self, job: Job, data: bytes, media_type: str, suffix: str) -> dict[str, Any]:
        """The result as fal's File."""
        file_name = f"{uuid.uuid4().hex}.{suffix}"
        if job.input.sync_mode:
            url = f"data:{media_type};base64,{base64.b64encode(data).decode()}"
        elif "private-url" in job.faults:
            url = "http://169.254.169.254/latest/meta-data/"
        else:
            name = self._files.add(
                data,
                media_type,
                file_name,
                keep_seconds=job.keep_seconds,
                prompt=job.input.prompt,
                faults=job.faults,
            )
            url = f"{job.base_url}/files/{name}"
        return {"url": url, "content_type": media_type, "file_name": file_name, "file_size": len(data)}


def _ended(job: Job, work: asyncio.Task[dict[str, Any] | Failure]) -> dict[str, Any] | Failure:
    """The outcome of finished work; a crash of our own ends the job too, or it would be polled for ever."""
    if error := work.exception():
        logger.error("request %s crashed", job.id, exc_info=error)
        return model_failure("internal_server_error")
    return work.result()


def _painted(job: Job, width: int, height: int) -> tuple[int, int]:
    """The sides that are really painted: those asked for, or much smaller, and even, as films must be."""
    if "small" not in job.faults:
        return width, height
    return max(16, width // 16 * 2), max(16, height // 16 * 2)


def _doomed(job: Job) -> Failure | None:
    """The failure a job is bound for by its faults."""
    where = ["body", "prompt"]
    if "safety" in job.faults or ("nsfw" in job.faults and not job.endpoint.has_flag):
        return model_failure("content_policy_violation", loc=where, input=job.input.prompt[:200])
    if "422-late" in job.faults:
        return model_failure("value_error", loc=where, message="The sandbox was asked to find fault with this prompt.")
    fail = job.faults.get("fail")
    return failure_of(fail.argument or "internal_server_error") if fail else None
