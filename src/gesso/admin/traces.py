"""What an act changed, for the audit log: the catalogue's columns before and after. No column here holds a secret."""

from collections.abc import Mapping
from typing import Any, Literal

from gesso.catalog import rows
from gesso.db import ElevatedSession

Table = Literal["connection", "model", "style_preset", "chain"]
_ALSO = "SELECT base_url, sandbox, enabled, key_hint IS NOT NULL AS has_key FROM connection WHERE key = $1"


async def values(tx: ElevatedSession, table: Table, key: str) -> dict[str, Any]:
    """The columns of a row as they are; nothing of one that is not there. An adapter's options are left out."""
    row = (await rows.stored(tx, table)).get(key)
    if row is None:
        return {}
    found = dict(row.values)
    if table == "connection":
        del found["options"]
        also = await tx.fetchrow(_ALSO, key)
        found |= dict(also) if also else {}
    return found


def between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`before` and `after` of what differs, for a note of the log; nothing when nothing does. Pure."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if not names:
        return {}
    return {
        "before": {name: before[name] for name in names if name in before},
        "after": {name: after[name] for name in names if name in after},
    }
