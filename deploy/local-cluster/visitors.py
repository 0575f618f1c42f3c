"""People in front of the cluster: they look at pages, ask for pictures, upload, and listen to events, at a steady pace.

Nothing here tries again by itself: what a browser would show as an error is counted as one.
"""

import asyncio
import contextlib
import io
import itertools
import random
import re
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpx2
from PIL import Image

from gesso.core.ids import new_id

PATIENCE_SECONDS = 60.0
_dice = random.Random()  # noqa: S311 — it spreads load and guards nothing
_MODEL = "juggernaut-lightning"
_SUBMIT, _UPLOAD = "/api/generate/image", "/api/media/uploads"
_STYLESHEET = re.compile(r'href="(/static/dist/[^"]+\.css)"')
Send = Callable[[], Awaitable[httpx2.Response]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that a person would have seen fail. `at` is on the monotonic clock, when it was sent."""

    at: float
    kind: str
    what: str


@dataclass
class Tally:
    """All requests of a run: (when sent, kind, seconds), and those that failed."""

    answered: list[tuple[float, str, float]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    async def count(
        self, kind: str, send: Callable[[], Awaitable[httpx2.Response]], status: int
    ) -> httpx2.Response | None:
        """Send one request and count it; its answer, or None when it failed."""
        at = time.monotonic()
        try:
            answer = await send()
        except httpx2.HTTPError as error:
            self.failures.append(Failure(at, kind, type(error).__name__))
            return None
        self.answered.append((at, kind, time.monotonic() - at))
        if answer.status_code != status:
            self.failures.append(Failure(at, kind, f"{answer.status_code} by {_speaker(answer)}"))
            return None
        return answer


@dataclass
class Visitor:
    """Somebody signed in, with cookies and kept connections of their own."""

    email: str
    password: str
    http: httpx2.AsyncClient
    prompt: str = "a quiet harbour at dusk"
    workspace_id: str = ""
    asked: list[str] = field(default_factory=list)
    """Generations that were answered with 202."""
    stylesheet: str = "/brand.css"
    pictures: list[str] = field(default_factory=list)

    @classmethod
    @contextlib.asynccontextmanager
    async def arrived(
        cls, address: str, trust: ssl.SSLContext, email: str, prompt: str = prompt
    ) -> AsyncIterator["Visitor"]:
        """A new account, signed in."""
        async with httpx2.AsyncClient(
            base_url=address, verify=trust, timeout=PATIENCE_SECONDS, trust_env=False
        ) as http:
            visitor = cls(email, secrets.token_urlsafe(12), http, prompt)
            body = {"email": email, "name": "Visitor", "password": visitor.password}
            (await http.post("/api/auth/signup", json=body)).raise_for_status()
            me = (await http.get("/api/auth/me")).raise_for_status().json()
            visitor.workspace_id = me["workspace"]["id"]
            yield visitor

    async def look(self, tally: Tally, path: str) -> None:
        """A page."""
        page = await tally.count("page", lambda: self.http.get(path), 200)
        if page is not None and (found := _STYLESHEET.search(page.text)):
            self.stylesheet = found[1]

    async def load_styles(self, tally: Tally) -> None:
        """The stylesheet that the last page named: after a roll-out it must still be there."""
        await tally.count("stylesheet", lambda: self.http.get(self.stylesheet), 200)

    async def ask(self, tally: Tally) -> None:
        """A picture, once, with an Idempotency-Key as our pages and clients send it."""
        body = {"prompt": f"{self.prompt}, {new_id()}", "model": _MODEL, "count": 1, "size": "896x1120"}
        key = {"Idempotency-Key": str(new_id())}
        answer = await tally.count("submit", lambda: self.http.post(_SUBMIT, json=body, headers=key), 202)
        if answer is not None:
            self.asked.append(answer.json()["id"])

    async def upload(self, tally: Tally) -> None:
        """A picture of one's own: a POST that nginx never repeats."""
        files = {"file": ("sketch.png", _png(), "image/png")}
        await tally.count("upload", lambda: self.http.post(_UPLOAD, files=files), 201)

    async def browse(self, tally: Tally) -> None:
        """The newest pictures, and one of their thumbnails."""
        listed = await tally.count("list", lambda: self.http.get("/api/media?limit=10&source=all"), 200)
        items = listed.json()["items"] if listed is not None else []
        if items:
            url = _dice.choice(items)["thumbnails"]["320"]
            await tally.count("thumbnail", lambda: self.http.get(url), 200)


class Ear:
    """One open page: an event stream that is opened again whenever it ends, as EventSource does it."""

    def __init__(self, visitor: Visitor, tally: Tally) -> None:
        self.visitor = visitor
        self.last_id: str | None = None
        self.heard: dict[str, int] = {}
        """Generation → the highest event id heard of it."""
        self.first_id = 0
        """Where counting began: what happened before is no miss."""
        self.resynced = False
        self.reopened = 0
        self.cut = 0
        """How often it broke off in the middle instead of being ended."""
        self.longest_gap = 0.0
        self._tally = tally
        self._retry_ms = 2000

    async def listen(self) -> None:
        """Until cancelled."""
        ended_at: float | None = None
        while True:
            at = time.monotonic()
            try:
                headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
                async with self.visitor.http.stream("GET", "/api/events", headers=headers) as stream:
                    if stream.status_code != 200:
                        self._tally.failures.append(Failure(at, "events", str(stream.status_code)))
                    elif ended_at is not None:
                        self.longest_gap = max(self.longest_gap, time.monotonic() - ended_at)
                        self.reopened += 1
                        ended_at = None
                    await self._read(stream)
            except (httpx2.RemoteProtocolError, httpx2.ReadError):
                self.cut += 1
            except httpx2.HTTPError as error:
                self._tally.failures.append(Failure(at, "events", type(error).__name__))
            ended_at = ended_at or time.monotonic()
            await asyncio.sleep(self._retry_ms / 1000)

    async def _read(self, stream: httpx2.Response) -> None:
        event: dict[str, str] = {}
        async for line in stream.aiter_lines():
            name, _, value = line.partition(": ")
            if line:
                event[name] = value
                continue
            self._take(event)
            event = {}

    def _take(self, event: dict[str, str]) -> None:
        if "retry" in event:
            self._retry_ms = int(event["retry"])
        if "id" in event:
            if self.last_id is None:
                self.first_id = int(event["id"])
            self.last_id = event["id"]
        if event.get("event") == "generation":
            generation = event["data"].partition('"id":"')[2].partition('"')[0]
            self.heard[generation] = max(self.heard.get(generation, 0), int(event["id"]))
        self.resynced |= event.get("event") == "resync"


@dataclass(frozen=True, slots=True)
class Pace:
    """How many of each a second."""

    pages: float = 8
    styles: float = 8
    browsing: float = 4
    submits: float = 1.2
    uploads: float = 2.5


@contextlib.asynccontextmanager
async def steady(visitors: list[Visitor], tally: Tally, pace: Pace) -> AsyncIterator[None]:
    """Load at this pace for as long as the block lasts; what was sent by then is waited for."""
    paths = itertools.cycle(("/create", "/gallery", "/dashboard", "/"))
    kinds: list[tuple[float, Callable[[Visitor], Awaitable[None]]]] = [
        (pace.pages, lambda who: who.look(tally, next(paths))),
        (pace.styles, lambda who: who.load_styles(tally)),
        (pace.browsing, lambda who: who.browse(tally)),
        (pace.submits, lambda who: who.ask(tally)),
        (pace.uploads, lambda who: who.upload(tally)),
    ]
    stopping = asyncio.Event()

    async def keep_sending(a_second: float, act: Callable[[Visitor], Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as group:
            for who in itertools.cycle(visitors):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), _dice.uniform(0.5, 1.5) / a_second)
                    return
                group.create_task(_run(act(who)))

    async with asyncio.TaskGroup() as group:
        for a_second, act in kinds:
            group.create_task(keep_sending(a_second, act))
        try:
            yield
        finally:
            stopping.set()


async def _run(work: Awaitable[None]) -> None:
    await work


def _speaker(answer: httpx2.Response) -> str:
    """Who refused: nginx for want of a server, or gesso and why."""
    if "x-request-id" not in answer.headers:
        return "nginx"
    return f"gesso, {answer.json()['code']}" if "json" in answer.headers.get("content-type", "") else "gesso"


def _png() -> bytes:
    colour = (_dice.randrange(256), _dice.randrange(256), _dice.randrange(256))
    data = io.BytesIO()
    Image.new("RGB", (200, 200), colour).save(data, "PNG")
    return data.getvalue()
