"""A result that turned up after we had given up on its call: kept, and given free (semantics: Lifecycle)."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

import structlog

from gesso import jobs
from gesso.calls import attempts
from gesso.calls.attempts import Attempt, Cost
from gesso.core import crashpoints
from gesso.core.fetch import SafeFetcher
from gesso.db import WorkspaceSession
from gesso.generation import delivery, policy, repository, settlement
from gesso.generation.models import Generation
from gesso.generation.settlement import AlreadyEnded
from gesso.generation.tools import Tools
from gesso.media.models import NewAsset
from gesso.providers.base import Done, Operation, Pending, Provider
from gesso.providers.errors import ProviderError

log = structlog.get_logger()

TASK = "generation.late"
WAIT_SECONDS = 120.0
"""The provider said that the job has ended; its own files may take a moment longer."""


class LateResults:
    """Collects what uncertain calls delivered after all."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def run_job(self, payload: dict[str, Any]) -> None:
        """The job `generation.late`. Running it twice changes nothing. Raises HandOver when the worker stops."""
        workspace_id, attempt_id = UUID(payload["workspace_id"]), UUID(payload["attempt_id"])
        operation = Operation(payload["operation"]["id"], payload["operation"]["data"])
        async with self._tools.db.workspace(workspace_id) as tx:
            attempt = await attempts.get(tx, attempt_id)
            generation = await repository.get(tx, attempt.generation_id) if attempt and attempt.generation_id else None
        if attempt is None or generation is None or attempt.state != "uncertain":
            return
        connection = self._tools.catalog.snapshot.connections.get(attempt.connection_id)
        if connection is None:
            return
        async with self._tools.pool.use(connection) as line:
            done = await self._result(line.provider, operation)
            if done is not None:
                await self._keep(generation, attempt, done, line.fetcher)

    async def _result(self, provider: Provider, operation: Operation) -> Done | None:
        polls, until = 0, asyncio.get_running_loop().time() + WAIT_SECONDS
        while asyncio.get_running_loop().time() < until:
            if self._tools.stopping.is_set():
                raise jobs.HandOver
            try:
                state = await provider.poll(operation)
            except ProviderError as error:
                log.info("late.not_told", kind=error.code)
            except Exception:
                log.exception("late.adapter_failed")
                return None
            else:
                if not isinstance(state, Pending):
                    return state if isinstance(state, Done) else None
            await asyncio.sleep(policy.poll_pause(polls))
            polls += 1
        return None

    async def _keep(self, generation: Generation, attempt: Attempt, done: Done, fetcher: SafeFetcher) -> None:
        async with self._transaction(generation) as tx:
            outputs = await repository.outputs(tx, generation.id)
        for place, index in enumerate(attempt.output_indexes):
            output = next((output for output in outputs if output.index == index and output.state == "failed"), None)
            file = done.files[place] if place < len(done.files) else None
            if output is None:
                continue
            brought = await delivery.bring_home(self._tools, generation, output, file, done.seed, fetcher)
            if isinstance(brought, NewAsset):
                crashpoints.reach("late.stored")
                try:
                    async with self._transaction(generation) as tx:
                        await settlement.deliver_late(tx, generation, output, brought, now=self._tools.clock.now())
                except AlreadyEnded:
                    continue
                log.info("late.kept", generation_id=str(generation.id), index=index)
        cost = Cost(done.cost_micro_usd, "actual") if done.cost_micro_usd is not None else None
        crashpoints.reach("late.kept")
        async with self._transaction(generation) as tx:
            await attempts.close(tx, attempt.id, "succeeded", cost=cost)

    def _transaction(self, generation: Generation) -> AbstractAsyncContextManager[WorkspaceSession]:
        return self._tools.db.workspace(generation.workspace_id, generation.user_id)
