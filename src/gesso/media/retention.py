"""What plans keep no longer: into the bin first, and out of it again where a plan came to keep it in time.

Made pictures and films only, favourites too: how long is what a plan sells. They stay in the bin for `UNDO_PERIOD`,
so that an upgrade on the days after saves them, and go with the purge after that. Only what the admins were told of for
a week (`terms.TOLD_BEFORE`) goes: see `telling`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gesso.db import Database, ElevatedSession
from gesso.media import telling
from gesso.media.deletions import Count
from gesso.media.models import Known, first_id
from gesso.media.terms import TOLD_BEFORE, TermsOf, may_go_below

UNDO_PERIOD = timedelta(hours=48)
"""How long what a plan keeps no longer stays in the bin, and can come back from there."""
WORKSPACES = 100
BATCH = 500

InUse = Callable[[ElevatedSession, Sequence[UUID]], Awaitable[set[UUID]]]
"""Which of these pictures a request under way works from."""

_EXPIRED = """
SELECT a.id, a.kind, a.size_bytes
FROM unnest($1::uuid[], $2::uuid[]) w (id, bound) CROSS JOIN LATERAL (
    SELECT id, kind, size_bytes FROM asset WHERE workspace_id = w.id AND deleted_at IS NULL AND id < w.bound
    AND id > $3 AND source = 'generated' ORDER BY id LIMIT $4
) a ORDER BY a.id LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class Term:
    """The plans that keep what is made for so many days; None for good."""

    days: int | None
    plans: tuple[str, ...]


async def terms_in_use(db: Database, terms: TermsOf) -> list[Term]:
    """The terms of all plans that some workspace is on, the plans that are gone among them."""
    async with db.elevated("retention: which plans") as tx:
        rows = await tx.fetch("SELECT DISTINCT plan_key FROM workspace")
    by_days: dict[int | None, list[str]] = {}
    for row in rows:
        by_days.setdefault(terms(row["plan_key"]).days, []).append(row["plan_key"])
    return [Term(days, tuple(sorted(plans))) for days, plans in by_days.items()]


async def expire(db: Database, terms: Sequence[Term], in_use: InUse, now: datetime, *, dry_run: bool = False) -> Count:
    """Put into the bin what is older than its plan's term; what that was. `dry_run`: only count.

    Small transactions; may be stopped anywhere and begun again, and run twice at once.
    """
    total = Count()
    for term in terms:
        if term.days is None:
            continue
        bound = first_id(now - timedelta(days=term.days))
        async for owners in _workspaces(db, term, now, dry_run=dry_run):
            after: UUID | None = UUID(int=0)
            while after is not None:
                async with db.elevated("retention: put into the bin") as tx:
                    binned, after = await _expire_some(tx, term, owners, bound, after, in_use, now, dry_run=dry_run)
                total += binned
    return total


async def _workspaces(db: Database, term: Term, now: datetime, *, dry_run: bool) -> AsyncIterator[dict[UUID, UUID]]:
    """Workspaces on these plans that were told long enough ago, some at a time, and below which id they were. Notes
    those new to the term, who are to be told anew."""
    after = UUID(int=0)
    while True:
        async with db.elevated("retention: whose") as tx:
            rows = await tx.fetch(
                "SELECT w.id, r.days, r.since, r.told_at, r.told_below, r.earlier_below FROM workspace w "
                "LEFT JOIN media_retention r ON r.workspace_id = w.id "
                "WHERE w.plan_key = ANY($1) AND w.id > $2 ORDER BY w.id LIMIT $3",
                list(term.plans), after, WORKSPACES,
            )  # fmt: skip
            if not rows:
                return
            if not dry_run:
                await tx.execute_raw(
                    "INSERT INTO media_retention AS r (workspace_id, days, since) SELECT id, $2, $3 "
                    "FROM unnest($1::uuid[]) id ON CONFLICT (workspace_id) DO UPDATE SET days = excluded.days, "
                    "since = CASE WHEN excluded.days < r.days THEN excluded.since ELSE r.since END, "
                    "told_below = NULL, earlier_below = NULL "
                    "WHERE r.days <> excluded.days",
                    [row["id"] for row in rows], term.days, now,
                )  # fmt: skip
        after = rows[-1]["id"]
        known = {
            row["id"]: Known(**{k: v for k, v in row.items() if k != "id"}) for row in rows if row["days"] == term.days
        }
        told = {owner: may_go_below(one, now) for owner, one in known.items() if one.since + TOLD_BEFORE <= now}
        if told:
            yield told


