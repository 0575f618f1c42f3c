"""The drill: everything is restarted, killed and replaced while people use it; then we look for what was lost."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import report
from cluster import STOP_SECONDS, Cluster, running
from parts import ClusterError
from proof import prove, until_ended, until_heard
from report import Round, console
from visitors import Ear, Pace, Tally, Visitor, steady

from gesso.core.ids import new_id
from gesso.core.money import parse_credits
from gesso.core.settings import DatabaseSettings
from gesso.credits import service as credits
from gesso.credits.types import CREDIT
from gesso.db import Database

PARTS = ("web-1", "web-2", "worker-1", "worker-2")
VISITORS, STREAMS_EACH = 6, 4
CREDITS = "2000"
SETTLE_SECONDS = 1.5
"""Before a round is closed: what its last act did to requests under way is its own."""
DOWN_SECONDS = 1.0
SHORT = Pace(pages=3, styles=1, browsing=1.5, submits=0.6, uploads=1)
SMALL = "a quiet harbour at dusk sandbox:small"


@dataclass
class Scene:
    """The cluster, the people, and what they saw."""

    cluster: Cluster
    tally: Tally
    ears: list[Ear]


async def run(*, port: int | None, short: bool) -> None:
    """All rounds and all proofs. Raises ClusterError when anything was lost."""
    begun = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        with console.status("Starting PostgreSQL, S3, the sandbox, two webs, two workers and nginx …"):
            options = ("fsync=off",) if short else ()  # nobody pulls PostgreSQL's plug
            cluster = await stack.enter_async_context(running(port=port, paint_seconds="0.2-0.6", options=options))
            prompt = SMALL if short else Visitor.prompt
            visitors = [
                await stack.enter_async_context(
                    Visitor.arrived(cluster.address, cluster.trust, f"visitor.{new_id().hex}@example.test", prompt)
                )
                for _ in range(2 if short else VISITORS)
            ]
            await _grant(cluster, visitors)
        console.print(f"[dim]{cluster.address} is up after {time.monotonic() - begun:.0f} s.[/]", highlight=False)
        tally = Tally()
        ears = [Ear(visitor, tally) for visitor in visitors for _ in range(STREAMS_EACH)]
        listening = [asyncio.create_task(ear.listen()) for ear in ears]
        async with steady(visitors, tally, SHORT if short else Pace()):
            rounds = await _rounds(Scene(cluster, tally, ears), short=short)
        with console.status("Waiting for the last picture …"):
            await until_ended(cluster)
            await until_heard(cluster, ears)
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        proofs = await prove(cluster, visitors, ears, killed=not short)
        report.show(rounds, proofs)
        if not short:
            report.write(rounds, proofs, "python deploy/local-cluster", time.monotonic() - begun)
        if not (all(one.right for one in rounds) and all(one.right for one in proofs)):
            raise ClusterError("Something was lost.")
    console.print(f"Nothing was lost. {time.monotonic() - begun:.0f} seconds in all.", highlight=False)


async def _rounds(scene: Scene, *, short: bool) -> list[Round]:
    await asyncio.sleep(1 if short else 3)
    if short:
        return [await _round(scene, "restart", "a web and a worker, then the others", _restart_machines)]
    return [
        await _round(scene, "restart 1", "each, one after the other", _restart),
        await _round(scene, "restart 2", "each, one after the other", _restart),
        await _round(scene, "roll-out", "each, as a new release", _roll_out),
        await _round(scene, "kill −9", "each, one after the other", _kill, graceful=False),
    ]


async def _round(
    scene: Scene, name: str, parts: str, act: Callable[[Cluster], Awaitable[None]], *, graceful: bool = True
) -> Round:
    """Do it under load and count what people saw meanwhile."""
    begun, cut_before = time.monotonic(), sum(ear.cut for ear in scene.ears)
    with console.status(f"{name}: {parts} …"):
        await act(scene.cluster)
        await asyncio.sleep(SETTLE_SECONDS)
    failed = [failure for failure in scene.tally.failures if failure.at >= begun]
    answered = [seconds for at, _, seconds in scene.tally.answered if at >= begun]
    cut = sum(ear.cut for ear in scene.ears) - cut_before
    reasons = Counter(f"{failure.kind}: {failure.what}" for failure in failed)
    # after a kill: a POST that was under way in the killed server, which nginx must not repeat; and its streams
    right = not failed and not cut if graceful else all(failure.kind == "upload" for failure in failed)
    return Round(
        name, parts, time.monotonic() - begun, len(answered), len(failed),
        ", ".join(f"{count} × {reason}" for reason, count in reasons.items()), max(answered, default=0.0), cut, right,
    )  # fmt: skip


async def _restart(cluster: Cluster) -> None:
    for name in PARTS:
        await cluster.parts[name].stop(STOP_SECONDS)
        await cluster.start(name)


async def _restart_machines(cluster: Cluster) -> None:
    """As if each web and its worker stood on a machine of their own."""
    for machine in (PARTS[0::2], PARTS[1::2]):
        await asyncio.gather(*(cluster.parts[name].stop(STOP_SECONDS) for name in machine))
        await asyncio.gather(*(cluster.start(name) for name in machine))


async def _roll_out(cluster: Cluster) -> None:
    for name in PARTS:
        await cluster.parts[name].stop(STOP_SECONDS)
        cluster.parts[name].environment = {**cluster.parts[name].environment, "GESSO_RELEASE": "second"}
        await cluster.start(name)
    for name in cluster.web_ports:
        assert await cluster.release_of(name) == "second", f"{name} is not the new release"


async def _kill(cluster: Cluster) -> None:
    """Webs alternate with workers: nginx leaves a server that failed alone for two seconds, and needs the other one."""
    for name in ("web-1", "worker-1", "web-2", "worker-2"):
        await cluster.parts[name].kill()
        await asyncio.sleep(DOWN_SECONDS)
        await cluster.start(name)


async def _grant(cluster: Cluster, visitors: list[Visitor]) -> None:
    settings = DatabaseSettings()
    database = Database(
        cluster.owner_url, secret=cluster.environment["GESSO_SECRET_KEY"], role_prefix=settings.role_prefix
    )
    try:
        async with database.elevated("local-cluster: credits for the load") as tx:
            for visitor in visitors:
                await credits.grant(
                    tx, UUID(visitor.workspace_id), unit=CREDIT, amount=parse_credits(CREDITS), source="operator",
                    key=f"operator:{visitor.email}", reason="a drill",
                )  # fmt: skip
    finally:
        await database.close()
