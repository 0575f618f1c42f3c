"""Subscriptions of all workspaces as the operator sees them: who pays for what, until when, and what is owed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from gesso.admin import audit, payments, webhooks
from gesso.admin.audit import Event as Note
from gesso.admin.finding import PAGE, Conditions, Sort, as_uuid, like, paged
from gesso.admin.payments import Bought, Dispute
from gesso.admin.webhooks import Event
from gesso.admin.workspaces import FOUND
from gesso.billing.repository import Invoice, Subscription
from gesso.core.errors import NotFound
from gesso.db import ElevatedSession

Provider = Literal["stripe", "manual"]
Wanted = Literal["all", "active", "past_due", "ending", "incomplete", "cancelled"]
"""`ending`: those of the active ones that end with their period."""
INVOICES, EVENTS, NOTES = 24, 30, 20

NEWEST = Sort("id", "Newest first", descending=True)
# there are few of them at a time, and their grace ends one after another
GRACE = Sort(
    "coalesce(to_char(grace_until AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '9')", "Whose grace ends first"
)
_WHERE: Mapping[Wanted, str] = {
    "active": "status = 'active'",
    "past_due": "status = 'past_due'",
    "ending": "status = 'active' AND cancel_at IS NOT NULL",
    "incomplete": "status = 'incomplete'",
    "cancelled": "status = 'cancelled'",
}
# by each of these apart, so that each goes along its index
_SEARCHED = f"""id IN (
    SELECT id FROM subscription WHERE workspace_id IN (SELECT id FROM workspace WHERE {FOUND})
    UNION SELECT id FROM subscription WHERE provider IN ('stripe', 'manual') AND ref = {{1}}
    UNION SELECT s.id FROM billing_customer c JOIN subscription s ON s.workspace_id = c.workspace_id
        WHERE c.provider IN ('stripe', 'manual') AND c.ref = {{1}}
    UNION SELECT s.id FROM invoice i JOIN subscription s ON s.provider = i.provider AND s.ref = i.subscription_ref
        WHERE i.number = {{1}} OR (i.provider IN ('stripe', 'manual') AND i.ref = {{1}})
)"""
_COLUMNS = (
    ", ".join(f's."{one.name}"' for one in fields(Subscription)) + ", w.name AS workspace, p.email::text AS payer"
)
# whoever has been an admin of it for longest
_JOINED = """JOIN workspace w ON w.id = s.workspace_id LEFT JOIN LATERAL (
        SELECT u.email FROM membership m JOIN app_user u ON u.id = m.user_id
        WHERE m.workspace_id = s.workspace_id AND m.role = 'admin' ORDER BY m.created_at, u.id LIMIT 1
    ) p ON true"""
_COUNTS = """
SELECT
    (SELECT count(*) FROM subscription WHERE status = 'active') AS active,
    (SELECT count(*) FROM subscription WHERE status = 'past_due') AS past_due,
    (SELECT count(*) FROM subscription WHERE status = 'active' AND cancel_at IS NOT NULL) AS ending,
    (SELECT count(*) FROM subscription WHERE status = 'incomplete') AS incomplete,
    (SELECT count(*) FROM subscription WHERE status = 'cancelled') AS cancelled,
    (SELECT min(grace_until) FROM subscription WHERE status = 'past_due') AS first_grace
"""
_ALSO = """
SELECT c.ref AS customer, t.paid, t.refunded FROM subscription s
    LEFT JOIN billing_customer c ON c.workspace_id = s.workspace_id AND c.provider = s.provider
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(i.total_cents) FILTER (WHERE i.status = 'paid'), 0)::bigint AS paid,
            coalesce(sum(i.refunded_cents), 0)::bigint AS refunded
        FROM invoice i WHERE i.workspace_id = s.workspace_id AND i.subscription_ref = s.ref AND i.currency = s.currency
    ) t
WHERE s.id = $1
"""
_INVOICES = f"""
SELECT {", ".join(f'"{one.name}"' for one in fields(Invoice))} FROM invoice
WHERE workspace_id = $1 AND subscription_ref = $2 ORDER BY issued_at DESC, id DESC LIMIT {INVOICES}
"""
# a refund and a dispute name the payment alone
_RETURNED = """
SELECT i.payment_ref FROM invoice i
WHERE i.workspace_id = $1 AND i.subscription_ref = $2 AND i.payment_ref IS NOT NULL AND (i.refunded_cents > 0
    OR EXISTS (SELECT FROM dispute d WHERE d.workspace_id = i.workspace_id AND d.payment_ref = i.payment_ref))
