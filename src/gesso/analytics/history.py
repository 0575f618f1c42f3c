"""Requests one by one, newest first: pictures, videos, and uses of the prompt tools.

Without a filter this walks along ids. With one, what it looks for may be rare among a million: then the sums of the
days say on which days there is any, and only those are looked into.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from gesso.analytics.facts import first_id
from gesso.analytics.usage import Rolled
from gesso.core.errors import InvalidInput
from gesso.core.money import OutputPrice, Price
from gesso.db import WorkspaceSession

KINDS = ("image", "video", "prompt")
STATES = {
    "queued": None, "running": "writing", "succeeded": "done", "failed": "failed", "cancelled": None,
}  # fmt: skip
"""A generation's states, and what a use of a prompt tool calls the same."""
_SUMMED = {"succeeded": "succeeded", "failed": "failed", "cancelled": "requests - succeeded - failed"}
"""How many of a day ended so, as `usage_day` counts them. Days that are summed up have no others."""
_LOWEST, _HIGHEST = UUID(int=0), UUID(int=(1 << 128) - 1)

# $1 workspace, $2 before this id, $3 from this id on, $4 how many, $5 the first id that is in no sum
_GENERATIONS = """
(SELECT g.id, g.user_id, g.kind, g.prompt, g.model_key, g.model_name, g.state, g.count, g.price, g.charged,
        g.error_code, g.error_message, g.created_at, g.finished_at, g.own_key, true AS outputs
 FROM generation g WHERE g.workspace_id = $1 AND g.id >= {low} AND g.id < {high} {of}
 ORDER BY g.id DESC LIMIT $4)"""
_PROMPTS = """
(SELECT g.id, g.user_id, 'prompt' AS kind, coalesce(nullif(g.input_text, ''), g.output_text, '') AS prompt,
        coalesce(g.model_key, '') AS model_key, coalesce(g.model_key, '') AS model_name,
        CASE g.state WHEN 'done' THEN 'succeeded' WHEN 'writing' THEN 'running' ELSE g.state END AS state, 1 AS count,
        g.price, g.charged, g.error_code, g.error_message, g.created_at, g.finished_at, g.own_key, false AS outputs
 FROM prompt_record g WHERE g.workspace_id = $1 AND g.id >= {low} AND g.id < {high} {of}
 ORDER BY g.id DESC LIMIT $4)"""
_SPANS = """
(SELECT greatest($5::uuid, $3) AS low, $2::uuid AS high
 UNION ALL
 SELECT greatest($3, (lpad(to_hex(extract(epoch FROM day::timestamp AT TIME ZONE {zone})::bigint * 1000), 12, '0')
            || repeat('0', 20))::uuid),
        least($2, (lpad(to_hex(extract(epoch FROM (day + 1)::timestamp AT TIME ZONE {zone})::bigint * 1000), 12, '0')
            || repeat('0', 20))::uuid)
 FROM (SELECT day, sum(CASE WHEN day < {last} THEN found ELSE 0 END) OVER (ORDER BY day DESC)
              - CASE WHEN day < {last} THEN found ELSE 0 END AS newer
       FROM (SELECT day, sum({summed}) AS found FROM usage_day u
             WHERE workspace_id = $1 AND day >= {first} AND day <= {last} {of} GROUP BY day) days
       WHERE found > 0) days
 WHERE newer < $4)"""
_HISTORY = """
SELECT l.*, extract(epoch FROM l.finished_at - l.created_at)::float8 AS seconds,
       CASE WHEN l.outputs THEN (SELECT count(*) FROM output o WHERE o.workspace_id = $1 AND o.generation_id = l.id
            AND o.state = 'delivered') ELSE (l.state = 'succeeded')::int END AS delivered,
       (SELECT o.asset_id FROM output o JOIN asset a ON a.id = o.asset_id AND a.deleted_at IS NULL
        WHERE o.workspace_id = $1 AND o.generation_id = l.id AND o.state = 'delivered'
        ORDER BY o.index LIMIT 1) AS asset_id
FROM (SELECT * FROM ({found}) found ORDER BY id DESC LIMIT $4) l ORDER BY l.id DESC
"""


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for; None: any. `kind` is one of KINDS, `state` one of STATES."""

    kind: str | None = None
    model: str | None = None
    state: str | None = None
    member: UUID | None = None

    def __bool__(self) -> bool:
        return any((self.kind, self.model, self.state))

    @classmethod
    def of(cls, query: Mapping[str, str], only_user: UUID | None) -> "Filter":
        """From an address; `only_user` may not look at others. Raises InvalidInput."""
        wrong = [
            name for name, known in (("kind", KINDS), ("state", tuple(STATES)))
            if query.get(name) and query[name] not in known
        ]  # fmt: skip
        member = None
        try:
            member = UUID(query["member"]) if query.get("member") else None
        except ValueError:
            wrong.append("member")
        if wrong:
            raise InvalidInput(
                "There is nothing to look for like that.", fields={wrong[0]: "Choose one from the list."}
            )
        return cls(
            query.get("kind") or None, query.get("model") or None, query.get("state") or None, only_user or member
        )


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One request. `price` and `charged` (None while it runs) are what it may and did cost; `asset_id` the first
    picture that is still there; `seconds` from asking to its end. `own_key`: it ran on the key of whoever asked."""

    id: UUID
    user_id: UUID
    kind: str
    prompt: str
    model_key: str
    model_name: str
    state: str
    count: int
    price: Price
    charged: Price | None
    error_code: str | None
    error_message: str | None
    created_at: datetime
    seconds: float | None
    delivered: int
    asset_id: UUID | None
    own_key: bool


