"""What applying an edition would change, and whom it touches. Pure: an edition and the stored rows in, changes out.

Three values are compared column by column: what the edition said last time (`applied`), what it says now,
and what the row holds. A row that still holds what the edition said follows it; a value that an operator
changed stays, and is listed as kept.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gesso.catalog.editions import Edition
from gesso.catalog.rows import EDITION_COLUMNS, Item, StoredRow, columns

Verb = Literal["add", "change", "remove", "keep"]

# A change of these is felt by people: it is never made at start-up, only by `gesso edition apply`.
_PLAN_FELT = (
    "signup_grants", "monthly_grants", "parallel", "queue_priority", "max_count", "limits", "models", "watermark",
    "retention_days", "advanced", "characters", "own_keys",
)  # fmt: skip
FELT = {"model": frozenset({"price"}), "plan": frozenset(_PLAN_FELT)}
_MISSING = object()


@dataclass(frozen=True)
class Change:
    """One difference between the edition and the database.

    add: a new item · change: a value follows the edition · remove: the edition no longer names the item
    (models are switched off, since pictures refer to them; the others are deleted) · keep: an operator's value stays,
    or (with nothing before) what an operator removed stays away.
    `touches` is the number of workspaces that feel it, None where nobody does.
    """

    verb: Verb
    table: str
    key: str
    column: str | None = None
    before: Any = None
    after: Any = None
    touches: int | None = None


@dataclass(frozen=True)
class Stored:
    """What the database holds: rows by table and key, the face's document, and how many workspaces there are."""

    rows: Mapping[str, Mapping[str, StoredRow]]
    name: str | None
    document: Mapping[str, Any]
    workspaces: int
    workspaces_by_plan: Mapping[str, int]
    removed: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Keys by table that an operator removed for good."""


def compare(edition: Edition, stored: Stored) -> tuple[Change, ...]:
    """Every difference, in the order of the tables."""
    changes = _face_changes(edition, stored)
    for table, wanted in wanted_rows(edition).items():
        rows = stored.rows[table]
        for key, values in wanted.items():
            row = rows.get(key)
            if row is None:
                gone = key in stored.removed.get(table, ())
                changes.append(Change("keep" if gone else "add", table, key, after=values))
            else:
                changes += _row_changes(table, row, values, stored)
        for key, row in rows.items():
            # a connection that nothing uses does nothing, and its key may be wanted again
            if key not in wanted and row.applied is not None and table != "connection":
                changes += _removal(table, row, stored)
    return tuple(changes)


def wanted_rows(edition: Edition) -> dict[str, dict[str, dict[str, Any]]]:
    """What the edition says: table → key → columns."""
    connection_keys = {connection.id: connection.key for connection in edition.connections}
    items: Mapping[str, tuple[Item, ...]] = {
        "connection": edition.connections,
        "model": edition.models,
        "plan": edition.plans,
        "pack": edition.packs,
        "style_preset": edition.style_presets,
        "chain": edition.chains,
    }
    return {table: {item.key: columns(item, connection_keys) for item in of_table} for table, of_table in items.items()}


def edited_columns(table: str, row: StoredRow) -> set[str]:
    """The columns an operator changed since the edition last spoke."""
    applied = row.applied or {}
    return {name for name in EDITION_COLUMNS[table] if row.values[name] != applied.get(name, _MISSING)}


def _face_changes(edition: Edition, stored: Stored) -> list[Change]:
    after = {"name": edition.name, **edition.face.document()}
    before = {"name": stored.name, **stored.document} if stored.name else {}
    return [
        Change("change", "edition", edition.name, column, before.get(column), value)
        for column, value in after.items()
        if before.get(column) != value
    ]


def _row_changes(table: str, row: StoredRow, wanted: Mapping[str, Any], stored: Stored) -> list[Change]:
    edited = edited_columns(table, row)
    changes = []
    for column, value in wanted.items():
        now = row.values[column]
        if now == value:
            continue
        verb: Verb = "keep" if column in edited else "change"
        touches = _touches(table, row.key, column, stored) if verb == "change" else None
        changes.append(Change(verb, table, row.key, column, now, value, touches))
    return changes


def _removal(table: str, row: StoredRow, stored: Stored) -> list[Change]:
    if table == "model" and not row.values["enabled"]:
        return []
    if edited_columns(table, row):
        return [Change("keep", table, row.key, before=dict(row.values))]
    felt = {"plan": stored.workspaces_by_plan.get(row.key, 0), "model": stored.workspaces}
    return [Change("remove", table, row.key, before=dict(row.values), touches=felt.get(table))]


def _touches(table: str, key: str, column: str, stored: Stored) -> int | None:
    if column not in FELT.get(table, ()):
        return None
    return stored.workspaces_by_plan.get(key, 0) if table == "plan" else stored.workspaces
