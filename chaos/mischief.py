"""What is done to the site: a list of acts drawn from the seed, carried out under load as the number of kills grows.

Webs, workers and sandbox are not on the list: each is born with a life of so many seconds of processor time, or with
a crash point, and dies of either. Processor time, because the same list shall mean the same on any machine: a life
counted by the clock would end before the work begins where others keep the processors busy.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from chaos.site import Site, Slot

EVERY_KILLS: dict[str, float] = {
    "kill backend": 60, "kill postgres": 100, "kill supervisor": 500,
    "pause worker": 90, "pause worker for long": 90, "pause web": 200, "pause sandbox": 120, "pause backend": 120,
    "fill files": 150, "fill postgres": 300, "deafen": 80, "drop backends": 80, "reset sandbox": 60, "reset web": 120,
    "hold sandbox": 150,
}  # fmt: skip
"""Each of these comes once in about so many kills."""
SECONDS: dict[str, tuple[float, float]] = {
    "pause worker": (0.5, 4), "pause worker for long": (11, 15), "pause web": (0.5, 3), "pause sandbox": (0.5, 4),
    "pause backend": (0.3, 2), "fill files": (1, 4), "fill postgres": (0.5, 2), "hold sandbox": (0.5, 3),
}  # fmt: skip
"""How long each of them lasts. Leases and heartbeats end after 10 s, so a long pause outlives them."""
POSTMASTERS_A_MINUTE = 6
"""The embedded server's supervisor gives up at ten restarts a minute, as it should."""
LOOK_SECONDS = 0.03
_SERVER = {"backend": "PostgreSQL backend", "postgres": "PostgreSQL", "supervisor": "its supervisor"}


@dataclass(frozen=True)
class Act:
    """To be done after `at` kills; `pick` chooses among possible victims, `seconds` is how long it lasts."""

    at: float
    what: str
    pick: float
    seconds: float


def acts(seed: int, *, hurry: float = 1.0) -> Iterator[Act]:
    """An endless list, the same for the same arguments; with `hurry` so many times as many acts."""
    source = random.Random(seed)
    rates = [hurry / kills for kills in EVERY_KILLS.values()]
    at = 0.0
    while True:
        at += source.expovariate(sum(rates))
        what = source.choices(list(EVERY_KILLS), rates)[0]
        least, most = SECONDS.get(what, (0, 0))
        yield Act(at, what, source.random(), source.uniform(least, most))


