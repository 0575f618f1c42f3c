"""What operators do with plans and packs, for pages and API alike. Every change is written into the audit log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gesso.accounts import repository as accounts
from gesso.admin.frame import Deed
from gesso.catalog import rows
from gesso.catalog.changes import edited_columns
from gesso.catalog.edits import packs as pack_edits
from gesso.catalog.edits import plans as plan_edits
from gesso.catalog.edits.ordering import moved, put_in_order
from gesso.catalog.edits.packs import PackFacts
from gesso.catalog.edits.plans import PlanFacts
from gesso.catalog.edits.removed import remove as remove_row
from gesso.catalog.edits.selling import Sold, update
from gesso.catalog.items import Model, Pack, Plan
from gesso.core.errors import Conflict, InvalidInput, NotFound
from gesso.credits.types import CREDIT, format_amount
from gesso.db import ElevatedSession

_MISSING: Mapping[Sold, str] = {"plan": plan_edits.MISSING, "pack": pack_edits.MISSING}
WHEN: Mapping[str, str] = {
    "monthly_grants": "from their next month",
    "retention_days": "from the next night on, for pictures they have already too",
    "watermark": "for what they make from then on",
    "queue_priority": "for what they ask for from then on",
}
"""From when people feel a change, where it is not with the next request."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Plans, packs and models in their order. `on_plan`: workspaces by plan; those of removed plans count for the
    default one, as they are served."""

    plans: tuple[Plan, ...]
    packs: tuple[Pack, ...]
    models: tuple[Model, ...]
    on_plan: Mapping[str, int]
    default_plan: str

    def plan(self, key: str) -> Plan:
        """The plan of this key. Raises NotFound."""
        found = next((plan for plan in self.plans if plan.key == key), None)
        if found is None:
            raise NotFound(plan_edits.MISSING)
        return found

    def pack(self, key: str) -> Pack:
        """The pack of this key. Raises NotFound."""
        found = next((pack for pack in self.packs if pack.key == key), None)
        if found is None:
            raise NotFound(pack_edits.MISSING)
        return found


@dataclass(frozen=True, slots=True)
class Touched:
    """What a change of a plan comes to: column → (before, after); how many workspaces feel which, and from when."""

    changes: Mapping[str, tuple[Any, Any]]
    felt: tuple[str, ...]
    workspaces: int

    @property
    def asks(self) -> bool:
        """Whether somebody feels it, so that it is asked about once more."""
        return bool(self.felt) and self.workspaces > 0


async def read(tx: ElevatedSession) -> Offer:
    """All that the pages of plans and packs need."""
    plans = rows.read_items(await rows.fetch(tx, "plan"), rows.plan_of)
    packs = rows.read_items(await rows.fetch(tx, "pack"), rows.pack_of)
    models = rows.read_items(await rows.fetch(tx, "model"), rows.model_of)
    default = await tx.fetchval("SELECT document -> 'defaults' ->> 'plan' FROM edition_state")
    keys = {plan.key for plan in plans}
    first = default if default in keys else plans[0].key if plans else ""
    on_plan: dict[str, int] = {}
    for key, count in (await accounts.count_by_plan(tx)).items():
        served = key if key in keys else first
        on_plan[served] = on_plan.get(served, 0) + count
    return Offer(plans, packs, models, on_plan, first)


async def differing_all(tx: ElevatedSession, table: Sold) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Key → column → (what the edition says, what holds), where an operator changed it; nothing for operators' own."""
    return {key: _differing(table, row) for key, row in (await rows.stored(tx, table)).items()}


def _differing(table: Sold, row: rows.StoredRow) -> dict[str, tuple[Any, Any]]:
    if row.applied is None:
        return {}
    edited = edited_columns(table, row) - {"position"}
    return {name: (row.applied.get(name), row.values[name]) for name in row.values if name in edited}


def touched(offer: Offer, before: Plan, facts: PlanFacts) -> Touched:
    """Whom changing a plan to these facts touches. Pure."""
    changed = plan_edits.changes(before, facts)
    return Touched(changed, plan_edits.felt(changed), offer.on_plan.get(before.key, 0))


async def save_plan(
    tx: ElevatedSession, deed: Deed, key: str, facts: PlanFacts, *, new: bool, confirmed: bool = False
) -> None:
    """Add or change one. Raises as `edits.plans.save_plan`; InvalidInput on `confirmed` while people would feel it."""
    if not new and not confirmed:
        offer = await read(tx)
        found = touched(offer, offer.plan(key), facts)
        if found.asks and not plan_edits.problems(facts, offer.models):
            reason = f"{workspaces_words(found.workspaces)} on this plan will feel it. Confirm that it is meant."
            raise InvalidInput(reason, fields={"confirmed": reason})
    changed = await plan_edits.save_plan(tx, key, facts, new=new)
    await _note(tx, deed, "plan", key, changed, new=new)


