"""Some outputs of a generation on their way: one call to a provider at a time, until each has come to an end."""

import asyncio
import uuid
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

import structlog

from gesso.calls import attempts, gate, observed
from gesso.calls.attempts import NOTHING_BILLED, Admission, Attempt, Cost, NewAttempt
from gesso.calls.gate import Limits
from gesso.calls.state import LIVE
from gesso.catalog import pricing
from gesso.core import crashpoints
from gesso.core.ids import new_id
from gesso.core.telemetry import metrics
from gesso.generation import delivery, lease, policy, settlement
from gesso.generation.account import AccountGone, site_connection
from gesso.generation.call import Call
from gesso.generation.drive import Drive
from gesso.generation.policy import Again, Elsewhere, Failure, GiveUp
from gesso.generation.request import Step
from gesso.generation.settlement import AlreadyEnded
from gesso.jobs import Later
from gesso.providers.base import Done, Failed, Operation
from gesso.providers.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected

log = structlog.get_logger()

DEFER_AFTER_SECONDS = 5.0
"""A drive that has nothing under way and waits this long for a connection, or would have to, gives its place up."""
DEFER_SECONDS = (2.0, 20.0)
GATE_LOOK_SECONDS = (0.2, 2.0)
SHARE = "share"
"""Why a call waits though its connection would take it: others must find a place in this worker, too."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong with a call, and what it cost all the same if the provider told."""

    error: ProviderError
    cost_micro_usd: int | None = None

    @property
    def cost(self) -> Cost | None:
        """As told; nothing when the call was not taken; None when the estimate stays."""
        if self.cost_micro_usd is not None:
            return Cost(self.cost_micro_usd, "actual")
        return None if isinstance(self.error, OutcomeUnknown | Rejected) else NOTHING_BILLED


async def drive_all(drive: Drive) -> None:
    """Bring every pending output to its end, all at once. Raises AlreadyEnded, Later.

    Calls that are open go on with the outputs they were made for; the rest is grouped as the model makes them.
    """
    pending = [output.index for output in drive.outputs.values() if output.state == "pending"]
    groups = [attempt.output_indexes for attempt in drive.history if attempt.state in LIVE]
    rest = [index for index in pending if not any(index in group for group in groups)]
    size = max(1, drive.steps[0].model.outputs_per_call) if drive.steps else 1
    groups += [tuple(rest[start : start + size]) for start in range(0, len(rest), size)]
    await gather([Strand(drive, group).run() for group in groups])


