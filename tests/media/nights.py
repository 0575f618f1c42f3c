"""Nights of retention, walked through by a clock: what tests make, tell and look at."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from gesso.accounts.access import Actor
from gesso.accounts.mail import Mailer
from gesso.core.clock import FixedClock
from gesso.core.settings import MailSettings
from gesso.db import Database, ElevatedSession
from gesso.media import deletions, repository, tasks
from gesso.media.deletions import Count
from gesso.media.models import Asset
from gesso.media.service import all_keys
from gesso.media.storage import Storage
from gesso.media.tasks import Others
from gesso.media.telling import TASK, Site, Telling
from tests.media.conftest import PLANS
from tests.media.pictures import id_at, keep, picture

BEGIN = datetime(2026, 1, 1, 3, 5, tzinfo=UTC)
GESSO = str(Path(sys.executable).parent / "gesso")


async def nobody(tx: ElevatedSession, ids: Sequence[UUID]) -> set[UUID]:
    return set()


async def no_samples(tx: ElevatedSession) -> frozenset[str]:
    return frozenset()


LONGER = {"month": "Year"}.get
OTHERS = Others(nobody, nobody, no_samples, PLANS, LONGER)


async def on(db: Database, actor: Actor, plan: str) -> None:
    """Put somebody's workspace on a plan."""
    async with db.elevated("test") as tx:
        await tx.execute_raw("UPDATE workspace SET plan_key = $2 WHERE id = $1", actor.workspace_id, plan)


async def made(
    db: Database, storage: Storage, actor: Actor, at: datetime, count: int = 1, **fields: object
) -> list[Asset]:
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        return [await keep(tx, storage, picture(20, 20, seed=n), id_at(at), **fields) for n in range(count)]


async def seen(db: Database, actor: Actor, assets: Sequence[Asset]) -> int:
    """How many of these somebody still sees."""
    async with db.workspace(actor.workspace_id, actor.user_id) as tx:
        return len(await repository.by_ids(tx, [asset.id for asset in assets]))


async def stored(storage: Storage, assets: Sequence[Asset]) -> int:
    """How many files of these there are."""
    return sum([await storage.exists(key) for asset in assets for key in all_keys(asset.storage_key)])


async def nights(db: Database, storage: Storage, clock: FixedClock, count: int) -> None:
    for _ in range(count):
        clock.advance(timedelta(days=1))
        await tasks.run_night(db, storage, clock, UTC, OTHERS)
        await tell(db, clock)


def teller(db: Database, clock: FixedClock, **smtp: object) -> Telling:
    """Tells by a mail server (`smtp_url`), else into the outbox."""
    mailer = Mailer(MailSettings.model_validate(smtp), db, brand=lambda: "gesso", outbox=True, retry_seconds=())
    return Telling(db, clock, mailer, PLANS, LONGER, Site("https://gesso.test", UTC))


async def tell(db: Database, clock: FixedClock) -> None:
    """Do what the night has asked a worker for."""
    async with db.elevated("test") as tx:
        jobs = await tx.fetch("DELETE FROM pgqueuer WHERE entrypoint = $1 RETURNING payload", TASK)
    for job in jobs:
        await teller(db, clock).run_job(json.loads(job["payload"]))


async def mails(db: Database) -> list[tuple[str, str, str]]:
    """What was written: to whom, about what, in which words."""
    async with db.elevated("test") as tx:
        rows = await tx.fetch("SELECT recipient, subject, body_text FROM outbox_mail ORDER BY id")
    return [(row["recipient"], row["subject"], row["body_text"]) for row in rows]


async def report(db: Database) -> dict[str, Count]:
    async with db.elevated("test") as tx:
        lines = await deletions.days(tx, None, 1000)
    total: dict[str, Count] = {}
    for line in lines:
        total[line.reason] = total.get(line.reason, Count()) + line.count
    return total
