"""Some outputs of a generation on their way: one call to a provider at a time, until each has come to an end."""

import asyncio
import uuid
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from gesso.calls import attempts, gate
from gesso.calls.attempts import NOTHING_BILLED, Attempt, Cost, NewAttempt
from gesso.calls.gate import Admission, Limits
from gesso.calls.state import LIVE
from gesso.calls.waker import operation_name
from gesso.catalog import pricing
from gesso.catalog.items import Connection
from gesso.core import crashpoints
from gesso.core.ids import new_id
from gesso.generation import delivery, lease, policy, settlement
from gesso.generation.policy import Again, Failure, GiveUp
from gesso.generation.request import Step, media_request
from gesso.generation.settlement import AlreadyEnded
from gesso.generation.tools import webhook_url
from gesso.providers.base import Done, Failed, Operation, Pending
from gesso.providers.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected

if TYPE_CHECKING:
    from gesso.generation.drive import Drive

log = structlog.get_logger()

DEFER_AFTER_SECONDS = 5.0
"""A drive that has nothing under way and waits this long for a connection, or would have to, gives its place up."""
DEFER_SECONDS = (2.0, 20.0)
GATE_LOOK_SECONDS = (0.2, 2.0)
UNCERTAIN_WINDOW = timedelta(minutes=15)
"""How long an uncertain call is looked up, where its provider can (semantics: Lifecycle)."""
STORE_TRIES_SECONDS = 60.0


class Deferred(Exception):
    """Nothing can be done for a while. Attribute: after_seconds."""

    def __init__(self, after_seconds: float) -> None:
        super().__init__(f"nothing to do for {after_seconds:.1f} s")
        self.after_seconds = after_seconds