async def history(
    tx: WorkspaceSession,
    wanted: Filter,
    reach: Rolled,
    *,
    before: UUID | None = None,
    since: datetime | None = None,
    limit: int,
) -> list[HistoryRow]:
    """Requests older than `before` and not older than `since`, newest first."""
    high, low = before or _HIGHEST, first_id(since) if since else _LOWEST
    values: list[Any] = [tx.workspace_id, high, low, limit]
    if wanted:
        values.append(first_id(reach.until))
    tables = []
    if wanted.kind != "prompt":
        tables.append(_GENERATIONS)
    if wanted.kind in (None, "prompt") and (wanted.state is None or STATES[wanted.state]):
        tables.append(_PROMPTS)
    conditions = [_conditions(wanted, values, prompts=table is _PROMPTS) for table in tables]
    bounds = {"low": "s.low", "high": "s.high"} if wanted else {"low": "$3", "high": "$2"}
    found = " UNION ALL ".join(table.format(**bounds, of=of) for table, of in zip(tables, conditions, strict=True))
    if wanted and found:
        spans = _spans(wanted, values, high, low, reach)
        found = f"SELECT f.* FROM {spans} s CROSS JOIN LATERAL ({found}) f"
    if not found:
        return []
    return [_row(row) for row in await tx.fetch(_HISTORY.format(found=found), *values)]


def _conditions(wanted: Filter, values: list[Any], *, prompts: bool) -> str:
    """The filter as conditions on a table `g`; adds to `values` what they name."""
    state = STATES[wanted.state] if prompts and wanted.state else wanted.state
    kind = None if prompts else wanted.kind
    return _all_of("g", {"user_id": wanted.member, "model_key": wanted.model, "state": state, "kind": kind}, values)


def _spans(wanted: Filter, values: list[Any], high: UUID, low: UUID, reach: Rolled) -> str:
    """Ranges of ids with what is wanted in them: the newest days with enough of it, and all that is in no sum."""
    of = _all_of("u", {"user_id": wanted.member, "model_key": wanted.model, "kind": wanted.kind}, values)
    summed = "requests" if wanted.state is None else _SUMMED.get(wanted.state, "0")
    values += [_day_of(low, reach.zone), min(_day_of(high, reach.zone), reach.until.date()), reach.zone.key]
    first, last, zone = f"${len(values) - 2}::date", f"${len(values) - 1}::date", f"${len(values)}"
    return _SPANS.format(first=first, last=last, zone=zone, of=of, summed=summed)


def _all_of(table: str, wanted: Mapping[str, object], values: list[Any]) -> str:
    conditions = []
    for column, value in wanted.items():
        if value is not None:
            values.append(value)
            conditions.append(f"AND {table}.{column} = ${len(values)}")
    return " ".join(conditions)


def _day_of(lowest: UUID, zone: ZoneInfo) -> date:
    """The day of an id; the last there is for one that lies beyond all days."""
    milliseconds = min(lowest.int >> 80, 253_402_214_400_000)
    return datetime.fromtimestamp(milliseconds / 1000, zone).date()


def _row(row: Mapping[str, Any]) -> HistoryRow:
    values = {name: row[name] for name in HistoryRow.__slots__}
    for name in ("price", "charged"):
        values[name] = _price(row[name]) if row[name] is not None else None
    return HistoryRow(**values)


def _price(shape: Mapping[str, Any]) -> Price:
    """A generation's price, or that of a prompt tool's one output."""
    return Price.from_json(shape) if "outputs" in shape else Price((OutputPrice.from_json(shape),))
