"""What must hold after any accident, line by line. Each line names its first offenders, or says what it has counted."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chaos.evidence import Evidence, Row, client_key, gathered, list_prices, price, sha256, spent, stored
from chaos.people import Crowd
from chaos.site import EDITION, Site
from gesso.catalog.editions import load_edition
from gesso.core.clock import SystemClock
from gesso.core.money import MICRO
from gesso.credits import service as credits
from gesso.credits.types import CREDIT
from gesso.generation.repository import assets_in_use, expected_assets
from gesso.media import ingest, tasks
from gesso.media.service import variant_key
from gesso.media.storage import Storage

SHOWN = 5
SILENCED = (
    "webhook-never", "webhook-forged", "webhook-stale", "webhook-null", "sandbox:gone", "wrong-bytes", "truncated",
    "private-url", "sandbox:flagged", "sandbox:fewer",
)  # fmt: skip
"""Faults with which the provider never tells us, or has nothing good to give."""
LATE = "free of charge"
"""Part of the sentence with which the product gives a late result away."""


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    what: str
    wrong: tuple[str, ...]
    note: str = ""

    @property
    def holds(self) -> bool:
        return not self.wrong

    @property
    def told(self) -> str:
        """What was counted, or who offends."""
        if self.holds:
            return self.note
        more = f" … and {len(self.wrong) - SHOWN} more" if len(self.wrong) > SHOWN else ""
        return "; ".join(self.wrong[:SHOWN]) + more


async def judged(site: Site, crowd: Crowd, left: dict[str, int]) -> list[Finding]:
    """All lines. `left` is what had not come to rest in time."""
    found = await gathered(site, crowd)
    lines = [
        Finding("comes to rest", tuple(f"{count} {what} open" for what, count in left.items()), "nothing open"),
        await _ledger(site),
        _ends(found),
        _charges(found),
        _holds(found),
        _rows_have_files(site, found),
        _accepted_once(found),
        _keys(found, crowd),
        *_bill(found),
        _late(found),
        _balances(found),
    ]
    return [*lines, *await _orphans(site, found)]


async def _ledger(site: Site) -> Finding:
    db = site.database()
    try:
        async with db.elevated("chaos: ledger verify") as tx:
            wrong = await credits.verify(tx)
            movements = await tx.fetchval("SELECT count(*) FROM credit_journal")
    finally:
        await db.close()
    told = tuple(f"{one.workspace_id} {one.account}: {one.expected} ≠ {one.found}" for one in wrong)
    return Finding("`ledger verify` is empty", told, f"{movements} movements")


def _ends(found: Evidence) -> Finding:
    """Every generation, output and call has ended, and says so truly."""
    wrong, states = [], Counter(row["state"] for row in found.generations.values())
    by_generation = defaultdict(list)
    for output in found.outputs:
        by_generation[str(output["generation_id"])].append(output)
        there = str(output["asset_id"]) in found.assets
        if output["state"] == "pending":
            wrong.append(f"output {output['generation_id']}/{output['index']} is pending")
        elif there != (output["state"] == "delivered"):
            wrong.append(f"output {output['generation_id']}/{output['index']} is {output['state']}, picture: {there}")
    for key, row in found.generations.items():
        in_time = any(output["state"] == "delivered" and not output["late"] for output in by_generation[key])
        if row["state"] not in ("succeeded", "failed", "cancelled"):
            wrong.append(f"{key} is {row['state']}")
        elif row["state"] == "failed" and in_time:
            wrong.append(f"{key} failed but has a picture that was paid for")
        elif row["state"] == "succeeded" and not any(o["state"] == "delivered" for o in by_generation[key]):
            wrong.append(f"{key} succeeded without a picture")
        elif row["finished_at"] is None or len(by_generation[key]) != row["count"]:
            wrong.append(f"{key} ended without a moment or with {len(by_generation[key])} outputs")
    wrong += [f"call {row['id']} is {row['state']}" for row in found.attempts if row["finished_at"] is None]
    note = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return Finding("every generation has a true end", tuple(wrong), note)


def _charges(found: Evidence) -> Finding:
    """Asset and charge: exactly one of each for each other, at the price that was held; late ones are free.

    A fallback model that costs less than what is held is charged its own price.
    """
    listed = list_prices()
    made_by = {
        (call["generation_id"], index): call["model_key"]
        for call in found.attempts
        if call["state"] == "succeeded"
        for index in call["output_indexes"]
    }
    hold_of = {str(key): row["hold_id"] for key, row in found.generations.items()}
    taken = Counter((row["hold_id"], row["output_index"]) for row in found.captures)
    amounts = {(row["hold_id"], row["output_index"]): (row["unit"], row["amount"]) for row in found.captures}
    wrong = [f"hold {hold} output {index}: {count} charges" for (hold, index), count in taken.items() if count > 1]
    paid = free = 0
    for output in found.outputs:
        where = hold_of[str(output["generation_id"])], output["index"]
        charge = amounts.pop(where, None)
        asset = found.assets.get(str(output["asset_id"]))
        wanted = price(output) if asset is not None and not output["late"] else None
        model = made_by.get((output["generation_id"], output["index"]))
        if wanted is not None and wanted[0] == CREDIT and model is not None:
            wanted = CREDIT, min(wanted[1], int(listed[model] * MICRO))
        if charge != wanted:
            wrong.append(f"{output['generation_id']}/{output['index']} ({output['state']}): {charge}, due {wanted}")
        free += asset is not None and wanted is None
        paid += wanted is not None
    wrong += [f"hold {hold} output {index}: charged for nothing that exists" for hold, index in amounts]
    places = Counter((str(row["generation_id"]), row["output_index"]) for row in found.assets.values())
    wrong += [f"{generation}/{index}: {count} pictures" for (generation, index), count in places.items() if count > 1]
    known = {str(output["asset_id"]) for output in found.outputs}
    wrong += [f"picture {key} belongs to no output" for key in found.assets if key not in known]
    return Finding("one charge per picture, one picture per charge", tuple(wrong), f"{paid} paid, {free} late and free")


def _holds(found: Evidence) -> Finding:
    wrong = [f"hold {row['id']} is open" for row in found.holds if row["state"] != "closed"]
    wrong += [f"part of hold {row['hold_id']} is held" for row in found.parts if row["state"] == "held"]
    known = {row["hold_id"] for row in found.generations.values()}
    wrong += [f"hold {row['id']} belongs to nothing" for row in found.holds if row["id"] not in known]
    return Finding("no hold is left", tuple(wrong), f"{len(found.holds)} closed")


def _rows_have_files(site: Site, found: Evidence) -> Finding:
    wrong = []
    for key, asset in found.assets.items():
        original = asset["storage_key"]
        missing = [
            name for name in (original, *(variant_key(original, str(side)) for side in ingest.THUMB_SIDES))
            if not found.files.get(name)
        ]  # fmt: skip
        if missing:
            wrong.append(f"{key} lacks {', '.join(name.rpartition('/')[2] for name in missing)}")
        elif found.files[original] != asset["size_bytes"] or sha256(site, original) != asset["sha256"]:
            wrong.append(f"{key}: the file is not the one that was hashed")
    return Finding("every picture has its files, thumbnails too", tuple(wrong), f"{len(found.assets)} pictures")


async def _orphans(site: Site, found: Evidence) -> list[Finding]:
    """The product's nightly clean-up, a day and a bit from now; by then nothing that was under way can return."""
    orphans = set(found.files) - found.owned
    clock = _Later(timedelta(hours=26))
    db, storage = site.database(), Storage.from_url(site.settings.storage_url)
    try:
        day = clock.now().date()
        purged = await tasks.purge(db, storage, clock, day, assets_in_use)
        removed = await tasks.remove_orphans(db, storage, clock, day, expected_assets)
    finally:
        await db.close()
    async with site.owner() as owner:
        rows = await owner.fetch("SELECT id, storage_key FROM asset WHERE source = 'generated'")
    after = await asyncio.to_thread(stored, site)
    there = replace(found, assets={str(row["id"]): row for row in rows})
    left = [f"{key} is nobody's" for key in sorted(set(after) - there.owned)]
    lost = [f"{key} was somebody's" for key in sorted(there.owned - set(after)) if key in found.files]
    binned = {key for key, asset in found.assets.items() if asset["deleted_at"] is not None}
    stay = binned | set(there.assets)
    wrongly = [f"row {key} went although nobody deleted it" for key in found.assets if key not in stay]
    note = f"{len(orphans)} files without a row were swept ({removed.files} removed)"
    told = f"{purged.rows} deleted pictures went, {len(rows)} stay"
    return [
        Finding("no orphan file after the sweep", tuple(left), note),
        Finding("the sweep takes nothing else", tuple(lost + wrongly), told),
    ]


