"""What workers do for this room: the nightly clean-up, the mail before it, and unlocking what was marked.

At 03:00 by the site's clock, what plans keep no longer and uploads that served nothing go into the bin; from the bin,
files and rows go for good; so do files nobody refers to. Every removal is counted in the report (`deletions`).

Each step is small, safe to repeat and to interrupt, and to run on two workers at once: rows outlive their files, never
the other way round, and who removes a row counts it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import Protocol
from uuid import UUID

import structlog

from gesso.accounts.mail import Mailer
from gesso.core import crashpoints
from gesso.core.clock import Clock
from gesso.core.settings import Settings
from gesso.db import Database, ElevatedSession
from gesso.jobs import Tasks
from gesso.media import bin, deletions, missing, repository, retention, samples, telling, unlock
from gesso.media.deletions import Count, Owner
from gesso.media.models import Doomed
from gesso.media.retention import InUse
from gesso.media.service import NAMES, Ingest
from gesso.media.storage import Storage, StoredObject
from gesso.media.terms import TermsOf

log = structlog.get_logger()

BATCH = 500
UNUSED_UPLOADS_KEPT = timedelta(days=30)
ORPHANS_KEPT = timedelta(days=1)
"""A file this young may belong to a transaction that has not committed."""
HOUR = 3
_GROUPS_AT_ONCE = 4


class Context(Protocol):
    """What the composer hands to every room's tasks."""

    @property
    def db(self) -> Database: ...
    @property
    def storage(self) -> Storage: ...
    @property
    def ingest(self) -> Ingest: ...
    @property
    def mailer(self) -> Mailer: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def settings(self) -> Settings: ...


Expected = Callable[[ElevatedSession, Sequence[UUID]], Awaitable[set[UUID]]]
"""Which of these pictures, none of which may have a row, somebody is still going to add."""


@dataclass(frozen=True, slots=True)
class Others:
    """What other rooms tell: which pictures are `expected` and which `in_use` by those that make them, which samples
    are `shown`, what plans say of pictures, and which keeps them `longer`."""

    expected: Expected
    in_use: InUse
    shown: samples.Named
    terms: TermsOf
    longer: telling.LongerOf


@dataclass
class Cleaned:
    """What a clean-up did, or would do. `binned` and `unused` go after their time in the bin; `came_back`: rows that an
    upgrade saved; `missing`: rows without a file among those looked at."""

    came_back: int = 0
    binned: Count = field(default_factory=Count)
    unused: Count = field(default_factory=Count)
    purged: Count = field(default_factory=Count)
    orphans: Count = field(default_factory=Count)
    samples: int = 0
    missing: int = 0

    def told(self) -> dict[str, int]:
        """What there is to tell, flat: `purged_pictures`, `missing` …"""
        flat: dict[str, int] = {}
        for name, value in asdict(self).items():
            parts = value.items() if isinstance(value, dict) else [("", value)]
            flat |= {f"{name}_{part}".rstrip("_"): number for part, number in parts if number}
        return flat


def register(tasks: Tasks, ctx: Context, others: Others) -> None:
    """Look every quarter of an hour whether tonight's clean-up is still to be done, and whom an upgrade gives back what
    the last one took."""

    async def tonight() -> None:
        if await run_night(ctx.db, ctx.storage, ctx.clock, ctx.settings.site.zone, others) is None:
            terms = await retention.terms_in_use(ctx.db, others.terms)
            await retention.bring_back(ctx.db, terms, ctx.clock.now())

    tasks.every("media.clean_up", "*/15 * * * *", tonight)
    tasks.add(unlock.TASK, unlock.Unlocking(ctx.db, ctx.storage, ctx.ingest, others.terms, tasks).run_job)
    site = telling.Site(ctx.settings.site.url, ctx.settings.site.zone)
    tasks.add(telling.TASK, telling.Telling(ctx.db, ctx.clock, ctx.mailer, others.terms, others.longer, site).run_job)


def night_of(now: datetime, zone: tzinfo) -> date | None:
    """The night whose clean-up may run, named by its morning; None between midnight and 03:00 on the site's clock."""
    local = now.astimezone(zone)
    return local.date() if local.hour >= HOUR else None


