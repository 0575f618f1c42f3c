"""What operators see of workspaces: members, plan, money, storage. What they change there is in workspace_deeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from gesso.admin import jobs, payments
from gesso.admin.finding import PAGE, Conditions, Sort, as_uuid, like, paged
from gesso.admin.jobs import Job
from gesso.admin.jobs_filter import Filters
from gesso.admin.payments import Paid
from gesso.core.errors import NotFound
from gesso.credits import service as credits
from gesso.credits.types import Balances, HistoryItem, Totals
from gesso.db import Database, ElevatedSession
from gesso.media import repository as media
from gesso.media.models import Usage
from gesso.web.wording import unit_words

SortKey = Literal["newest", "name"]
SORTS: Mapping[SortKey, Sort] = {
    "newest": Sort("id", "Newest first", descending=True),
    "name": Sort("lower(name)", "By name"),
}
MISSING = "There is no such workspace."
HISTORY, RECENT, MEMBERS = 20, 8, 200

_INDEXED = 3
"""A trigram index finds texts from so many characters on."""
# by name and by member apart, so that each goes along its index
FOUND = """id IN (
    SELECT id FROM workspace WHERE name ILIKE {0}
    UNION SELECT m.workspace_id FROM membership m JOIN app_user u ON u.id = m.user_id
        WHERE u.email::text ILIKE {0} OR u.name ILIKE {0}
)"""
_LISTED = """
SELECT w.*, coalesce(b.available, 0) AS balance, coalesce(b.held, 0) AS held, coalesce(b.debt, 0) AS debt,
    (SELECT count(*) FROM membership m WHERE m.workspace_id = w.id) AS members
FROM ({page}) w LEFT JOIN credit_balance b ON b.workspace_id = w.id AND b.unit = 'credit'
ORDER BY sorted_by {way}, w.id
"""
_COLUMNS = "id, name, kind, plan_key, created_at"
_PLAN = (
    ", plan_renews_at AS renews_at, plan_paid_until AS paid_until, plan_next_key AS next_key, plan_next_at AS next_at"
)
_MEMBERS = """
SELECT u.id, u.name, u.email, m.role, m.created_at AS joined_at, u.disabled_at,
    (SELECT max(s.last_seen_at) FROM login_session s WHERE s.user_id = u.id) AS last_seen_at
