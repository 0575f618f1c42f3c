"""From a marked picture to a clean one, once its workspace's plan calls for no mark any more.

The clean file is handed out from the first moment on (`terms.opened`); what is made here, in a worker, are its
thumbnails. After that the row is as if there had never been a mark, and stays so: a plan that marks marks new pictures
only. The marked files are left to the nightly clean-up, since somebody may be reading them.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from gesso import jobs
from gesso.core.errors import NotFound, Unavailable
from gesso.db import Database, Session, WorkspaceSession
from gesso.jobs import HandOver, Tasks
from gesso.media import repository
from gesso.media.ingest import HostileFile, Prepared
from gesso.media.models import Asset
from gesso.media.service import Ingest, variant_key
from gesso.media.storage import Storage
from gesso.media.terms import TermsOf

log = structlog.get_logger()

TASK = "media.unlock"
BATCH = 20
_PRIORITY = -10
"""Nobody waits for it: generations go first."""
_AGAIN = timedelta(minutes=1)


async def ask(tx: Session, workspace_id: UUID) -> None:
    """Have a workspace's pictures and films unlocked by a worker; asked once, however often."""
    payload = {"workspace_id": str(workspace_id)}
    await jobs.enqueue(tx, TASK, payload, priority=_PRIORITY, dedupe_key=f"{TASK}:{workspace_id}")


class Unlocking:
    """The job `media.unlock`. May be stopped anywhere and run again, and run twice at once."""

    def __init__(self, db: Database, storage: Storage, ingest: Ingest, terms: TermsOf, tasks: Tasks) -> None:
        self._db, self._storage, self._ingest, self._terms, self._tasks = db, storage, ingest, terms, tasks

    async def run_job(self, payload: dict[str, Any]) -> None:
        """Unlock the newest first, for as long as the plan allows. Raises HandOver when the worker stops, Later while
        the store is away."""
        workspace_id, before = UUID(payload["workspace_id"]), UUID(int=(1 << 128) - 1)
        while found := await self._next(workspace_id, before):
            for asset in found:
                if self._tasks.stopping.is_set():
                    raise HandOver
                try:
                    await self._unlock(workspace_id, asset)
                except Unavailable:
                    raise jobs.Later(_AGAIN.total_seconds()) from None
            before = found[-1].id

    async def _next(self, workspace_id: UUID, before: UUID) -> Sequence[Asset]:
        async with self._db.workspace(workspace_id) as tx:
            if not await self._allowed(tx):
                return ()
            return await repository.locked(tx, before, BATCH)

    async def _allowed(self, tx: WorkspaceSession) -> bool:
        plan = await tx.fetchval("SELECT plan_key FROM workspace WHERE id = $1 FOR SHARE", tx.workspace_id)
        return plan is not None and not self._terms(plan).marked

    async def _unlock(self, workspace_id: UUID, asset: Asset) -> None:
        assert asset.clean is not None
        try:
            data = await self._storage.get(asset.clean.key)
            prepared = await self._ingest.prepare(data, kind=asset.kind)
        except (NotFound, HostileFile):
            log.warning("media.clean_file_missing", asset=str(asset.id))  # the marked one stays
            return
        for side, thumb in prepared.thumbs.items():
            await self._storage.put(variant_key(asset.clean.key, str(side)), thumb)
        async with self._db.workspace(workspace_id) as tx:
            if await self._allowed(tx):
                await self._open(tx, asset, prepared)

    async def _open(self, tx: WorkspaceSession, asset: Asset, prepared: Prepared) -> None:
        clean = asset.clean
        assert clean is not None
        await tx.execute_raw(
            "UPDATE asset SET storage_key = $3, sha256 = $4, size_bytes = $5, media_type = $6, thumbhash = $7, "
            "width = $8, height = $9, duration_ms = $10, clean = NULL "
            "WHERE workspace_id = $1 AND id = $2 AND clean IS NOT NULL",
            tx.workspace_id, asset.id, clean.key, clean.sha256, clean.size_bytes, clean.media_type, prepared.thumbhash,
            prepared.width, prepared.height, prepared.duration_ms,
        )  # fmt: skip
