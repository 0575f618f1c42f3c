"""`python -m bench.live`: how long until a change of the operator's is live in every other process.

Two webs and two workers as shipped, on one database. The price of a model is changed at the first web; the second is
asked for an estimate until it quotes the new one. Then what the provider calls a model is changed there, and pictures
are asked for until a worker calls it so; the workers take turns, the other one being stopped (SIGSTOP). Printed: the
time from the answer to the change until then.
"""

import argparse
import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence

import asyncpg
import httpx2
import uvloop
from rich.console import Console

from bench import house
from bench.house import House, token, token_hash
from bench.load import percentile

OPERATOR = 3
MODEL = "juggernaut-lightning"
UPSTREAMS = ("fal-ai/flux/schnell", "rundiffusion-fal/juggernaut-flux/lightning")
"""What the model is called in turn at its provider; the sandbox knows both."""
console = Console()


def client(port: int) -> httpx2.AsyncClient:
    """The operator's client of one web."""
    cookie = {"Cookie": f"gesso_session={token(OPERATOR)}"}
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=cookie, timeout=20, trust_env=False)


async def make_operator(home: House) -> None:
    """Let one of the people run the site."""
    connection = await asyncpg.connect(home.owner_url)
    await connection.execute(
        "UPDATE app_user SET is_operator = true WHERE id = (SELECT user_id FROM login_session WHERE token_hash = $1)",
        token_hash(OPERATOR),
    )
    await connection.close()


async def change(first: httpx2.AsyncClient, model: str, **new: object) -> None:
    """Change a model at the first web."""
    at = f"/api/admin/models/{model}"
    old = (await first.get(at)).raise_for_status().json()
    body = {name: value for name, value in old.items() if name not in ("key", "kind")}
    (await first.put(at, json={**body, **new})).raise_for_status()


async def until_live(first: httpx2.AsyncClient, second: httpx2.AsyncClient, credits: str) -> float:
    """Seconds from the answer to a change of price until the other web quotes it."""
    await change(first, MODEL, price={"credits": credits})
    begun = time.perf_counter()
    asked = {"kind": "image", "model": MODEL, "count": 1}
    while True:
        told = (await second.post("/api/generate/estimate", json=asked)).raise_for_status().json()
        if told["price"]["credits"] == credits:
            return time.perf_counter() - begun


async def until_worked(home: House, first: httpx2.AsyncClient, upstream: str) -> float:
    """Seconds from the answer to a change of the provider's name for a model until a worker calls it so.

    The sandbox refuses these requests at once: they cost nothing, and nobody waits for pictures.
    """
    db = await asyncpg.connect(home.owner_url)
    try:
        await change(first, MODEL, upstream=upstream)
        begun = await db.fetchval("SELECT clock_timestamp()")
        body = {"model": MODEL, "prompt": "sandbox:422 a lighthouse", "count": 1}
        while True:
            asked = (await first.post("/api/generate/image", json=body)).raise_for_status().json()["id"]
            async with asyncio.timeout(60):
                while (found := await db.fetchrow(_CALLED, asked)) is None:
                    await asyncio.sleep(0.005)
            if found["upstream"] == upstream:
                return float((found["created_at"] - begun).total_seconds())
    finally:
        await db.close()


_CALLED = "SELECT upstream, created_at FROM attempt WHERE generation_id = $1::uuid ORDER BY id LIMIT 1"


async def until_idle(home: House) -> None:
    """Wait until nothing is being made: a worker stopped in a transaction would hold up everybody."""
    db = await asyncpg.connect(home.owner_url)
    async with asyncio.timeout(60):
        while await db.fetchval("SELECT EXISTS (SELECT FROM generation WHERE state IN ('queued', 'running'))"):
            await asyncio.sleep(0.05)
    await db.close()


@contextlib.contextmanager
def stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A process that does nothing for as long as the block lasts."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def site(home: House) -> AsyncIterator[tuple[list[int], list[subprocess.Popen[bytes]]]]:
    """Two webs, by port, and two workers, with a sandbox."""
    async with contextlib.AsyncExitStack() as stack:
        port = house.free_port()
        sandbox = {"GESSO_SANDBOX_URL": f"http://127.0.0.1:{port}"}
        await stack.enter_async_context(home.process("gesso.sandbox", "--port", str(port)))
        webs = [await stack.enter_async_context(home.web(**sandbox)) for _ in range(2)]
        workers = [await stack.enter_async_context(home.process("gesso", "work", **sandbox)) for _ in range(2)]
        db = await asyncpg.connect(home.owner_url)
        async with asyncio.timeout(60):
            while await db.fetchval("SELECT count(*) FROM worker_seen") < len(workers):
                await asyncio.sleep(0.1)
        await db.close()
        yield [port for port, _ in webs], workers


async def measure(changes: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each change, in the other web and in the workers."""
    async with house.opened() as home:
        await make_operator(home)
        async with site(home) as ((one, other), workers), client(one) as first, client(other) as second:
            webs = [
                await until_live(first, second, f"{2 + number % 2}.{number + 1:02d}1") * 1000
                for number in range(changes)
            ]
            called = []
            for number in range(changes):
                await until_idle(home)
                with stopped(workers[number % 2]):
                    called.append(await until_worked(home, first, UPSTREAMS[number % 2]) * 1000)
            return webs, called


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--changes", type=int, default=50)
    webs, workers = uvloop.run(measure(parser.parse_args(arguments).changes))
    for what, times in (
        ("A change of price, quoted by the other web", webs),
        ("Another name, used by a worker", workers),
    ):
        console.print(
            f"{what}: p50 {percentile(times, 0.5):.0f} ms, p95 {percentile(times, 0.95):.0f} ms, "
            f"slowest {max(times):.0f} ms ({len(times)} changes)",
            highlight=False,
        )


if __name__ == "__main__":
    main()
