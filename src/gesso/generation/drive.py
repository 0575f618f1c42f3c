"""One generation in the hands of one worker: what its strands share, and their common fate."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import structlog

from gesso.calls import attempts, observed
from gesso.calls.attempts import Attempt
from gesso.calls.record import Record
from gesso.calls.state import LIVE
from gesso.core import crashpoints
from gesso.core.errors import NotFound, Unavailable
from gesso.db import WorkspaceSession
from gesso.generation import policy, repository
from gesso.generation.account import Account, AccountGone, site_connection
from gesso.generation.lease import Lease
from gesso.generation.models import Generation, Output
from gesso.generation.patience import while_store_is_away
from gesso.generation.request import Step, chain
from gesso.generation.tools import Tools
from gesso.media import repository as media
from gesso.media.terms import Terms, opened
from gesso.providers.base import InputFile
from gesso.providers.errors import ProviderError, Rejected

log = structlog.get_logger()
T = TypeVar("T")

CANCEL_SECONDS = 10.0


class Drive:
    """A generation that is `running` under our lease."""

    def __init__(
        self,
        tools: Tools,
        lease: Lease,
        generation: Generation,
        account: Account,
        outputs: Sequence[Output],
        history: Sequence[Attempt],
    ) -> None:
        self.tools = tools
        self.lease = lease
        self.generation = generation
        self.account = account
        self.outputs = {output.index: output for output in outputs}
        self.history = tuple(history)
        snapshot = tools.catalog.snapshot
        self.steps: tuple[Step, ...] = chain(
            generation,
            [output.price for output in outputs],
            snapshot.models.get,
            account.find,
            snapshot.style_presets,
        )
        self._handing_over: set[asyncio.Task[Any]] = set()
        self._busy = 0
        self._inputs: asyncio.Task[tuple[InputFile, ...]] | None = None

    @property
    def deadline_at(self) -> datetime:
        """When it must have ended."""
        assert self.generation.deadline_at is not None
        return self.generation.deadline_at

    @property
    def is_busy(self) -> bool:
        """Whether any call is under way."""
        return self._busy > 0

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """A call is under way for as long as the block lasts."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[WorkspaceSession]:
        """A transaction on behalf of whoever asked for the generation."""
        async with self.tools.db.workspace(self.generation.workspace_id, self.generation.user_id) as tx:
            yield tx

    async def pending(self, indexes: Sequence[int]) -> list[Output]:
        """Those of `indexes` that are still open, as the rows say now."""
        async with self.transaction() as tx:
            rows = await repository.outputs(tx, self.generation.id)
        return [output for output in rows if output.index in indexes and output.state == "pending"]

    async def hand_over(self, call: Coroutine[Any, Any, T]) -> T:
        """Await a call that must not be cut off: when the drive is stopped it goes on, and `drain` waits for it.

        Some providers answer a request with the picture itself, after minutes, and nobody could ask for it again.
        """
        task = asyncio.create_task(call)
        self._handing_over.add(task)
        task.add_done_callback(self._handing_over.discard)
        return await asyncio.shield(task)

    async def handed_over(self) -> None:
        """Wait until no call is being handed over. Cutting this short touches none of them."""
        if self._handing_over:
            await asyncio.wait(set(self._handing_over))

    async def drain(self, seconds: float) -> None:
        """Let calls that are being handed over end; cut off what takes longer, which leaves it uncertain."""
        if self._handing_over:
            calls = set(self._handing_over)
            _, late = await asyncio.wait(calls, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    async def inputs(self) -> tuple[InputFile, ...]:
        """The pictures to work from, read once for all calls. Raises Rejected when one is gone, or the store is
        away until the deadline."""
        if self._inputs is None:
            self._inputs = asyncio.create_task(self._read_inputs())
        return await asyncio.shield(self._inputs)

    async def _read_inputs(self) -> tuple[InputFile, ...]:
        wanted = self.generation.inputs
        if not wanted:
            return ()
        async with self.transaction() as tx:
            found = await media.inputs(tx, wanted)
        if len(found) < len(set(wanted)):
            raise Rejected(policy.INPUT_GONE[1], field="references")
        files = []
        for asset in (opened(found[asset_id], Terms(self.generation.watermark)) for asset_id in wanted):
            read = partial(self.tools.storage.get, asset.storage_key)
            try:
                data = await while_store_is_away(read, clock=self.tools.clock, deadline=self.deadline_at)
            except NotFound:
                raise Rejected(policy.INPUT_GONE[1], field="references") from None
            except Unavailable:
                raise Rejected(policy.STORE_AWAY[1], "deadline") from None
            files.append(InputFile(asset.media_type, data))
        return tuple(files)

    async def say_fallback(self, step: Step) -> None:
        """Tell the user that another model than the chosen one is at work."""
        sentence = f"{self.generation.model_name} was not available, so {step.model.name} was used instead."
        if step.prices and any(price != self.outputs[index].price for index, price in enumerate(step.prices)):
            sentence += " It costs less, and that is what you pay."
        async with self.transaction() as tx:
            await repository.warn(tx, self.generation.id, [sentence])


async def close_calls(tools: Tools, generation: Generation, *, because: str) -> None:
    """Ask providers to stop what is still under way for a generation that has ended, and close those calls."""
    async with tools.db.workspace(generation.workspace_id, generation.user_id) as tx:
        live = [attempt for attempt in await attempts.of_generation(tx, generation.id) if attempt.state in LIVE]
    account = await Account.of(tools, generation)
    for attempt in live:
        record = Record(tools.db, generation.workspace_id, attempt.id)
        told = await _cancel(account, attempt, record) if attempt.operation else None
        await record.flush()
        crashpoints.reach("call.told_to_stop")
        async with tools.db.workspace(generation.workspace_id, generation.user_id) as tx:
            if attempt.operation is None:
                await attempts.close(
                    tx, attempt.id, "uncertain", error_kind="outcome_unknown", detail=f"Stopped: {because}."
                )
            else:
                cost = attempts.Cost(None, "unknown")
                if await attempts.close(tx, attempt.id, "cancelled", error_kind=because, detail=told, cost=cost):
                    observed.ended(tx, site_connection(tools.catalog, attempt), attempt, "cancelled", cost)


async def _cancel(account: Account, attempt: Attempt, record: Record) -> str:
    """How the provider took the wish; never raises, since nothing depends on it."""
    assert attempt.operation is not None
    try:
        async with asyncio.timeout(CANCEL_SECONDS), account.line(attempt) as line:
            with record.taking("cancel"):
                taken = await line.provider.cancel(attempt.operation)
    except AccountGone:
        return "The connection is gone; the provider was not asked to stop."
    except (ProviderError, TimeoutError) as error:
        log.info("cancel.not_told", attempt_id=str(attempt.id), error=type(error).__name__)
        return "The provider did not answer the wish to stop."
    return "The provider took the wish to stop." if taken else "It was too late to stop."
