"""A server and a worker that are asked to stop: nobody is dropped, and it does not take for ever."""

import asyncio
import errno
import signal
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gesso import jobs
from gesso.accounts.access import COOKIE
from gesso.cli.closing import refuse_newcomers
from gesso.db import Database
from gesso.jobs import Tasks
from gesso.web.events import COME_BACK_MS
from gesso.worker import HAND_OVER_SECONDS, run_worker
from tests.deploy.webs import Web, listening, serving, somebody, until_up
from tests.product import seeded, settings_for

pytestmark = pytest.mark.crash
BODY = b'{"model": "juggernaut-lightning", "prompt": "a lighthouse", "count": 1}'

FINISH_SECONDS = 300


@pytest.fixture
async def web(database_url: str, tmp_path: Path) -> AsyncIterator[Web]:
    await seeded(settings_for(database_url, tmp_path, "http://127.0.0.1:1"))
    waits = {"GESSO_WEB_DRAIN_SECONDS": "4", "GESSO_WEB_FINISH_SECONDS": str(FINISH_SECONDS)}
    with serving(database_url, tmp_path, GESSO_RELEASE="a tag", **waits) as running:
        await until_up(running)
        yield running


class Slow:
    """A request that has begun and whose body is still on its way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def begun(cls, web: Web, token: str) -> "Slow":
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(
            f"POST /api/generate/image HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {COOKIE}={token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
            + BODY[:20]
        )
        await writer.drain()
        return cls(reader, writer)

    async def finish(self) -> bytes:
        """The whole answer; the server closes after it."""
        self.writer.write(BODY[20:])
        async with asyncio.timeout(60):
            return await self.reader.read()


async def test_a_stopping_web_drains_and_drops_nobody(web: Web, db: Database) -> None:
    token = await somebody(db)
    async with listening(web, token) as lines, web.client(token) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok", "release": "a tag"}
        slow = await Slow.begun(web, token)
        web.signal(signal.SIGTERM)
        draining = await until_draining(http)
        assert draining.status_code == 503 and draining.headers["connection"] == "close"
        page = await http.get("/create")
        assert page.status_code == 200 and page.headers["connection"] == "close", (
            "it still serves, on a last connection"
        )
        async with asyncio.timeout(60):
            rest = [line async for line in lines]
        [retry] = [int(line.removeprefix("retry: ")) for line in rest if line.startswith("retry: ")]
        assert COME_BACK_MS[0] <= retry <= COME_BACK_MS[1], "the stream ends whole, with a hint to come back soon"
        with pytest.raises(httpx2.ConnectError):
            await http.get("/healthz")
        answer = await slow.finish()
        assert answer.startswith(b"HTTP/1.1 202") and b"connection: close" in answer.lower()
    assert await web.ended() == 0


async def test_a_second_signal_ends_it_at_once(web: Web, db: Database) -> None:
    slow = await Slow.begun(web, await somebody(db))
    async with web.client() as http:
        web.signal(signal.SIGTERM)
        await until_draining(http)
    asked = time.monotonic()
    web.signal(signal.SIGTERM)
    assert await web.ended(FINISH_SECONDS) == 128 + signal.SIGTERM
    assert time.monotonic() - asked < FINISH_SECONDS / 2, "it waited for the request under way"
    slow.writer.close()


async def until_draining(http: httpx2.AsyncClient) -> httpx2.Response:
    async with asyncio.timeout(60):
        while True:
            answer = await http.get("/readyz")
            if answer.json()["draining"]:
                return answer
            await asyncio.sleep(0.02)


async def test_a_door_is_shut_without_losing_who_is_inside() -> None:
    """Somebody whom the kernel has let in but we have not seen yet is served; a newcomer is refused, having sent
    nothing."""
    door = socket.create_server(("127.0.0.1", 0))
    address = door.getsockname()
    inside = socket.create_connection(address)
    inside.sendall(b"POST")
    if not refuse_newcomers(door.fileno()):
        pytest.skip("this system cannot filter a listening socket")
    newcomer = socket.socket()
    newcomer.setblocking(False)
    assert newcomer.connect_ex(address) == errno.EINPROGRESS
    seen, _ = door.accept()
    assert seen.recv(10) == b"POST"
    door.setblocking(False)
    with pytest.raises(BlockingIOError):
        door.accept()
    door.close()
    seen.sendall(b"202")
    assert inside.recv(10) == b"202"
    with pytest.raises(ConnectionRefusedError):
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(newcomer, address), 10)
    for one in (inside, seen, newcomer):
        one.close()


async def test_a_worker_cuts_off_what_does_not_end(fresh_database_url: str, fresh_db: Database, tmp_path: Path) -> None:
    settings = settings_for(fresh_database_url, tmp_path, "http://127.0.0.1:1")
    settings = replace(settings, worker=settings.worker.model_copy(update={"grace_seconds": 0.2}))
    await seeded(settings)
    tasks, begun, cut = Tasks(), asyncio.Event(), asyncio.Event()

    async def for_ever(_: dict[str, Any]) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    tasks.add("for ever", for_ever)
    async with fresh_db.elevated("test") as tx:
        await jobs.enqueue(tx, "for ever", {})
    worker = asyncio.create_task(run_worker(settings, tasks=tasks))
    await asyncio.wait_for(begun.wait(), 60)
    tasks.stopping.set()
    await asyncio.wait_for(worker, HAND_OVER_SECONDS + 60)
    assert cut.is_set()
