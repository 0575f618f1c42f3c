"""(d) The ledger alone: hold and capture, each in a transaction of its own, as web and worker do it."""

import asyncio
import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta

import uvloop

from bench.house import PEOPLE, SECRET, House, bench_id
from bench.report import Row
from gesso.core.ids import new_id
from gesso.core.money import MICRO, OutputAsk
from gesso.credits import service as credits
from gesso.db import Database

PROCESSES, CONNECTIONS = 2, 8


async def pairs(house: House, *, seconds: float) -> Row:
    """Hold + capture pairs a second over a thousand wallets, 16 connections from two processes."""
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        work = [loop.run_in_executor(pool, _process, house.owner_url, seconds) for _ in range(PROCESSES)]
        rates = await asyncio.gather(*work)
    note = f"{PROCESSES} processes × {CONNECTIONS} connections, two transactions a pair, one credit each"
    return Row("ledger: hold + capture pairs a second", sum(rates), "", 1000, 2000, note=note)


def _process(owner_url: str, seconds: float) -> float:
    return uvloop.run(_pairs(owner_url, seconds))


async def _pairs(owner_url: str, seconds: float) -> float:
    db = Database(owner_url, secret=SECRET, pool_size=CONNECTIONS)
    ask = [OutputAsk(MICRO)]
    done = 0

    async def client(deadline: float, *, counts: bool) -> None:
        nonlocal done
        while time.perf_counter() < deadline:
            number, hold = random.randint(1, PEOPLE), new_id()
            workspace, user = bench_id(1, number), bench_id(2, number)
            async with db.workspace(workspace, user) as tx:
                expires = datetime.now(UTC) + timedelta(hours=1)
                await credits.hold(tx, hold_id=hold, subject_id=new_id(), asks=ask, expires_at=expires)
            async with db.workspace(workspace, user) as tx:
                await credits.capture(tx, hold, 0)
            done += counts

    for length, counts in ((min(1.0, seconds), False), (seconds, True)):  # the first one opens the connections
        begun = time.perf_counter()
        await asyncio.gather(*(client(begun + length, counts=counts) for _ in range(CONNECTIONS)))
    rate = done / (time.perf_counter() - begun)
    await db.close()
    return rate
