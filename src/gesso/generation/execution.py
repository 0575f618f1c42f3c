"""The worker's side: take a generation, drive it to its end, or leave it so that the next worker can go on.

take the lease ─► (start) ─► drive its strands ─► finish, hand on
                                  │
              ended by somebody ──┼─► ask the providers to stop
              lease lost ─────────┼─► leave it alone
              worker stops ───────┼─► wait for answers nobody else could get, give the lease back, hand the job over
              nothing to do now ──┼─► rest, come again later
              deadline ───────────┴─► ask the providers to stop, fail what is missing
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from gesso.calls import attempts
from gesso.calls.attempts import Attempt
from gesso.calls.state import LIVE
from gesso.core import crashpoints
from gesso.core.errors import Conflict
from gesso.core.telemetry import metrics, tracing
from gesso.credits import service as credits
from gesso.db import WorkspaceSession
from gesso.generation import lease as leases
from gesso.generation import policy, repository, settlement
from gesso.generation.account import Account
from gesso.generation.call import UNCERTAIN_WINDOW
from gesso.generation.drive import Drive, close_calls
from gesso.generation.lease import Lease
from gesso.generation.models import Generation, Output
from gesso.generation.request import DEADLINE_BOUNDS, deadline
from gesso.generation.settlement import AlreadyEnded
from gesso.generation.strand import drive_all
from gesso.generation.tools import Tools
from gesso.jobs import HandOver, Later

log = structlog.get_logger()

LAST_LOOK_SECONDS = 30.0
"""A generation found past its deadline, after an outage, may still collect what its providers have finished."""
REST_SLACK_SECONDS = 0.2
CUT_OFF_SECONDS = 5.0
"""What a call that is just being handed over gets to end, when nobody wants its result any more: a provider whose
answer has come can be told to stop."""
HOLD_SLACK = timedelta(minutes=5)
"""The hold outlives the deadline by the time an uncertain call may take, and a little."""


class Executor:
    """Drives generations of any workspace. One per worker process."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def run_job(self, payload: dict[str, Any]) -> None:
        """The job `generation.run`. Raises HandOver when the worker stops before the end, Later when nothing can be
        done now."""
        workspace_id, generation_id = UUID(payload["workspace_id"]), UUID(payload["generation_id"])
        with structlog.contextvars.bound_contextvars(
            workspace_id=str(workspace_id), generation_id=str(generation_id)
        ):  # fmt: skip
            await self.run(workspace_id, generation_id)

    async def run(self, workspace_id: UUID, generation_id: UUID) -> None:
        """Drive the generation as far as it goes. Running it twice, or for one that has ended, changes nothing."""
        lease = Lease(workspace_id, generation_id)
        taken = await self._take(lease)
        if taken is None:
            return
        generation, outputs, history = taken
        drive = Drive(
            self._tools, lease, generation, await Account.of(self._tools, generation), outputs, history
        )  # fmt: skip
        crashpoints.reach("generation.taken")
        try:
            with _continuing(drive.generation), self._tools.keeper.keeping(lease):
                await self._drive(drive)
        finally:
            with contextlib.suppress(Exception):  # without it the lease runs out by itself
                async with drive.transaction() as tx:
                    await leases.give_up(tx, lease)

    # --- taking ----------------------------------------------------------------------------------------

    async def _take(self, lease: Lease) -> tuple[Generation, Sequence[Output], Sequence[Attempt]] | None:
        """The generation under our lease, started if it was queued, with its outputs and the calls made for it; None
        when there is nothing for us to do.

        Raises Later while somebody else's lease holds, for its worker may have died: then nobody renews it.
        """
        async with self._tools.db.workspace(lease.workspace_id) as tx:
            generation = await repository.get(tx, lease.generation_id)
            if generation is None or generation.dispatched_at is None:
                return None
            if generation.state == "queued":
                self._look_for_place(generation)
                generation = await self._start(tx, generation)
                if generation is None:
                    return None
            history = await attempts.of_generation(tx, generation.id)
            if generation.ended and not any(attempt.state in LIVE for attempt in history):
                return None
            if await leases.take(tx, lease):
                return generation, await repository.outputs(tx, generation.id), history
            seconds = await leases.seconds_held(tx, generation.id)
        raise Later(seconds + REST_SLACK_SECONDS)

    def _look_for_place(self, generation: Generation) -> None:
        """Begin nothing for a connection whose calls hold all that they may of this worker. Raises Later."""
        model, shares = self._tools.catalog.snapshot.models.get(generation.model_key), self._tools.shares
        alone = len(self._tools.catalog.connections_in_use()) < 2
        if model is not None and shares.crowded(model.connection_id, alone=alone):
            raise Later(policy.jittered(shares.come_again(model.connection_id)))

    async def _start(self, tx: WorkspaceSession, generation: Generation) -> Generation | None:
        """queued → running, its deadline and its hold's counted from now. None when its time had run out."""
        now = self._tools.clock.now()
        model = self._tools.catalog.snapshot.models.get(generation.model_key)
        allowed = deadline(model) if model else timedelta(seconds=DEADLINE_BOUNDS["image"][0])
        try:
            if now >= generation.queue_deadline_at:
                raise Conflict("It waited too long.")
            await credits.extend(tx, generation.hold_id, now + allowed + UNCERTAIN_WINDOW + HOLD_SLACK)
        except Conflict:
            await settlement.finish(tx, generation, now=now, because=policy.QUEUE_DEADLINE)
            return None
        event_id = await repository.start(tx, generation.id, now=now, deadline_at=now + allowed)
        if event_id is not None:
            settlement.announce(tx, generation.id, event_id)
            if generation.dispatched_at is not None:  # the clocks of two machines may differ a little
                waited = (now - generation.dispatched_at).total_seconds()
                tx.record(metrics.PICKUP_SECONDS.observe, max(0.0, waited))
        return await repository.get(tx, generation.id)

    # --- driving ---------------------------------------------------------------------------------------

    async def _drive(self, drive: Drive) -> None:
        if drive.generation.ended:
            await close_calls(self._tools, drive.generation, because=drive.generation.state)
            return
        work = asyncio.create_task(drive_all(drive))
        interrupted = asyncio.create_task(drive.lease.interrupted.wait())
        stopping = asyncio.create_task(self._tools.stopping.wait())
        try:
            await asyncio.wait(
                {work, interrupted, stopping}, timeout=self._seconds_left(drive), return_when=asyncio.FIRST_COMPLETED
            )
            if work.done():
                await self._after_work(drive, work)
            elif interrupted.done():
                await self._stop(drive, work)
                await self._after_interruption(drive)
            elif stopping.done():
                await self._leave(drive, work, interrupted)
            else:
                await self._stop(drive, work)
                await self._past_deadline(drive)
        finally:
            for task in (work, interrupted, stopping):
                task.cancel()
            await asyncio.gather(work, interrupted, stopping, return_exceptions=True)

    def _seconds_left(self, drive: Drive) -> float:
        left = (drive.deadline_at - self._tools.clock.now()).total_seconds()
        return max(left, LAST_LOOK_SECONDS)

    async def _stop(self, drive: Drive, work: asyncio.Task[None]) -> None:
        """Stop the strands; a request that is just being handed over may end, so that nothing is left uncertain."""
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await drive.drain(CUT_OFF_SECONDS)

    async def _leave(self, drive: Drive, work: asyncio.Task[None], interrupted: asyncio.Task[Any]) -> None:
        """The worker stops. What another one can go on with is left at once; for an answer that only this process can
        get it stays, up to that call's own deadline and the worker's. Raises HandOver when something is left to do."""
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        home = asyncio.create_task(drive.handed_over())
        seconds = min(self._tools.settings.worker_grace_seconds, self._seconds_left(drive))
        await asyncio.wait({home, interrupted}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        home.cancel()
        await drive.drain(CUT_OFF_SECONDS if interrupted.done() else 0)
        if interrupted.done():
            await self._after_interruption(drive)
        elif await drive.pending(tuple(drive.outputs)):
            raise HandOver
        else:
            await self._finish(drive)

    async def _after_work(self, drive: Drive, work: asyncio.Task[None]) -> None:
        try:
            work.result()
        except AlreadyEnded:
            await self._after_interruption(drive)
        except Later as later:
            await self._rest(drive, later.after_seconds)
            raise Later(later.after_seconds + REST_SLACK_SECONDS) from None
        except Exception:
            # The job is tried again, but not for ever: whatever keeps failing, its time is up some day.
            if self._tools.clock.now() < drive.deadline_at:
                raise
            log.exception("generation.given_up")
            await self._past_deadline(drive)
        else:
            await self._finish(drive)

    async def _finish(self, drive: Drive) -> None:
        crashpoints.reach("generation.finishing")
        async with drive.transaction() as tx:
            await settlement.finish(tx, drive.generation, now=self._tools.clock.now())
            await leases.give_up(tx, drive.lease)
            crashpoints.reach("generation.closing")
        crashpoints.reach("generation.finished")

    async def _after_interruption(self, drive: Drive) -> None:
        """Somebody else ended it, or drives it now."""
        async with drive.transaction() as tx:
            generation = await repository.get(tx, drive.generation.id)
        if generation is not None and generation.ended:
            await close_calls(self._tools, generation, because=generation.state)
        else:
            log.warning("lease.lost")

    async def _past_deadline(self, drive: Drive) -> None:
        await close_calls(self._tools, drive.generation, because="deadline")
        async with drive.transaction() as tx:
            await settlement.finish(tx, drive.generation, now=self._tools.clock.now(), because=policy.DEADLINE)

    async def _rest(self, drive: Drive, seconds: float) -> None:
        """Nothing can be sent now: nobody need look before the job comes again."""
        async with drive.transaction() as tx:
            await leases.rest(tx, drive.lease, seconds)
        crashpoints.reach("generation.deferred")


@contextlib.contextmanager
def _continuing(generation: Generation) -> Iterator[None]:
    """Log lines name the request that asked for it, and its trace goes on here."""
    origin = generation.origin or {}
    named = {"request_id": origin["request_id"]} if "request_id" in origin else {}
    with (
        structlog.contextvars.bound_contextvars(**named),
        tracing.root(
            "generation.run", "CONSUMER", origin.get("traceparent"),
            gesso__generation=str(generation.id), gesso__model=generation.model_key,
        ),
        metrics.DRIVING.track_inprogress(),
    ):  # fmt: skip
        yield
