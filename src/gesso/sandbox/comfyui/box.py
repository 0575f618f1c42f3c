"""The box: its queue, the one job that runs, its history and its files. All in memory, as ComfyUI keeps it."""

import asyncio
import heapq
import logging
import secrets
import sqlite3
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gesso.core import crashpoints
from gesso.sandbox.comfyui.making import Maker
from gesso.sandbox.comfyui.reading import Crash
from gesso.sandbox.face import Ground
from gesso.sandbox.faults import Faults
from gesso.sandbox.files import KEEP_SECONDS

KEEP_HISTORY = 2_000
FACE = "comfyui"

logger = logging.getLogger("gesso.sandbox.comfyui")


@dataclass(order=True)
class Job:
    """A queued workflow. `others`: numbers of jobs that somebody else put before it (a fault)."""

    number: float
    id: str = field(compare=False)
    workflow: dict[str, Any] = field(compare=False)
    extra: dict[str, Any] = field(compare=False)
    outputs: tuple[str, ...] = field(compare=False)
    faults: Faults = field(compare=False)
    words: str = field(compare=False)
    hint: str = field(compare=False, default="")
    line: str = field(compare=False, default="")
    stop: asyncio.Event = field(compare=False, default_factory=asyncio.Event)

    def to_json(self) -> list[Any]:
        """As queue and history tell it."""
        return [self.number, self.id, self.workflow, self.extra, list(self.outputs)]