async def run_night(db: Database, storage: Storage, clock: Clock, zone: tzinfo, others: Others) -> Cleaned | None:
    """Do tonight's clean-up, or what is left of it, unless it is done; None then. A night that was missed while the
    site was down is made up for at once, and one that was cut short goes on."""
    now = clock.now()
    night = night_of(now, zone)
    if night is None or not await _begin(db, night, now):
        return None
    cleaned = await clean(db, storage, clock, night, others)
    await retention.tell(db, await retention.terms_in_use(db, others.terms), clock.now())
    async with db.elevated("clean-up: where files were looked for") as tx:
        after: UUID | None = await tx.fetchval(
            "SELECT checked_to FROM clean_up WHERE ended_at IS NOT NULL ORDER BY night DESC LIMIT 1"
        )
    cleaned.missing, place = await missing.look(db, storage, after, clock.now())
    async with db.elevated("clean-up: done") as tx:
        await tx.execute_raw(
            "UPDATE clean_up SET ended_at = $2, checked_to = $3 WHERE night = $1", night, clock.now(), place
        )
    log.info("media.cleaned", night=night.isoformat(), **cleaned.told())
    return cleaned


async def _begin(db: Database, night: date, now: datetime) -> bool:
    async with db.elevated("clean-up: is it done") as tx:
        await tx.execute_raw(
            "INSERT INTO clean_up (night, begun_at) VALUES ($1, $2) ON CONFLICT (night) DO NOTHING", night, now
        )
        return await tx.fetchval("SELECT ended_at FROM clean_up WHERE night = $1", night) is None


async def clean(
    db: Database, storage: Storage, clock: Clock, day: date, others: Others, *, dry_run: bool = False
) -> Cleaned:
    """All steps, reported on `day`. `dry_run`: nothing is changed, only counted."""
    cleaned, terms = Cleaned(), await retention.terms_in_use(db, others.terms)
    if not dry_run:
        cleaned.came_back = await retention.bring_back(db, terms, clock.now())
    cleaned.binned = await retention.expire(db, terms, others.in_use, clock.now(), dry_run=dry_run)
    crashpoints.reach("clean.expired")
    cleaned.unused = await bin_unused_uploads(db, clock, dry_run=dry_run)
    cleaned.purged = await purge(db, storage, clock, day, others.in_use, dry_run=dry_run)
    cleaned.orphans = await remove_orphans(db, storage, clock, day, others.expected, dry_run=dry_run)
    cleaned.samples = await _remove_samples(db, storage, clock, day, others.shown, dry_run=dry_run)
    return cleaned


async def purge(
    db: Database, storage: Storage, clock: Clock, day: date, in_use: InUse, *, dry_run: bool = False
) -> Count:
    """Remove files and rows of what was deleted longer ago than `repository.UNDO_PERIOD`, or by a plan's term longer
    ago than `retention.UNDO_PERIOD`.

    `restore` refuses those already, so nobody brings back a picture whose files are being removed. What a request
    under way works from stays for the next night.
    """
    total, now = Count(), clock.now()
    after: tuple[datetime, UUID] | None = None
    while True:
        async with db.elevated("remove deleted pictures") as tx:
            doomed = await bin.due(tx, now - repository.UNDO_PERIOD, now - retention.UNDO_PERIOD, after, BATCH)
            busy = await in_use(tx, [one.id for one in doomed]) if doomed else set()
        if not doomed:
            return total
        after = doomed[-1].deleted_at, doomed[-1].id
        doomed = [one for one in doomed if one.id not in busy]
        if dry_run:
            async with db.elevated("count deleted pictures") as tx:
                total += await bin.count(tx, doomed)
            continue
        files = await _remove_files(storage, doomed)
        crashpoints.reach("clean.files_removed")
        async with db.elevated("remove deleted pictures") as tx:
            total += await bin.remove(tx, doomed, day, files)
        crashpoints.reach("clean.rows_removed")