@dataclass(frozen=True)
class _Later(SystemClock):
    """The time it will be."""

    by: timedelta

    def now(self) -> datetime:
        return super().now() + self.by


def _accepted_once(found: Evidence) -> Finding:
    """Every submit a client saw accepted is there once; and nothing is there that nobody asked for."""
    by_prompt = defaultdict(list)
    for key, row in found.generations.items():
        by_prompt[row["prompt"]].append(key)
    wrong, accepted, silent = [], 0, 0
    for person in found.people:
        for ask in person.asks:
            there = by_prompt.pop(ask.prompt, [])
            if ask.generation is not None:
                accepted += 1
                if there != [ask.generation]:
                    wrong.append(f"{ask.generation} was accepted; there is {there}")
            elif ask.key is not None and there:
                wrong.append(f"{there} is there, its client was answered {ask.refused}")
            elif len(there) > 1:
                wrong.append(f"sent once without a key, {len(there)} are there")
            silent += ask.generation is None and bool(there)
    wrong += [f"nobody asked for {keys}" for keys in by_prompt.values()]
    note = f"{accepted} accepted, {silent} without a key whose answer was lost"
    return Finding("every accepted submit exists once", tuple(wrong), note)


def _keys(found: Evidence, crowd: Crowd) -> Finding:
    told = Counter(ask.key for person in found.people for ask in person.asks if ask.key is not None)
    repeated = sum(ask.sent - 1 for person in found.people for ask in person.asks if ask.key is not None)
    wrong = list(crowd.wrong) + [f"key {key} was handed out twice by the chaos" for key, n in told.items() if n > 1]
    return Finding("one key, one generation", tuple(wrong), f"{len(told)} keys, sent {repeated} times more than once")