@dataclass
class Mischief:
    """Carries the list out, until `kills` processes have died or `seconds` have passed."""

    site: Site
    seed: int
    kills: int
    seconds: float
    hurry: float = 1.0
    enough: Callable[[], bool] = lambda: True
    """Not before this holds is the time over, unless it has passed five times: a busy machine does less in it."""
    done: Counter[str] = field(default_factory=Counter)
    _begun: float = field(default_factory=time.monotonic)
    _lasting: set[asyncio.Task[None]] = field(default_factory=set)
    _postmasters: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Until there were enough kills, or the time is over; then everything lasting has ended."""
        self._begun = time.monotonic()
        reaper = asyncio.create_task(self._reap())
        try:
            with (self.site.folder / "acts.jsonl").open("w") as script:
                for act in acts(self.seed, hurry=self.hurry):
                    while self.total < act.at and not self._over():
                        await asyncio.sleep(LOOK_SECONDS)
                    if self._over():
                        return
                    done = await self._do(act)
                    self.done[act.what if done else f"{act.what} (nobody there)"] += 1
                    moment = {"done": done, "kills": self.total, "second": time.monotonic() - self._begun}
                    script.write(json.dumps(vars(act) | moment) + "\n")
        finally:
            for task in (reaper, *self._lasting):
                task.cancel()
            await asyncio.gather(reaper, *self._lasting, return_exceptions=True)

    @property
    def total(self) -> int:
        """Processes that died by SIGKILL."""
        return sum(self.killed.values())

    @property
    def killed(self) -> Counter[str]:
        """The same by kind."""
        found = Counter(self.site.deaths.kills)
        found["at a crash point"] = sum(self.site.deaths.points.values())
        return found + Counter({told: self.done[f"kill {victim}"] for victim, told in _SERVER.items()})

    def _over(self) -> bool:
        passed = time.monotonic() - self._begun
        return self.total >= self.kills or (passed >= self.seconds and self.enough()) or passed >= 5 * self.seconds

    async def _reap(self) -> None:
        """End lives that are over."""
        while True:
            for slot in self.site.slots:
                if slot.pid is not None and not slot.ours and _processor_seconds(slot.pid) >= slot.life:
                    self.site.strike(slot, signal.SIGKILL)
            await asyncio.sleep(LOOK_SECONDS)

    # --- acts -------------------------------------------------------------------------------------------

    async def _do(self, act: Act) -> bool:
        verb, _, rest = act.what.partition(" ")
        victim = rest.partition(" ")[0]
        if verb == "kill":
            return await self._kill_server(victim, act)
        if verb == "pause" and victim == "backend":
            pid = await self._backend(act.pick)
            return pid is not None and self._last(
                act, lambda: _signal(pid, signal.SIGSTOP), lambda: _signal(pid, signal.SIGCONT)
            )
        if verb == "pause":
            return self._pause(act, [slot for slot in self.site.of(victim) if slot.pid is not None])
        if verb == "fill":
            return self._last(act, lambda: self.site.fill(victim), lambda: self.site.empty(victim))
        if verb == "hold":
            return self._last(act, self.site.sandbox.hold, self.site.sandbox.flow)
        if verb == "reset":
            return (self.site.sandbox if victim == "sandbox" else self.site.web).reset_all() > 0
        return await self._terminate("query LIKE 'LISTEN%'" if verb == "deafen" else "true", act.pick)

    def _pause(self, act: Act, slots: list[Slot]) -> bool:
        if not slots:
            return False
        slot = slots[int(act.pick * len(slots))]
        pid = slot.pid

        def go_on() -> None:
            if slot.pid == pid:
                self.site.strike(slot, signal.SIGCONT)

        return self._last(act, lambda: self.site.strike(slot, signal.SIGSTOP), go_on)

    async def _kill_server(self, victim: str, act: Act) -> bool:
        if victim == "backend":
            pid = await self._backend(act.pick)
            return pid is not None and _signal(pid, signal.SIGKILL)
        now = time.monotonic()
        self._postmasters = [moment for moment in self._postmasters if moment > now - 60]
        pids = self.site.server_pids()
        if pids is None or len(self._postmasters) >= POSTMASTERS_A_MINUTE:
            return False
        self._postmasters.append(now)
        return _signal(pids[0] if victim == "postgres" else pids[1], signal.SIGKILL)

    async def _backend(self, pick: float) -> int | None:
        """The process behind one of the product's connections."""
        rows = await self._ask("SELECT pid FROM pg_stat_activity WHERE usename LIKE 'gesso_%' ORDER BY pid")
        return rows[int(pick * len(rows))]["pid"] if rows else None

    async def _terminate(self, which: str, pick: float) -> bool:
        rows = await self._ask(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'gesso_%' AND {which} "
            "ORDER BY pid LIMIT $1",
            1 + int(pick * 4),
        )
        return bool(rows)

    async def _ask(self, sql: str, *values: Any) -> list[asyncpg.Record]:
        """Rows for the owner; none while the database is away."""
        try:
            connection = await asyncpg.connect(self.site.owner_url(), timeout=1)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return []
        try:
            return list(await connection.fetch(sql, *values, timeout=2))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return []
        finally:
            with contextlib.suppress(Exception):
                await connection.close(timeout=1)

    def _last(self, act: Act, begin: Callable[[], object], end: Callable[[], object]) -> bool:
        """Begin something now and end it `act.seconds` later, whatever comes between."""
        if begin() is False:
            return False

        async def ending() -> None:
            try:
                await asyncio.sleep(act.seconds)
            finally:
                end()

        task = asyncio.create_task(ending())
        self._lasting.add(task)
        task.add_done_callback(self._lasting.discard)
        return True


def _signal(pid: int, number: signal.Signals) -> bool:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
        return True
    return False


def _processor_seconds(pid: int) -> float:
    """What a process has used so far, its threads included; 0 for one that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


_TICKS = os.sysconf("SC_CLK_TCK")
