"""What the chaos found and what was mended, each by itself."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import uvloop
from fastapi import FastAPI, Request, Response
from structlog.testing import capture_logs

from gesso.core.errors import Unavailable
from gesso.db import Database
from gesso.jobs import Tasks, enqueue, worker
from gesso.jobs.worker import Worker
from gesso.providers.http import HttpClient, NoAnswer
from gesso.web.errors import Problem, install
from tests.conftest import SECRET
from tests.product import served


class Wire:
    """What lies between the product and PostgreSQL; it can say the server's goodbye without hanging up."""

    def __init__(self) -> None:
        self.clients: list[asyncio.StreamWriter] = []
        self.port = 0

    def say_goodbye(self) -> None:
        told = b"SFATAL\0VFATAL\0C57P02\0Mterminating connection due to unexpected postmaster exit\0\0"
        for client in self.clients:
            client.write(b"E" + struct.pack("!I", len(told) + 4) + told)

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, host: str, port: int) -> AsyncIterator["Wire"]:
        wire = cls()

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    writer.write(data)
            writer.close()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            wire.clients.append(writer)
            ours = await asyncio.open_connection(host, port)
            await asyncio.gather(carry(reader, ours[1]), carry(ours[0], writer))
            wire.clients.remove(writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        wire.port = server.sockets[0].getsockname()[1]
        try:
            yield wire
        finally:
            server.close()


async def test_a_server_that_has_said_goodbye_but_not_hung_up_is_away(database_url: str) -> None:
    parts = urlsplit(database_url)
    assert parts.hostname is not None and parts.port is not None
    async with Wire.to(parts.hostname, parts.port) as wire:
        address = parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{wire.port}")
        db = Database(urlunsplit(address), secret=SECRET, pool_size=1)
        async with db.public() as tx:
            assert await tx.fetchval("SELECT 1") == 1
        wire.say_goodbye()
        await asyncio.sleep(0.1)
        with pytest.raises(Unavailable):
            async with db.public() as tx:
                await tx.fetchval("SELECT 1")
        async with db.public() as tx:  # that connection is not tried again
            assert await tx.fetchval("SELECT 1") == 1
        await db.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("53100", "could not write init file: No space left on device"),
        ("57P01", "terminating connection due to administrator command"),
        ("57P02", "terminating connection due to unexpected postmaster exit"),
    ],
)
async def test_a_server_that_refuses_for_want_of_room_or_because_it_ends_is_away(
    database_url: str, code: str, words: str
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        told = f"SFATAL\0VFATAL\0C{code}\0M{words}\0\0".encode()
        writer.write(b"E" + struct.pack("!I", len(told) + 4) + told)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    parts = urlsplit(database_url)
    port = server.sockets[0].getsockname()[1]
    address = parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}", query="sslmode=disable")
    db = Database(urlunsplit(address), secret=SECRET, pool_size=1)
    with pytest.raises(Unavailable):
        async with db.public() as tx:
            await tx.fetchval("SELECT 1")
    await db.close()
    server.close()


async def test_a_client_that_hangs_up_in_the_middle_of_its_body_is_no_failure_of_ours() -> None:
    app, ended = FastAPI(), asyncio.Event()

    @app.post("/api/take")
    async def take(request: Request) -> None:
        try:
            await request.json()
        finally:
            ended.set()

    async def page(request: Request, status: int, problem: Problem) -> Response:
        return Response(status_code=status)

    install(app, page)
    with capture_logs() as told:
        async with served(app) as url:
            port = urlsplit(url).port
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /api/take HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.transport.abort()
            await asyncio.wait_for(ended.wait(), 60)
            await asyncio.sleep(0.1)
    assert [line for line in told if line["log_level"] == "error"] == []


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON pgqueuer FOR EACH ROW WHEN (NEW.status = 'queued') EXECUTE FUNCTION refuse();
"""


async def test_a_job_whose_second_try_the_database_refused_is_not_forgotten(
    fresh_db: Database, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails, and just then the disk is full: so the queue cannot even note that it is to be tried again."""
    monkeypatch.setattr(worker, "SEEN_SECONDS", 0.3)
    tries: asyncio.Queue[int] = asyncio.Queue()
    tasks = Tasks()

    async def stumble(payload: dict[str, Any]) -> None:
        tries.put_nowait(payload["n"])
        if tries.qsize() == 1:
            raise RuntimeError("the first try fails")

    tasks.add("test.stumble", stumble)
    owner = await asyncpg.connect(fresh_database_url)
    await owner.execute(REFUSE)
    running = Worker(fresh_db, tasks)
    work = asyncio.create_task(running.run())
    async with fresh_db.public() as tx:
        await enqueue(tx, "test.stumble", {"n": 7})
    async with asyncio.timeout(60):
        while await owner.fetchval("SELECT count(*) FROM pgqueuer WHERE status = 'failed'") == 0:
            assert not work.done()
            await asyncio.sleep(0.05)
    await owner.execute("DROP TRIGGER refuse ON pgqueuer")
    async with asyncio.timeout(60):
        while tries.qsize() < 2:
            await asyncio.sleep(0.05)
    running.stop()
    await asyncio.wait_for(work, 60)
    await owner.close()


def test_a_connection_reset_in_the_moment_of_its_making_is_no_answer() -> None:
    """uvloop then has no socket to ask for its name: an AttributeError came out, once in some thousand times.

    So this can only fail now and then without the mend (one run in three when it was written), never with it.
    """

    async def knock() -> set[type[Exception]]:
        listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=_reset_everybody, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client, met = HttpClient(None, lambda key: {}, [url]), set()
        for _ in range(1500):
            try:
                await client.call("GET", url)
            except Exception as error:
                met.add(type(error))
        await client.aclose()
        listener.close()
        return met

    assert uvloop.run(knock()) == {NoAnswer}


def _reset_everybody(listener: socket.socket) -> None:
    """Take every connection and break it at once. Ends with the listener."""
    with contextlib.suppress(OSError):
        while True:
            taken, _ = listener.accept()
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            taken.close()