async def _remove_files(storage: Storage, doomed: Sequence[Doomed]) -> dict[Owner, int]:
    """How many files went, by whose they were and why."""
    groups: dict[Owner, list[str]] = {}
    for one in doomed:
        groups.setdefault((one.workspace_id, one.reason), []).extend(one.keys)
    gate = asyncio.Semaphore(_GROUPS_AT_ONCE)

    async def remove(keys: Sequence[str]) -> int:
        async with gate:
            return await storage.delete(keys)

    counts = await asyncio.gather(*(remove(keys) for keys in groups.values()))
    return dict(zip(groups, counts, strict=True))


async def bin_unused_uploads(db: Database, clock: Clock, *, dry_run: bool = False) -> Count:
    """Put uploads into the bin that served nothing for 30 days. What that was."""
    now = clock.now()
    async with db.elevated("clear unused uploads") as tx:
        found = await bin.count_unused_uploads(tx, now - UNUSED_UPLOADS_KEPT)
        if dry_run or not found.uploads:
            return found
        return Count(uploads=await bin.bin_unused_uploads(tx, now - UNUSED_UPLOADS_KEPT, now), bytes=found.bytes)


async def remove_orphans(
    db: Database, storage: Storage, clock: Clock, day: date, expected: Expected, *, dry_run: bool = False
) -> Count:
    """Remove files older than a day that no row names: stored, and then the transaction never came; or marked files
    of a picture that was unlocked.

    Walks the whole store once; only keys of the shape we make are ever touched. Those of `expected` pictures stay:
    after a long outage a worker may be about to store such a one again and to add its row. Also goes what killed
    processes left half written.
    """
    total, before = Count(), clock.now() - ORPHANS_KEPT
    async for batch in storage.batches(size=1000):
        owners = {found: owner for found in batch if (owner := _owner(found)) and found.modified_at < before}
        if not owners:
            continue
        async with db.elevated("remove files without a row") as tx:
            asked = list({asset for _, asset in owners.values()})
            known, coming = await bin.known(tx, asked), await expected(tx, asked)
        orphans = {
            found: workspace for found, (workspace, asset) in owners.items()
            if asset not in coming and found.key not in known.get(asset, ())
        }  # fmt: skip
        total += await _remove_loose(db, storage, day, orphans, dry_run=dry_run)
    if not dry_run:
        files, size = await storage.remove_unfinished(before)
        async with db.elevated("report half-written files") as tx:
            left = Count(files=files, bytes=size)
            await deletions.record(tx, day, {(None, "orphan"): left} if files else {})
        total += left
    return total


async def _remove_loose(
    db: Database, storage: Storage, day: date, orphans: dict[StoredObject, UUID], *, dry_run: bool
) -> Count:
    if dry_run or not orphans:
        return Count(files=len(orphans), bytes=sum(found.size for found in orphans))
    await storage.delete(found.key for found in orphans)
    files: Counter[UUID] = Counter(orphans.values())
    sizes: Counter[UUID] = Counter()
    for found, workspace in orphans.items():
        sizes[workspace] += found.size
    async with db.elevated("report files without a row") as tx:
        await deletions.record(tx, day, {(one, "orphan"): Count(files=files[one], bytes=sizes[one]) for one in files})
    return Count(files=files.total(), bytes=sizes.total())


async def _remove_samples(
    db: Database, storage: Storage, clock: Clock, day: date, shown: samples.Named, *, dry_run: bool
) -> int:
    before = clock.now() - ORPHANS_KEPT
    removed = await samples.remove_unused(db, storage, shown, before, dry_run=dry_run)
    if removed and not dry_run:
        async with db.elevated("report unused samples") as tx:
            await deletions.record(tx, day, {(None, "sample"): Count(files=removed)})
    return removed


def _owner(found: StoredObject) -> tuple[UUID, UUID] | None:
    """The workspace and the asset a key belongs to: `{workspace}/{yyyy}/{mm}/{asset}/{variant}`."""
    parts = found.key.split("/")
    if len(parts) != 5 or parts[4] not in NAMES:
        return None
    try:
        return UUID(parts[0]), UUID(parts[3])
    except ValueError:
        return None
