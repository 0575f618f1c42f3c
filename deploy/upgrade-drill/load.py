"""People who use the product meanwhile, through a client that tries again, as browsers, proxies and scripts do."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from gesso.core.ids import new_id

PATIENCE_SECONDS = 30.0
ENDED = ("succeeded", "failed", "cancelled")
_AGAIN = (409, 429, 502, 503, 504)
"""Answers that ask for another try: another request is at it, or this server is stopping or waits for something."""
_PAGES = ("/create", "/gallery", "/api/credits", "/api/media")


@dataclass
class Tally:
    """What happened to all requests of a run."""

    answered: list[tuple[float, float]] = field(default_factory=list)
    """When it was first sent (monotonic clock), and seconds until its good answer, all tries together."""
    again: int = 0
    failed: list[str] = field(default_factory=list)

    def slowest(self, begin: float, end: float) -> float:
        """The longest wait for a good answer among requests under way between two moments, in seconds."""
        return max((took for at, took in self.answered if at < end and at + took > begin), default=0.0)


@dataclass
class Person:
    """Somebody signed up, with one client per web server."""

    tally: Tally
    clients: Sequence[httpx2.AsyncClient]
    asked: list[str] = field(default_factory=list)
    email: str = field(default_factory=lambda: f"ada.{new_id().hex[-8:]}@example.test")

    async def ask(
        self, method: str, path: str, *, good: Sequence[int] = (200,), **options: Any
    ) -> httpx2.Response | None:
        """A good answer from whichever server has one, or None, which is counted as a failure."""
        begun = time.monotonic()
        last = "no answer"
        for client in itertools.cycle(self.clients):
            try:
                answer = await client.request(method, path, **options)
            except httpx2.HTTPError as error:
                last = type(error).__name__
            else:
                if answer.status_code in good:
                    self.tally.answered.append((begun, time.monotonic() - begun))
                    return answer
                last = f"{answer.status_code}: {answer.text[:200]}"
                if answer.status_code not in _AGAIN:
                    break
            if time.monotonic() > begun + PATIENCE_SECONDS:
                break
            self.tally.again += 1
            await asyncio.sleep(0.1)
        self.tally.failed.append(f"{method} {path}: {last}")
        return None

    async def sign_up(self) -> None:
        """Make the account; all clients carry its cookie."""
        body = {"email": self.email, "name": "Ada", "password": "violet ridges, first light"}
        answer = await self.ask("POST", "/api/auth/signup", json=body, good=(201,))
        if answer is not None:
            for client in self.clients:
                client.cookies.update(answer.cookies)

    async def live(self, stop: asyncio.Event) -> None:
        """Ask for pictures and look around, until told to stop; then wait for what is under way."""
        pages = itertools.cycle(_PAGES)
        while not stop.is_set():
            body = {"model": "flux-schnell", "prompt": f"dunes at dawn, view {len(self.asked)}", "count": 1}
            key = {"Idempotency-Key": new_id().hex}
            answer = await self.ask("POST", "/api/generate/image", json=body, headers=key, good=(202,))
            if answer is not None:
                self.asked.append(str(answer.json()["id"]))
            for _ in range(4):
                await self.ask("GET", next(pages))
                await asyncio.sleep(0.2)
            if self.asked:
                await self.ask("GET", f"/api/generate/status/{self.asked[-1]}")

    async def until_ended(self, seconds: float) -> int:
        """Wait for the ends of all that was accepted; returns how many have none."""
        open_ones = set(self.asked)
        deadline = time.monotonic() + seconds
        while open_ones and time.monotonic() < deadline:
            for one in sorted(open_ones):
                answer = await self.ask("GET", f"/api/generate/status/{one}")
                if answer is not None and answer.json()["status"] in ENDED:
                    open_ones.discard(one)
            await asyncio.sleep(0.2)
        return len(open_ones)


@contextlib.asynccontextmanager
async def people(count: int, addresses: Sequence[str], tally: Tally) -> AsyncIterator[list[Person]]:
    """Several people who have signed up."""
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for number in range(count):
            turned = [*addresses[number % len(addresses) :], *addresses[: number % len(addresses)]]
            clients = [
                await stack.enter_async_context(httpx2.AsyncClient(base_url=address, timeout=15, trust_env=False))
                for address in turned
            ]
            person = Person(tally, clients)
            await person.sign_up()
            found.append(person)
        yield found