async def save_pack(tx: ElevatedSession, deed: Deed, key: str, facts: PackFacts, *, new: bool) -> None:
    """Add or change one. Raises as `edits.packs.save_pack`."""
    changed = await pack_edits.save_pack(tx, key, facts, new=new)
    await _note(tx, deed, "pack", key, changed, new=new)


async def _note(
    tx: ElevatedSession, deed: Deed, table: Sold, key: str, changed: Mapping[str, tuple[Any, Any]], *, new: bool
) -> None:
    if not new and not changed:
        return
    after = _all_told({name: value for name, (_, value) in changed.items()})
    before = {} if new else {"before": _all_told({name: value for name, (value, _) in changed.items()})}
    verb = "added" if new else "changed"
    await deed.note(tx, f"{table}.{verb}", **{table: key}, **before, after=after)


def _all_told(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _told(name, value) for name, value in columns.items()}


def _told(column: str, value: Any) -> Any:
    """A column's value as the log keeps it: credits are decimal strings there, as everywhere outside the ledger."""
    if column == "credits":
        return format_amount(CREDIT, value)
    if column.endswith("_grants") and value is not None:
        return {unit: format_amount(unit, amount) for unit, amount in value.items()}
    return value


async def hide(tx: ElevatedSession, deed: Deed, table: Sold, key: str, hidden: bool) -> str:
    """Offer it no more, or again; its name. Who is on a hidden plan stays on it. Raises NotFound."""
    name = await _name(tx, table, key)
    await update(tx, table, key, {"hidden": hidden})
    await deed.note(
        tx, f"{table}.hidden" if hidden else f"{table}.shown", **{table: key},
        before={"hidden": not hidden}, after={"hidden": hidden},
    )  # fmt: skip
    return name


async def _name(tx: ElevatedSession, table: Sold, key: str) -> str:
    name = await tx.fetchval(f"SELECT name FROM {table} WHERE key = $1 FOR NO KEY UPDATE", key)
    if name is None:
        raise NotFound(_MISSING[table])
    return str(name)


def refusal(offer: Offer, plan: Plan) -> str:
    """Why a plan cannot be removed; "" when it can. Pure."""
    if plan.key == offer.default_plan:
        return "It is the plan of new workspaces, and of those whose plan is gone. It has to stay."
    if count := offer.on_plan.get(plan.key, 0):
        return (
            f"{workspaces_words(count)} {'is' if count == 1 else 'are'} on it. Hide it, and nobody new can choose it; "
            "those stay as they are. It can be removed when the last of them has moved to another plan."
        )
    return ""


async def remove_plan(tx: ElevatedSession, deed: Deed, key: str) -> Plan:
    """Remove it for good. Raises NotFound, Conflict while somebody is on it or is about to be, and for the default."""
    # whoever joins meanwhile waits for nothing here: they are served by the default plan, as its key is gone
    offer = await read(tx)
    plan = offer.plan(key)
    if reason := refusal(offer, plan):
        raise Conflict(reason)
    coming = await tx.fetchval(
        "SELECT (SELECT count(*) FROM workspace WHERE plan_next_at IS NOT NULL AND plan_next_key = $1)"
        " + (SELECT count(*) FROM subscription WHERE ended_at IS NULL AND (plan_key = $1 OR next_plan_key = $1))",
        key,
    )
    if coming:
        raise Conflict(f"{workspaces_words(coming)} will be on it soon, or pays for it. Hide it for the time being.")
    await remove_row(tx, "plan", key, plan_edits.MISSING)
    await deed.note(tx, "plan.removed", plan=key, before=_all_told(PlanFacts.of(plan).columns()))
    return plan


async def remove_pack(tx: ElevatedSession, deed: Deed, key: str) -> Pack:
    """Remove it for good; what was bought stays. Raises NotFound."""
    pack = await pack_edits.get_pack(tx, key)
    await remove_row(tx, "pack", key, pack_edits.MISSING)
    before = {name: getattr(pack, name) for name in PackFacts.__dataclass_fields__}
    await deed.note(tx, "pack.removed", pack=key, before=_all_told(before))
    return pack


async def order(tx: ElevatedSession, deed: Deed, keys: Sequence[str], *, table: Sold) -> None:
    """Put these first, in this order. Raises InvalidInput."""
    before = [row["key"] for row in await rows.fetch(tx, table)]
    placed = await put_in_order(tx, table, keys)
    await deed.note(tx, f"{table}.ordered", before=before, after=list(placed))


async def move(tx: ElevatedSession, deed: Deed, key: str, by: int, *, table: Sold) -> None:
    """One place up (−1) or down (+1). Raises InvalidInput."""
    await order(tx, deed, moved([row["key"] for row in await rows.fetch(tx, table)], key, by), table=table)


def workspaces_words(count: int) -> str:
    """“1 workspace”, “1,200 workspaces”."""
    return f"{count:,} workspace{'' if count == 1 else 's'}"
