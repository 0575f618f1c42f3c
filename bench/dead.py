"""`python -m bench.dead`: what a provider that takes requests and never answers does to generations made elsewhere.

One worker as shipped, two connections. Generations of the fastest model are made one after the other, first by
themselves, then while three times as many as the worker has places wait for the dead connection.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from uuid import uuid4

import asyncpg
import uvloop
from pydantic import SecretStr

from bench.house import House, opened, token
from bench.load import Line, get, percentile, post
from bench.product import ENDED, with_worker
from bench.statements import REQUEST, SUBMIT
from gesso.catalog.service import add_connection
from gesso.core.ids import new_id
from gesso.core.sealed import Sealer

PLACES = 32
"""A worker's, as shipped."""
MADE = 20
PAINTER = 5
CROWD = range(100, 100 + 3 * PLACES)


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass
    writer.close()


async def _dead_model(home: House, port: int) -> None:
    """A connection to somebody who listens and says nothing, and a model on it."""
    async with home.db.elevated("bench: a dead provider") as tx:
        sealer = Sealer(home.settings.secret_key)
        dead = await add_connection(
            tx, sealer, key="dead", adapter="fal", api_key=SecretStr("bench:nothing"),
            base_url=f"http://127.0.0.1:{port}/fal",
        )  # fmt: skip
        await tx.execute_raw(
            """INSERT INTO model (id, key, kind, connection_id, upstream, name, capabilities, price, wire,
                   outputs_per_call, typical_seconds, enabled, origin, position)
               SELECT $1, 'dead', kind, $2, upstream, 'Dead', capabilities, price, wire, outputs_per_call,
                   typical_seconds, true, 'operator', 900 FROM model WHERE key = $3""",
            new_id(), dead.id, REQUEST["model"],
        )  # fmt: skip


async def _seconds(port: int, count: int) -> list[float]:
    """Seconds from asking to having, one after the other."""
    found = []
    async with Line.opened(port) as line:
        for _ in range(count):
            begun = time.perf_counter()
            reply = await line.send(post(SUBMIT, token(PAINTER), REQUEST, str(uuid4())))
            wanted = json.loads(reply.body)["id"]
            async with asyncio.timeout(120):
                while True:
                    status = json.loads((await line.send(get(f"/api/generate/status/{wanted}", token(PAINTER)))).body)
                    if status["status"] in ENDED:
                        break
                    await asyncio.sleep(0.05)
            if status["status"] != "succeeded":
                raise RuntimeError(f"a generation ended as {status['status']}: {status['error']}")
            found.append(time.perf_counter() - begun)
    return found


async def _crowd(port: int) -> None:
    async with Line.opened(port) as line:
        for number in CROWD:
            reply = await line.send(post(SUBMIT, token(number), {**REQUEST, "model": "dead"}, str(uuid4())))
            if reply.status != 202:
                raise RuntimeError(f"not taken: {reply.status} {reply.body[:200]!r}")


async def measure() -> Sequence[str]:
    """The lines to print."""
    server = await asyncio.start_server(_silence, "127.0.0.1", 0)
    async with server, opened() as home:
        await _dead_model(home, server.sockets[0].getsockname()[1])
        async with home.web() as (port, _), with_worker(home, port):
            await _seconds(port, 5)
            alone = await _seconds(port, MADE)
            await _crowd(port)
            beside = await _seconds(port, MADE)
        connection = await asyncpg.connect(home.owner_url)
        hung = await connection.fetchval("SELECT count(*) FROM attempt WHERE model_key = 'dead'")
        await connection.close()
    shown = [
        f"{what}: p50 {percentile(times, 0.5):.2f} s, p95 {percentile(times, 0.95):.2f} s, longest {max(times):.2f} s"
        for what, times in (("one connection, nothing else to do", alone), ("beside a dead provider", beside))
    ]
    return [*shown, f"{len(CROWD)} waited for the dead one; {hung} calls hung; a worker has {PLACES} places"]


def main() -> None:
    for line in uvloop.run(measure()):
        print(line)


if __name__ == "__main__":
    main()
