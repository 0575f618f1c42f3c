"""The end of the attack: everything is mended, and what was begun comes to its end."""

import asyncio
import contextlib
import math
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
from rich.console import Console

from chaos.people import Crowd, settle
from chaos.site import DISK_BYTES, Site
from gesso.calls import gate

OPEN_WORK = {
    "generations": "SELECT count(*) FROM generation WHERE state IN ('queued', 'running')",
    "outputs": "SELECT count(*) FROM output WHERE state = 'pending'",
    "calls": "SELECT count(*) FROM attempt WHERE state IN ('started', 'submitted')",
    "jobs": "SELECT count(*) FROM pgqueuer WHERE entrypoint LIKE 'generation.%'",
}
STEADY_SECONDS = 2.0
"""Nothing is open for so long: then nothing is on its way either."""


async def mend(site: Site) -> None:
    """No crash points, no faults; whoever still carries a point is replaced by somebody who does not."""
    site.fates.mercy()
    for disk in DISK_BYTES:
        site.empty(disk)
    site.sandbox.flow()
    for slot in site.slots:
        site.strike(slot, signal.SIGCONT)
        if slot.life != math.inf:
            site.strike(slot, signal.SIGTERM)
    async with site.owner(90) as owner:
        for row in await owner.fetch("SELECT pid FROM pg_stat_activity WHERE usename LIKE 'gesso_%'"):
            with contextlib.suppress(asyncpg.PostgresError):
                await owner.fetchval("SELECT pg_terminate_backend($1)", row["pid"])  # the stopped ones among them
    await _resume(site)


async def _resume(site: Site) -> None:
    """What an operator does who has mended a provider: tell everybody so, instead of waiting for the breaker."""
    db = site.database()
    try:
        async with db.elevated("chaos: the provider is well again") as tx:
            for row in await tx.fetch("SELECT id FROM connection"):
                await gate.resume(tx, row["id"])
    finally:
        await db.close()


async def until_quiet(site: Site, crowd: Crowd, console: Console, *, seconds: float) -> dict[str, int]:
    """Wait until nothing is open. What still is after `seconds`: empty when all is well."""
    crowd.finishing.set()
    await settle(crowd)
    deadline, steady_since, left = time.monotonic() + seconds, None, {"everything": 1}
    with console.status("") as status:
        while time.monotonic() < deadline:
            with contextlib.suppress(
                OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, httpx2.HTTPError, sqlite3.Error
            ):
                async with site.owner() as owner:
                    left = await _open(site, owner)
            status.update("waiting for quiet: " + ", ".join(f"{count} {what}" for what, count in left.items()))
            now = time.monotonic()
            steady_since = None if left else steady_since or now
            if steady_since is not None and now - steady_since >= STEADY_SECONDS:
                return {}
            await asyncio.sleep(0.5)
    return left


async def _open(site: Site, owner: asyncpg.Connection) -> dict[str, int]:
    found: dict[str, Any] = {what: await owner.fetchval(sql) for what, sql in OPEN_WORK.items()}
    bill: Any = await site.bill()
    found["provider's jobs"] = sum(line["status"] in ("queued", "running") for line in bill["jobs"])
    found["untold webhooks"] = await asyncio.to_thread(_untold, site.folder / "sandbox" / "sandbox.sqlite")
    return {what: count for what, count in found.items() if count}


def _untold(archive: Path) -> int:
    """Jobs whose end the sandbox has not told, or is not done with telling."""
    with contextlib.closing(sqlite3.connect(f"file:{archive}?mode=ro", uri=True, timeout=10)) as db:
        count: int = db.execute("SELECT count(*) FROM job WHERE open").fetchone()[0]
    return count
