"""A prediction's life: starting, processing, and each of its ends."""

import asyncio
import base64
import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import quote

from gesso.core import crashpoints
from gesso.sandbox.courier import Courier
from gesso.sandbox.face import Ground
from gesso.sandbox.files import KEEP_SECONDS, FileStore
from gesso.sandbox.replicate import record
from gesso.sandbox.replicate.job import Job, clipped
from gesso.sandbox.replicate.signing import signing
from gesso.sandbox.replicate.work import Failing, Maker, predict_seconds
from gesso.sandbox.workshop import Workshop

LOGS_EVERY_SECONDS = 0.5

logger = logging.getLogger("gesso.sandbox.replicate")


class ReplicateWorkshop(Workshop[Job]):
    """Runs predictions; an archive that lasts keeps them for two hours."""

    face = "replicate"
    keep_seconds = 2 * KEEP_SECONDS

    def __init__(self, ground: Ground, files: FileStore, courier: Courier) -> None:
        super().__init__(ground, files, courier)
        self._maker = Maker(ground.pace, ground.studio, files)
        self._told_logs: dict[str, float] = {}

    def accept(self, job: Job) -> None:
        """Takes a job on: from here it is on the bill."""
        self._take_on(
            job, endpoint=job.model.name, key_hint=job.caller.hint, prompt=job.input.text, webhook=job.webhook
        )

    async def cancel(self, job: Job) -> None:
        """Stops a job; one that has ended stays as it is."""
        if not job.is_over and "cancel-ignored" not in job.faults:
            job.cancelled.set()
            await job.ended.wait()

    def shown(self, job: Job, *, inline: bool = False) -> dict[str, Any]:
        """The prediction object with its output: addresses, or the files themselves as data URIs."""
        if not job.outputs:
            return job.to_json([] if job.status == "succeeded" and not job.model.single else None)
        urls = [self._url(job, name, inline=inline or "inline" in job.faults) for name in job.outputs]
        return job.to_json(urls[0] if job.model.single else urls)

    def _url(self, job: Job, name: str, *, inline: bool) -> str:
        if "private-url" in job.faults:
            return "http://169.254.169.254/latest/meta-data/"
        stored = self._files.get(name) if inline else None
        if stored is not None:
            return f"data:{stored.media_type};base64,{base64.b64encode(stored.data).decode()}"
        return f"{job.base_url}/delivery/{quote(name)}"

    def _written(self, job: Job) -> dict[str, Any]:
        return record.to_json(job)

    def _read(self, data: dict[str, Any]) -> Job:
        return record.from_json(data)

    async def _run(self, job: Job) -> None:
        work = asyncio.create_task(self._work(job))
        stop = asyncio.create_task(job.cancelled.wait())
        left = None if job.deadline is None else max(0.0, (job.deadline - datetime.now(UTC)).total_seconds())
        try:
            await asyncio.wait({work, stop}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                status, error = _ended(job, work)
            else:
                status, error = ("canceled" if stop.done() or job.started_at else "aborted"), None
        finally:
            work.cancel()
            stop.cancel()
        self._finish(job, status, error)

    async def _work(self, job: Job) -> str:
        queue = job.faults.get("queue")
        await asyncio.sleep(
            self._pace.queue_seconds + (queue.number(5) if queue else 0) * self._pace.queue_step_seconds
        )
        if "timeout" in job.faults:
            return "aborted"
        job.status, job.started_at = "processing", datetime.now(UTC)
        self._bill.mark(job.id, "running")
        if "webhook-unordered" not in job.faults:
            self._announce(job, "start")
        await self._maker.make(job, self._tell_logs)
        return "canceled" if "deadline" in job.faults else "succeeded"

    def _finish(self, job: Job, status: str, error: str | None) -> None:
        if "deadline" in job.faults and status == "canceled":
            job.deadline, job.outputs = datetime.now(UTC), []
        if job.started_at is not None:
            job.predict_seconds = predict_seconds(job)
        if status != "succeeded":
            job.outputs = []
        job.status, job.error, job.completed_at = status, error, datetime.now(UTC)
        job.raw = clipped(job.raw)
        job.input = job.input.model_copy(update=dict.fromkeys(job.input.pictures))
        crashpoints.reach("sandbox.painted")
        with self._archive.transaction():
            self._charge(job)
            self._keep(job, is_open=job.webhook is not None)
        crashpoints.reach("sandbox.finished")
        self._told_logs.pop(job.id, None)
        job.ended.set()
        self._announce_end(job)

    def _charge(self, job: Job) -> None:
        """Outputs are paid for when they are made; time is paid for however it ended, once it had begun."""
        ends = {"succeeded": "done", "failed": "failed"}.get(job.status, "cancelled")
        if job.status == "succeeded" or (job.model.billing == "second" and job.predict_seconds is not None):
            units = job.model.units(job.predict_seconds or Decimal(0), len(job.outputs))
            self._bill.charge(job.id, units, job.model.cost_micro_usd(units), ends)
        else:
            self._bill.mark(job.id, ends)

    def _tell_logs(self, job: Job) -> None:
        now = time.monotonic()
        if now - self._told_logs.get(job.id, 0.0) >= LOGS_EVERY_SECONDS:
            self._told_logs[job.id] = now
            self._announce(job, "logs")

    def _announce(self, job: Job, event: str) -> None:
        if job.webhook and event in job.events:
            self._tell(job, self.shown(job))

    def _announce_end(self, job: Job) -> None:
        if job.outputs:
            self._announce(job, "output")
        if job.webhook and "completed" in job.events:
            self._tell(job, self.shown(job), partial(self._keep, job, is_open=False))
        elif job.webhook:
            self._keep(job, is_open=False)
        if "webhook-unordered" in job.faults and job.webhook:
            early = self.shown(job) | {"status": "processing", "output": None, "completed_at": None}
            self._tell(job, early, after_seconds=self._pace.webhook_retry_seconds)

    def _tell(
        self,
        job: Job,
        prediction: dict[str, Any],
        told: Callable[[], None] | None = None,
        *,
        after_seconds: float = 0.0,
    ) -> None:
        assert job.webhook is not None
        body = json.dumps(prediction).encode()
        self._courier.announce(job.webhook, body, signing(), job.faults, told, after_seconds=after_seconds)


def _ended(job: Job, work: asyncio.Task[str]) -> tuple[str, str | None]:
    """How finished work ended; a crash of our own ends the job too, or it would be polled for ever."""
    error = work.exception()
    if isinstance(error, Failing):
        return "failed", str(error)
    if error is not None:
        logger.error("prediction %s crashed", job.id, exc_info=error)
        return "failed", "The model met an unexpected error."
    return work.result(), None
