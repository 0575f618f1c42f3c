"""`/healthz`: this process answers. `/readyz`: the product can work. Meanings in docs/operating.md."""

import time
from typing import Annotated, Literal, cast

import structlog
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from gesso.db import Database
from gesso.db.migrate import schema_of
from gesso.media.storage import Storage

log = structlog.get_logger()
router = APIRouter(tags=["Health"])

WORKER_SEEN_SECONDS = 60
STORAGE_CHECK_SECONDS = 5.0


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    release: str = Field(description="What is deployed: GESSO_RELEASE.")


class Readiness(BaseModel):
    """Each part, and the whole: `ready` when database and storage work and, where required, a worker runs.

    A server that is about to stop says 503, too: whoever spreads the load looks elsewhere.
    """

    status: Literal["ready", "not ready"]
    database: Literal["ok", "unreachable", "not migrated"]
    storage: Literal["ok", "not writable"]
    workers: int
    draining: bool = Field(False, description="It was asked to stop, and serves until nobody asks it any more.")


@router.get("/healthz")
async def healthz(request: Request) -> Health:
    """This process answers."""
    return Health(release=request.app.state.settings.site.release)


async def readiness(request: Request) -> Readiness:
    """Look at database, storage and workers now."""
    database, workers = await _database(request.app.state.db)
    storage = await _storage_now_and_then(request)
    needs_worker = request.app.state.settings.site.development
    draining = request.app.state.draining
    ready = database == "ok" and storage == "ok" and (workers > 0 or not needs_worker) and not draining
    return Readiness(
        status="ready" if ready else "not ready", database=database, storage=storage, workers=workers, draining=draining
    )


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Something is missing"}})
async def readyz(response: Response, found: Annotated[Readiness, Depends(readiness)]) -> Readiness:
    """Database reachable and migrated, storage writable, workers seen within a minute.

    A missing worker is reported always, and counts as not ready in development, where one command runs it all.
    """
    response.status_code = 200 if found.status == "ready" else 503
    return found


async def _database(db: Database) -> tuple[Literal["ok", "unreachable", "not migrated"], int]:
    try:
        async with db.public() as tx:
            row = await tx.fetchrow(
                "SELECT gesso_schema_revision() AS revision, (SELECT count(*) FROM worker_seen "
                "WHERE seen_at > now() - make_interval(secs => $1)) AS workers",
                WORKER_SEEN_SECONDS,
            )
    except Exception as error:  # noqa: BLE001 — any failure means the same here
        log.warning("readyz.database", error=type(error).__name__)
        return "unreachable", 0
    assert row is not None
    # a newer schema will do: the next release has migrated and is about to replace this process
    return ("ok" if schema_of(row["revision"]) in ("current", "newer") else "not migrated"), row["workers"]


async def _storage_now_and_then(request: Request) -> Literal["ok", "not writable"]:
    """Checking writes a file, and anybody may ask: look at most every few seconds."""
    state = request.app.state
    checked_at, found = getattr(state, "storage_checked", (0.0, "not writable"))
    if time.monotonic() - checked_at > STORAGE_CHECK_SECONDS:
        found = await _storage(state.storage)
        state.storage_checked = (time.monotonic(), found)
    return cast(Literal["ok", "not writable"], found)


async def _storage(storage: Storage) -> Literal["ok", "not writable"]:
    try:
        await storage.check()
    except Exception as error:  # noqa: BLE001 — any failure means the same here
        log.warning("readyz.storage", error=type(error).__name__)
        return "not writable"
    return "ok"
