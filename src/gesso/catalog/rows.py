"""The catalogue's tables: rows to items, items to the columns an edition speaks about. All SQL that reads.

An edition's columns are plain JSON values, so that what it said last (`applied`), what it says now and what
the row holds can be compared one by one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import structlog

from gesso.catalog.items import Chain, ChainLink, Connection, Model, Pack, Plan, StylePreset
from gesso.catalog.rules import parse_rule
from gesso.db import ElevatedSession, Session

log = structlog.get_logger()

Row = Mapping[str, Any]
Item = Connection | Model | Plan | Pack | StylePreset | Chain
Read = TypeVar("Read")
TABLES = ("connection", "model", "plan", "pack", "style_preset", "chain")

EDITION_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "connection": ("adapter", "name", "priority", "limits", "options"),
    "model": (
        "kind", "connection", "upstream", "name", "description", "capabilities", "price", "cost", "wire",
        "tags", "sample", "fallbacks", "outputs_per_call", "typical_seconds", "enabled", "position",
    ),
    "plan": (
        "name", "description", "signup_grants", "monthly_grants", "parallel", "queue_priority", "max_count",
        "limits", "month_cents", "year_cents", "currency", "models", "watermark", "retention_days", "advanced",
        "characters", "own_keys", "position",
    ),
    "pack": ("name", "credits", "price_cents", "currency", "position"),
    "style_preset": ("name", "prompt", "negative_prompt", "settings", "sample", "enabled", "position"),
    "chain": ("total_seconds", "links"),
}  # fmt: skip
"""What an edition says of each table's rows. `model.connection` is the connection's key."""

_SELECT: Mapping[str, str] = {
    "connection": "SELECT * FROM connection ORDER BY priority, key",
    "model": "SELECT m.*, c.key AS connection FROM model m JOIN connection c ON c.id = m.connection_id"
    " ORDER BY m.position, m.key",
    "plan": "SELECT * FROM plan ORDER BY position, key",
    "pack": "SELECT * FROM pack ORDER BY position, key",
    "style_preset": "SELECT * FROM style_preset ORDER BY position, key",
    "chain": "SELECT * FROM chain ORDER BY key",
}


@dataclass(frozen=True)
class StoredRow:
    """A row as the edition sees it: `applied` is what the edition last said, None for rows it never named."""

    id: UUID
    key: str
    values: Mapping[str, Any]
    applied: Mapping[str, Any] | None
    origin: str


async def fetch(tx: Session, table: str) -> list[Row]:
    """All rows of a table in their order."""
    return list(await tx.fetch(_SELECT[table]))


_EVERYTHING = "SELECT " + ", ".join(
    # json, not jsonb: it keeps the order of a schema's properties, which is the order of the form
    f"(SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM ({select}) q) AS {table}"
    for table, select in (*_SELECT.items(), ("edition_state", "SELECT name, document FROM edition_state"))
)


async def everything(tx: Session) -> tuple[Row | None, dict[str, list[Row]]]:
    """What the edition says of the site (None before there was one), and all rows of all tables in their order."""
    found = await tx.fetchrow(_EVERYTHING)
    assert found is not None
    return next(iter(found["edition_state"]), None), {
        table: [_row(values) for values in found[table]] for table in TABLES
    }


def _row(values: dict[str, Any]) -> Row:
    """A row that came as JSON, with ids and sealed keys as the driver would give them."""
    for name in ("id", "connection_id"):
        if name in values:
            values[name] = UUID(values[name])
    if values.get("sealed_key") is not None:
        values["sealed_key"] = bytes.fromhex(values["sealed_key"].removeprefix("\\x"))
    return values


async def removed(tx: Session) -> dict[str, frozenset[str]]:
    """What operators removed for good, by table: an edition that names it does not bring it back."""
    rows = await tx.fetch("SELECT catalog_table, key FROM catalog_removed")
    return {table: frozenset(row["key"] for row in rows if row["catalog_table"] == table) for table in TABLES}


async def samples_named(tx: ElevatedSession) -> frozenset[str]:
    """The sample pictures that models and styles show."""
    rows = await tx.fetch("SELECT sample FROM model UNION SELECT sample FROM style_preset")
    return frozenset(row["sample"] for row in rows if row["sample"])


async def stored(tx: Session, table: str) -> dict[str, StoredRow]:
    """All rows of a table by key, as an edition sees them."""
    return {
        row["key"]: StoredRow(
            id=row["id"],
            key=row["key"],
            values={name: row[name] for name in EDITION_COLUMNS[table]},
            applied=row["applied"],
            origin=row["origin"],
        )
        for row in await fetch(tx, table)
    }


def columns(item: Item, connection_keys: Mapping[UUID, str]) -> dict[str, Any]:
    """What an edition's item says of its row, as JSON values under the names of EDITION_COLUMNS."""
    values: dict[str, Any] = {}
    for name in EDITION_COLUMNS[table_of(item)]:
        if name == "connection" and isinstance(item, Model):
            values[name] = connection_keys[item.connection_id]
            continue
        value = getattr(item, name)
        if name in ("price", "cost") and value is not None:
            value = value.to_json()
        elif name == "links":
            value = [link.to_json() for link in value]
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, Mapping):
            value = {key: list(part) if isinstance(part, tuple) else part for key, part in value.items()}
        values[name] = value
    return values