async def tell(db: Database, terms: Sequence[Term], now: datetime) -> None:
    """Have everybody told of what goes soon. May be stopped anywhere and begun again."""
    for term in terms:
        after: UUID | None = UUID(int=0)
        while term.days is not None and after is not None:
            async with db.elevated("retention: whom to tell") as tx:
                after = await telling.ask(tx, term.plans, term.days, after, WORKSPACES, now)


async def _expire_some(
    tx: ElevatedSession, term: Term, owners: Mapping[UUID, UUID], bound: UUID, after: UUID, in_use: InUse,
    now: datetime, *, dry_run: bool,
) -> tuple[Count, UUID | None]:  # fmt: skip
    """One batch of what is below `bound` and its owner was told of, and behind which id the next one begins; None at
    the end."""
    bounds = [min(bound, told) for told in owners.values()]
    rows = await tx.fetch(_EXPIRED, list(owners), bounds, after, BATCH)
    if not rows:
        return Count(), None
    busy = await in_use(tx, [row["id"] for row in rows])
    chosen = [row["id"] for row in rows if row["id"] not in busy]
    if not dry_run:
        # the plan is asked once more: who upgraded in this moment keeps it
        binned = await tx.fetch(
            "UPDATE asset a SET deleted_at = $2, deleted_for = 'retention' FROM workspace w WHERE a.id = ANY($1) "
            "AND a.deleted_at IS NULL AND w.id = a.workspace_id AND w.plan_key = ANY($3) RETURNING a.id",
            chosen, now, list(term.plans),
        )  # fmt: skip
        chosen = [row["id"] for row in binned]
    gone = set(chosen)
    counted = [row for row in rows if row["id"] in gone]
    pictures = sum(row["kind"] == "image" for row in counted)
    count = Count(pictures, len(counted) - pictures, 0, 0, sum(row["size_bytes"] for row in counted))
    return count, rows[-1]["id"] if len(rows) == BATCH else None


async def bring_back(db: Database, terms: Sequence[Term], now: datetime) -> int:
    """Take out of the bin what a term put there and the plan of today keeps; how many. Whoever is kept for good is
    forgotten as one who was told."""
    bounds = {
        plan: first_id(now - timedelta(days=term.days)) if term.days is not None else UUID(int=0)
        for term in terms for plan in term.plans
    }  # fmt: skip
    total = 0
    while True:
        async with db.elevated("retention: bring back") as tx:
            back = await tx.execute_raw(
                "UPDATE asset SET deleted_at = NULL, deleted_for = NULL WHERE id IN ("
                "SELECT a.id FROM asset a JOIN workspace w ON w.id = a.workspace_id "
                "JOIN unnest($1::text[], $2::uuid[]) t (plan, bound) ON t.plan = w.plan_key "
                "WHERE a.deleted_at > $3 AND a.deleted_for = 'retention' AND a.id >= t.bound "
                "ORDER BY a.id LIMIT $4 FOR NO KEY UPDATE OF a)",
                list(bounds), list(bounds.values()), now - UNDO_PERIOD, BATCH,
            )  # fmt: skip
        total += back
        if back < BATCH:
            break
    async with db.elevated("retention: kept for good") as tx:
        await tx.execute_raw(
            "DELETE FROM media_retention r USING workspace w WHERE w.id = r.workspace_id AND w.plan_key = ANY($1)",
            [plan for term in terms if term.days is None for plan in term.plans],
        )
    return total