class Strand:
    """`indexes` are outputs that share a call; `history` the calls made for them so far, oldest first."""

    def __init__(self, drive: "Drive", indexes: tuple[int, ...], history: Sequence[Attempt] = ()) -> None:
        self._drive = drive
        self._tools = drive.tools
        self._generation = drive.generation
        self._indexes = indexes
        self._history = history
        self._told_cost: int | None = None

    async def run(self) -> None:
        """Until each output is delivered or failed. Raises AlreadyEnded, Deferred."""
        live = next((attempt for attempt in self._history if attempt.state in LIVE), None)
        at, tries = self._position()
        while at < len(self._drive.steps):
            step = self._drive.steps[at]
            if live is None and len(self._indexes) > max(1, step.model.outputs_per_call):
                return await self._split(step.model.outputs_per_call)
            begun: Attempt | ProviderError = live or await self._begin(step, tries + 1)
            attempt = begun if isinstance(begun, Attempt) else None
            error = begun if isinstance(begun, ProviderError) else None
            if attempt is not None:
                with self._drive.busy():
                    error = await self._see_through(step, attempt)
                tries += 1
            if error is None:
                return None
            following = self._next(error, tries, at)
            await self._record(attempt, error, following, tries)
            live = None
            if isinstance(following, GiveUp):
                return None
            if isinstance(following, Again):
                await asyncio.sleep(policy.jittered(following.pause_seconds))
            else:
                at, tries = at + 1, 0
        return await self._fail(policy.MODEL_GONE)

    def _position(self) -> tuple[int, int]:
        """(place in the chain, calls made there), as the history tells."""
        if not self._history:
            return 0, 0
        last = self._history[-1]
        keys = [step.model.key for step in self._drive.steps]
        at = keys.index(last.model_key) if last.model_key in keys else 0
        tries = sum(attempt.model_key == last.model_key and attempt.state == "failed" for attempt in self._history)
        if last.state == "failed" and not isinstance(policy.after(last.error_kind or "", tries), Again):
            return at + 1, 0
        return at, tries

    async def _split(self, size: int) -> None:
        """A model that makes fewer at once than the one before takes them in smaller parts."""
        parts = [self._indexes[start : start + size] for start in range(0, len(self._indexes), size)]
        await gather([Strand(self._drive, part, self._history).run() for part in parts])

    # --- one call ------------------------------------------------------------------------------------

    async def _begin(self, step: Step, try_number: int) -> Attempt | ProviderError:
        """Write the attempt's row as soon as the connection lets us; committed before anything is sent."""
        if step.fallback and try_number == 1:
            await self._drive.say_fallback(step)
        cost = pricing.estimate_cost(step.model, step.params)
        started, waits = asyncio.get_running_loop().time(), 0
        while True:
            if self._tools.clock.now() >= self._drive.deadline_at:
                return Rejected(policy.DEADLINE[1], "deadline")
            new = NewAttempt(
                id=new_id(), generation_id=self._generation.id, output_indexes=self._indexes, try_number=try_number,
                connection_id=step.connection.id, model_key=step.model.key, upstream=step.model.upstream,
                client_key=uuid.uuid4(), cost_micro_usd=None if cost is None else cost * len(self._indexes),
            )  # fmt: skip
            async with self._drive.transaction() as tx:
                if not await lease.confirm(tx, self._drive.lease):
                    raise AlreadyEnded
                admission = await attempts.begin(tx, new, Limits.of(step.connection.limits))
                begun = await attempts.get(tx, new.id) if admission.admitted else None
            if begun is not None:
                crashpoints.reach("attempt.started")
                return begun
            if admission.misconfigured:
                return Misconfigured("credit" if admission.reason == "credit" else "key")
            await self._wait_at_gate(admission, asyncio.get_running_loop().time() - started, waits)
            waits += 1

    async def _wait_at_gate(self, admission: Admission, waited: float, waits: int) -> None:
        if max(waited, admission.wait_seconds) >= DEFER_AFTER_SECONDS and not self._drive.is_busy:
            least, most = DEFER_SECONDS
            raise Deferred(policy.jittered(min(max(admission.wait_seconds, least), most)))
        least, most = GATE_LOOK_SECONDS
        await asyncio.sleep(policy.jittered(min(max(admission.wait_seconds, least * (1 + waits / 4)), most)))

    async def _see_through(self, step: Step, attempt: Attempt) -> ProviderError | None:
        """The call from wherever it stands to its end. None: all its outputs have ended; else what went wrong."""
        if attempt.operation is None:
            fresh = attempt not in self._history
            taken = await self._drive.hand_over(self._submit(step, attempt)) if fresh else OutcomeUnknown()
            if isinstance(taken, OutcomeUnknown):
                taken = await self._look_up(attempt) or taken
            if isinstance(taken, ProviderError):
                return taken
        else:
            taken = attempt.operation
        connection = self._connection(attempt)
        if connection is None:
            return Misconfigured("model", note="The connection of this call is gone.")
        ended = taken if isinstance(taken, Done) else await self._watch(connection, taken)
        if isinstance(ended, Failed):
            self._told_cost = ended.cost_micro_usd
            return ended.error
        async with self._tools.pool.use(connection) as line:
            pending = await self._drive.pending(self._indexes)
            await delivery.deliver(self._tools, self._generation, pending, attempt, ended, line.fetcher)
        return None

    async def _submit(self, step: Step, attempt: Attempt) -> Operation | Done | ProviderError:
        """Ask the provider, once, and note its answer. Never cut off half-way by whatever stops the drive."""
        try:
            inputs = await self._drive.inputs()
            request = media_request(
                step, self._generation, [self._drive.outputs[index] for index in self._indexes], inputs=inputs,
                webhook_url=webhook_url(self._tools.settings.site.base_url, step.connection.key, attempt.client_key),
            )  # fmt: skip
            async with self._tools.pool.use(step.connection) as line:
                taken = await line.provider.submit(request, str(attempt.client_key))
        except ProviderError as error:
            return error
        except Exception:
            log.exception("provider.submit_failed", attempt_id=str(attempt.id))
            return OutcomeUnknown(note="The adapter failed while handing over.")
        crashpoints.reach("attempt.answered")
        if isinstance(taken, Operation):
            await self._store(attempt, taken)
            crashpoints.reach("attempt.submitted")
        return taken

    async def _store(self, attempt: Attempt, operation: Operation) -> None:
        """Note the operation, through a database that is away for a moment: without it the call would be lost."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + STORE_TRIES_SECONDS, 0.1
        while True:
            try:
                async with self._drive.transaction() as tx:
                    await attempts.submitted(tx, attempt.id, operation)
                return
            except Exception as error:
                if loop.time() + pause > until:
                    raise
                log.warning("attempt.not_stored", attempt_id=str(attempt.id), error=type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def _look_up(self, attempt: Attempt) -> Operation | None:
        """The operation of an uncertain call, where the provider can be asked for it by our key."""
        connection = self._connection(attempt)
        pause = 1.0
        while connection is not None and self._tools.clock.now() < attempt.created_at + UNCERTAIN_WINDOW:
            try:
                async with self._tools.pool.use(connection) as line:
                    if not line.provider.can_find:
                        return None
                    found = await line.provider.find(str(attempt.client_key))
                if found is not None:
                    await self._store(attempt, found)
                    return found
            except ProviderError as error:
                log.info("attempt.not_looked_up", attempt_id=str(attempt.id), kind=error.code)
            await asyncio.sleep(policy.jittered(pause))
            pause = min(pause * 2, 30.0)
        return None

    async def _watch(self, connection: Connection, operation: Operation) -> Done | Failed:
        """Poll until the job has ended; a webhook makes the next poll come at once."""
        knock, polls = asyncio.Event(), 0
        with self._tools.waker.expecting(operation_name(connection.id, operation.id), knock.set):
            while True:
                pause = policy.poll_pause(polls)
                polls += 1
                try:
                    async with self._tools.pool.use(connection) as line:
                        state = await line.provider.poll(operation)
                    if not isinstance(state, Pending):
                        crashpoints.reach("result.known")
                        return state
                except Rejected as error:
                    return Failed(error)
                except ProviderError as error:
                    log.info("operation.not_told", kind=error.code, note=error.note)
                    pause = max(pause, policy.retry_after(error) or 0.0, 1.0)
                await _set_within(knock, pause)
                knock.clear()

    def _connection(self, attempt: Attempt) -> Connection | None:
        return self._tools.catalog.snapshot.connections.get(attempt.connection_id)

    # --- how it went ---------------------------------------------------------------------------------

    def _next(self, error: ProviderError, tries: int, at: int) -> policy.Next:
        following = policy.after(error.code, tries, policy.retry_after(error))
        last = at + 1 >= len(self._drive.steps)
        return GiveUp() if isinstance(following, policy.Elsewhere) and last else following

    async def _record(self, attempt: Attempt | None, error: ProviderError, following: policy.Next, tries: int) -> None:
        """Close the call, tell the gate, and, when nothing is left to try, fail the outputs: one transaction."""
        uncertain = isinstance(error, OutcomeUnknown)
        failure: Failure = policy.UNCERTAIN if uncertain else policy.exhausted(error.code, error.message, max(tries, 1))
        log.warning(
            "attempt.failed", generation_id=str(self._generation.id), attempt_id=str(attempt.id) if attempt else None,
            kind=error.code, note=error.note, next=type(following).__name__,
        )  # fmt: skip
        async with self._drive.transaction() as tx:
            if isinstance(following, GiveUp):
                await settlement.fail_outputs(tx, self._generation, self._indexes, failure, now=self._tools.clock.now())
            if attempt is not None:
                await attempts.close(
                    tx, attempt.id, "uncertain" if uncertain else "failed", cost=self._cost(attempt, error),
                    error_kind=error.code, detail=error.note or error.message,
                )  # fmt: skip
                await gate.report_failure(tx, attempt.connection_id, error)
        self._told_cost = None

    def _cost(self, attempt: Attempt, error: ProviderError) -> Cost | None:
        """What a failed call probably cost: as told; nothing when it was not taken; else the estimate stays."""
        if self._told_cost is not None:
            return Cost(self._told_cost, "actual")
        not_taken = not isinstance(error, OutcomeUnknown | Rejected)
        return NOTHING_BILLED if not_taken else None

    async def _fail(self, failure: Failure) -> None:
        async with self._drive.transaction() as tx:
            await settlement.fail_outputs(tx, self._generation, self._indexes, failure, now=self._tools.clock.now())


async def gather(works: Sequence[Awaitable[None]]) -> None:
    """Run all to their ends, then raise the most telling of their errors: one failing does not stop the others."""
    results = await asyncio.gather(*works, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    errors.sort(key=lambda error: (not isinstance(error, AlreadyEnded), isinstance(error, Deferred)))
    if errors:
        raise errors[0]


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
