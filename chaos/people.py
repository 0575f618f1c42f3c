"""The load: people who sign up, ask for pictures, look, cancel and delete, and write down what they were told.

Each is what a good client is: an answer that does not come is asked for again with the same Idempotency-Key.
"""

import asyncio
import contextlib
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

import httpx2

COOKIE = "gesso_session"
PASSWORD = "violet ridges, first light"
ENDED = ("succeeded", "failed", "cancelled")
FAULTS = (
    "429*1=1", "500*1", "503*1", "flaky=2", "drop", "drop-before*1", "malformed", "hang*1=2", "500@status*2",
    "malformed@status*2", "drop@result*1", "500@file*2", "slow=3", "queue=4", "422", "422-late", "safety", "flagged",
    "no-flag", "fewer", "fail", "timeout", "gone", "wrong-bytes", "truncated", "webhook-duplicate", "webhook-forged",
    "webhook-early", "webhook-late=2", "webhook-stale", "webhook-null", "webhook-never", "cancel-ignored",
    "500@cancel*1", "private-url",
)  # fmt: skip
"""Words that make the sandbox misbehave for one request. Those that would stop everybody's work are left out."""
SCENES = ("dunes at dawn", "a glass lagoon", "ink mountains", "paper valley", "a lighthouse at dusk", "bauhaus shapes")


class Unanswered(Exception):
    """Nobody gave a final answer in time."""


@dataclass
class Ask:
    """One request for pictures, as its client knows it."""

    key: str | None
    body: dict[str, Any]
    sent: int = 0
    generation: str | None = None
    price: list[dict[str, Any]] = field(default_factory=list)
    refused: int | None = None
    deleted: dict[str, Any] = field(default_factory=dict)
    """Pictures this client deleted: id → what it had been charged."""

    @property
    def prompt(self) -> str:
        """Nobody else ever sends the same one."""
        return str(self.body["prompt"])


@dataclass
class Person:
    """Somebody with an account."""

    email: str
    cookie: str = ""
    workspace: str = ""
    granted: Decimal = Decimal(0)
    granted_uses: dict[str, int] = field(default_factory=dict)
    asks: list[Ask] = field(default_factory=list)
    open: set[str] = field(default_factory=set)


@dataclass
class Crowd:
    """Everybody, what they did, and what they were told that cannot be."""

    http: httpx2.AsyncClient
    source: random.Random
    people: list[Person] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    finishing: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def open(self) -> int:
        """Generations whose end nobody has seen yet."""
        return sum(len(person.open) for person in self.people)


async def insistently(
    crowd: Crowd, call: Callable[[], Awaitable[httpx2.Response]], *, seconds: float = 120
) -> httpx2.Response:
    """Repeat a request that may be repeated until somebody answers for good. Raises Unanswered."""
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + seconds, 0.1
    while True:
        with contextlib.suppress(httpx2.HTTPError):
            answer = await call()
            if answer.status_code < 500 and answer.status_code not in (409, 429):
                return answer
            crowd.counts[f"answers {answer.status_code}"] += 1
            if answer.status_code == 409 and "taken" in answer.text:
                return answer
            pause = max(pause, min(float(answer.headers.get("retry-after", 0)), 5))
        if loop.time() > until:
            raise Unanswered
        crowd.counts["repeated"] += 1
        await asyncio.sleep(pause * (0.5 + crowd.source.random()))
        pause = min(pause * 1.5, 2)