def _bill(found: Evidence) -> Iterator[Finding]:
    """The provider's bill against our record of calls: by client key, each line belongs to exactly one call."""
    ours = {str(row["client_key"]): row for row in found.attempts}
    lines: dict[str | None, list[Row]] = defaultdict(list)
    wrong = []
    for line in found.bill:
        key = client_key(line)
        if key not in ours:
            wrong.append(f"job {line['request_id']} ({line['status']}) belongs to no call of ours")
        lines[key].append(line)
    wrong += [f"call {key} was sent {len(sent)} times" for key, sent in lines.items() if len(sent) > 1]
    kinds: Counter[str] = Counter()
    for key, call in ours.items():
        known = lines[key]
        operation = (call["operation"] or {}).get("id")
        if not known:
            if operation is not None or call["state"] in ("succeeded", "cancelled"):
                wrong.append(f"call {key} is {call['state']}, and the provider knows nothing of it")
            kinds[f"{call['state']}, never taken"] += 1
            continue
        line = known[0]
        if operation is not None and operation != line["request_id"]:
            wrong.append(f"call {key} notes job {operation}, the bill says {line['request_id']}")
        if operation is None and call["state"] not in ("uncertain", "succeeded"):
            wrong.append(f"call {key} is {call['state']} without its job, the bill has {line['request_id']}")
        if call["cost_state"] == "actual" and abs(call["provider_cost_micro_usd"] - line["cost_micro_usd"]) > 1:
            wrong.append(f"call {key}: {call['provider_cost_micro_usd']} noted, {line['cost_micro_usd']} billed")
        if line["status"] == "done" and call["cost_state"] != "unknown" and not call["provider_cost_micro_usd"]:
            wrong.append(f"call {key} ({call['state']}) is billed and noted as costing nothing")
        kinds[f"{call['state']}, {line['status']}"] += 1
    note = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    yield Finding("the provider's bill is explained line by line", tuple(wrong), f"{len(found.bill)} jobs: {note}")
    uncertain = [row for row in found.attempts if row["state"] == "uncertain"]
    possible = sum(row["provider_cost_micro_usd"] or 0 for row in uncertain)
    billed = sum(line["cost_micro_usd"] for row in uncertain for line in lines[str(row["client_key"])])
    nothing = [f"call {row['id']} has no possible cost" for row in uncertain if row["provider_cost_micro_usd"] is None]
    over = [f"{billed} µ$ billed, {possible} µ$ counted"] if billed > possible + len(uncertain) else []
    note = f"{len(uncertain)} calls, {possible} µ$ possible, {billed} µ$ billed"
    yield Finding("uncertain calls are counted with their cost", tuple(nothing + over), note)


