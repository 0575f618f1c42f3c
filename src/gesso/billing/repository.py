"""All SQL about subscriptions, purchases, invoices and disputes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from gesso.billing.facts import DisputeFact, Interval, InvoiceFact, SubscriptionStatus
from gesso.core.ids import new_id
from gesso.db import ElevatedSession, WorkspaceSession

Any_Session = WorkspaceSession | ElevatedSession
PurchaseState = Literal["open", "paid", "refunded", "disputed", "expired"]
_LOCK = 0x6765_7373_6F02  # "gesso", third lock: one transaction at a time works on a workspace's payments


@dataclass(frozen=True, slots=True)
class Subscription:
    """A row of `subscription`. `ref` is None while it is a checkout that nobody has paid."""

    id: UUID
    workspace_id: UUID
    provider: str
    ref: str | None
    checkout_ref: str | None
    plan_key: str
    interval: Interval
    status: SubscriptionStatus
    price_cents: int
    currency: str
    period_start: datetime | None
    period_end: datetime | None
    paid_until: datetime | None
    cancel_at: datetime | None
    next_plan_key: str | None
    next_interval: Interval | None
    grace_until: datetime | None
    read_mark: int
    created_at: datetime
    ended_at: datetime | None

    @property
    def running(self) -> bool:
        """Whether it gives its plan: paid, or in its grace."""
        return self.status in ("active", "past_due")


@dataclass(frozen=True, slots=True)
class Purchase:
    """A row of `purchase`. `credits` and `taken_back` are microcredits."""

    id: UUID
    workspace_id: UUID
    user_id: UUID | None
    pack_key: str
    credits: int
    price_cents: int
    currency: str
    state: PurchaseState
    checkout_ref: str | None
    payment_ref: str | None
    lot_id: UUID | None
    refunded_cents: int
    taken_back: int
    read_mark: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """A row of `invoice`."""

    id: UUID
    ref: str
    subscription_ref: str | None
    number: str | None
    reason: str
    status: str
    total_cents: int
    refunded_cents: int
    currency: str
    hosted_url: str | None
    pdf_url: str | None
    issued_at: datetime
    paid_at: datetime | None
    read_mark: int


def _columns(of: type[Any]) -> str:
    return ", ".join(f'"{name}"' for name in of.__dataclass_fields__)


_SUBSCRIPTION, _PURCHASE, _INVOICE = _columns(Subscription), _columns(Purchase), _columns(Invoice)


async def lock(tx: ElevatedSession, workspace_id: UUID) -> None:
    """Wait for others that work on the workspace's payments; held until the transaction ends."""
    await tx.execute_raw("SELECT pg_advisory_xact_lock($1 # hashtextextended($2, 0))", _LOCK, str(workspace_id))


async def draw_mark(tx: ElevatedSession) -> int:
    """A number for what is read from now on: greater than all that were drawn before."""
    return cast(int, await tx.fetchval("SELECT nextval('billing_read')"))


# --- customers -----------------------------------------------------------------------------------------


async def customer(tx: Any_Session, workspace_id: UUID, provider: str) -> str | None:
    """Who the workspace is to the provider."""
    sql = "SELECT ref FROM billing_customer WHERE workspace_id = $1 AND provider = $2"
    return cast(str | None, await tx.fetchval(sql, workspace_id, provider))


async def keep_customer(tx: ElevatedSession, workspace_id: UUID, provider: str, ref: str, instead: str | None) -> str:
    """Keep who the workspace is, unless that is known; the one that holds from now on.

    `instead`: the one to be replaced, since the provider does not know it any more.
    """
    kept = await tx.fetchval(
        "INSERT INTO billing_customer AS c (workspace_id, provider, ref) VALUES ($1, $2, $3)"
        " ON CONFLICT (workspace_id, provider) DO UPDATE SET ref = CASE WHEN c.ref = $4 THEN $3 ELSE c.ref END"
        " RETURNING ref",
        workspace_id, provider, ref, instead,
    )  # fmt: skip
    return cast(str, kept)


async def workspace_of(tx: ElevatedSession, provider: str, customer_ref: str) -> UUID | None:
    """The workspace that is this customer."""
    sql = "SELECT workspace_id FROM billing_customer WHERE provider = $1 AND ref = $2"
    return cast(UUID | None, await tx.fetchval(sql, provider, customer_ref))