async def sign_up(crowd: Crowd) -> Person:
    """A new person. An answer that was lost leaves an account behind: then they log in."""
    person = Person(f"{uuid.UUID(int=crowd.source.getrandbits(128)).hex}@example.test")
    body = {"email": person.email, "name": "Ada", "password": PASSWORD}
    answer = await insistently(crowd, lambda: crowd.http.post("/api/auth/signup", json=body))
    if answer.status_code == 409:
        crowd.counts["sign-ups found done"] += 1
        known = {"email": person.email, "password": PASSWORD}
        answer = await insistently(crowd, lambda: crowd.http.post("/api/auth/login", json=known))
    if answer.status_code not in (200, 201):
        raise RuntimeError(f"sign-up was answered {answer.status_code}: {answer.text[:300]}")
    person.workspace = answer.json()["workspace"]["id"]
    person.cookie = _cookie(answer)
    wallet = (await insistently(crowd, lambda: ask_for(crowd, person, "GET", "/api/credits"))).json()
    person.granted = Decimal(wallet["balance"])
    person.granted_uses = dict(wallet["allowances"])
    crowd.people.append(person)
    return person


async def ask_for(
    crowd: Crowd, person: Person, method: str, path: str, *, key: str | None = None, body: Any = None
) -> httpx2.Response:
    """One request of somebody who is signed in."""
    headers = {"Cookie": person.cookie} | ({"Idempotency-Key": key} if key else {})
    return await crowd.http.request(method, path, json=body, headers=headers)


async def live(crowd: Crowd, person: Person, *, open_limit: int) -> None:
    """What a person does until it is time to finish; then every question that is open gets its answer."""
    source = random.Random(crowd.source.random())
    while not crowd.finishing.is_set():
        deed = source.random()
        try:
            if deed < 0.55 and crowd.open < open_limit:
                await _submit(crowd, person, source)
            elif deed < 0.57:
                await _cancel(crowd, person, source)
            elif deed < 0.63:
                await _delete(crowd, person, source)
            elif deed < 0.69:
                await _reuse(crowd, person, source)
            else:
                await _look(crowd, person, source)
        except Unanswered:
            crowd.counts["unanswered"] += 1
        await asyncio.sleep(source.expovariate(1.2))


async def settle(crowd: Crowd) -> None:
    """Ask again whatever was never answered, so that everybody knows what they have."""
    for person in crowd.people:
        for ask in person.asks:
            if ask.key is not None and ask.generation is None and ask.refused is None:
                await _send(crowd, person, ask)


# --- deeds ----------------------------------------------------------------------------------------------


async def _submit(crowd: Crowd, person: Person, source: random.Random) -> None:
    words = f"{source.choice(SCENES)} {uuid.UUID(int=source.getrandbits(128)).hex}"
    if source.random() < 0.25:
        words += f" sandbox:{source.choice(FAULTS)}"
    model, count = source.choice(("sketch", "sketch", "draft", "plate")), source.choice((1, 1, 2, 3, 4))
    body: dict[str, Any] = {"model": model, "prompt": words, "count": count}
    ask = Ask(uuid.UUID(int=source.getrandbits(128)).hex if source.random() < 0.92 else None, body)
    person.asks.append(ask)
    if ask.key is None:
        ask.sent = 1
        with contextlib.suppress(httpx2.HTTPError):
            _note(crowd, person, ask, await ask_for(crowd, person, "POST", "/api/generate/image", body=ask.body))
    elif source.random() < 0.05:
        await asyncio.gather(_send(crowd, person, ask), _send(crowd, person, ask))  # an impatient double click
    else:
        await _send(crowd, person, ask)


async def _send(crowd: Crowd, person: Person, ask: Ask) -> None:
    async def once() -> httpx2.Response:
        ask.sent += 1
        return await ask_for(crowd, person, "POST", "/api/generate/image", key=ask.key, body=ask.body)

    _note(crowd, person, ask, await insistently(crowd, once))


def _note(crowd: Crowd, person: Person, ask: Ask, answer: httpx2.Response) -> None:
    if answer.status_code != 202:
        if ask.generation is not None:
            crowd.wrong.append(f"{ask.prompt}: accepted as {ask.generation}, later answered {answer.status_code}")
        if answer.status_code < 500 and answer.status_code not in (409, 429):
            ask.refused = answer.status_code
            crowd.counts[f"refused {answer.status_code}"] += 1
            if answer.status_code not in (402, 422):
                crowd.wrong.append(f"{ask.prompt}: answered {answer.status_code} {answer.text[:200]}")
        return
    told = answer.json()
    if ask.generation not in (None, told["id"]):
        crowd.wrong.append(f"one key, two generations: {ask.generation} and {told['id']}")
    if ask.generation is None:
        crowd.counts["accepted"] += 1
        crowd.counts["outputs asked"] += len(told["price"]["outputs"])
        person.open.add(told["id"])
    ask.generation, ask.price = told["id"], told["price"]["outputs"]


