"""The whole product: pages, the hand-over to a worker, and how it starts."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg

from bench.house import House, free_port, memory_mb, token, until_up
from bench.load import Line, get, paced, percentile, post
from bench.report import Row
from bench.statements import REQUEST, SUBMIT

PAINTER = 3
"""The person whose pages are measured."""
ENDED = ("succeeded", "failed", "cancelled")


async def pages(port: int, *, requests: int) -> list[Row]:
    """(e) Time to first byte of Create and Gallery for somebody with pictures, one request after the other."""
    rows = []
    for path in ("/create", "/gallery"):
        async with Line.opened(port) as line:
            for _ in range(10):
                reply = await line.send(get(path, token(PAINTER), gzip=True))
                if reply.status != 200:
                    raise RuntimeError(f"{path} was answered {reply.status}")
            times = [(await line.send(get(path, token(PAINTER), gzip=True))).first_byte * 1000 for _ in range(requests)]
        note = f"{requests} requests, p50 {percentile(times, 0.5):.1f} ms, {len(reply.body) / 1024:.0f} kB gzipped"
        rows.append(Row(f"{path}: time to first byte, p99", percentile(times, 0.99), " ms", 100, 50, True, note))
    return rows


async def paint_pictures(port: int, generations: int) -> None:
    """Let a person make some pictures, and wait until they are all there."""
    async with Line.opened(port) as line:
        wanted = []
        for _ in range(generations):
            asked = post(SUBMIT, token(PAINTER), {**REQUEST, "count": 4}, str(uuid4()))
            wanted.append(json.loads((await line.send(asked)).body)["id"])
        for generation in wanted:
            async with asyncio.timeout(120):
                while True:
                    reply = await line.send(get(f"/api/generate/status/{generation}", token(PAINTER)))
                    status = json.loads(reply.body)["status"]
                    if status in ENDED:
                        break
                    await asyncio.sleep(0.2)
            if status != "succeeded":
                raise RuntimeError(f"a generation ended as {status}: {reply.body[:500]!r}")


async def hand_over(house: House, port: int, *, seconds: float, a_second: float = 20) -> Row:
    """(i) From the submit in the web process to the start in the worker's, by the rows both write.

    The sandbox refuses these requests at once: painting would only keep the two cores busy.
    """
    connection = await asyncpg.connect(house.owner_url)
    begun = await connection.fetchval("SELECT clock_timestamp()")
    numbers = iter(range(100, 1000))
    refused = {**REQUEST, "prompt": "sandbox:422 a lighthouse at dusk"}
    load = await paced(
        port, lambda: post(SUBMIT, token(next(numbers)), refused, str(uuid4())), a_second=a_second, seconds=seconds
    )
    load.rate(202)
    async with asyncio.timeout(60):
        while await connection.fetchval(
            "SELECT count(*) FROM generation WHERE created_at >= $1 AND started_at IS NULL", begun
        ):
            await asyncio.sleep(0.2)
    waits = await connection.fetch(
        "SELECT extract(epoch FROM started_at - created_at)::float8 * 1000 AS ms FROM generation "
        "WHERE created_at >= $1",
        begun,
    )
    await connection.close()
    times = [row["ms"] for row in waits]
    note = f"{len(times)} submits at {a_second:.0f} a second, p50 {percentile(times, 0.5):.0f} ms"
    return Row("submit → handed to a worker, p99", percentile(times, 0.99), " ms", 250, 100, True, note)


@contextlib.asynccontextmanager
async def with_worker(house: House, web_port: int) -> AsyncIterator[None]:
    """A worker and the sandbox beside a web process, from when the worker has shown itself."""
    port = free_port()
    async with house.process("gesso.sandbox", "--port", str(port), GESSO_SANDBOX_PAINT_SECONDS="0"):
        async with house.process("gesso", "work", GESSO_SANDBOX_URL=f"http://127.0.0.1:{port}") as worker:
            await until_up(web_port, "/readyz", worker)
            yield


async def starts(house: House) -> list[Row]:
    """(h) `gesso up` from nothing, and again; the memory of its web process when it is ready."""
    folder = house.folder / "installation"
    folder.mkdir()
    folder.chmod(0o755)
    seconds, memory = [], 0.0
    for _ in range(2):
        port = free_port()
        async with house.process(
            "gesso", "up", GESSO_PORT=str(port), GESSO_DATA_DIR=str(folder / "data"), DATABASE_URL=""
        ) as up:
            seconds.append(await until_up(port, "/readyz", up))
            memory = memory_mb(_web_of(up))
    first, again = seconds
    return [
        Row(
            "start to healthy, installed machine",
            again,
            " s",
            8,
            3,
            True,
            f"`gesso up`; on an empty folder {first:.1f} s",
        ),
        Row("memory of a web process, just started", memory, " MB", 250, 150, True, "resident"),
    ]


def _web_of(up: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
    for child in children:
        if "serve" in Path(f"/proc/{child}/cmdline").read_text().split("\0"):
            return int(child)
    raise RuntimeError("gesso up has no web process")
