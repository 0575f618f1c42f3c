"""A text being written: in a task of its own, which goes on to its end whether or not anybody still listens.

What is shown was checked before. Pieces are gathered for a tenth of a second, so that a model that writes letter by
letter costs neither a check nor an event for each.
"""

import asyncio
from collections.abc import AsyncIterator

import structlog

from gesso.calls.alone import Who
from gesso.calls.chain import Chains, Written
from gesso.core import crashpoints
from gesso.core.clock import Clock
from gesso.core.errors import Blocked, Conflict, GessoError, NotFound, Unavailable
from gesso.db import Database
from gesso.media.service import variant_key
from gesso.media.storage import Storage
from gesso.prompts import service
from gesso.prompts.models import CHAIN_OF, PromptRecord
from gesso.prompts.service import Begun
from gesso.prompts.wording import MAX_TOKENS, messages, tidy
from gesso.providers.base import InputFile
from gesso.safety import policy as safety

log = structlog.get_logger()

GATHER_SECONDS = 0.1
SEEN_SIDE = "1280"
"""Models see this thumbnail: more pixels cost more and tell no more."""


class Flow:
    """One text on its way. May be followed by one reader, or by nobody."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[str | PromptRecord | GessoError] = asyncio.Queue()

    def put(self, item: str | PromptRecord | GessoError) -> None:
        self._queue.put_nowait(item)

    async def follow(self) -> AsyncIterator[str | PromptRecord]:
        """Pieces, and at last the record. Raises what went wrong."""
        while True:
            item = await self._queue.get()
            if isinstance(item, GessoError):
                raise item
            yield item
            if isinstance(item, PromptRecord):
                return

    async def result(self) -> PromptRecord:
        """The record at the end. Raises what went wrong."""
        async for item in self.follow():
            if isinstance(item, PromptRecord):
                return item
        raise AssertionError("a text ended without a word")


class Studio:
    """Writes for everybody in this process."""

    def __init__(self, db: Database, storage: Storage, chains: Chains, clock: Clock) -> None:
        self._db, self._storage, self._chains, self._clock = db, storage, chains, clock
        self._tasks: set[asyncio.Task[None]] = set()

    def write(self, begun: Begun) -> Flow:
        """Ask the models now. `begun` must have been committed."""
        flow = Flow()
        task = asyncio.create_task(self._run(begun, flow))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return flow

    async def drain(self, seconds: float) -> None:
        """Let what is being written end; what takes longer is cut off and given back."""
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, begun: Begun, flow: Flow) -> None:
        record = begun.record
        with structlog.contextvars.bound_contextvars(prompt_id=str(record.id), workspace_id=str(record.workspace_id)):
            try:
                flow.put(await self._finish(begun, await self._write(begun, flow)))
            except GessoError as error:
                await self._give_up(begun, error)
                flow.put(error)
            except asyncio.CancelledError:
                cut_off = Unavailable("The server is restarting. Nothing was charged; please ask again.")
                await asyncio.shield(self._give_up(begun, cut_off))
                flow.put(cut_off)
                raise
            except Exception:
                log.exception("prompt.failed")
                ours = Unavailable("Something went wrong on our side. Nothing was charged; please ask again.")
                await self._give_up(begun, ours)
                flow.put(ours)

    async def _write(self, begun: Begun, flow: Flow) -> Written:
        record = begun.record
        turns = messages(record.kind, record.input_text, await self._picture(begun))
        loop = asyncio.get_running_loop()
        text, shown, due = "", 0, loop.time()
        pieces = self._chains.write(
            Who(record.workspace_id, record.user_id, record.own_key), record.kind, CHAIN_OF[record.kind], turns,
            max_output_tokens=MAX_TOKENS,
        )  # fmt: skip
        try:
            async for piece in pieces:
                if isinstance(piece, Written):
                    await _checked(piece.text, begun.policy)
                    flow.put(text[shown:])
                    return piece
                text += piece
                if loop.time() >= due:
                    await _checked(text, begun.policy)
                    flow.put(text[shown:])
                    shown, due = len(text), loop.time() + GATHER_SECONDS
        finally:
            await pieces.aclose()
        raise AssertionError("a chain ended without a word")

    async def _picture(self, begun: Begun) -> InputFile | None:
        if begun.asset is None:
            return None
        try:
            data = await self._storage.get(variant_key(begun.asset.storage_key, SEEN_SIDE))
        except NotFound:
            raise NotFound("What you chose is not there any more.") from None
        return InputFile("image/webp", data)

    async def _finish(self, begun: Begun, written: Written) -> PromptRecord:
        crashpoints.reach("prompt.written")
        record = begun.record
        async with self._db.workspace(record.workspace_id, record.user_id) as tx:
            done = await service.finish(tx, begun, tidy(written.text), written, now=self._clock.now())
        crashpoints.reach("prompt.settled")
        return done

    async def _give_up(self, begun: Begun, error: GessoError) -> None:
        """As well as it goes: else the hold runs out by itself and the sweep ends the record."""
        record = begun.record
        if isinstance(error, Conflict):
            return
        try:
            async with self._db.workspace(record.workspace_id, record.user_id) as tx:
                await service.give_up(tx, record.id, record.hold_id, error, now=self._clock.now())
        except Exception:
            log.exception("prompt.not_given_back")


async def _checked(text: str, policy: safety.Policy) -> None:
    """Raises Blocked before anything is shown that the rules forbid. In a thread: long texts take milliseconds."""
    try:
        await asyncio.to_thread(safety.check, text, None, policy)
    except Blocked as error:
        raise Blocked(
            f"What the model wrote is not allowed here. {error.detail} Nothing was charged.", **error.facts
        ) from None
