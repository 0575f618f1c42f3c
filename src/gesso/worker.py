"""Composes the worker: parts, every room's tasks, graceful stop."""

import asyncio
import os
import signal
from dataclasses import dataclass

import structlog

import gesso.accounts.tasks
import gesso.analytics.rollup
import gesso.billing.tasks
import gesso.calls.tasks
import gesso.credits.tasks
import gesso.generation.tasks
import gesso.media.tasks
import gesso.prompts.tasks
import gesso.safety.tasks
from gesso.api.metrics import Exposition, listening
from gesso.catalog.items import Shop
from gesso.core.clock import Clock, SystemClock
from gesso.core.settings import Settings
from gesso.core.telemetry.process import telling
from gesso.jobs import Tasks, forget_log
from gesso.jobs.worker import Worker
from gesso.runtime import Runtime, open_runtime, others_of
from gesso.web import idempotency, ratelimit

log = structlog.get_logger()

HAND_OVER_SECONDS = 3.0
"""What telling the database may take once the steps under way have ended."""


@dataclass(frozen=True, slots=True)
class HouseKeeping:
    """Small tables that only grow."""

    runtime: Runtime

    def register(self, tasks: Tasks) -> None:
        tasks.every("house.clean", "*/10 * * * *", self.clean)

    async def clean(self) -> None:
        """Forget windows that are over, old idempotency keys, the queue's old log, workers not seen for a day."""
        async with self.runtime.db.elevated("house: clean up") as tx:
            windows, keys, lines = await ratelimit.clean(tx), await idempotency.clean(tx), await forget_log(tx)
            await tx.execute_raw("DELETE FROM worker_seen WHERE seen_at < now() - interval '1 day'")
        log.info("house.cleaned", rate_windows=windows, idempotency_keys=keys, queue_log=lines)


async def run_worker(settings: Settings, clock: Clock | None = None, *, tasks: Tasks | None = None) -> None:
    """Work until SIGTERM or SIGINT (or until `tasks.stopping` is set through `Worker.stop`)."""
    tasks = tasks or Tasks()
    async with open_runtime(settings, clock or SystemClock()) as runtime:
        HouseKeeping(runtime).register(tasks)
        gesso.accounts.tasks.register(tasks, runtime)
        gesso.credits.tasks.register(tasks, runtime)
        gesso.billing.tasks.register(tasks, runtime)
        runtime.catalog.open_shop(Shop() if runtime.payments.sells else None)  # mails name the plan to move to
        gesso.media.tasks.register(tasks, runtime, others_of(runtime.catalog))
        gesso.analytics.rollup.register(tasks, runtime)
        gesso.calls.tasks.register(tasks, runtime)
        gesso.prompts.tasks.register(tasks, runtime)
        gesso.safety.tasks.register(tasks, runtime)
        async with gesso.generation.tasks.registered(tasks, runtime):
            worker = Worker(runtime.db, tasks, concurrency=settings.worker.concurrency)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, _asked_to_stop, worker, tasks, number)
            await runtime.listener.start()
            log.info("worker.started", concurrency=settings.worker.concurrency)
            with telling(settings, role="worker"):
                async with listening(settings, Exposition(settings, runtime.db, role="worker"), role="worker"):
                    await _run(worker, tasks, settings.worker_grace_seconds)
    log.info("worker.stopped")


def _asked_to_stop(worker: Worker, tasks: Tasks, number: signal.Signals) -> None:
    """The first signal asks; the second ends the process at once, which costs time but never work or money."""
    if tasks.stopping.is_set():
        log.warning("worker.killed", signal=number.name)
        os._exit(128 + number)
    log.info("worker.stopping")
    worker.stop()


async def _run(worker: Worker, tasks: Tasks, grace_seconds: float) -> None:
    """Work until asked to stop and all is handed over. Whatever does not come to its end in time (a nightly
    clean-up, say) is cut off as a kill would do it: everything is made to be picked up again."""
    working, asked = asyncio.create_task(worker.run()), asyncio.create_task(tasks.stopping.wait())
    try:
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
        _, late = await asyncio.wait({working}, timeout=grace_seconds + HAND_OVER_SECONDS)
        if late:
            log.warning("worker.cut_off", grace_seconds=grace_seconds)
        else:
            working.result()
    finally:
        for task in (working, asked):
            task.cancel()
        await asyncio.gather(working, asked, return_exceptions=True)
