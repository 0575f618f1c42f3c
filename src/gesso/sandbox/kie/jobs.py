"""A task's life: waiting, queuing, generating, and success or fail."""

import asyncio
import json
import logging
from decimal import ROUND_CEILING, Decimal
from functools import partial
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from gesso.core import crashpoints
from gesso.sandbox.archive import Archive
from gesso.sandbox.courier import Courier
from gesso.sandbox.face import Ground
from gesso.sandbox.files import KEEP_SECONDS, FileStore
from gesso.sandbox.kie.job import Job, now_ms
from gesso.sandbox.kie.models import CREDIT_MICRO_USD
from gesso.sandbox.kie.signing import signing
from gesso.sandbox.studio import BadReference, Order
from gesso.sandbox.workshop import Workshop

_ACCOUNTS = "kie.account"
_FIRST_CREDITS = Decimal(100_000)
"""What every key begins with."""
_LARGEST_AREA = 4096 * 4096 * 4
_SAFETY = "Your prompt was flagged as violating our content policies."
_FAILURES = {501: "Generation failed.", 408: "Upstream gave no result for more than 10 minutes."}

logger = logging.getLogger("gesso.sandbox.kie")


class Failing(Exception):
    """The task fails. Arguments: failCode and failMsg."""


def micro_usd(credits: Decimal) -> int:
    """What credits cost in money, rounded up."""
    return int((credits * CREDIT_MICRO_USD).to_integral_value(ROUND_CEILING))


class Accounts:
    """What every key has left; kept as long as the archive lasts."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._spent: dict[str, Decimal] = {}

    def left(self, owner: str) -> Decimal:
        if owner not in self._spent:
            kept = self._archive.job(_ACCOUNTS, owner)
            self._spent[owner] = Decimal(kept["spent"]) if kept else Decimal(0)
        return _FIRST_CREDITS - self._spent[owner]

    def charge(self, owner: str, credits: Decimal) -> None:
        spent = self._spent[owner] = _FIRST_CREDITS - self.left(owner) + credits
        kept = {"spent": str(spent)}
        self._archive.keep_job(_ACCOUNTS, owner, owner, kept, is_open=False, seconds=365 * 86_400)


class KieWorkshop(Workshop[Job]):
    """Runs tasks; an archive that lasts keeps them for two hours."""

    face = "kie"
    keep_seconds = 2 * KEEP_SECONDS

    def __init__(self, ground: Ground, files: FileStore, courier: Courier) -> None:
        super().__init__(ground, files, courier)
        self.accounts = Accounts(ground.archive)

    def accept(self, job: Job, key_hint: str) -> None:
        """Takes a task on: from here it is on the bill."""
        self._take_on(job, endpoint=job.model.id, key_hint=key_hint, prompt=job.prompt, webhook=job.callback_url)

    def urls(self, job: Job) -> list[str]:
        """Where the results lie."""
        if "private-url" in job.faults:
            return ["http://169.254.169.254/latest/meta-data/" for _ in job.outputs]
        return [f"{job.base_url}/files/{quote(name)}" for name in job.outputs]

    def _written(self, job: Job) -> dict[str, Any]:
        return job.kept()

    def _read(self, data: dict[str, Any]) -> Job:
        return Job.of(data)

    async def _run(self, job: Job) -> None:
        try:
            await self._make(job)
            state = "success"
        except Failing as failure:
            state = "fail"
            job.fail_code, job.fail_message = failure.args
        except Exception:  # a crash of our own ends the task too, or it would be asked for for ever
            logger.exception("task %s crashed", job.id)
            state, job.fail_code, job.fail_message = "fail", 500, "Internal error."
        if state == "fail":
            job.outputs = []
        job.state, job.completed_ms = state, now_ms()
        crashpoints.reach("sandbox.painted")
        with self._archive.transaction():
            self._bill.charge(
                job.id, job.credits, micro_usd(job.credits), "done" if job.state == "success" else "failed"
            )
            self.accounts.charge(job.owner, job.credits)
            self._keep(job, is_open=job.callback_url is not None)
        crashpoints.reach("sandbox.finished")
        job.ended.set()
        self._announce_end(job)

    def _announce_end(self, job: Job) -> None:
        if job.callback_url:
            body = json.dumps(job.notice(self.urls(job))).encode()
            sign = signing(job.id, unsigned="webhook-unsigned" in job.faults)
            self._courier.announce(job.callback_url, body, sign, job.faults, partial(self._keep, job, is_open=False))

    async def _make(self, job: Job) -> None:
        """Sets the outputs. Raises Failing."""
        queue = job.faults.get("queue")
        await asyncio.sleep(self._pace.queue_seconds / 2)
        job.state = "queuing"
        places = queue.number(5) if queue else 0
        await asyncio.sleep(self._pace.queue_seconds / 2 + places * self._pace.queue_step_seconds)
        job.state = "generating"
        self._bill.mark(job.id, "running")
        if slow := job.faults.get("slow"):
            await asyncio.sleep(slow.number(10))
        self._doom(job)
        pictures = tuple(self._picture(job, url) for url in job.model.pictures(job.input))
        try:
            first = await self._studio.measure(pictures[0]) if pictures else None
            width, height = job.model.size(job.input, first, small="small" in job.faults)
            if width * height > _LARGEST_AREA:
                raise Failing(422, "The result would be too large.")
            fewer = job.faults.get("fewer")
            count = max(0, job.count - int(fewer.number(1))) if fewer else job.count
            for number in range(count):
                await self._paint(job, number, (width, height), pictures)
        except BadReference:
            raise Failing(422, "The input image cannot be read.") from None

    async def _paint(self, job: Job, number: int, size: tuple[int, int], pictures: tuple[bytes, ...]) -> None:
        seed = int(job.input.get("seed", int(job.id[:7], 16))) + number
        file_format = job.model.file_format(job.input)
        making = asyncio.ensure_future(self._studio.paint(Order(job.prompt, seed, *size, file_format, pictures)))
        try:
            await asyncio.sleep(self._pace.paint_seconds())
            data = await making
        finally:
            making.cancel()
        name = f"{now_ms()}_{number}.{'png' if file_format == 'png' else 'jpg'}"
        kept = self._files.add(data, f"image/{file_format}", name, prompt=job.prompt, faults=job.faults)
        job.outputs.append(kept)

    def _doom(self, job: Job) -> None:
        """The failure a task is bound for by its faults."""
        if "safety" in job.faults or "nsfw" in job.faults:
            raise Failing(400, _SAFETY)
        if "timeout" in job.faults:
            raise Failing(408, _FAILURES[408])
        if fail := job.faults.get("fail"):
            given = fail.argument or ""
            code = int(given) if given.isdecimal() else 501
            raise Failing(code, _FAILURES.get(code, "Internal Error, Please try again later."))

    def _picture(self, job: Job, url: str) -> bytes:
        """The bytes behind an input address: a file of this sandbox's. Nothing else is fetched. Raises Failing."""
        stored = self.stored(url, job.base_url)
        if stored is None:
            raise Failing(451, "Failed to download the input image. The sandbox reads files uploaded to it.")
        return stored

    def stored(self, url: str, base_url: str) -> bytes | None:
        """The bytes of a file of ours by its address."""
        path, prefix = urlsplit(url).path, f"{urlsplit(base_url).path}/files/"
        found = self._files.get(unquote(path.removeprefix(prefix))) if path.startswith(prefix) else None
        return found.data if found else None
