"""The ends of outputs and generations, each in the caller's one transaction: money, rows, events, next in line.

Every function takes the ledger's lock first (through `credits`) and the generation's rows after it, so that
two of them never wait for each other. A charge and its picture are written together or not at all.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prometheus_client import Counter

from gesso import jobs
from gesso.calls.waker import CHANNEL as WAKE_CHANNEL
from gesso.calls.waker import generation_name
from gesso.core.errors import Conflict
from gesso.core.money import MICRO, OutputPrice
from gesso.core.telemetry import metrics, product
from gesso.credits import service as credits
from gesso.db import WorkspaceSession
from gesso.generation import policy, repository, turns
from gesso.generation.models import Generation, Output, charged
from gesso.generation.policy import Failure
from gesso.generation.state import OutputEvent
from gesso.media import repository as media
from gesso.media.models import NewAsset

TASK = "generation.run"
EVENTS_CHANNEL = "gesso_events"


class AlreadyEnded(Exception):
    """The output, or its generation, came to another end meanwhile. The transaction must be rolled back."""


def announce(tx: WorkspaceSession, generation_id: UUID, event_id: int | None) -> None:
    """Tell open pages, after the commit, that this generation changed."""
    payload: dict[str, str | int] = {
        "workspace": str(tx.workspace_id), "type": "generation", "id": str(generation_id)
    }  # fmt: skip
    if event_id is not None:
        payload |= {"event_id": event_id}
    tx.notify_after_commit(EVENTS_CHANNEL, payload)


def job(workspace_id: UUID, generation_id: UUID) -> jobs.Job:
    """The job that drives a generation, for the statement that stores it."""
    return jobs.Job.of(TASK, job_of(workspace_id, generation_id), job_key(generation_id))


def job_of(workspace_id: UUID, generation_id: UUID) -> dict[str, str]:
    """Its payload."""
    return {"workspace_id": str(workspace_id), "generation_id": str(generation_id)}


def job_key(generation_id: UUID) -> str:
    """Keeps a sweep from queueing a second job while the first one waits its turn."""
    return f"generation.run:{generation_id}"


async def enqueue(tx: WorkspaceSession, generation_id: UUID, priority: int) -> None:
    """Queue the job that drives a dispatched generation. Higher `priority` goes first."""
    payload = job_of(tx.workspace_id, generation_id)
    await jobs.enqueue(tx, TASK, payload, priority=priority, dedupe_key=job_key(generation_id))


async def hand_on(tx: WorkspaceSession, now: datetime) -> None:
    """Give free places of the workspace to those that wait. Under the ledger's lock."""
    for next_one in await turns.dispatch_waiting(tx, now):
        await enqueue(tx, next_one.generation_id, next_one.priority)
        announce(tx, next_one.generation_id, next_one.event_id)


async def deliver(
    tx: WorkspaceSession,
    generation: Generation,
    output: Output,
    asset: NewAsset,
    *,
    price: OutputPrice | None = None,
    now: datetime,
) -> None:
    """A stored picture, its row and its charge: what is held for it, or `price` where that is lower. Raises
    AlreadyEnded.

    When the hold has run out meanwhile the picture is given free.
    """
    try:
        paid, free = await credits.capture(tx, generation.hold_id, output.index, price=price), False
    except Conflict:
        paid, free = OutputPrice(0), True
    told = paid.to_json() | ({"own_key": True} if generation.own_key else {})
    await _add(tx, generation, output, replace(asset, charged=told), "deliver", free=free, now=now)
    _record(tx, metrics.CREDITS_CHARGED, paid)
    if not free and paid != output.price:
        await repository.paid_less(tx, generation.id, output.index, paid)
        _record(tx, metrics.CREDITS_RELEASED, _difference(output.price, paid))


async def deliver_late(
    tx: WorkspaceSession, generation: Generation, output: Output, asset: NewAsset, *, now: datetime
) -> None:
    """A picture that turned up after its output had failed: kept, and free. Raises AlreadyEnded."""
    await credits.lock(tx)
    await _add(tx, generation, output, replace(asset, charged=OutputPrice(0).to_json()), "late", free=True, now=now)
    sentence = "It turned up after we had given up on it. It is yours, free of charge."
    await repository.warn(tx, generation.id, [sentence])


async def _add(
    tx: WorkspaceSession,
    generation: Generation,
    output: Output,
    asset: NewAsset,
    event: OutputEvent,
    *,
    free: bool,
    now: datetime,
) -> None:
    event_id = await repository.deliver_output(
        tx, generation.id, output.index, event, seed=asset.seed, free=free, now=now
    )
    if event_id is None:
        raise AlreadyEnded
    await media.add_asset(tx, asset)
    announce(tx, generation.id, event_id)