async def _reuse(crowd: Crowd, person: Person, source: random.Random) -> None:
    """The same key again: the same body gives the same answer, another body is refused."""
    known = [ask for ask in person.asks if ask.key is not None and ask.generation is not None]
    if not known:
        return
    ask = source.choice(known)
    crowd.counts["keys re-used"] += 1
    if source.random() < 0.7:
        await _send(crowd, person, ask)
        return
    other = ask.body | {"prompt": "another picture altogether"}
    answer = await insistently(
        crowd, lambda: ask_for(crowd, person, "POST", "/api/generate/image", key=ask.key, body=other)
    )
    if answer.status_code != 422:
        crowd.wrong.append(f"a used key with another body was answered {answer.status_code}")


async def _cancel(crowd: Crowd, person: Person, source: random.Random) -> None:
    if person.open:
        chosen = source.choice(sorted(person.open))
        answer = await insistently(crowd, lambda: ask_for(crowd, person, "POST", f"/api/generate/{chosen}/cancel"))
        crowd.counts["cancels"] += 1
        if answer.status_code != 200 or answer.json()["status"] not in ENDED:
            crowd.wrong.append(f"{chosen}: cancel was answered {answer.status_code} {answer.text[:200]}")


async def _delete(crowd: Crowd, person: Person, source: random.Random) -> None:
    if not person.asks:
        return
    ask = source.choice(person.asks)
    if ask.generation is None:
        return
    standing = await _status(crowd, person, ask.generation)
    for asset in standing["assets"][:1]:
        ask.deleted[asset["id"]] = asset["charged"]  # noted first: the answer may be lost and the deed done
        await insistently(crowd, partial(ask_for, crowd, person, "DELETE", f"/api/media/{asset['id']}"))
        crowd.counts["deletes"] += 1


async def _look(crowd: Crowd, person: Person, source: random.Random) -> None:
    """See what has become of some of what is open, as an open page would; and at the gallery now and then."""
    for chosen in source.sample(sorted(person.open), min(3, len(person.open))):
        if (await _status(crowd, person, chosen))["status"] in ENDED:
            person.open.discard(chosen)
            crowd.counts["ends seen"] += 1
    if source.random() < 0.1:
        await insistently(crowd, lambda: ask_for(crowd, person, "GET", "/api/media?limit=20"))


async def _status(crowd: Crowd, person: Person, generation: str) -> dict[str, Any]:
    answer = await insistently(crowd, lambda: ask_for(crowd, person, "GET", f"/api/generate/status/{generation}"))
    if answer.status_code != 200:
        crowd.wrong.append(f"{generation}: accepted, later answered {answer.status_code}")
        raise Unanswered
    found: dict[str, Any] = answer.json()
    return found


async def everything(crowd: Crowd, person: Person) -> dict[str, dict[str, Any]]:
    """All generations of a person by id, as the API shows them."""
    found: dict[str, dict[str, Any]] = {}
    cursor = ""
    while True:
        path = f"/api/generate?limit=100{cursor}"
        page = (await insistently(crowd, partial(ask_for, crowd, person, "GET", path))).json()
        found |= {one["id"]: one for one in page["items"]}
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def _cookie(answer: httpx2.Response) -> str:
    for header in answer.headers.get_list("set-cookie"):
        name, _, rest = header.partition("=")
        if name.endswith(COOKIE):
            return f"{name}={rest.partition(';')[0]}"
    raise RuntimeError("no session cookie came")
