"""One run: attack, mend, wait for quiet, judge."""

import asyncio
import random
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2
import structlog
from rich.console import Console

from chaos.mischief import Mischief
from chaos.people import Crowd, Unanswered, live, sign_up
from chaos.quiet import mend, until_quiet
from chaos.site import Site, opened
from chaos.verdict import Finding, judged

QUIET_SECONDS = 420.0
"""The longest that anything may take by itself: a generation's own deadline, and some."""
TELL_SECONDS = 15.0


@dataclass(frozen=True)
class Plan:
    """What to do. `seconds` bounds the attack; the end takes about half a minute more."""

    kills: int
    seconds: float
    seed: int
    workers: int = 6
    webs: int = 2
    people: int = 16
    open_limit: int = 200
    """Generations under way at most: a longer backlog would only wait."""
    hurry: float = 1.0
    """So many times as many acts beside the kills as usual: for short runs."""
    least_kills: int = 0
    least_accepted: int = 0
    """So many kills and accepted requests there must be before the time is over, on however busy a machine."""
    life: float = 1.0
    """Processes live so many times as long as usual: shorter lives are more kills a minute, and less work in each."""
    folder: Path | None = None

    @property
    def command(self) -> str:
        """What repeats this run."""
        life = "" if self.life == 1 else f" --life {self.life:g}"
        return f"python -m chaos --kills {self.kills} --minutes {self.seconds / 60:g} --seed {self.seed}{life}"


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    plan: Plan
    findings: list[Finding]
    mischief: Mischief
    crowd: Crowd
    site: Site
    attack_seconds: float
    seconds: float
    folder: Path

    @property
    def holds(self) -> bool:
        """Whether every line does."""
        return all(finding.holds for finding in self.findings)


async def run(plan: Plan, console: Console) -> Outcome:
    """One run, in a folder of its own that stays when something is wrong."""
    folder = plan.folder or Path(tempfile.mkdtemp(prefix="gesso-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    log = (folder / "chaos.log").open("w")  # what the product's own code has to say in this process
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(log))
    begun = time.monotonic()
    async with opened(folder, workers=plan.workers, webs=plan.webs, seed=plan.seed, life=plan.life) as site:
        address = f"http://127.0.0.1:{site.web.port}"
        async with httpx2.AsyncClient(base_url=address, timeout=20, trust_env=False) as http:
            crowd = Crowd(http, random.Random(plan.seed))
            mischief = Mischief(site, plan.seed, plan.kills, plan.seconds, plan.hurry)
            mischief.enough = lambda: (
                mischief.total >= plan.least_kills and crowd.counts["accepted"] >= plan.least_accepted
            )
            attacked = time.monotonic()
            await _attack(site, crowd, mischief, plan, console)
            attack_seconds = time.monotonic() - attacked
            console.print(f"{mischief.total} kills in {attack_seconds:.0f} s; all is mended, waiting for quiet.")
            left = await until_quiet(site, crowd, console, seconds=QUIET_SECONDS)
            findings = await judged(site, crowd, left)
    outcome = Outcome(plan, findings, mischief, crowd, site, attack_seconds, time.monotonic() - begun, folder)
    if outcome.holds and plan.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


async def _attack(site: Site, crowd: Crowd, mischief: Mischief, plan: Plan, console: Console) -> None:
    """People live while mischief is made; at its end all is mended, and every client has its last answer."""
    lives: list[asyncio.Task[None]] = []

    async def newcomers(count: int) -> None:
        while len(crowd.people) < count and not crowd.finishing.is_set():
            try:
                person = await sign_up(crowd)
            except Unanswered:  # whoever gives up owns nothing they know of; somebody else comes
                crowd.counts["sign-ups given up"] += 1
                continue
            lives.append(asyncio.create_task(live(crowd, person, open_limit=plan.open_limit)))

    async def progress() -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            told = ", ".join(f"{count} {what}" for what, count in mischief.killed.items())
            accepted = crowd.counts["accepted"]
            console.print(f"{mischief.total} killed ({told}); {accepted} accepted, {crowd.open} open", highlight=False)

    await newcomers(plan.people // 2)
    beside = [asyncio.create_task(newcomers(plan.people)), asyncio.create_task(progress())]
    try:
        await mischief.run()
    except BaseException:
        for task in (*lives, *beside):
            task.cancel()
        raise
    crowd.finishing.set()
    beside[1].cancel()
    await mend(site)
    for result in await asyncio.gather(*lives, beside[0], return_exceptions=True):
        if isinstance(result, BaseException):
            crowd.wrong.append(f"a client broke down: {result!r}")
