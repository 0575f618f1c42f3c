"""What is under way with a model or a style: as long as there is any, neither can be removed."""

from gesso.catalog.styles import SETTING
from gesso.db import ElevatedSession

# As in jobs: each goes along one partial index.
_OPEN = """
SELECT count(*) FROM (
    SELECT 1 FROM generation WHERE dispatched_at IS NULL AND state = 'queued' AND {which}
    UNION ALL SELECT 1 FROM generation WHERE dispatched_at IS NOT NULL AND state = 'queued' AND {which}
    UNION ALL SELECT 1 FROM generation WHERE dispatched_at IS NOT NULL AND state = 'running' AND {which}
) open
"""


async def with_model(tx: ElevatedSession, key: str) -> int:
    """Generations that wait or run, and calls under way as somebody's fallback or in a chain."""
    asked = await tx.fetchval(_OPEN.format(which="model_key = $1"), key)
    called = await tx.fetchval(
        "SELECT count(*) FROM attempt WHERE state IN ('started', 'submitted') AND model_key = $1", key
    )
    return max(int(asked), int(called))


async def with_style(tx: ElevatedSession, key: str) -> int:
    """Generations that wait or run and wear it."""
    return int(await tx.fetchval(_OPEN.format(which=f"params ->> '{SETTING}' = $1"), key))
