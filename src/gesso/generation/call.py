"""One call to a provider, from handing it over to its result. What it means for the outputs is the strand's."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from gesso.calls import attempts
from gesso.calls.attempts import Attempt
from gesso.calls.record import Record
from gesso.calls.waker import operation_name
from gesso.catalog.items import Connection
from gesso.core import crashpoints
from gesso.generation import policy
from gesso.generation.drive import Drive
from gesso.generation.request import Step, media_request
from gesso.generation.tools import webhook_url
from gesso.providers.base import Done, Failed, Operation, Pending
from gesso.providers.errors import OutcomeUnknown, ProviderError, Rejected

log = structlog.get_logger()

UNCERTAIN_WINDOW = timedelta(minutes=15)
"""How long an uncertain call is looked up, where its provider can (semantics: Lifecycle)."""
STORE_TRIES_SECONDS = 60.0


class Call:
    """An attempt that is under way for some outputs of a drive's generation."""

    def __init__(self, drive: Drive, attempt: Attempt) -> None:
        self._drive = drive
        self._tools = drive.tools
        self._attempt = attempt
        self._account = drive.account
        self._record = Record(drive.tools.db, drive.generation.workspace_id, attempt.id)

    async def submit(self, step: Step, indexes: Sequence[int]) -> Operation | Done | ProviderError:
        """Ask the provider, once, and note its answer. Not to be cut off: see `Drive.hand_over`."""
        attempt = self._attempt
        try:
            inputs = await self._drive.inputs()
            request = media_request(
                step, self._drive.generation, [self._drive.outputs[index] for index in indexes], inputs=inputs,
                webhook_url=self._webhook_url(step.connection),
                deadline_seconds=(self._drive.deadline_at - self._tools.clock.now()).total_seconds(),
            )  # fmt: skip
            async with self._account.line(attempt) as line:
                with self._record.taking("submit"):
                    taken = await line.provider.submit(request, str(attempt.client_key))
        except ProviderError as error:
            return error
        except Exception:
            log.exception("provider.submit_failed", attempt_id=str(attempt.id))
            return OutcomeUnknown(note="The adapter failed while handing over.")
        crashpoints.reach("attempt.answered")
        if isinstance(taken, Operation):
            await self._store(taken)
            crashpoints.reach("attempt.submitted")
        return taken

    def _webhook_url(self, connection: Connection) -> str | None:
        """None on an own key: some providers sign their knocks with a secret of the account. Polling does alone."""
        if connection.own_key:
            return None
        return webhook_url(self._tools.settings.site.base_url, connection.key, self._attempt.client_key)

    async def keep(self) -> None:
        """Keep what was said so far for the operator, as well as it goes."""
        await self._record.flush()

    async def _store(self, operation: Operation) -> None:
        """Note the operation, through a database that is away for a moment: without it the call would be lost."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + STORE_TRIES_SECONDS, 0.1
        while True:
            try:
                async with self._drive.transaction() as tx:
                    await attempts.submitted(tx, self._attempt.id, operation)
                return
            except Exception as error:
                if loop.time() + pause > until:
                    raise
                log.warning("attempt.not_stored", attempt_id=str(self._attempt.id), error=type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def look_up(self) -> Operation | None:
        """The operation of an uncertain call, where the provider can be asked for it by our key."""
        attempt, pause = self._attempt, 1.0
        while self._tools.clock.now() < attempt.created_at + UNCERTAIN_WINDOW:
            try:
                async with self._account.line(attempt) as line:
                    if not line.provider.can_find:
                        return None
                    with self._record.taking("find"):
                        found = await line.provider.find(str(attempt.client_key))
                if found is not None:
                    await self._store(found)
                    return found
            except ProviderError as error:
                log.info("attempt.not_looked_up", attempt_id=str(attempt.id), kind=error.code)
                if self._account.over(error):
                    return None
            await asyncio.sleep(policy.jittered(pause))
            pause = min(pause * 2, 30.0)
        return None

    async def watch(self, operation: Operation) -> Done | Failed:
        """Poll until the job has ended; a webhook makes the next poll come at once."""
        knock, polls = asyncio.Event(), 0
        with self._tools.waker.expecting(operation_name(self._attempt.connection_id, operation.id), knock.set):
            while True:
                pause = policy.poll_pause(polls)
                polls += 1
                try:
                    async with self._account.line(self._attempt) as line:
                        with self._record.taking("poll"):
                            state = await line.provider.poll(operation)
                    if not isinstance(state, Pending):
                        crashpoints.reach("result.known")
                        return state
                except (Rejected, OutcomeUnknown) as error:
                    return Failed(error)
                except ProviderError as error:
                    if self._account.over(error):
                        return Failed(error)
                    log.info("operation.not_told", kind=error.code, note=error.note)
                    pause = max(pause, policy.retry_after(error) or 0.0, 1.0)
                await _set_within(knock, pause)
                knock.clear()


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