def table_of(item: Item) -> str:
    """The table an item lives in."""
    return {
        Connection: "connection", Model: "model", Plan: "plan", Pack: "pack", StylePreset: "style_preset",
        Chain: "chain",
    }[type(item)]  # fmt: skip


def connection_of(row: Row) -> Connection:
    """A connection from its row."""
    return Connection(
        id=row["id"], key=row["key"], adapter=row["adapter"], name=row["name"], base_url=row["base_url"],
        sealed_key=row["sealed_key"], key_hint=row["key_hint"], sandbox=row["sandbox"], enabled=row["enabled"],
        priority=row["priority"], limits=row["limits"], options=row["options"],
    )  # fmt: skip


def model_of(row: Row) -> Model:
    """A model from its row. Raises RuleError on a price or cost that is no rule."""
    return Model(
        id=row["id"], key=row["key"], kind=row["kind"], name=row["name"], description=row["description"],
        connection_id=row["connection_id"], upstream=row["upstream"], capabilities=row["capabilities"],
        price=parse_rule(row["price"], "credits") if row["price"] is not None else None,
        cost=parse_rule(row["cost"], "usd") if row["cost"] is not None else None,
        wire=row["wire"], tags=tuple(row["tags"]), sample=row["sample"], fallbacks=tuple(row["fallbacks"]),
        outputs_per_call=row["outputs_per_call"], typical_seconds=row["typical_seconds"],
        enabled=row["enabled"], position=row["position"],
    )  # fmt: skip


def plan_of(row: Row) -> Plan:
    """A plan from its row."""
    return Plan(
        id=row["id"], key=row["key"], name=row["name"], description=row["description"],
        signup_grants=row["signup_grants"], monthly_grants=row["monthly_grants"], parallel=row["parallel"],
        queue_priority=row["queue_priority"], max_count=row["max_count"],
        limits={key: tuple(value) if isinstance(value, list) else value for key, value in row["limits"].items()},
        month_cents=row["month_cents"], year_cents=row["year_cents"], currency=row["currency"],
        models=tuple(row["models"]), watermark=row["watermark"], retention_days=row["retention_days"],
        advanced=row["advanced"], characters=row["characters"], own_keys=row["own_keys"],
        position=row["position"], hidden=row["hidden"],
    )  # fmt: skip


def pack_of(row: Row) -> Pack:
    """A pack from its row."""
    return Pack(
        id=row["id"], key=row["key"], name=row["name"], credits=row["credits"],
        price_cents=row["price_cents"], currency=row["currency"], position=row["position"], hidden=row["hidden"],
    )  # fmt: skip


def style_preset_of(row: Row) -> StylePreset:
    """A style preset from its row."""
    return StylePreset(
        id=row["id"], key=row["key"], name=row["name"], prompt=row["prompt"],
        negative_prompt=row["negative_prompt"], settings=row["settings"], sample=row["sample"],
        enabled=row["enabled"], position=row["position"],
    )  # fmt: skip


def chain_of(row: Row) -> Chain:
    """A chain from its row."""
    links = tuple(ChainLink(str(link["model"]), int(link["seconds"])) for link in row["links"])
    return Chain(id=row["id"], key=row["key"], links=links, total_seconds=row["total_seconds"])


def read_items(rows: Iterable[Row], read: Callable[[Row], Read]) -> tuple[Read, ...]:
    """Items from rows. One that cannot be read is logged and left out: the others must go on working."""
    items = []
    for row in rows:
        try:
            items.append(read(row))
        except (ValueError, KeyError, TypeError) as error:
            log.error("catalog.unreadable_row", item=row["key"], reason=str(error)[:200])
    return tuple(items)