def _late(found: Evidence) -> Finding:
    """What the provider finished and told us of is given, however late; unless its webhook was made to fail."""
    states = {(str(row["generation_id"]), row["index"]): row["state"] for row in found.outputs}
    lines = {client_key(line): line for line in found.bill}
    wrong, silent, kept = [], 0, 0
    for call in found.attempts:
        generation = str(call["generation_id"])
        missed = any(states[generation, index] == "failed" for index in call["output_indexes"])
        line = lines.get(str(call["client_key"]))
        if call["state"] == "uncertain" and line is not None and line["status"] == "done" and missed:
            prompt = found.generations[generation]["prompt"]
            if any(word in prompt for word in SILENCED):
                silent += 1
            else:
                wrong.append(f"call {call['id']} was finished by job {line['request_id']}, its picture is not here")
    kept = sum(output["late"] for output in found.outputs)
    return Finding("late results are given free", tuple(wrong), f"{kept} given, {silent} the provider kept to itself")


def _balances(found: Evidence) -> Finding:
    """Everybody's balance from what their client was told: granted, less each delivered picture at its quoted price."""
    granted = load_edition(str(EDITION)).plans[0].signup_grants
    wrong = [
        f"{person.email} got {person.granted} and {person.granted_uses} at sign-up"
        for person in found.people
        if {CREDIT: int(person.granted * MICRO)} | person.granted_uses != dict(granted)
    ]
    for person in found.people:
        charges = []
        asks = {ask.generation: ask for ask in person.asks if ask.generation is not None}
        for key, standing in found.shown[person.email].items():
            ask = asks.get(key)
            quoted = ask.price if ask else standing["price"]["outputs"]
            seen = {asset["id"]: asset["charged"] for asset in standing["assets"]} | (ask.deleted if ask else {})
            for output in standing["outputs"]:
                if output["status"] != "delivered":
                    continue
                charge, due = seen.get(output["asset_id"]), quoted[output["index"]]
                if charge is None:
                    wrong.append(f"{key}/{output['index']} is delivered, but its picture is not shown")
                elif not any(_same(charge, right) for right in (due, *_instead(due, standing["warnings"]))):
                    wrong.append(f"{key}/{output['index']} cost {charge}, quoted {due}")
                charges.append(charge or due)
        credits_spent, uses = spent(charges)
        wallet = found.wallets[person.email]
        left = {unit: count - uses.get(unit, 0) for unit, count in person.granted_uses.items()}
        if Decimal(wallet["balance"]) != person.granted - credits_spent or Decimal(wallet["held"]) != 0:
            wrong.append(
                f"{person.email}: {wallet['balance']} + {wallet['held']} held, due {person.granted - credits_spent}"
            )
        if {unit: count for unit, count in wallet["allowances"].items() if count} != {
            u: c for u, c in left.items() if c
        }:
            wrong.append(f"{person.email}: allowances {wallet['allowances']}, due {left}")
    total = sum((Decimal(wallet["balance"]) for wallet in found.wallets.values()), Decimal(0))
    note = f"{len(found.people)} people, {total} credits in all"
    return Finding("every balance follows from what its owner saw", tuple(wrong), note)


def _instead(due: Row, sentences: list[str]) -> Iterator[Row]:
    """What a picture may cost instead of its quoted price, by the sentences that its owner was told."""
    for sentence in sentences:
        if LATE in sentence:
            yield {"credits": "0"}
        for name, credits_ in list_prices().items():
            if f"{name} was used instead" in sentence and credits_ < Decimal(due["credits"]):
                yield {"credits": str(credits_)}


def _same(one: Row, other: Row) -> bool:
    return Decimal(str(one["credits"])) == Decimal(str(other["credits"])) and (one.get("allowances") or {}) == (
        other.get("allowances") or {}
    )
