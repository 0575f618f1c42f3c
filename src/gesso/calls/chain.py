"""Text from the first model of a chain that answers in time.

The links are asked in their order, each once. One that refuses admission (full, rate, paused), fails, or has not said
its first word within its seconds gives way to the next; a call that may have been taken is never sent again, but the
next link may be asked the same, for a text is cheap and nobody pays us for two. Links that were merely full are come
back to for as long as the chain's total allows.

Once a piece was shown there is no other link: the answer stands or breaks off. With a `schema` nothing is shown before
the whole answer was read and fits, so the next link may still be asked. A model that refuses for its content rules ends
the chain: nobody shops around for a laxer provider.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

import structlog

from gesso.calls import alone
from gesso.calls.alone import HeldBack, Who
from gesso.calls.attempts import Attempt, Cost, Purpose
from gesso.calls.pool import ProviderPool
from gesso.calls.record import Record
from gesso.catalog.items import ChainKey, Connection, Model
from gesso.catalog.registry import Catalog
from gesso.catalog.schema import SchemaValidator, validator
from gesso.core.clock import Clock
from gesso.core.errors import Blocked, Unavailable
from gesso.db import Database
from gesso.providers.base import JSON
from gesso.providers.errors import Busy, Misconfigured, OutcomeUnknown, ProviderError, Rejected
from gesso.providers.text import Finish, TextEnd, TextMessage, TextRequest, TextUsage

log = structlog.get_logger()

LOOK_AGAIN_SECONDS = (0.2, 2.0)
"""How long links that are all full are left alone before they are tried again."""
CLOSE_SECONDS = 5.0
_OWN = frozenset({"prompt", "count", "references"})


@dataclass(frozen=True, slots=True)
class Written:
    """A whole answer, and which link gave it. `finish` is `length` when it was cut at the limit of tokens."""

    text: str
    model: Model
    attempt_id: UUID
    usage: TextUsage
    cost: Cost
    finish: Finish = "stop"


class NotWritten(Unavailable):
    """No link answered, or the answer broke off. `code` of the last provider error is the fact `reason`."""

    code, title = "not_written", "No answer this time"


class Declined(Blocked):
    """The model refused for its content rules."""


@dataclass(frozen=True, slots=True)
class _Ask:
    who: Who
    purpose: Purpose
    messages: tuple[TextMessage, ...]
    schema: Mapping[str, JSON] | None
    fits: SchemaValidator | None
    max_output_tokens: int
    until: float
    """The event loop's time at which everything is over."""