ORDER BY i.issued_at DESC LIMIT 8
"""


@dataclass(frozen=True, slots=True)
class Line(Subscription):
    """A subscription, and whose. `payer`: the address of whoever has been an admin of the workspace for longest."""

    workspace: str
    payer: str | None

    @property
    def state(self) -> tuple[str, str]:
        """A word for it and the colour of its badge."""
        if self.status == "active" and self.cancel_at is not None:
            return "Ends", "warn"
        return {
            "active": ("Active", "ok"), "past_due": ("Past due", "bad"), "incomplete": ("Not paid yet", ""),
            "cancelled": ("Ended", ""),
        }[self.status]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there are of each kind. `first_grace`: when the first grace is over."""

    active: int
    past_due: int
    ending: int
    incomplete: int
    cancelled: int
    first_grace: datetime | None


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to it. `who`: the operator who did it. `href`: where there is more to read."""

    at: datetime
    words: str
    detail: str = ""
    who: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Detail:
    """One with all there is to see. `paid_cents` and `refunded_cents` of all its invoices."""

    line: Line
    customer: str | None
    paid_cents: int
    refunded_cents: int
    invoices: tuple[Invoice, ...]
    purchases: tuple[Bought, ...]
    disputes: tuple[Dispute, ...]
    events: tuple[Event, ...]
    history: tuple[Moment, ...]


async def counts(tx: ElevatedSession) -> Counts:
    """How many there are of each kind."""
    row = await tx.fetchrow(_COUNTS)
    assert row is not None
    return Counts(**row)


async def listing(
    tx: ElevatedSession,
    status: Wanted = "all",
    *,
    search: str = "",
    plan: str = "",
    provider: Provider | None = None,
    cursor: str | None = None,
    limit: int = PAGE,
) -> tuple[tuple[Line, ...], str | None]:
    """Those of a workspace or member of this name or address, or with this id, ref, customer or invoice; newest first,
    but of those that are past due the ones whose grace ends first.

    Also the next page's cursor. Raises InvalidInput on `cursor`.
    """
    order = GRACE if status == "past_due" else NEWEST
    asked = Conditions()
    if status != "all":
        asked.parts.append(_WHERE[status])
    if identity := as_uuid(search):
        asked.add("(id = {0} OR workspace_id = {0})", identity)
    elif search:
        asked.add(_SEARCHED, like(search), search)
    if plan:
        asked.add("plan_key = {}", plan)
    if provider:
        asked.add("provider = {}", provider)
    if cursor:
        asked.parts.append(order.after(cursor, asked.values))
    rows = await tx.fetch(
        f"SELECT {_COLUMNS}, s.sorted_by FROM (SELECT *, {order.column} AS sorted_by FROM subscription"
        f" WHERE {asked.where} ORDER BY {order.order} LIMIT {limit + 1}) s {_JOINED}"
        f" ORDER BY s.sorted_by {'DESC' if order.descending else 'ASC'}, s.id",
        *asked.values,
    )
    shown, following = paged(rows, limit, order)
    return tuple(_line(row) for row in shown), following


def _line(row: Mapping[str, Any]) -> Line:
    return Line(**{one.name: row[one.name] for one in fields(Line)})


async def find(tx: ElevatedSession, subscription_id: UUID) -> Line:
    """The one of this id. Raises NotFound."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS} FROM subscription s {_JOINED} WHERE s.id = $1", subscription_id)
    if row is None:
        raise NotFound("There is no such subscription.")
    return _line(row)


async def detail(tx: ElevatedSession, subscription_id: UUID) -> Detail:
    """One of them. Raises NotFound."""
    line = await find(tx, subscription_id)
    also = await tx.fetchrow(_ALSO, subscription_id)
    assert also is not None
    invoices = tuple(Invoice(**row) for row in await tx.fetch(_INVOICES, line.workspace_id, line.ref))
    paid = await payments.of_workspace(tx, line.workspace_id)
    returned = [row["payment_ref"] for row in await tx.fetch(_RETURNED, line.workspace_id, line.ref)]
    refs = [ref for ref in (line.ref, line.checkout_ref, *returned) if ref]
    events = await webhooks.about(tx, refs, EVENTS)
    notes, _ = await audit.listing(tx, audit.Filters(about=str(subscription_id)), limit=NOTES)
    return Detail(
        line, also["customer"], also["paid"], also["refunded"], invoices, paid.purchases, paid.disputes,
        events, history(line, events, notes),
    )  # fmt: skip


def history(line: Line, events: Sequence[Event], notes: Sequence[Note]) -> tuple[Moment, ...]:
    """What happened to it, the newest first: from what notices changed, what operators did, and its own ends. Pure."""
    found = [Moment(line.created_at, "A checkout was opened" if line.provider == "stripe" else "It was made")]
    for event in events:
        for one in event.done:
            changed = one.of(str(line.id))
            if changed:
                words = "; ".join(change.words.removeprefix("Subscription: ") for change in changed)
                found.append(Moment(one.at, words, event.type, href=f"/admin/webhooks/{event.id}"))
    for note in notes:
        came = len(note.detail.get("changes", ()))
        told = "" if not came else f"{came} thing{'' if came == 1 else 's'} changed"
        found.append(Moment(note.created_at, _DEEDS.get(note.action, note.action), told, note.who or "an operator"))
    if line.ended_at is not None:
        found.append(Moment(line.ended_at, "It ended"))
    return tuple(sorted(found, key=lambda moment: moment.at, reverse=True))


_DEEDS: Mapping[str, str] = {
    "subscription.read_again": "Read again from the provider",
    "subscription.cancelled": "Told to end with its period",
    "subscription.resumed": "Told to go on",
}
