"""A short attack on the whole product: nothing succeeds, the ledger is right, and what was given was paid for."""

from pathlib import Path

from attack.run import attacked
from attack.score import Force
from attack.site import opened


async def test_nothing_succeeds(fresh_database_url: str, tmp_path: Path) -> None:
    async with opened(fresh_database_url, tmp_path) as site:
        attacks = await attacked(site, Force(crowd=4, rounds=1, step=8))
    assert [(one.name, win) for one in attacks for win in one.wins] == []
    assert all(one.tries for one in attacks) and len(attacks) > 25