class Box:
    """One ComfyUI. `name` tells two of them apart in the archive."""

    def __init__(self, ground: Ground, name: str, maker: Maker) -> None:
        self._pace, self._bill, self._archive, self._maker = ground.pace, ground.bill, ground.archive, maker
        self._name = name
        self._pending: list[Job] = []
        self._others: list[list[Any]] = []
        self.running: Job | None = None
        self.history: dict[str, dict[str, Any]] = {}
        self._faults: dict[str, tuple[Faults, str]] = {}
        self._used: Counter[str] = Counter()
        self._number = 0
        self._task: asyncio.Task[None] | None = None

    def put(self, job: Job) -> None:
        """Queue a job: from here it is on the bill, at no price."""
        with self._archive.transaction():
            job.line = self._open(job)
            self._keep(job.line, is_open=True)
        crashpoints.reach("sandbox.accepted")
        self._faults[job.id] = (job.faults, job.words)
        heapq.heappush(self._pending, job)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    def _open(self, job: Job) -> str:
        """The line on the bill. The same id may come again: nobody looks for it."""
        told = {"provider": FACE, "endpoint": "workflow", "key_hint": job.hint, "prompt": job.words}
        try:
            self._bill.open(request_id=job.id, **told)
        except sqlite3.IntegrityError:
            self._used[job.id] += 1
            again = f"{job.id}#{self._used[job.id]}-{secrets.token_hex(3)}"
            self._bill.open(request_id=again, **told)
            return again
        return job.id

    def next_number(self, *, front: bool) -> float:
        """The place of a job for which none is named."""
        number = -self._number if front else self._number
        self._number += 1
        return float(number)

    def faults_of(self, job_id: str) -> tuple[Faults, str]:
        """A job's faults, and the words they are counted by."""
        return self._faults.get(job_id, (Faults(), ""))

    def queue(self) -> dict[str, Any]:
        """`queue_pending` is a heap, as it is there."""
        pending = [*self._others, *(job.to_json() for job in self._pending)]
        return {"queue_running": [self.running.to_json()] if self.running else [], "queue_pending": pending}

    def remaining(self) -> int:
        """Jobs that run or wait."""
        return len(self._pending) + len(self._others) + (self.running is not None)

    def delete(self, job_id: str) -> bool:
        """Remove a waiting job. It is nowhere then."""
        for job in self._pending:
            if job.id == job_id:
                self._pending.remove(job)
                heapq.heapify(self._pending)
                self._close(job, "cancelled")
                return True
        return False

    def interrupt(self, job_id: str | None) -> bool:
        """Stop the running job, if it is this one or none is named."""
        if self.running is None or job_id not in (None, self.running.id):
            return False
        if "cancel-ignored" not in self.running.faults:
            self.running.stop.set()
        return True

    def forget(self) -> None:
        """What a restart leaves of queue and history: nothing. Lines on the bill that were open are closed."""
        for kept in self._archive.open_jobs(FACE):
            if kept["box"] == self._name:
                self._bill.charge(kept["line"], Decimal(0), 0, "failed")
                self._keep(kept["line"], is_open=False)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while self._pending:
            await self._behind_others(self._pending[0])
            if not self._pending:
                return
            self.running = job = heapq.heappop(self._pending)
            try:
                await self._run(job)
            finally:
                self.running = None

    async def _behind_others(self, job: Job) -> None:
        fault = job.faults.get("queue")
        if fault is None:
            return
        places = int(fault.number(5))
        self._others = [[job.number - 1 - at, str(uuid.uuid4()), {}, {}, []] for at in range(places)]
        while self._others and job in self._pending:
            await asyncio.sleep(self._pace.queue_step_seconds)
            self._others.pop()
        self._others = []

    async def _run(self, job: Job) -> None:
        self._bill.mark(job.line, "running")
        began = time.time()
        messages: list[list[Any]] = [_message("execution_start", job)]
        work = asyncio.create_task(self._maker.make(job.workflow, job.outputs, job.faults, job.words))
        stop = asyncio.create_task(job.stop.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
        crashpoints.reach("sandbox.painted")
        outputs: dict[str, Any] = {}
        if work.cancelled() or "interrupted" in job.faults:
            node = self._maker.sampler_of(job.workflow, job.outputs)
            messages.append(_message("execution_interrupted", job, **_at(job, node), executed=[]))
        elif (error := work.exception()) is not None:
            messages.append(_message("execution_error", job, **_told(job, error)))
        else:
            outputs = work.result()
            messages.append(_message("execution_success", job))
        ended = {"execution_success": "done", "execution_error": "failed"}.get(messages[-1][0], "cancelled")
        if "lost" not in job.faults:
            self._remember(job, outputs, messages, success=ended == "done")
        self._close(job, ended, Decimal(str(round(time.time() - began, 3))))
        crashpoints.reach("sandbox.finished")

    def _remember(self, job: Job, outputs: dict[str, Any], messages: list[Any], *, success: bool) -> None:
        meta = {node: {"node_id": node, "display_node": node, "parent_node": None} for node in outputs}
        self.history[job.id] = {
            "prompt": job.to_json(),
            "outputs": outputs,
            "status": {"status_str": "success" if success else "error", "completed": success, "messages": messages},
            "meta": meta,
        }
        while len(self.history) > KEEP_HISTORY:
            self._faults.pop(next(iter(self.history)), None)
            del self.history[next(iter(self.history))]

    def _close(self, job: Job, status: str, seconds: Decimal = Decimal(0)) -> None:
        with self._archive.transaction():
            self._bill.charge(job.line, seconds, 0, status)
            self._keep(job.line, is_open=False)

    def _keep(self, line: str, *, is_open: bool) -> None:
        data = {"line": line, "box": self._name}
        self._archive.keep_job(FACE, line, self._name, data, is_open=is_open, seconds=KEEP_SECONDS)


def _message(name: str, job: Job, **more: Any) -> list[Any]:
    return [name, {"prompt_id": job.id, **more, "timestamp": int(time.time() * 1000)}]


def _at(job: Job, node: str) -> dict[str, Any]:
    return {"node_id": node, "node_type": job.workflow[node]["class_type"]}


def _told(job: Job, error: BaseException) -> dict[str, Any]:
    """What `execution_error` says. A crash of our own ends the job too, or it would be polled for ever."""
    if not isinstance(error, Crash):
        logger.error("workflow %s crashed", job.id, exc_info=error)
        error = Crash(job.outputs[0], "RuntimeError", "The sandbox met an unexpected error.")
    return _at(job, error.node) | {
        "executed": [], "exception_message": f"{error}\n", "exception_type": error.kind, "traceback": [],
        "current_inputs": {}, "current_outputs": [],
    }  # fmt: skip