async def workspace_of_payment(tx: ElevatedSession, provider: str, payment_ref: str) -> UUID | None:
    """The workspace that paid so for a pack or an invoice."""
    found = await tx.fetchval(
        "SELECT workspace_id FROM purchase WHERE provider = $1 AND payment_ref = $2"
        " UNION ALL SELECT workspace_id FROM invoice WHERE provider = $1 AND payment_ref = $2 LIMIT 1",
        provider, payment_ref,
    )  # fmt: skip
    return cast(UUID | None, found)


async def first_customer(tx: ElevatedSession, provider: str) -> datetime | None:
    """When the first of the customers was made, by the database's clock."""
    sql = "SELECT min(created_at) FROM billing_customer WHERE provider = $1"
    return cast(datetime | None, await tx.fetchval(sql, provider))


# --- subscriptions -------------------------------------------------------------------------------------


async def live_subscription(tx: Any_Session, workspace_id: UUID) -> Subscription | None:
    """The subscription that has not ended, if there is one."""
    sql = f"SELECT {_SUBSCRIPTION} FROM subscription WHERE workspace_id = $1 AND ended_at IS NULL"
    row = await tx.fetchrow(sql, workspace_id)
    return Subscription(**row) if row else None


async def subscription_by_id(tx: ElevatedSession, subscription_id: UUID) -> Subscription | None:
    row = await tx.fetchrow(f"SELECT {_SUBSCRIPTION} FROM subscription WHERE id = $1", subscription_id)
    return Subscription(**row) if row else None


async def subscription_by_ref(tx: ElevatedSession, provider: str, ref: str) -> Subscription | None:
    sql = f"SELECT {_SUBSCRIPTION} FROM subscription WHERE provider = $1 AND ref = $2"
    row = await tx.fetchrow(sql, provider, ref)
    return Subscription(**row) if row else None


async def insert_subscription(tx: ElevatedSession, workspace_id: UUID, values: Mapping[str, Any]) -> UUID:
    """A new row with these columns."""
    row_id = new_id()
    names = ["id", "workspace_id", *values]
    marks = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    columns = ", ".join(f'"{name}"' for name in names)
    await tx.execute_raw(
        f"INSERT INTO subscription ({columns}) VALUES ({marks})", row_id, workspace_id, *values.values()
    )
    return row_id


async def update_subscription(tx: ElevatedSession, row_id: UUID, values: Mapping[str, Any]) -> None:
    """Set these columns."""
    await _update(tx, "subscription", row_id, values)


async def open_checkout(tx: ElevatedSession, workspace_id: UUID, ref: str, values: Mapping[str, Any]) -> str | None:
    """Keep that somebody is about to subscribe; the checkout that must not be paid any more, if any. Under the lock.

    That is the one that was open before, or this very one when a subscription runs by now.
    """
    live = await live_subscription(tx, workspace_id)
    if live is None:
        await insert_subscription(tx, workspace_id, {**values, "checkout_ref": ref, "status": "incomplete"})
        return None
    if live.ref is not None:
        return ref
    await update_subscription(tx, live.id, {**values, "checkout_ref": ref})
    return live.checkout_ref


