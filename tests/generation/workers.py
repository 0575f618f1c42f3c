"""Workers in processes of their own, forked from one that has imported the product: a start costs milliseconds."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

from chaos.nursery import Nursery

from tests.conftest import SECRET
from tests.generation.house import House


class WorkerProcess:
    """A running `gesso work`, with what asyncio's own processes have."""

    def __init__(self) -> None:
        self.pid = 0
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @classmethod
    async def born(cls, nursery: Nursery, house: House, environment: dict[str, str]) -> "WorkerProcess":
        process = cls()
        log = house.settings.site.data_dir / "workers.log"
        process.pid = await nursery.birth(["work"], environment, log, process._died)
        return process

    def _died(self, status: int) -> None:
        self._ended.set_result(os.waitstatus_to_exitcode(status))

    @property
    def returncode(self) -> int | None:
        return self._ended.result() if self._ended.done() else None

    async def wait(self) -> int:
        """Its exit code; minus the signal's number when one ended it."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: signal.Signals) -> None:
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


@contextlib.asynccontextmanager
async def worker_process(house: House, crash_at: str | None = None, **more: str) -> AsyncIterator[WorkerProcess]:
    """A worker in a process of its own, killed at the end if it still runs. `more` environment."""
    url, storage = house.settings.database.url, house.settings.storage.url
    assert url is not None and storage is not None
    environment = {
        "DATABASE_URL": url.get_secret_value(), "GESSO_SECRET_KEY": SECRET, "GESSO_ENV": "test",
        "GESSO_DATA_DIR": str(house.settings.site.data_dir), "GESSO_STORAGE_URL": storage,
        "GESSO_SANDBOX_URL": house.sandbox_url, "GESSO_LOG_LEVEL": "warning",
        **({"GESSO_CRASH_AT": crash_at} if crash_at else {}), **more,
    }  # fmt: skip
    process = await WorkerProcess.born(await house.nursery(), house, environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
