"""The mail before a plan's term takes something away: to a workspace's admins, once for all that goes in a week.

The night looks who is to be told (`ask`), a job for each workspace tells them (`Telling`), and only what was told of
for `TOLD_BEFORE` goes (`retention`). Where mail cannot leave, it is tried again and nothing goes meanwhile.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any
from uuid import UUID

import structlog

from gesso import jobs
from gesso.accounts import repository as accounts
from gesso.accounts.mail import Mailer
from gesso.accounts.messages import Mail
from gesso.core.clock import Clock
from gesso.db import Database, ElevatedSession
from gesso.media import archive, keeping
from gesso.media.models import first_id
from gesso.media.terms import TOLD_BEFORE, TermsOf

log = structlog.get_logger()

TASK = "media.tell"
NIGHT = timedelta(days=1)
WEEK = timedelta(days=7)
"""No more than one mail in this time."""
_PRIORITY = -5
_AGAIN_SECONDS = 900.0
_LOWEST = UUID(int=0)

LongerOf = Callable[[str], str | None]
"""The name of the cheapest plan that keeps longer than the plan of this key and can be bought; None without one."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a mail says of the site: its address, and whose days it speaks of."""

    url: str
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Leaving:
    """What a workspace is to be told of: how many, from when on, all that is below an id; its people."""

    workspace: str
    plan_key: str
    days: int
    pictures: int
    videos: int
    begins: datetime
    below: UUID
    people: Sequence[tuple[str, str]]


async def ask(
    tx: ElevatedSession, plans: Sequence[str], days: int, after: UUID, limit: int, now: datetime
) -> UUID | None:
    """Have those told by a worker who are on these plans, were not in the last week, and have something that nobody was
    told of and that comes of age in the night after `TOLD_BEFORE`. Some workspaces at a time, from behind `after`; the
    last of them, or None when there are no more."""
    rows = await tx.fetch(
        "SELECT w.id, (r.told_at IS NULL OR r.told_at <= $5) AND EXISTS ("
        "SELECT FROM asset a WHERE a.workspace_id = w.id AND a.deleted_at IS NULL AND a.source = 'generated' "
        "AND a.id >= coalesce(r.told_below, $6) AND a.id < $4) AS due "
        "FROM workspace w JOIN media_retention r ON r.workspace_id = w.id "
        "WHERE w.plan_key = ANY($1) AND w.id > $2 ORDER BY w.id LIMIT $3",
        list(plans), after, limit, first_id(now + TOLD_BEFORE + NIGHT - timedelta(days=days)), now - WEEK, _LOWEST,
    )  # fmt: skip
    for row in rows:
        if row["due"]:
            key = f"{TASK}:{row['id']}"
            await jobs.enqueue(tx, TASK, {"workspace_id": str(row["id"])}, priority=_PRIORITY, dedupe_key=key)
    return rows[-1]["id"] if rows else None


class Telling:
    """The job `media.tell`. Killed between the mail and the note of it, it writes once more."""

    def __init__(
        self, db: Database, clock: Clock, mailer: Mailer, terms: TermsOf, longer: LongerOf, site: Site
    ) -> None:  # fmt: skip
        self._db, self._clock, self._mailer, self._terms = db, clock, mailer, terms
        self._longer, self._site = longer, site

    async def run_job(self, payload: dict[str, Any]) -> None:
        """Write to all admins. Raises Later where none of the mails could leave for now."""
        workspace_id, now = UUID(payload["workspace_id"]), self._clock.now()
        async with self._db.elevated("retention: what to tell of") as tx:
            leaving = await self._leaving(tx, workspace_id, now)
        if leaving is None:
            return
        left = [await self._mailer.deliver(self._mail(leaving, *person)) for person in leaving.people]
        if left and not any(left):
            raise jobs.Later(_AGAIN_SECONDS)
        async with self._db.elevated("retention: told") as tx:
            await tx.execute_raw(
                "UPDATE media_retention SET told_at = $2, told_below = $3, earlier_below = told_below "
                "WHERE workspace_id = $1 AND days = $4 AND (told_at IS NULL OR told_at <= $5)",
                workspace_id, now, leaving.below, leaving.days, now - WEEK,
            )  # fmt: skip
        log.info(
            "media.told", workspace_id=str(workspace_id), people=len(left), things=leaving.pictures + leaving.videos
        )

    async def _leaving(self, tx: ElevatedSession, workspace_id: UUID, now: datetime) -> Leaving | None:
        """What is new to tell of; None where there is nothing, or the term is another one by now."""
        row = await tx.fetchrow(
            "SELECT w.name, w.plan_key, r.days, r.since, r.told_at, r.told_below FROM workspace w "
            "JOIN media_retention r ON r.workspace_id = w.id WHERE w.id = $1",
            workspace_id,
        )
        if row is None or self._terms(row["plan_key"]).days != row["days"]:
            return None
        if row["told_at"] is not None and row["told_at"] > now - WEEK:
            return None
        term = timedelta(days=row["days"])
        # so that the next mail is a week away, and still in time for what this one does not tell of
        below = first_id(now + TOLD_BEFORE + NIGHT + WEEK - term)
        found = await tx.fetchrow(
            "SELECT count(*) FILTER (WHERE kind = 'image') AS pictures, "
            "count(*) FILTER (WHERE kind = 'video') AS videos, min(id::text)::uuid AS oldest "
            "FROM asset WHERE workspace_id = $1 AND deleted_at IS NULL AND source = 'generated' "
            "AND id >= $2 AND id < $3",
            workspace_id, row["told_below"] or _LOWEST, below,
        )  # fmt: skip
        assert found is not None
        if found["oldest"] is None:
            return None
        made = datetime.fromtimestamp((found["oldest"].int >> 80) / 1000, now.tzinfo)
        return Leaving(
            row["name"], row["plan_key"], row["days"], found["pictures"], found["videos"],
            max(made + term, now + TOLD_BEFORE), below, await accounts.admins(tx, workspace_id),
        )  # fmt: skip

    def _mail(self, leaving: Leaving, email: str, name: str) -> Mail:
        things = " and ".join(
            f"{count:,} {word}{'' if count == 1 else 's'}"
            for count, word in ((leaving.pictures, "picture"), (leaving.videos, "video")) if count
        )  # fmt: skip
        begins = keeping.day_words(leaving.begins.astimezone(self._site.zone).date())
        longer = self._longer(leaving.plan_key)
        way = f". Or move to {longer}, which keeps it longer: {self._site.url}/pricing" if longer else "."
        return Mail(
            recipient=email,
            subject=f"{things} will be deleted at {self._mailer.brand} from {begins} on",
            greeting=f"Hello {name},",
            paragraphs=(
                f"your plan keeps what you make for {keeping.days_words(leaving.days)}. In the workspace "
                f"“{leaving.workspace}”, {things} will be deleted in the nights from {begins} on, each at that age. "
                "Favourites go, too.",
                f"Until then you can download what you want to keep: select it in the gallery, up to {archive.LIMIT} "
                f"at a time{way}",
            ),
            action_label="See which",
            action_url=f"{self._site.url}/gallery?{keeping.preview(leaving.below, self._site.zone)}",
            footnote="You need none of it any more? Then there is nothing to do. We write once a week at most.",
        )
