"""What a payment provider told this site, as the operator sees it: each notice once, with what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from gesso.admin.changed import Done, counted, kept
from gesso.admin.finding import PAGE, Conditions, distinct, like
from gesso.admin.frame import Deed
from gesso.billing.port import Payments, Taken
from gesso.core.errors import Conflict, NotFound
from gesso.db import Database, ElevatedSession

State = Literal["failed", "received", "done", "ignored"]
Wanted = Literal["failed", "received", "done", "ignored", "all"]

# whose it is: by its customer, else by the payment it is about (a dispute names no customer)
_LISTED = """
SELECT e.id, e.provider, e.ref, e.type, e.payload #>> '{{data,object,id}}' AS object, e.state, e.error, e.tries,
    e.created_at, e.received_at, e.next_try_at, e.done_at, e.effects, w.id AS workspace_id, w.name AS workspace
FROM (SELECT *, string_to_array(btrim(about), ' ') AS refs FROM webhook_event WHERE {where}
        ORDER BY id DESC LIMIT {limit}) e
    LEFT JOIN LATERAL (
        SELECT workspace_id FROM billing_customer c WHERE c.provider = e.provider AND c.ref = ANY(e.refs)
        UNION ALL SELECT workspace_id FROM purchase p WHERE p.provider = e.provider AND p.payment_ref = ANY(e.refs)
        UNION ALL SELECT workspace_id FROM invoice i WHERE i.provider = e.provider AND i.payment_ref = ANY(e.refs)
        LIMIT 1
    ) o ON true LEFT JOIN workspace w ON w.id = o.workspace_id
ORDER BY e.id DESC
"""
_COUNTS = """
SELECT
    (SELECT count(*) FROM webhook_event WHERE state = 'failed') AS failed,
    (SELECT count(*) FROM webhook_event WHERE state = 'received') AS received,
    (SELECT count(*) FROM webhook_event WHERE state = 'done') AS done,
    (SELECT count(*) FROM webhook_event WHERE state = 'ignored') AS ignored,
    (SELECT count(*) FROM webhook_event WHERE next_try_at <= $1) AS due,
    (SELECT count(*) FROM webhook_event WHERE state = 'failed' AND next_try_at IS NULL) AS given_up
"""
_ALSO = """
SELECT e.payload, s.id AS subscription_id FROM webhook_event e
    LEFT JOIN subscription s ON s.provider = e.provider AND s.ref = ANY(string_to_array(btrim(e.about), ' '))
WHERE e.id = $1 LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Filters:
    """`type`: as the provider calls it. `search`: part of the id of the event, or of anything it names."""

    type: str = ""
    search: str = ""

    def query(self) -> dict[str, str]:
        """As the page's address has them."""
        return {name: value for name, value in (("type", self.type), ("q", self.search)) if value}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there are in each state. `due`: of the failed ones, those that are tried again now; `given_up`: those
    that are not tried again by themselves."""

    failed: int
    received: int
    done: int
    ignored: int
    due: int
    given_up: int


@dataclass(frozen=True, slots=True)
class Event:
    """A notice. `object`: the provider's id of what it is about. `created_at` is the provider's moment."""

    id: UUID
    provider: str
    ref: str
    type: str
    object: str | None
    state: State
    error: str | None
    tries: int
    created_at: datetime
    received_at: datetime
    next_try_at: datetime | None
    done_at: datetime | None
    done: tuple[Done, ...]
    workspace_id: UUID | None
    workspace: str | None

    @property
    def changed(self) -> str:
        """“3 things changed”; "" where nothing was."""
        changes = [change for one in self.done for change in one.changes]
        return counted(changes) if changes else ""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Event":
        values = dict(row)
        done = kept(values.pop("effects"))
        return cls(**values, done=done)


@dataclass(frozen=True, slots=True)
class Detail:
    """A notice with what it said, not yet fit to be shown (see `webhooks_payload`)."""

    event: Event
    payload: Mapping[str, Any]
    subscription_id: UUID | None


async def counts(tx: ElevatedSession, now: datetime) -> Counts:
    """How many there are of each kind."""
    row = await tx.fetchrow(_COUNTS, now)
    assert row is not None
    return Counts(**row)


async def types(tx: ElevatedSession) -> tuple[str, ...]:
    """All types of which one has come."""
    return await distinct(tx, "webhook_event", "type")


async def listing(
    tx: ElevatedSession,
    state: Wanted,
    *,
    filters: Filters = Filters(),
    before: UUID | None = None,
    limit: int = PAGE,
) -> tuple[tuple[Event, ...], UUID | None]:
    """Those in this state, newest first, older than `before`; and the next page's `before`."""
    asked = Conditions()
    if state != "all":
        asked.add("state = {}", state)
    if filters.type:
        asked.add("type = {}", filters.type)
    if filters.search:
        asked.add("about ILIKE {}", like(filters.search))
    if before is not None:
        asked.add("id < {}", before)
    events = await _fetch(tx, asked, limit + 1)
    return events[:limit], events[limit - 1].id if len(events) > limit else None


async def about(tx: ElevatedSession, refs: Sequence[str], limit: int) -> tuple[Event, ...]:
    """The newest ones that name one of these ids."""
    if not refs:
        return ()
    asked = Conditions()
    asked.add("(" + " OR ".join("about LIKE {}" for _ in refs) + ")", *(like(f" {ref} ") for ref in refs))
    return await _fetch(tx, asked, limit)


async def find(tx: ElevatedSession, event_id: UUID) -> Event:
    """The notice of this id. Raises NotFound."""
    asked = Conditions()
    asked.add("id = {}", event_id)
    found = await _fetch(tx, asked, 1)
    if not found:
        raise NotFound("There is no such event.")
    return found[0]


async def detail(tx: ElevatedSession, event_id: UUID) -> Detail:
    """One of them with what it said. Raises NotFound."""
    event = await find(tx, event_id)
    row = await tx.fetchrow(_ALSO, event_id)
    assert row is not None
    return Detail(event, row["payload"], row["subscription_id"])


async def _fetch(tx: ElevatedSession, asked: Conditions, limit: int) -> tuple[Event, ...]:
    rows = await tx.fetch(_LISTED.format(where=asked.where, limit=limit), *asked.values)
    return tuple(Event.of(row) for row in rows)


async def replay(db: Database, payments: Payments, deed: Deed, event_id: UUID) -> Taken:
    """Do once more what follows from it: once is what it comes to, however often. Raises NotFound; Conflict while
    nothing is sold here."""
    async with db.elevated("operator: a payment notice") as tx:
        event = await find(tx, event_id)
    taken = await payments.take_up(event_id)
    async with db.elevated("operator: note a replay") as tx:
        await deed.note(
            tx, "webhook.replayed", webhook_event=str(event.id), ref=event.ref, type=event.type,
            came_of=taken.received, changes=[change.as_json() for change in taken.changes],
            **({"error": taken.error} if taken.error else {}),
        )  # fmt: skip
    return taken


async def replay_failed(tx: ElevatedSession, payments: Payments, deed: Deed) -> int:
    """Let workers take up all that failed, also what is not tried again by itself; how many. They do so within
    seconds. Raises Conflict while nothing is sold here."""
    if not payments.sells:
        raise Conflict("Notices are taken up again once payments are set up.")
    count = await tx.execute_raw(
        "UPDATE webhook_event SET next_try_at = $1 WHERE state = 'failed' AND provider = $2", deed.at, payments.name
    )
    if count:
        await deed.note(tx, "webhook.failed_replayed", count=count)
    return count
