"""One worker drives one generation: a lease on its row, kept alive by the second and lost with the worker.

A lease is a token that is new for every drive. Each write of a drive that matters (a new call to a provider)
checks the token in its own transaction, so a worker that was thought dead and comes back can do no harm.
The keeper also notices, within a second, that a generation was ended by somebody else (cancelled, expired).
"""

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import structlog

from gesso.calls.waker import Waker, generation_name
from gesso.db import Database, WorkspaceSession
from gesso.generation.state import ENDED

log = structlog.get_logger()

LEASE_SECONDS = 10.0
RENEW_SECONDS = 3.0
LOOK_SECONDS = 1.0

Interruption = Literal["ended", "lost"]
"""`ended`: somebody ended the generation. `lost`: another worker drives it now."""


@dataclass(slots=True)
class Lease:
    """A drive's right to its generation. `interrupted` completes when there is a reason to stop."""

    workspace_id: UUID
    generation_id: UUID
    token: UUID = field(default_factory=uuid.uuid4)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    reason: Interruption | None = None

    def interrupt(self, reason: Interruption) -> None:
        """Tell the drive to stop."""
        if self.reason is None:
            self.reason = reason
            self.interrupted.set()


async def take(tx: WorkspaceSession, lease: Lease) -> bool:
    """Make the lease ours, unless somebody else's still holds. The row must be locked."""
    changed = await tx.execute_raw(
        """UPDATE generation SET driver = $3, driven_until = clock_timestamp() + make_interval(secs => $4)
           WHERE workspace_id = $1 AND id = $2 AND (driven_until IS NULL OR driven_until < clock_timestamp())""",
        tx.workspace_id, lease.generation_id, lease.token, LEASE_SECONDS,
    )  # fmt: skip
    return changed == 1


async def seconds_held(tx: WorkspaceSession, generation_id: UUID) -> float:
    """How long the lease on it still holds if nobody renews it; 0 without one."""
    seconds: float | None = await tx.fetchval(
        """SELECT greatest(0, extract(epoch FROM driven_until - clock_timestamp()))::float8 FROM generation
           WHERE workspace_id = $1 AND id = $2""",
        tx.workspace_id, generation_id,
    )  # fmt: skip
    return seconds or 0.0


async def confirm(tx: WorkspaceSession, lease: Lease) -> bool:
    """Whether the generation is still ours to drive; holds it so until the transaction ends."""
    row = await tx.fetchrow(
        "SELECT 1 FROM generation WHERE workspace_id = $1 AND id = $2 AND driver = $3 AND state = 'running' FOR SHARE",
        tx.workspace_id, lease.generation_id, lease.token,
    )  # fmt: skip
    return row is not None


async def give_up(tx: WorkspaceSession, lease: Lease) -> None:
    """Let others drive it at once."""
    await tx.execute_raw(
        "UPDATE generation SET driver = NULL, driven_until = NULL WHERE workspace_id = $1 AND id = $2 AND driver = $3",
        tx.workspace_id, lease.generation_id, lease.token,
    )  # fmt: skip


async def rest(tx: WorkspaceSession, lease: Lease, seconds: float) -> None:
    """Let nobody drive it for a while, not even us: there is nothing to do."""
    await tx.execute_raw(
        """UPDATE generation SET driver = gen_random_uuid(),
               driven_until = clock_timestamp() + make_interval(secs => $4)
           WHERE workspace_id = $1 AND id = $2 AND driver = $3""",
        tx.workspace_id, lease.generation_id, lease.token, seconds,
    )  # fmt: skip


class Keeper:
    """Keeps all leases of this process with one statement a second, and looks at once when somebody calls."""

    def __init__(self, db: Database, waker: Waker) -> None:
        self._db = db
        self._waker = waker
        self._leases: dict[UUID, Lease] = {}
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def keeping(self, lease: Lease) -> Iterator[None]:
        """Renew the lease for as long as the block lasts."""
        self._leases[lease.token] = lease
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep())
        with self._waker.expecting(generation_name(lease.generation_id), self._look.set):
            try:
                yield
            finally:
                del self._leases[lease.token]

    async def _keep(self) -> None:
        """Renew and look while there is any lease. A database that is away for a while only costs time."""
        renewed_at = asyncio.get_running_loop().time()
        while self._leases:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._look.wait()
            self._look.clear()
            now = asyncio.get_running_loop().time()
            renew = now - renewed_at >= RENEW_SECONDS
            try:
                await self._pass(renew)
                renewed_at = now if renew else renewed_at
            except Exception as error:  # noqa: BLE001 - whatever the database's trouble, try again
                log.warning("lease.unkept", error=type(error).__name__, leases=len(self._leases))

    async def _pass(self, renew: bool) -> None:
        if not (leases := dict(self._leases)):
            return
        workspaces = [lease.workspace_id for lease in leases.values()]
        generations = [lease.generation_id for lease in leases.values()]
        async with self._db.elevated("keep the leases of running generations") as tx:
            rows = await tx.fetch(
                """SELECT g.driver, g.state FROM unnest($1::uuid[], $2::uuid[]) AS mine (workspace_id, id)
                   JOIN generation g USING (workspace_id, id)""",
                workspaces, generations,
            )  # fmt: skip
            if renew:
                await tx.execute_raw(
                    """UPDATE generation g SET driven_until = clock_timestamp() + make_interval(secs => $4)
                       FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS mine (workspace_id, id, token)
                       WHERE g.workspace_id = mine.workspace_id AND g.id = mine.id AND g.driver = mine.token""",
                    workspaces, generations, list(leases), LEASE_SECONDS,
                )  # fmt: skip
        states = {row["driver"]: row["state"] for row in rows}
        for token, lease in leases.items():
            if token not in states:
                lease.interrupt("lost")
            elif states[token] in ENDED:
                lease.interrupt("ended")