async def fail_outputs(
    tx: WorkspaceSession, generation: Generation, indexes: Sequence[int], failure: Failure, *, now: datetime
) -> None:
    """Give up on these outputs and give back what was held for them."""
    await credits.release(tx, generation.hold_id, indexes)
    ended = await repository.end_outputs(tx, generation.id, "fail", now=now, indexes=indexes, error=failure)
    _released(tx, generation, ended)
    if ended:
        event_id = await repository.note(tx, generation.id, "missed", {"indexes": ended, "code": failure[0]})
        announce(tx, generation.id, event_id)


async def finish(
    tx: WorkspaceSession, generation: Generation, *, now: datetime, because: Failure = policy.DEADLINE
) -> bool:
    """End a generation by what its outputs came to; those still pending fail with `because`.

    Releases the rest of the hold, and gives the place to the next in line, in this transaction. False when
    somebody else had ended it.
    """
    await credits.release(tx, generation.hold_id)
    _released(tx, generation, await repository.end_outputs(tx, generation.id, "fail", now=now, error=because))
    outputs = await repository.outputs(tx, generation.id)
    delivered = [output for output in outputs if output.state == "delivered"]
    failures = [(output.error_code, output.error_message) for output in outputs if output.state == "failed"]
    said: list[Failure] = [(code, message) for code, message in failures if code and message]
    if delivered:
        warnings = [policy.partial_warning(len(outputs), len(delivered), said)] if said else []
        event_id = await repository.finish(
            tx, generation.id, "succeed", now=now, charged=charged(outputs), warnings=warnings
        )
        return await _ended(tx, generation, "succeeded", None, event_id, now)
    failure = policy.whole_failure(said)
    event_id = await repository.finish(tx, generation.id, "fail", now=now, charged=charged(outputs), error=failure)
    return await _ended(tx, generation, "failed", failure[0], event_id, now)


async def cancel(tx: WorkspaceSession, generation: Generation, *, now: datetime) -> bool:
    """Cancel at any stage: what was delivered stays and is paid, the rest is given back at once.

    Whoever drives it is told after the commit and asks the provider to stop. False when it had ended already.
    """
    await credits.release(tx, generation.hold_id)
    _released(tx, generation, await repository.end_outputs(tx, generation.id, "cancel", now=now))
    outputs = await repository.outputs(tx, generation.id)
    event_id = await repository.finish(tx, generation.id, "cancel", now=now, charged=charged(outputs))
    if event_id is not None:
        tx.notify_after_commit(WAKE_CHANNEL, {"name": generation_name(generation.id)})
    return await _ended(tx, generation, "cancelled", None, event_id, now)


async def _ended(
    tx: WorkspaceSession, generation: Generation, state: str, code: str | None, event_id: int | None, now: datetime
) -> bool:
    if event_id is None:
        return False
    announce(tx, generation.id, event_id)
    tx.record(metrics.ENDED.labels(generation.kind, state, code or "").inc)
    if state == "succeeded" and generation.started_at is not None:
        seconds = (now - generation.started_at).total_seconds()
        tx.record(metrics.GENERATION_SECONDS.labels(generation.model_key).observe, max(0.0, seconds))
    if not (generation.origin or {}).get("untracked"):
        tx.record(
            product.track, "generation ended", generation.user_id, kind=generation.kind, model=generation.model_key,
            state=state, reason=code,
        )  # fmt: skip
    await hand_on(tx, now)
    return True


def _released(tx: WorkspaceSession, generation: Generation, indexes: Sequence[int]) -> None:
    for index in indexes:
        _record(tx, metrics.CREDITS_RELEASED, generation.price.outputs[index])


def _difference(held: OutputPrice, paid: OutputPrice) -> OutputPrice:
    """What goes back when less is paid; both are of one unit."""
    uses = {unit: count - paid.allowances.get(unit, 0) for unit, count in held.allowances.items()}
    return OutputPrice(held.credits - paid.credits, uses)


def _record(tx: WorkspaceSession, counter: Counter, price: OutputPrice) -> None:
    """Count a price once the transaction has committed, in credits and in uses of allowances."""
    if price.credits:
        tx.record(counter.labels("credit").inc, price.credits / MICRO)
    for unit, uses in price.allowances.items():
        tx.record(counter.labels(unit).inc, uses)
