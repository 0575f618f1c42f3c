"""What came of something a payment provider told: how a workspace's payments stood before and after.

Compared in the transaction that did it, under the lock on the workspace's payments, so that it is told exactly. Of
credits it counts what this very transaction moved: those that somebody spends meanwhile are not part of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import UUID

from gesso.billing.facts import Fact
from gesso.db import ElevatedSession

Thing = Literal["plan", "subscription", "invoice", "purchase", "dispute", "credits"]
Value = str | int | bool | None
Standing = Mapping[str, Any]
"""`things`: thing → ref → name → value; `journal`: the number of the last movement of credits."""

_REFS = ("ref", "purchase_id", "payment_ref", "subscription_ref", "latest_invoice")
_THINGS = """
SELECT jsonb_build_object(
    'plan', (SELECT jsonb_object_agg(w.id, jsonb_build_object('plan', w.plan_key, 'paid_until', w.plan_paid_until,
            'frozen', EXISTS (SELECT FROM credit_freeze f WHERE f.workspace_id = w.id)))
        FROM workspace w WHERE w.id = $1),
    'subscription', (SELECT jsonb_object_agg(s.id, jsonb_build_object('status', s.status, 'plan', s.plan_key,
            'interval', s.interval, 'price_cents', s.price_cents, 'period_end', s.period_end,
            'paid_until', s.paid_until, 'cancel_at', s.cancel_at, 'next_plan', s.next_plan_key,
            'grace_until', s.grace_until))
        FROM subscription s WHERE s.workspace_id = $1
            AND (s.ended_at IS NULL OR s.provider = $2 AND s.ref = ANY($3::text[]))),
    'invoice', (SELECT jsonb_object_agg(i.ref, jsonb_build_object('status', i.status, 'total_cents', i.total_cents,
            'refunded_cents', i.refunded_cents))
        FROM invoice i WHERE i.workspace_id = $1 AND i.provider = $2
            AND (i.ref = ANY($3::text[]) OR i.payment_ref = ANY($3::text[]))),
    'purchase', (SELECT jsonb_object_agg(p.id, jsonb_build_object('state', p.state,
            'refunded_cents', p.refunded_cents, 'taken_back', p.taken_back))
        FROM purchase p WHERE p.workspace_id = $1 AND p.provider = $2
            AND (p.id::text = ANY($3::text[]) OR p.payment_ref = ANY($3::text[]))),
    'dispute', (SELECT jsonb_object_agg(d.ref, jsonb_build_object('state', d.state))
        FROM dispute d WHERE d.workspace_id = $1 AND d.provider = $2 AND d.payment_ref = ANY($3::text[]))
) AS things, coalesce((SELECT max(id) FROM credit_journal WHERE workspace_id = $1), 0) AS journal
"""
_MOVED = """
SELECT unit, kind, sum(amount)::bigint AS amount FROM credit_journal
WHERE workspace_id = $1 AND id > $2 AND xmin = pg_current_xact_id()::xid GROUP BY unit, kind ORDER BY unit, kind
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that became another. `ref` says which one: the id of a workspace (`plan`), subscription or purchase,
    the provider's of an invoice or dispute, the unit of `credits`. `name` says what of it: a column, or for credits the
    movement (grant, refund, debt, repay), whose `after` is the amount in microcredits or uses. Money is in hundredths,
    times are ISO texts."""

    thing: Thing
    ref: str
    name: str
    before: Value
    after: Value

    def as_json(self) -> dict[str, Value]:
        """As it is kept with a notice and written down in the log."""
        return asdict(self)


def refs_of(facts: Sequence[Fact]) -> list[str]:
    """All ids that these facts name, but for whose they are."""
    found = {str(getattr(fact, name)) for fact in facts for name in _REFS if getattr(fact, name, None)}
    return sorted(found)


async def standing(tx: ElevatedSession, provider: str, workspace_id: UUID, refs: Sequence[str]) -> Standing:
    """How the workspace's payments stand, as far as these refs are concerned. Under its lock."""
    row = await tx.fetchrow(_THINGS, workspace_id, provider, list(refs))
    assert row is not None
    return dict(row)


async def since(
    tx: ElevatedSession, provider: str, workspace_id: UUID, refs: Sequence[str], before: Standing
) -> list[Change]:
    """What this transaction has changed since `before`."""
    after = await standing(tx, provider, workspace_id, refs)
    moved = await tx.fetch(_MOVED, workspace_id, before["journal"])
    return [
        *between(before["things"], after["things"]),
        *(Change("credits", row["unit"], row["kind"], None, row["amount"]) for row in moved),
    ]


def between(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> list[Change]:
    """What differs, thing by thing. Of something new, all that it has. Pure."""
    found: list[Change] = []
    for thing, things in after.items():
        old = before[thing] or {}
        for ref, columns in (things or {}).items():
            were = old.get(ref, {})
            found += [
                Change(thing, ref, name, were.get(name), value)
                for name, value in columns.items()
                if were.get(name) != value and not (ref not in old and value in (0, False))
            ]
    return found