class Chains:
    """Asks chains. One per process; safe to use from many tasks."""

    def __init__(self, db: Database, catalog: Catalog, pool: ProviderPool, clock: Clock) -> None:
        self._db, self._catalog, self._pool, self._clock = db, catalog, pool, clock

    async def write(
        self,
        who: Who,
        purpose: Purpose,
        chain: ChainKey,
        messages: Sequence[TextMessage],
        *,
        schema: Mapping[str, JSON] | None = None,
        max_output_tokens: int = 1024,
    ) -> AsyncGenerator[str | Written]:
        """Pieces of the answer as they come, and one Written after the last. Outside any transaction.

        With `schema` (a JSON Schema of type object) there is one piece, JSON that fits. Closing the generator early
        stops the call. Raises NotWritten (facts: retry_after when waiting helps), and Declined; before the first
        piece, or after it when the answer breaks off.
        """
        links, total_seconds = self._catalog.chain(chain)
        if not links:
            raise NotWritten("No model for this is switched on here. The operator can add one.", reason="no_model")
        loop = asyncio.get_running_loop()
        fits = validator(schema) if schema is not None else None
        ask = _Ask(who, purpose, tuple(messages), schema, fits, max_output_tokens, loop.time() + total_seconds)
        waiting: list[tuple[Model, int]] = list(links)
        last: ProviderError | None = None
        tries = 0
        while True:
            held: list[tuple[Model, int]] = []
            soonest: float | None = None
            for model, seconds in waiting:
                if loop.time() >= ask.until:
                    break
                shown = False
                tries += 1
                try:
                    async with aclosing(self._link(ask, model, seconds, tries)) as pieces:
                        async for piece in pieces:
                            shown = True
                            yield piece
                    return
                except HeldBack as full:
                    log.info("chain.held_back", chain=chain, model=model.key, reason=full.reason)
                    if full.wait_seconds is not None:
                        held.append((model, seconds))
                        soonest = min(full.wait_seconds, soonest if soonest is not None else full.wait_seconds)
                except ProviderError as error:
                    last = error
                    log.warning("chain.link_failed", chain=chain, model=model.key, kind=error.code, note=error.note)
                    if isinstance(error, Rejected) and error.kind == "safety":
                        raise Declined("The model declined to answer this. Ask for something else.") from None
                    if shown:
                        raise NotWritten(
                            "The answer broke off in the middle. Please try again.", reason=error.code
                        ) from None
                    if isinstance(error, Busy):
                        held.append((model, seconds))
                        soonest = min(error.retry_after, soonest if soonest is not None else error.retry_after)
            least, most = LOOK_AGAIN_SECONDS
            pause = min(max(soonest or 0.0, least), most)
            if not held or soonest is None or loop.time() + max(soonest, pause) >= ask.until:
                raise _gave_up(last, soonest, own_key=who.own_key)
            await asyncio.sleep(pause)
            waiting = held

    async def _link(self, ask: _Ask, model: Model, seconds: int, try_number: int) -> AsyncGenerator[str | Written]:
        """One model, once. Raises HeldBack, ProviderError."""
        connection = await alone.account(self._db, ask.who, self._catalog.connection(model.connection_id))
        attempt, estimate = await alone.begin(self._db, ask.who, ask.purpose, model, connection, try_number)
        record = Record(self._db, ask.who.workspace_id, attempt.id)
        answer = _Answer(ask, attempt, model)
        try:
            async with aclosing(self._pieces(ask, attempt, model, connection, seconds, record)) as pieces:
                async for piece in pieces:
                    if shown := answer.take(piece):
                        yield shown
            if rest := answer.rest():
                yield rest
        except ProviderError as error:
            await alone.failed(self._db, ask.who, attempt, connection, record, error)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            gone = OutcomeUnknown(note="Nobody was waiting for the answer any more.")
            await asyncio.shield(alone.failed(self._db, ask.who, attempt, connection, record, gone, blame=False))
            raise
        written = answer.written(estimate)
        await asyncio.shield(
            alone.succeeded(self._db, ask.who, attempt, connection, record, written.cost, written.usage)
        )
        yield written

    async def _pieces(
        self, ask: _Ask, attempt: Attempt, model: Model, connection: Connection, seconds: int, record: Record
    ) -> AsyncGenerator[str | TextEnd]:
        """What the adapter says, within its time. Raises ProviderError."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | TextEnd | ProviderError | None] = asyncio.Queue()
        request = TextRequest(
            model=model.upstream, messages=ask.messages, max_output_tokens=ask.max_output_tokens, schema=ask.schema,
            options={
                name: prop["default"] for name, prop in model.settings.items() if "default" in prop and name not in _OWN
            },
            wire=dict(model.wire),
        )  # fmt: skip
        # With a schema the first word tells little: the whole answer must come within the chain's time.
        until, told = min(ask.until, loop.time() + seconds), "No first word in time."
        talking = asyncio.create_task(self._talk(request, attempt, connection, record, queue))
        try:
            while True:
                try:
                    async with asyncio.timeout_at(until):
                        said = await queue.get()
                except TimeoutError:
                    raise OutcomeUnknown(note=told) from None
                if said is None:
                    return
                if isinstance(said, ProviderError):
                    raise said
                yield said
                until, told = ask.until, "Not finished in time."
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)

    async def _talk(
        self,
        request: TextRequest,
        attempt: Attempt,
        connection: Connection,
        record: Record,
        queue: "asyncio.Queue[str | TextEnd | ProviderError | None]",
    ) -> None:
        """Pass on what the adapter says, in a task of its own, so that nobody waits longer than they want."""
        try:
            async with self._pool.use(connection) as line:
                with record.taking("write"):
                    async for piece in line.writer.write(request, str(attempt.client_key)):
                        queue.put_nowait(piece)
        except ProviderError as error:
            queue.put_nowait(error)
        except Exception:
            log.exception("provider.write_failed", attempt_id=str(attempt.id))
            queue.put_nowait(OutcomeUnknown(note="The adapter failed while writing."))
        else:
            queue.put_nowait(None)


class _Answer:
    """An answer as it grows: what of it may be shown, and whether it fits."""

    def __init__(self, ask: _Ask, attempt: Attempt, model: Model) -> None:
        self._ask, self._attempt, self._model = ask, attempt, model
        self._pieces: list[str] = []
        self._end: TextEnd | None = None

    def take(self, piece: str | TextEnd) -> str:
        """What of this piece may be shown at once."""
        if isinstance(piece, TextEnd):
            self._end = piece
            return ""
        self._pieces.append(piece)
        return piece if self._ask.schema is None else ""

    def rest(self) -> str:
        """What was held back, checked. Raises Rejected, OutcomeUnknown."""
        if self._end is None:
            raise OutcomeUnknown(note="The adapter ended without saying so.")
        text = "".join(self._pieces)
        if not text.strip():
            raise Rejected("The model gave no answer.", "failed", note="An empty answer.")
        if self._ask.fits is None:
            return ""
        try:
            wrong = next(self._ask.fits.iter_errors(json.loads(text)), None)
        except ValueError:
            raise _misfit("The answer is not JSON.") from None
        if wrong is not None:
            raise _misfit(f"The answer does not fit: {wrong.validator} at {'/'.join(map(str, wrong.absolute_path))}")
        return text

    def written(self, estimate: Cost) -> Written:
        assert self._end is not None
        told = self._end.cost_micro_usd
        cost = Cost(told, "actual") if told is not None else estimate
        return Written(
            "".join(self._pieces), self._model, self._attempt.id, self._end.usage, cost, self._end.finish
        )  # fmt: skip


def _misfit(note: str) -> Rejected:
    return Rejected("The model did not answer in the form asked for.", "failed", note=note)


def _gave_up(last: ProviderError | None, soonest: float | None, *, own_key: bool) -> NotWritten:
    """What is said when no link is left."""
    if soonest is not None:
        seconds = max(1, round(soonest))
        return NotWritten(
            f"All models for this are busy. Try again in {_seconds(seconds)}.", reason="busy", retry_after=seconds
        )
    if own_key and (last is None or isinstance(last, Misconfigured)):
        return NotWritten(
            "Your own key was refused, or is not there any more. Look at it in Settings. Nothing was charged.",
            reason="own_key",
        )
    if last is None or isinstance(last, Misconfigured):
        return NotWritten(
            "No model for this can be reached: the operator has to look at their connections.",
            reason=last.code if last else "misconfigured",
        )
    if isinstance(last, Rejected) and last.kind == "input":
        return NotWritten(f"{last.message} Change it and try again.", reason=last.code)
    return NotWritten("No model answered in time. Please try again in a minute.", reason=last.code, retry_after=60)


def _seconds(count: int) -> str:
    return "a second" if count == 1 else f"{count} seconds"


async def collect(pieces: AsyncIterator[str | Written]) -> Written:
    """The whole answer, for whoever shows nothing on the way. Raises as `Chains.write`."""
    async for piece in pieces:
        if isinstance(piece, Written):
            return piece
    raise AssertionError("a chain ended without a word")
