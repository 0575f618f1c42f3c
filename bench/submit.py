"""Submitting: against pgbench running the same statements, alone, on one wallet, at a steady rate, and for nothing."""

import asyncio
import random
import statistics
from collections import Counter
from uuid import uuid4

from bench.house import HOT, PEOPLE, POOR, House, token
from bench.load import Line, Load, closed, paced, percentile, post
from bench.pgbench import pgbench
from bench.report import Row
from bench.statements import REQUEST, SUBMIT, capture
from gesso.credits import service as credits

AT_ONCE = 16
ROUND = 200
"""Requests of one round on a wallet: as many as may wait in a workspace."""


def by_anyone() -> bytes:
    """A submit by one of the thousand."""
    return post(SUBMIT, token(random.randint(1, PEOPLE)), REQUEST, str(uuid4()))


def by(number: int) -> bytes:
    """A submit by this person."""
    return post(SUBMIT, token(number), REQUEST, str(uuid4()))


async def against_pgbench(house: House, port: int, *, seconds: float, rounds: int) -> list[Row]:
    """(a) and (b): pgbench and the web process in turns, so that both see the same machine; medians of the rounds."""
    await closed(port, by_anyone, lines=AT_ONCE, count=600)
    script = await capture(house, port)
    theirs, ours, ratios, their_p50, our_p50 = [], [], [], [], []
    for _ in range(rounds):
        await house.clear_queue()
        database = await pgbench(house, script, clients=AT_ONCE, seconds=seconds)
        await house.clear_queue()
        web = (await closed(port, by_anyone, lines=AT_ONCE, seconds=seconds)).rate(202)
        await house.clear_queue()
        alone = await pgbench(house, script, clients=1, seconds=seconds / 2)
        load = await closed(port, by_anyone, lines=1, seconds=seconds / 2)
        load.rate(202)
        theirs.append(database.tps)
        ours.append(web)
        ratios.append(web / database.tps)
        their_p50.append(alone.p50 * 1000)
        our_p50.append(percentile(load.latencies, 0.5) * 1000)
    tps, rate = statistics.median(theirs), statistics.median(ours)
    mine, its = statistics.median(our_p50), statistics.median(their_p50)
    latency_ratio = statistics.median(a / b for a, b in zip(our_p50, their_p50, strict=True))
    return [
        Row(
            "submits a second ÷ pgbench", statistics.median(ratios), "", 0.35, 0.55,
            note=f"{rate:,.0f} ÷ {tps:,.0f} a second, {AT_ONCE} at once, {script.statements} statements",
        ),
        Row(
            "submit p50 alone ÷ pgbench's", latency_ratio, "×", 5, 3, most=True,
            note=f"{mine:.2f} ms ÷ {its:.2f} ms",
        ),
    ]  # fmt: skip


async def one_wallet(house: House, port: int, *, rounds: int) -> Row:
    """(c): rounds of as many requests as may wait, on one wallet and over a thousand, in turns."""
    hot, spread = Load(), Load()
    for _ in range(rounds):
        for total, make in ((hot, lambda: by(HOT)), (spread, by_anyone)):
            await house.clear_queue()
            load = await closed(port, make, lines=AT_ONCE, count=ROUND)
            total.seconds += load.seconds
            total.statuses.update(load.statuses)
            total.latencies += load.latencies
    on_one, over_all = hot.rate(202), spread.rate(202)
    note = (
        f"{on_one:,.0f} ÷ {over_all:,.0f} a second; p99 on one wallet {percentile(hot.latencies, 0.99) * 1000:.0f} ms"
    )
    return Row("one hot wallet ÷ spread over 1,000", on_one / over_all, "", 0.4, 0.7, note=note)


async def at_a_rate(house: House, port: int, *, seconds: float) -> Row:
    """p99 at 200 requests a second, counted from when each was due."""
    await house.clear_queue()
    load = await paced(port, by_anyone, a_second=200, seconds=seconds)
    load.rate(202)
    note = f"{len(load.latencies):,} requests, p50 {percentile(load.latencies, 0.5) * 1000:.1f} ms"
    return Row("submit p99 at 200 a second", percentile(load.latencies, 0.99) * 1000, " ms", 40, 20, True, note)


async def on_a_balance_of_one(house: House, port: int) -> Row:
    """(g): 200 connections submit at the same moment; afterwards every balance must follow from the journal."""
    await house.clear_queue()
    statuses: Counter[int] = Counter()
    open_lines = 0
    everybody = asyncio.Event()

    async def one() -> None:
        nonlocal open_lines
        async with Line.opened(port) as line:
            open_lines += 1
            await everybody.wait()
            statuses[(await line.send(by(POOR))).status] += 1

    tasks = [asyncio.create_task(one()) for _ in range(200)]
    while open_lines < 200:
        await asyncio.sleep(0.01)
    everybody.set()
    await asyncio.gather(*tasks)
    async with house.db.elevated("bench: verify") as tx:
        wrong = len(await credits.verify(tx))
    told = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
    right = statuses == {202: 1, 402: 199} and not wrong
    note = f"answers {told}; {wrong} wrong balances in the whole ledger"
    return Row("200 at once on a balance of 1: accepted", statuses[202], must=1, target=1, note=note, right=right)
