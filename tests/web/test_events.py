"""Event streams at the rim: how they end, what they leave behind, and when their browsers come back."""

import asyncio
from uuid import uuid4

import pytest
from starlette.types import Message

from gesso.db import Database, Listener
from gesso.web import events
from gesso.web.events import EventHub, Stream

WORKSPACE = uuid4()


class Browser:
    """The other end of a stream: what it was sent, and going away."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.leaves = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        self.sent.append(message)

    @property
    def text(self) -> str:
        return b"".join(message["body"] for message in self.sent).decode()

    async def hears(self, stream: Stream) -> None:
        """Listen until the stream ends."""
        async with asyncio.timeout(20):
            await stream.pass_on(self.receive, self.send)


@pytest.fixture
def hub(db: Database) -> EventHub:
    return EventHub(Listener(db))


async def test_a_stream_passes_on_and_ends_whole_when_the_server_stops(hub: EventHub) -> None:
    stream, browser = hub.open(WORKSPACE), Browser()
    await hub._deliver({"workspace": str(WORKSPACE), "type": "asset", "id": "1", "event_id": 7})
    await hub._deliver({"workspace": str(uuid4()), "type": "asset", "id": "2"})
    listening = asyncio.create_task(browser.hears(stream))
    hub.end()
    await listening
    assert browser.text.startswith('id: 7\nevent: asset\ndata: {"id":"1"}\n\nretry: ')
    assert [message["more_body"] for message in browser.sent] == [False]
    assert hub.count() == 0


async def test_a_browser_that_went_away_is_forgotten(hub: EventHub) -> None:
    stream, browser = hub.open(WORKSPACE), Browser()
    listening = asyncio.create_task(browser.hears(stream))
    browser.leaves.set()
    await listening
    assert hub.count() == 0
    await hub._deliver({"workspace": str(WORKSPACE), "type": "asset", "id": "1"})
    assert browser.text == ""


async def test_one_that_reads_too_slowly_is_ended(hub: EventHub) -> None:
    stream, browser = hub.open(WORKSPACE), Browser()
    browser.reads.clear()
    listening = asyncio.create_task(browser.hears(stream))
    for number in range(2 * events.MAX_WAITING):
        await hub._deliver({"workspace": str(WORKSPACE), "type": "asset", "id": str(number)})
    browser.reads.set()
    await listening
    assert browser.text.count("event: asset") < events.MAX_WAITING and not browser.sent[-1]["more_body"]
    assert hub.count() == 0


async def test_a_stream_ends_after_its_time_and_until_then_is_told_when_to_come_back(
    hub: EventHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE_SECONDS", 0.02)
    young, old = hub.open(WORKSPACE), hub.open(WORKSPACE)
    old.ends_at = 0.0
    browser, other = Browser(), Browser()
    listening = asyncio.create_task(other.hears(young))
    await hub.start()
    await browser.hears(old)
    assert browser.text.startswith("retry: ") and not browser.sent[-1]["more_body"]
    assert not listening.done() and hub.count() == 1
    await hub.close()
    await listening


async def test_the_more_there_are_the_longer_they_take_to_come_back(hub: EventHub) -> None:
    def latest() -> int:
        return max(int(hub.retry().split()[1]) for _ in range(200))

    assert latest() <= 3000
    streams = [hub.open(uuid4()) for _ in range(10 * events.RETURNS_A_SECOND)]
    assert 5000 < latest() <= 11000
    for stream in streams:
        stream.close()
        stream.close()
    assert hub.count() == 0 and latest() <= 3000
