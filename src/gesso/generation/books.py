"""Charges against deliveries, over all generations: each is there only with the other (architecture 5.2)."""

from dataclasses import dataclass
from typing import Any

from gesso.db import ElevatedSession

FACT = "books"

_UNMATCHED = """
WITH charged AS (
    SELECT g.workspace_id, g.id, p.output_index AS index
    FROM credit_hold_part p JOIN generation g ON g.hold_id = p.hold_id AND g.workspace_id = p.workspace_id
    WHERE p.state = 'captured' GROUP BY 1, 2, 3
), delivered AS (
    SELECT workspace_id, generation_id AS id, index, asset_id FROM output WHERE state = 'delivered' AND NOT late
)
SELECT count(*) FILTER (WHERE d.asset_id IS NULL) AS charges,
       count(*) FILTER (WHERE d.asset_id IS NOT NULL AND c.charged IS NULL) AS deliveries
FROM (SELECT *, true AS charged FROM charged) c
FULL JOIN delivered d USING (workspace_id, id, index)
WHERE d.asset_id IS NULL OR c.charged IS NULL
"""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Charges without a delivery, and deliveries that should have been charged and were not. Both must be 0."""

    charges: int
    deliveries: int

    def to_json(self) -> dict[str, Any]:
        return {"charges": self.charges, "deliveries": self.deliveries}


async def check(tx: ElevatedSession) -> Unmatched:
    """Compare all of them. Reads three tables once and locks nothing."""
    row = await tx.fetchrow(_UNMATCHED)
    assert row is not None
    return Unmatched(row["charges"], row["deliveries"])
