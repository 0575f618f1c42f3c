"""Lists that are searched, sorted and paged by key, along indexes: the same speed with a hundred thousand rows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from gesso.core.errors import InvalidInput
from gesso.db import ElevatedSession
from gesso.db.paging import decode_cursor, encode_cursor

_DISTINCT = """
WITH RECURSIVE seen AS (
    (SELECT {column} AS value FROM {table} ORDER BY {column} LIMIT 1)
    UNION ALL
    SELECT (SELECT t.{column} FROM {table} t WHERE t.{column} > seen.value ORDER BY t.{column} LIMIT 1)
    FROM seen WHERE seen.value IS NOT NULL
)
SELECT value FROM seen WHERE value IS NOT NULL
"""
PAGE = 50
MOST = 200


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of a list: by `column` (an expression with an index behind it), then by id."""

    column: str
    words: str
    descending: bool = False

    def after(self, cursor: str, values: list[Any]) -> str:
        """The condition that leaves out what the pages before showed. Raises InvalidInput on `cursor`."""
        sign = "<" if self.descending else ">"
        if self.column == "id":
            (identity,) = decode_cursor(cursor, 1)
            values.append(_uuid(identity))
            return f"id {sign} ${len(values)}"
        value, identity = decode_cursor(cursor, 2)
        if not isinstance(value, str):
            raise _foreign()
        values += [value, _uuid(identity)]
        return f"({self.column}, id) {sign} (${len(values) - 1}, ${len(values)})"

    @property
    def order(self) -> str:
        """What stands behind ORDER BY."""
        way = " DESC" if self.descending else ""
        return f"id{way}" if self.column == "id" else f"{self.column}{way}, id{way}"

    def cursor(self, row: Mapping[str, Any]) -> str:
        """Of the last row of a page; it has `sorted_by`, the column's value, and `id`."""
        return encode_cursor(str(row["id"])) if self.column == "id" else encode_cursor(row["sorted_by"], str(row["id"]))


@dataclass(slots=True)
class Conditions:
    """Parts of a WHERE with their values, numbered as they come."""

    parts: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, condition: str, *values: Any) -> None:
        """`condition` has `{}` where its values go, each once, or `{0}` where one goes several times."""
        first = len(self.values) + 1
        self.values += values
        self.parts.append(condition.format(*(f"${first + number}" for number in range(len(values)))))

    @property
    def where(self) -> str:
        """What stands behind WHERE."""
        return " AND ".join(self.parts) or "true"


async def distinct(tx: ElevatedSession, table: str, column: str) -> tuple[str, ...]:
    """Every value of a column that an index begins with, each found along it: as fast with millions of rows."""
    rows = await tx.fetch(_DISTINCT.format(table=table, column=column))
    return tuple(row["value"] for row in rows)


def like(text: str) -> str:
    """A pattern that finds `text` anywhere, whatever signs it has."""
    escaped = re.sub(r"([\\%_])", r"\\\1", text)
    return f"%{escaped}%"


def as_uuid(text: str) -> UUID | None:
    """The id that `text` is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def paged(rows: Sequence[Any], limit: int, sort: Sort) -> tuple[Sequence[Any], str | None]:
    """`limit` + 1 rows to those of the page, and the cursor of the next one."""
    return rows[:limit], sort.cursor(rows[limit - 1]) if len(rows) > limit else None


def _uuid(value: object) -> UUID:
    found = as_uuid(value) if isinstance(value, str) else None
    if found is None:
        raise _foreign()
    return found


def _foreign() -> InvalidInput:
    return InvalidInput("This cursor is not one of ours.", fields={"cursor": "Leave it out to start at the beginning."})