FROM membership m JOIN app_user u ON u.id = m.user_id
WHERE m.workspace_id = $1 ORDER BY m.role, m.created_at, u.id LIMIT $2
"""
_SUBSCRIPTION = """
SELECT id, provider, status, plan_key, "interval", price_cents, currency, period_end, cancel_at, grace_until
FROM subscription WHERE workspace_id = $1 AND ended_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A workspace in the list. `balance`, `held` and `debt` in microcredits."""

    id: UUID
    name: str
    kind: str
    plan_key: str
    created_at: datetime
    balance: int
    held: int
    debt: int
    members: int


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in it."""

    id: UUID
    name: str
    email: str
    role: str
    joined_at: datetime
    disabled_at: datetime | None
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Subscription:
    """What it pays for, while it does. `price_cents` for each `interval`."""

    id: UUID
    provider: str
    status: str
    plan_key: str
    interval: str
    price_cents: int
    currency: str
    period_end: datetime | None
    cancel_at: datetime | None
    grace_until: datetime | None


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace and its plan. `paid_until` None: nothing has to be paid for it. `next_key`: the plan at `next_at`."""

    id: UUID
    name: str
    kind: str
    plan_key: str
    created_at: datetime
    renews_at: datetime | None
    paid_until: datetime | None
    next_key: str | None
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Detail:
    """A workspace with all there is to see. `history` is its newest statement lines."""

    workspace: Workspace
    subscription: Subscription | None
    members: tuple[Member, ...]
    jobs: tuple[Job, ...]
    balances: Balances
    totals: Totals
    history: tuple[HistoryItem, ...]
    usage: Usage
    paid: Paid

    @property
    def on_hold(self) -> bool:
        """Whether it can make nothing, since a payment is disputed and the bank has not decided."""
        return any(one.state == "open" for one in self.paid.disputes)


async def listing(
    tx: ElevatedSession,
    *,
    search: str = "",
    plan: str = "",
    sort: SortKey = "newest",
    cursor: str | None = None,
    limit: int = PAGE,
) -> tuple[tuple[Line, ...], str | None]:
    """Workspaces with `search` in their name or a member's name or address (or with this id), on this plan.

    One or two characters are looked for in the workspace's own name only.

    Also the next page's cursor. Raises InvalidInput on `cursor`.
    """
    order = SORTS[sort]
    asked = Conditions()
    if identity := as_uuid(search):
        asked.add("id = {}", identity)
    elif 0 < len(search) < _INDEXED:  # no index helps with less: its own name, along the list's order
        asked.add("name ILIKE {}", like(search))
    elif search:
        asked.add(FOUND, like(search))
    if plan:
        asked.add("plan_key = {}", plan)
    if cursor:
        asked.parts.append(order.after(cursor, asked.values))
    page = (
        f"SELECT {_COLUMNS}, {order.column} AS sorted_by FROM workspace WHERE {asked.where}"
        f" ORDER BY {order.order} LIMIT {limit + 1}"
    )
    rows = await tx.fetch(_LISTED.format(page=page, way="DESC" if order.descending else "ASC"), *asked.values)
    shown, following = paged(rows, limit, order)
    return tuple(Line(**{name: row[name] for name in Line.__dataclass_fields__}) for row in shown), following


async def find(tx: ElevatedSession, workspace_id: UUID) -> Workspace:
    """The workspace of this id. Raises NotFound."""
    row = await tx.fetchrow(f"SELECT {_COLUMNS}{_PLAN} FROM workspace WHERE id = $1", workspace_id)
    if row is None:
        raise NotFound(MISSING)
    return Workspace(**row)


async def subscription_of(tx: ElevatedSession, workspace_id: UUID) -> Subscription | None:
    """What it pays for now."""
    row = await tx.fetchrow(_SUBSCRIPTION, workspace_id)
    return Subscription(**row) if row else None


async def detail(db: Database, workspace_id: UUID, now: datetime) -> Detail:
    """One of them. Raises NotFound."""
    async with db.elevated("operator: a workspace") as tx:
        workspace = await find(tx, workspace_id)
        subscription = await subscription_of(tx, workspace_id)
        members = await tx.fetch(_MEMBERS, workspace_id, MEMBERS)
        recent, _ = await jobs.listing(tx, "all", now, filters=Filters(workspace=str(workspace_id)), limit=RECENT)
        paid = await payments.of_workspace(tx, workspace_id)
    async with db.workspace(workspace_id) as work:
        return Detail(
            workspace, subscription, tuple(Member(**row) for row in members), recent,
            await credits.balances(work, now=now), await credits.totals(work),
            (await credits.history(work, limit=HISTORY))[0], await media.usage(work), paid,
        )  # fmt: skip


def statement_words(item: HistoryItem) -> str:
    """What a line of the statement is of."""
    given = {
        "sign_up": "Given at sign-up", "plan": "Plan", "pack": "Bought", "operator": "Given by an operator",
        "admin": "Given by an admin",
    }  # fmt: skip
    if item.kind == "grant":
        return given.get(item.source or "", "Given")
    return {"spend": "Spent", "expire": "Ended unused", "refund": "Taken back", "repay": "Debt repaid"}[item.kind]


def amounts(credits_text: Any, item: HistoryItem) -> str:
    """“+5”, “−2, −1 image”: what a line got or lost."""
    parts = [_signed(credits_text(abs(item.credits)), item.credits)] if item.credits else []
    parts += [_signed(unit_words(unit, abs(uses)), uses) for unit, uses in item.allowances.items()]
    return ", ".join(parts) or "0"


def _signed(text: str, value: int) -> str:
    return f"{'+' if value > 0 else '−'}{text}"
