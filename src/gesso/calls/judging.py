"""A verdict from the first model of the chain `moderation` that answers in time.

The links are asked in their order. One that refuses admission (full, rate, paused), fails, or has not answered within
its seconds gives way to the next; those that were merely full are come back to for as long as there is time. Asking
twice harms nobody, so that nothing here is ever uncertain.
"""

import asyncio
from dataclasses import dataclass
from uuid import UUID

import structlog

from gesso.calls import alone
from gesso.calls.alone import HeldBack, Who
from gesso.calls.attempts import Attempt, Cost
from gesso.calls.pool import ProviderPool
from gesso.calls.record import Record
from gesso.catalog.items import SEES, ChainKey, Connection, Model
from gesso.catalog.registry import Catalog
from gesso.db import Database
from gesso.providers.base import InputFile
from gesso.providers.errors import Busy, ProviderError, Unavailable
from gesso.providers.text import Judgement

log = structlog.get_logger()

CHAIN: ChainKey = "moderation"
LOOK_AGAIN_SECONDS = (0.1, 1.0)
"""How long links that are all full are left alone before they are tried again."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and which link gave it."""

    judgement: Judgement
    model: Model
    attempt_id: UUID


class NotJudged(Exception):
    """No link answered in time. Attribute: reason, the code of the last provider error, or why none was asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Judges:
    """Asks the chain. One per process; safe to use from many tasks."""

    def __init__(self, db: Database, catalog: Catalog, pool: ProviderPool) -> None:
        self._db, self._catalog, self._pool = db, catalog, pool

    def links(self, *, pictures: bool) -> tuple[tuple[Model, int], ...]:
        """The models to ask, each with its seconds; with `pictures` only those that can see. No statement is made."""
        links, _ = self._catalog.chain(CHAIN)
        return tuple((model, seconds) for model, seconds in links if not pictures or SEES in model.tags)

    async def judge(
        self, who: Who, text: str, images: tuple[InputFile, ...] = (), *, within_seconds: float | None = None
    ) -> Judged:
        """Judge text and pictures together, outside any transaction, within the chain's time and `within_seconds`.

        Raises NotJudged.
        """
        loop = asyncio.get_running_loop()
        _, total = self._catalog.chain(CHAIN)
        until = loop.time() + min(total, within_seconds if within_seconds is not None else total)
        waiting = list(self.links(pictures=bool(images)))
        reason, tries = "no_model", 0
        while True:
            held: list[tuple[Model, int]] = []
            soonest: float | None = None
            for model, seconds in waiting:
                left = until - loop.time()
                if left <= 0:
                    break
                tries += 1
                wait: float | None = None
                try:
                    return await self._link(who, model, text, images, min(seconds, left), tries)
                except HeldBack as full:
                    reason, wait = full.reason, full.wait_seconds
                except ProviderError as error:
                    log.warning("judging.link_failed", model=model.key, kind=error.code, note=error.note)
                    reason, wait = error.code, error.retry_after if isinstance(error, Busy) else None
                if wait is not None:
                    held.append((model, seconds))
                    soonest = wait if soonest is None else min(wait, soonest)
            least, most = LOOK_AGAIN_SECONDS
            pause = min(max(soonest or 0.0, least), most)
            if soonest is None or loop.time() + max(soonest, pause) >= until:
                raise NotJudged(reason)
            await asyncio.sleep(pause)
            waiting = held

    async def _link(
        self, who: Who, model: Model, text: str, images: tuple[InputFile, ...], seconds: float, try_number: int
    ) -> Judged:
        """One model, once. Raises HeldBack, ProviderError."""
        connection = self._catalog.connection(model.connection_id)
        attempt, estimate = await alone.begin(self._db, who, "moderation", model, connection, try_number)
        record = Record(self._db, who.workspace_id, attempt.id)
        try:
            judgement = await self._ask(connection, model, text, images, seconds, record, attempt)
        except ProviderError as error:
            await alone.failed(self._db, who, attempt, connection, record, error)
            raise
        except asyncio.CancelledError:
            gone = Unavailable(note="Nobody was waiting for the verdict any more.")
            await asyncio.shield(alone.failed(self._db, who, attempt, connection, record, gone, blame=False))
            raise
        await asyncio.shield(self._succeeded(who, attempt, connection, record, estimate))
        return Judged(judgement, model, attempt.id)

    async def _ask(
        self,
        connection: Connection,
        model: Model,
        text: str,
        images: tuple[InputFile, ...],
        seconds: float,
        record: Record,
        attempt: Attempt,
    ) -> Judgement:
        try:
            async with asyncio.timeout(seconds), self._pool.use(connection) as line:
                with record.taking("judge"):
                    return await line.judge.judge(model.upstream, text, images)
        except TimeoutError:
            raise Unavailable(note="No verdict in time.") from None
        except ProviderError:
            raise
        except Exception:
            log.exception("provider.judge_failed", attempt_id=str(attempt.id))
            raise Unavailable(note="The adapter failed while judging.") from None

    async def _succeeded(
        self, who: Who, attempt: Attempt, connection: Connection, record: Record, estimate: Cost
    ) -> None:
        await alone.succeeded(self._db, who, attempt, connection, record, estimate)
