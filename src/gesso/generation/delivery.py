"""From a provider's result to a picture that is stored and paid for: fetch, check, store, settle."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from gesso.calls import attempts, gate, observed
from gesso.calls.attempts import Attempt, Cost
from gesso.core import crashpoints
from gesso.core.errors import Unavailable
from gesso.core.fetch import FetchFailed, FetchRefused, FetchTooLarge, SafeFetcher
from gesso.db import WorkspaceSession
from gesso.generation import moderating, policy, repository, settlement
from gesso.generation.account import site_connection
from gesso.generation.models import Generation, Kind, Output
from gesso.generation.patience import while_store_is_away
from gesso.generation.policy import Failure
from gesso.generation.tools import Tools
from gesso.media import service as media
from gesso.media.ingest import HostileFile
from gesso.media.models import NewAsset
from gesso.providers.base import Done, OutputFile

log = structlog.get_logger()

FETCH_TRIES = 3
FETCH_SECONDS = {"image": 60.0, "video": 300.0}


async def deliver(
    tools: Tools, generation: Generation, outputs: Sequence[Output], attempt: Attempt, done: Done, fetcher: SafeFetcher
) -> None:
    """Bring home what a call delivered for `outputs` (those of the attempt that are still open), one by one.

    Each picture is one transaction of its own; the last also closes the attempt. What cannot be delivered fails.
    Raises AlreadyEnded, and whatever the store or the database raise: the call's operation is stored, so all of
    this can be done again.
    """
    missed: dict[Failure, list[int]] = {}
    closed = False
    for output in outputs:
        place = attempt.output_indexes.index(output.index)
        file = done.files[place] if place < len(done.files) else None
        brought = await bring_home(tools, generation, output, file, done.seed, fetcher, deadline=generation.deadline_at)
        if not isinstance(brought, NewAsset):
            missed.setdefault(brought, []).append(output.index)
            continue
        closing = output is outputs[-1] and not missed
        async with tools.db.workspace(generation.workspace_id, generation.user_id) as tx:
            price = attempt.price_of(output.index)
            await settlement.deliver(tx, generation, output, brought, price=price, now=tools.clock.now())
            if closing:
                closed = await _close(tools, tx, generation, attempt, done)
            crashpoints.reach("output.settling")
        crashpoints.reach("output.settled")
    if not closed:
        async with tools.db.workspace(generation.workspace_id, generation.user_id) as tx:
            for failure, indexes in missed.items():
                await settlement.fail_outputs(tx, generation, indexes, failure, now=tools.clock.now())
            await _close(tools, tx, generation, attempt, done)
            crashpoints.reach("output.failing")


async def _close(tools: Tools, tx: WorkspaceSession, generation: Generation, attempt: Attempt, done: Done) -> bool:
    cost = Cost(done.cost_micro_usd, "actual") if done.cost_micro_usd is not None else None
    if done.warnings:
        await repository.warn(tx, generation.id, done.warnings)
    if await attempts.close(tx, attempt.id, "succeeded", cost=cost):
        observed.ended(tx, site_connection(tools.catalog, attempt), attempt, "succeeded", cost)
    await gate.report_success(tx, attempt.connection_id)  # last: one row for the calls of everybody
    return True


async def bring_home(
    tools: Tools,
    generation: Generation,
    output: Output,
    file: OutputFile | None,
    seed: int | None,
    fetcher: SafeFetcher,
    *,
    deadline: datetime | None = None,
) -> NewAsset | Failure:
    """Fetch, check, judge and store one result; the row to add, or why there is none. Only judging writes rows.

    A store that is away is waited for until the deadline; without one, raises `Unavailable` at once.
    """
    if file is None:
        return policy.NOT_DELIVERED
    if file.flagged:
        return policy.FLAGGED
    fetched = await _fetch(tools, generation.kind, file, fetcher)
    if not isinstance(fetched, bytes):
        return fetched
    crashpoints.reach("result.fetched")
    try:
        words = tools.catalog.edition.brand.name if generation.watermark else None
        prepared = await tools.ingest.prepare(fetched, kind=generation.kind, words=words)
    except HostileFile as error:
        log.warning("result.unusable", generation_id=str(generation.id), index=output.index, reason=str(error))
        return policy.bad_file(str(error))
    failure = await moderating.result_failure(tools, generation, output, prepared, deadline=deadline)
    if failure is not None:
        return failure
    store = partial(media.store, tools.storage, generation.workspace_id, output.asset_id, prepared, fetched)
    try:
        stored = await (while_store_is_away(store, clock=tools.clock, deadline=deadline) if deadline else store())
    except Unavailable:
        if deadline is None:
            raise
        return policy.NOT_STORED
    crashpoints.reach("result.stored")
    took = tools.clock.now() - (generation.started_at or generation.created_at)
    found_seed = next((value for value in (file.seed, seed, output.seed) if value is not None), None)
    return replace(
        media.new_asset(output.asset_id, generation.user_id, stored, prepared, source="generated"),
        kind=generation.kind,
        generation_id=generation.id,
        output_index=output.index,
        prompt=generation.prompt,
        negative_prompt=generation.negative_prompt,
        model_key=generation.model_key,
        model_name=generation.model_name,
        seed=found_seed,
        params={name: value for name, value in generation.params.items() if name not in _TOLD_ELSEWHERE},
        took_ms=max(0, took // timedelta(milliseconds=1)),
    )


_TOLD_ELSEWHERE = frozenset({"prompt", "negative_prompt", "seed", "count"})


async def _fetch(tools: Tools, kind: Kind, file: OutputFile, fetcher: SafeFetcher) -> bytes | Failure:
    if file.data is not None:
        return file.data
    if file.url is None:
        return policy.RESULT_GONE
    limits = tools.settings.storage
    most = limits.max_video_bytes if kind == "video" else limits.max_output_bytes
    for tried in range(1, FETCH_TRIES + 1):
        try:
            fetched = await fetcher.get(file.url, max_bytes=most, timeout_seconds=FETCH_SECONDS[kind])
            return fetched.data
        except FetchRefused as error:
            log.warning("result.refused", reason=error.reason)
            return policy.RESULT_REFUSED
        except FetchTooLarge:
            return policy.RESULT_TOO_LARGE
        except FetchFailed as error:
            log.info("result.not_fetched", reason=error.reason, tried=tried)
            if not error.retryable or tried == FETCH_TRIES:
                return policy.RESULT_GONE
        await asyncio.sleep(policy.jittered(policy.BACKOFF_SECONDS[0] * tried))
    return policy.RESULT_GONE