async def grace_over(tx: ElevatedSession, now: datetime, limit: int) -> list[UUID]:
    """Subscriptions whose grace is over."""
    rows = await tx.fetch(
        "SELECT id FROM subscription WHERE grace_until <= $1 AND ended_at IS NULL AND status = 'past_due'"
        " ORDER BY grace_until LIMIT $2",
        now, limit,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def late_subscriptions(tx: ElevatedSession, provider: str, before: datetime) -> list[str]:
    """Subscriptions of which nothing has been heard since what is paid for has ended."""
    rows = await tx.fetch(
        "SELECT ref FROM subscription WHERE provider = $1 AND ended_at IS NULL AND ref IS NOT NULL"
        " AND coalesce(paid_until, created_at) < $2 ORDER BY ref",
        provider, before,
    )  # fmt: skip
    return [row["ref"] for row in rows]


async def open_checkouts(tx: ElevatedSession, provider: str, since: datetime, before: datetime) -> list[str]:
    """Checkouts of whose end nothing has been heard: a plan's until it ends, a pack's that was opened after `since`."""
    rows = await tx.fetch(
        "SELECT checkout_ref AS ref FROM purchase WHERE state = 'open' AND created_at BETWEEN $2 AND $3"
        " AND provider = $1 AND checkout_ref IS NOT NULL UNION ALL"
        " SELECT checkout_ref FROM subscription WHERE provider = $1 AND ended_at IS NULL AND ref IS NULL"
        " AND checkout_ref IS NOT NULL AND created_at < $3",
        provider, since, before,
    )  # fmt: skip
    return [row["ref"] for row in rows]


# --- purchases -----------------------------------------------------------------------------------------


async def add_purchase(
    tx: WorkspaceSession, *, purchase_id: UUID, provider: str, pack_key: str, credits: int, price_cents: int,
    currency: str, at: datetime,
) -> Purchase:  # fmt: skip
    """Keep that somebody is about to buy a pack. Again with the same id: what was kept first."""
    await tx.execute_raw(
        "INSERT INTO purchase (id, workspace_id, user_id, provider, pack_key, credits, price_cents, currency,"
        " created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT (id) DO NOTHING",
        purchase_id, tx.workspace_id, tx.user_id, provider, pack_key, credits, price_cents, currency, at,
    )  # fmt: skip
    row = await tx.fetchrow(f"SELECT {_PURCHASE} FROM purchase WHERE id = $1", purchase_id)
    assert row is not None
    return Purchase(**row)


async def name_checkout(tx: WorkspaceSession, purchase_id: UUID, checkout_ref: str) -> None:
    """Keep where it is paid."""
    await tx.execute_raw(
        "UPDATE purchase SET checkout_ref = $2 WHERE id = $1 AND checkout_ref IS NULL", purchase_id, checkout_ref
    )


async def purchase_by_id(tx: ElevatedSession, purchase_id: UUID) -> Purchase | None:
    row = await tx.fetchrow(f"SELECT {_PURCHASE} FROM purchase WHERE id = $1", purchase_id)
    return Purchase(**row) if row else None


async def purchase_by_payment(tx: ElevatedSession, provider: str, payment_ref: str) -> Purchase | None:
    sql = f"SELECT {_PURCHASE} FROM purchase WHERE provider = $1 AND payment_ref = $2"
    row = await tx.fetchrow(sql, provider, payment_ref)
    return Purchase(**row) if row else None


async def update_purchase(tx: ElevatedSession, row_id: UUID, values: Mapping[str, Any]) -> None:
    """Set these columns."""
    await _update(tx, "purchase", row_id, values)


async def checkout_state(tx: WorkspaceSession, checkout_ref: str) -> Purchase | Subscription | None:
    """What the workspace's checkout is for."""
    row = await tx.fetchrow(f"SELECT {_PURCHASE} FROM purchase WHERE checkout_ref = $1", checkout_ref)
    if row:
        return Purchase(**row)
    sql = f"SELECT {_SUBSCRIPTION} FROM subscription WHERE checkout_ref = $1 ORDER BY created_at DESC LIMIT 1"
    row = await tx.fetchrow(sql, checkout_ref)
    return Subscription(**row) if row else None


# --- invoices and disputes -----------------------------------------------------------------------------


async def keep_invoice(tx: ElevatedSession, provider: str, workspace_id: UUID, fact: InvoiceFact, mark: int) -> None:
    """The invoice as it was read, unless it was read later before."""
    await tx.execute_raw(
        "INSERT INTO invoice AS i (id, workspace_id, provider, ref, subscription_ref, payment_ref, number, reason,"
        " status, total_cents, currency, hosted_url, pdf_url, issued_at, paid_at, read_mark)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
        " ON CONFLICT (provider, ref) DO UPDATE SET subscription_ref = excluded.subscription_ref,"
        " payment_ref = coalesce(excluded.payment_ref, i.payment_ref), number = excluded.number,"
        " reason = excluded.reason, status = excluded.status, total_cents = excluded.total_cents,"
        " hosted_url = excluded.hosted_url, pdf_url = excluded.pdf_url, paid_at = excluded.paid_at,"
        " read_mark = excluded.read_mark WHERE i.read_mark < excluded.read_mark",
        new_id(), workspace_id, provider, fact.ref, fact.subscription_ref, fact.payment_ref, fact.number, fact.reason,
        fact.status, fact.total_cents, fact.currency, fact.hosted_url, fact.pdf_url, fact.issued_at, fact.paid_at,
        mark,
    )  # fmt: skip


async def invoice_by_payment(tx: ElevatedSession, provider: str, payment_ref: str) -> Invoice | None:
    sql = f"SELECT {_INVOICE} FROM invoice WHERE provider = $1 AND payment_ref = $2"
    row = await tx.fetchrow(sql, provider, payment_ref)
    return Invoice(**row) if row else None


async def invoice_went_back(tx: ElevatedSession, provider: str, ref: str) -> bool:
    """Whether all of an invoice has gone back, by refunds or by a lost dispute."""
    found = await tx.fetchval(
        "SELECT total_cents > 0 AND (refunded_cents >= total_cents OR EXISTS (SELECT FROM dispute d"
        " WHERE d.provider = i.provider AND d.payment_ref = i.payment_ref AND d.state = 'lost'))"
        " FROM invoice i WHERE provider = $1 AND ref = $2",
        provider, ref,
    )  # fmt: skip
    return bool(found)


async def next_period(tx: ElevatedSession, workspace_id: UUID, after: datetime) -> datetime | None:
    """When the workspace's next paid period was billed, after that of the invoice issued then."""
    found = await tx.fetchval(
        "SELECT min(issued_at) FROM invoice WHERE workspace_id = $1 AND issued_at > $2 AND status = 'paid'"
        " AND reason IN ('subscription_create', 'subscription_cycle')",
        workspace_id, after,
    )  # fmt: skip
    return cast(datetime | None, found)


async def set_invoice_refunded(tx: ElevatedSession, invoice_id: UUID, cents: int) -> None:
    await tx.execute_raw("UPDATE invoice SET refunded_cents = $2 WHERE id = $1", invoice_id, cents)


async def invoices(tx: WorkspaceSession, before: UUID | None, limit: int) -> list[Invoice]:
    """Invoices that were issued, newest first, older than `before`."""
    rows = await tx.fetch(
        f"SELECT {_INVOICE} FROM invoice WHERE workspace_id = $1 AND status <> 'draft' AND ($2::uuid IS NULL OR"
        " (issued_at, id) < (SELECT b.issued_at, b.id FROM invoice b WHERE b.id = $2))"
        " ORDER BY issued_at DESC, id DESC LIMIT $3",
        tx.workspace_id, before, limit,
    )  # fmt: skip
    return [Invoice(**row) for row in rows]


async def dispute_state(tx: ElevatedSession, provider: str, payment_ref: str) -> str | None:
    """`lost` when one of the payment's disputes was lost, `open` while one is undecided; None: neither."""
    sql = "SELECT array_agg(state) FROM dispute WHERE provider = $1 AND payment_ref = $2"
    states: Sequence[str] = await tx.fetchval(sql, provider, payment_ref) or ()
    return next((state for state in ("lost", "open") if state in states), None)


async def disputes_open(tx: ElevatedSession, workspace_id: UUID) -> int:
    """How many of the workspace's payments are disputed and undecided."""
    sql = "SELECT count(*) FROM dispute WHERE workspace_id = $1 AND state = 'open'"
    return cast(int, await tx.fetchval(sql, workspace_id))


async def keep_dispute(tx: ElevatedSession, provider: str, workspace_id: UUID, fact: DisputeFact, mark: int) -> None:
    """The dispute as it was read, unless it was read later before."""
    await tx.execute_raw(
        "INSERT INTO dispute AS d (id, workspace_id, provider, ref, payment_ref, state, amount_cents, currency, reason,"
        " read_mark) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (provider, ref) DO UPDATE SET"
        " state = excluded.state, amount_cents = excluded.amount_cents, reason = excluded.reason, updated_at = now(),"
        " read_mark = excluded.read_mark WHERE d.read_mark < excluded.read_mark",
        new_id(), workspace_id, provider, fact.ref, fact.payment_ref, fact.state, fact.amount_cents, fact.currency,
        fact.reason, mark,
    )  # fmt: skip


async def plans_lots(tx: ElevatedSession, workspace_id: UUID, start: datetime, end: datetime | None) -> list[UUID]:
    """What plans granted for the months from `start` on, made before `end`."""
    rows = await tx.fetch(
        "SELECT id FROM credit_lot WHERE workspace_id = $1 AND source = 'plan' AND expires_at > $2"
        " AND ($3::timestamptz IS NULL OR created_at < $3) ORDER BY unit, id",
        workspace_id, start, end,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def _update(tx: ElevatedSession, table: str, row_id: UUID, values: Mapping[str, Any]) -> None:
    sets = ", ".join(f'"{name}" = ${number}' for number, name in enumerate(values, 2))
    await tx.execute_raw(f"UPDATE {table} SET {sets}, updated_at = now() WHERE id = $1", row_id, *values.values())
