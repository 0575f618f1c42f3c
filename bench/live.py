"""`python -m bench.live`: how long until a change of the operator's is live in the other web process.

Two webs as shipped on one database. The price of a model is changed at the first; the second is asked for an
estimate until it quotes the new one. Printed: the time from the answer to the change until then.
"""

import argparse
import time
from collections.abc import Sequence

import asyncpg
import httpx2
import uvloop
from rich.console import Console

from bench import house
from bench.house import House, token, token_hash
from bench.load import percentile

OPERATOR = 3
MODEL = "juggernaut-lightning"
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


async def until_live(first: httpx2.AsyncClient, second: httpx2.AsyncClient, credits: str) -> float:
    """Seconds from the answer to a change of price until the other web quotes it."""
    at = f"/api/admin/models/{MODEL}"
    old = (await first.get(at)).raise_for_status().json()
    body = {name: value for name, value in old.items() if name not in ("key", "kind")}
    (await first.put(at, json={**body, "price": {"credits": credits}})).raise_for_status()
    begun = time.perf_counter()
    asked = {"kind": "image", "model": MODEL, "count": 1}
    while True:
        told = (await second.post("/api/generate/estimate", json=asked)).raise_for_status().json()
        if told["price"]["credits"] == credits:
            return time.perf_counter() - begun


async def measure(changes: int) -> list[float]:
    """Milliseconds of each change."""
    async with house.opened() as home:
        await make_operator(home)
        async with home.web() as (one, _), home.web() as (other, _):
            async with client(one) as first, client(other) as second:
                return [
                    await until_live(first, second, f"{2 + number % 2}.{number + 1:02d}1") * 1000
                    for number in range(changes)
                ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--changes", type=int, default=50)
    times = uvloop.run(measure(parser.parse_args(arguments).changes))
    console.print(
        f"A change of price at one web, quoted by the other: p50 {percentile(times, 0.5):.0f} ms, "
        f"p95 {percentile(times, 0.95):.0f} ms, slowest {max(times):.0f} ms ({len(times)} changes)",
        highlight=False,
    )


if __name__ == "__main__":
    main()