class Strand:
    """Outputs that share a call."""

    def __init__(self, drive: Drive, indexes: tuple[int, ...]) -> None:
        self._drive = drive
        self._tools = drive.tools
        self._generation = drive.generation
        self._indexes = indexes
        self._history = [attempt for attempt in drive.history if set(attempt.output_indexes) & set(indexes)]

    async def run(self) -> None:
        """Until each output is delivered or failed. Raises AlreadyEnded, Later."""
        steps = self._drive.steps
        open_call = next((attempt for attempt in self._history if attempt.state in LIVE), None)
        at, tries = self._position()
        while open_call is not None or at < len(steps):
            begun: Attempt | ProviderError | None
            following: policy.Next | None
            if open_call is not None:  # it is under way, whatever its connection's share
                begun, fresh, open_call = open_call, None, None
                served = site_connection(self._tools.catalog, begun)
                place = served.id if served is not None else begun.connection_id
                self._tools.shares.take(place, alone=True)
            else:
                fresh = steps[at]
                place = fresh.model.connection_id
                size = max(1, fresh.model.outputs_per_call)
                if len(self._indexes) > size:
                    return await self._split(size)
                begun = await self._begin(at, tries + 1)
            if begun is None:
                at, tries = self._elsewhere(at) or len(steps), 0
                continue
            if isinstance(begun, ProviderError):
                following = await self._record(None, Trouble(begun), at, tries)
            else:
                tries += 1
                try:
                    with self._drive.busy(), structlog.contextvars.bound_contextvars(attempt_id=str(begun.id)):
                        following = await self._see_through(begun, fresh, at, tries)
                finally:
                    self._tools.shares.give_back(place)
            if following is None or isinstance(following, GiveUp):
                return None
            if isinstance(following, Again):
                await self._pause(policy.jittered(following.pause_seconds))
            else:
                at, tries = at + 1, 0
        return await self._fail(self._drive.account.nothing_left)

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

    async def _pause(self, seconds: float) -> None:
        """Before the same again. Raises Later rather than keep others from a place for long."""
        shares = self._tools.shares
        if not self._drive.is_busy and (seconds >= DEFER_AFTER_SECONDS or not shares.may_stand_by()):
            raise Later(seconds)
        with shares.standing_by():
            await asyncio.sleep(seconds)

    async def _split(self, size: int) -> None:
        """A model that makes fewer at once than the one before takes them in smaller parts."""
        parts = [self._indexes[start : start + size] for start in range(0, len(self._indexes), size)]
        await gather([Strand(self._drive, part).run() for part in parts])

    def _elsewhere(self, at: int) -> int | None:
        """The next place of the chain that goes through another connection."""
        steps = self._drive.steps
        return next((i for i in range(at + 1, len(steps)) if steps[i].connection.id != steps[at].connection.id), None)

    async def _begin(self, at: int, try_number: int) -> Attempt | ProviderError | None:
        """Write the attempt's row as soon as the connection lets us; committed before anything is sent. None when the
        connection is ill and the chain goes on elsewhere.

        The call then holds one of the connection's share of our places, to be given back at its end.
        """
        step = self._drive.steps[at]
        try:
            await self._drive.inputs()  # now: a call that waits for its pictures would look as if it had been sent
        except ProviderError as error:
            return error
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
                prices=tuple(step.prices[index] for index in self._indexes) if step.prices is not None else None,
                own_key=step.connection.own_key,
            )  # fmt: skip
            try:
                admission = await self._admitted(step, new)
            except Misconfigured as refused:
                return refused
            if admission.attempt is not None:
                crashpoints.reach("attempt.started")
                return admission.attempt
            if admission.misconfigured:
                return Misconfigured("credit" if admission.reason == "credit" else "key")
            if policy.goes_round(admission.reason, admission.wait_seconds) and self._elsewhere(at) is not None:
                return None
            await self._wait_at_gate(step, admission, asyncio.get_running_loop().time() - started, waits)
            waits += 1

    async def _admitted(self, step: Step, new: NewAttempt) -> Admission:
        """Past the two gates: our own places, and what the connection may do altogether.

        An own key takes a place of the connection that it stands in for: the provider is the same. Raises
        Misconfigured for one that was removed or refused.
        """
        shares, connection, place = self._tools.shares, step.connection, step.model.connection_id
        if not shares.take(place, alone=len(self._tools.catalog.connections_in_use()) < 2):
            return Admission(None, SHARE)
        admission = Admission(None)
        try:
            async with self._drive.transaction() as tx:
                if not await lease.confirm(tx, self._drive.lease):
                    raise AlreadyEnded
                await self._drive.account.check(tx, connection)
                admission = await attempts.begin(tx, new, Limits.of(connection.limits))
        finally:
            if admission.attempt is None:
                shares.give_back(place)
        return admission

    async def _wait_at_gate(self, step: Step, admission: Admission, waited: float, waits: int) -> None:
        held_back = metrics.HELD_BACK_SECONDS.labels(step.connection.adapter, admission.reason or "")
        shares, place = self._tools.shares, step.model.connection_id
        if admission.reason == SHARE and not self._drive.is_busy and waited >= shares.patience(place):
            pause = policy.jittered(shares.come_again(place))
            held_back.inc(pause)
            raise Later(pause)
        patience = DEFER_AFTER_SECONDS if shares.may_stand_by() else 0.0
        if max(waited, admission.wait_seconds) >= patience and not self._drive.is_busy:
            least, most = DEFER_SECONDS
            pause = policy.jittered(min(max(admission.wait_seconds, least), most))
            held_back.inc(pause)
            raise Later(pause)
        least, most = GATE_LOOK_SECONDS
        pause = policy.jittered(min(max(admission.wait_seconds, least * (1 + waits / 4)), most))
        held_back.inc(pause)
        with shares.standing_by():
            await asyncio.sleep(pause)

    async def _see_through(self, attempt: Attempt, fresh: Step | None, at: int, tries: int) -> policy.Next | None:
        """The call from wherever it stands to its end. None: all its outputs have ended; else what to do next.

        `fresh` is the step it was just begun for. Without it, a call whose answer was never noted is uncertain.
        """
        call = Call(self._drive, attempt)
        taken: Operation | OutcomeUnknown | policy.Next | None = attempt.operation or OutcomeUnknown()
        if attempt.operation is None and fresh is not None:
            taken = await self._drive.hand_over(self._hand_over(call, attempt, fresh, at, tries))
        if isinstance(taken, OutcomeUnknown):
            found = await call.look_up()
            if found is None:
                await call.keep()
                return await self._record(attempt, Trouble(taken), at, tries)
            taken = found
        if not isinstance(taken, Operation):
            return taken
        await call.keep()  # now: a video takes its time, and somebody may want to know meanwhile
        ended = await call.watch(taken)
        await call.keep()
        if isinstance(ended, Failed):
            return await self._record(attempt, Trouble(ended.error, ended.cost_micro_usd), at, tries)
        return await self._bring_home(attempt, ended, at, tries)

    async def _hand_over(
        self, call: Call, attempt: Attempt, step: Step, at: int, tries: int
    ) -> Operation | OutcomeUnknown | policy.Next | None:
        """Submit. What is answered at once is brought home, or noted as refused, in the same breath: nobody could be
        asked for it again, so a worker that is to stop does not leave it behind."""
        taken = await call.submit(step, self._indexes)
        if isinstance(taken, Operation | OutcomeUnknown):
            return taken
        await call.keep()
        if isinstance(taken, ProviderError):
            return await self._record(attempt, Trouble(taken), at, tries)
        return await self._bring_home(attempt, taken, at, tries)

    async def _bring_home(self, attempt: Attempt, done: Done, at: int, tries: int) -> policy.Next | None:
        """Deliver what a call brought. None, or what to do next when its account was removed in the last moment."""
        try:
            async with self._drive.account.line(attempt) as line:
                pending = await self._drive.pending(attempt.output_indexes)
                await delivery.deliver(self._tools, self._generation, pending, attempt, done, line.fetcher)
        except AccountGone as gone:
            return await self._record(attempt, Trouble(gone), at, tries)
        return None

    async def _record(self, attempt: Attempt | None, trouble: Trouble, at: int, tries: int) -> policy.Next:
        """Close the call, tell the gate, and, when nothing is left to try, fail the outputs: one transaction.

        What to do next, after `tries` calls of the model at this place of the chain.
        """
        error = trouble.error
        following = policy.after(error.code, tries, policy.retry_after(error))
        if isinstance(following, Elsewhere) and at + 1 >= len(self._drive.steps):
            following = GiveUp()
        uncertain = isinstance(error, OutcomeUnknown)
        model = self._drive.steps[at].model if at < len(self._drive.steps) else None
        failure = policy.UNCERTAIN if uncertain else self._drive.account.failure(error, attempt, model)
        failure = failure or policy.exhausted(error.code, error.message, max(tries, 1))
        log.warning(
            "attempt.failed", generation_id=str(self._generation.id), attempt_id=str(attempt.id) if attempt else None,
            kind=error.code, note=error.note, next=type(following).__name__,
        )  # fmt: skip
        async with self._drive.transaction() as tx:
            if isinstance(following, GiveUp):
                await settlement.fail_outputs(tx, self._generation, self._indexes, failure, now=self._tools.clock.now())
            if attempt is not None:
                if await attempts.close(
                    tx, attempt.id, "uncertain" if uncertain else "failed", cost=trouble.cost,
                    error_kind=error.code, detail=error.note or error.message,
                ):  # fmt: skip
                    served = site_connection(self._tools.catalog, attempt)
                    observed.ended(tx, served, attempt, error.code, trouble.cost)
                await gate.report_failure(tx, attempt.connection_id, error, own_key=attempt.own_key)
            crashpoints.reach("attempt.recording")
        crashpoints.reach("attempt.recorded")
        return following

    async def _fail(self, failure: Failure) -> None:
        async with self._drive.transaction() as tx:
            await settlement.fail_outputs(tx, self._generation, self._indexes, failure, now=self._tools.clock.now())


async def gather(works: Sequence[Awaitable[None]]) -> None:
    """Run all to their ends, then raise the most telling of their errors: one failing does not stop the others."""
    results = await asyncio.gather(*works, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    errors.sort(key=lambda error: (not isinstance(error, AlreadyEnded), isinstance(error, Later)))
    if errors:
        raise errors[0]
