"""`python -m bench.dead`: what providers that do not work do to generations made elsewhere. Writes `DEAD.md`.

One worker as shipped, two connections. Generations of the fastest model are made one after the other: by themselves,
then while three times as many as the worker has places wait for a connection that takes requests and never answers, for
one that takes jobs and never ends them, and for one that is not there; then by themselves again. The clock starts when
the worker has had a look at each that waits: a hundred requests at once are work for any worker, however they end.
"""

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import uvloop
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from bench.house import House, opened, token
from bench.load import Line, get, percentile, post
from bench.product import ENDED, with_worker
from bench.report import commit, machine
from bench.statements import REQUEST, SUBMIT
from gesso.catalog.service import add_connection
from gesso.core.ids import new_id
from gesso.core.sealed import Sealer

RESULTS = Path(__file__).parent / "DEAD.md"
PLACES = 32
"""A worker's, as shipped."""
MADE = 20
PAINTER = 5
CROWD = range(100, 100 + 3 * PLACES)
MOST = 1.5
"""How many times longer nineteen of twenty may take beside a provider that does not work."""
HEAD = ("generations made", "p50", "p95", "longest", "taken up after, p95", "p95 ÷ alone", "", "calls under way there")


@dataclass
class Seen:
    """Seconds from asking to having, and from asking to a worker's start; the calls that the broken one held."""

    beside: str
    whole: list[float] = field(default_factory=list)
    taken_up: list[float] = field(default_factory=list)
    held: int = 0

    def cells(self, alone: float | None) -> tuple[str, ...]:
        p95 = percentile(self.whole, 0.95)
        times = (f"{second:.2f} s" for second in (percentile(self.whole, 0.5), p95, max(self.whole)))
        verdict = ("", "") if alone is None else (f"{p95 / alone:.2f}×", "met" if p95 <= MOST * alone else "missed")
        held = "" if alone is None else str(self.held)
        return (self.beside, *times, f"{percentile(self.taken_up, 0.95) * 1000:.0f} ms", *verdict, held)


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65536):
        pass
    writer.close()


async def _broken(home: House, key: str, base_url: str | None, secret: str) -> None:
    """A connection that does not work, and a model on it. Without an address the sandbox answers, as the key says."""
    async with home.db.elevated("bench: a broken provider") as tx:
        sealer = Sealer(home.settings.secret_key)
        made = await add_connection(
            tx, sealer, key=key, adapter="fal", api_key=SecretStr(f"bench:{secret}"), base_url=base_url
        )  # fmt: skip
        if base_url is None:
            await tx.execute_raw("UPDATE connection SET sandbox = true WHERE id = $1", made.id)
        await tx.execute_raw(
            """INSERT INTO model (id, key, kind, connection_id, upstream, name, capabilities, price, wire,
                   outputs_per_call, typical_seconds, enabled, origin, position)
               SELECT $1, $4, kind, $2, upstream, 'Broken', capabilities, price, wire, outputs_per_call,
                   typical_seconds, true, 'operator', 900 FROM model WHERE key = $3""",
            new_id(), made.id, REQUEST["model"], key,
        )  # fmt: skip


@asynccontextmanager
async def _silent() -> AsyncIterator[str]:
    server = await asyncio.start_server(_silence, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fal"


async def _make(port: int, count: int, seen: Seen) -> list[UUID]:
    """Generations one after the other; their ids."""
    made = []
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
            seen.whole.append(time.perf_counter() - begun)
            made.append(UUID(wanted))
    return made


async def _crowd(port: int, model: str) -> None:
    async with Line.opened(port) as line:
        for number in CROWD:
            reply = await line.send(post(SUBMIT, token(number), {**REQUEST, "model": model}, str(uuid4())))
            if reply.status != 202:
                raise RuntimeError(f"not taken: {reply.status} {reply.body[:200]!r}")


async def _settled(connection: asyncpg.Connection) -> None:
    """Wait until the worker has had a look at each of them."""
    async with asyncio.timeout(120):
        while await connection.fetchval("SELECT count(*) FROM pgqueuer WHERE status = 'queued' AND attempts = 0"):
            await asyncio.sleep(0.2)


async def _round(home: House, port: int, beside: str, model: str | None) -> Seen:
    """One row of the table, with a worker of its own."""
    seen = Seen(beside)
    async with with_worker(home, port):
        connection = await asyncpg.connect(home.owner_url)
        await _make(port, 3, Seen("warming up"))
        if model is not None:
            await _crowd(port, model)
            await _settled(connection)
        made = await _make(port, MADE, seen)
        rows = await connection.fetch(
            "SELECT extract(epoch FROM started_at - created_at)::float8 AS s FROM generation WHERE id = ANY ($1)", made
        )
        seen.taken_up = [row["s"] for row in rows]
        seen.held = await connection.fetchval(
            "SELECT count(*) FROM attempt WHERE state IN ('started', 'submitted') AND model_key = $1", model
        )
        await connection.close()
    await home.clear_queue()
    await home.owner(
        "UPDATE attempt SET state = 'cancelled', error_kind = 'cancelled', finished_at = now() "
        "WHERE finished_at IS NULL"
    )  # fmt: skip
    return seen


async def measure() -> Sequence[Seen]:
    """The rows: alone, beside each of three broken ones, alone again."""
    async with _silent() as silent, opened() as home:
        with socket.socket() as closed:  # bound, and nobody listens: every connection is refused
            closed.bind(("127.0.0.1", 0))
            await _broken(home, "silent", silent, "nothing")
            await _broken(home, "endless", None, "fault-slow=3600")
            await _broken(home, "absent", f"http://127.0.0.1:{closed.getsockname()[1]}/fal", "nothing")
            async with home.web() as (port, _):
                return [
                    await _round(home, port, "alone", None),
                    await _round(home, port, "beside one that takes requests and never answers", "silent"),
                    await _round(home, port, "beside one that takes jobs and never ends them", "endless"),
                    await _round(home, port, "beside one that is not there", "absent"),
                    await _round(home, port, "alone, again", None),
                ]


def tell(rows: Sequence[Seen]) -> bool:
    """Print the table and write it to DEAD.md. Whether all is well."""
    alone = [second for row in rows if row.beside.startswith("alone") for second in row.whole]
    limit = percentile(alone, 0.95)
    cells = [row.cells(None if row.beside.startswith("alone") else limit) for row in rows]
    table = Table(*HEAD, header_style="dim")
    for line in cells:
        table.add_row(*line)
    Console().print(table)
    RESULTS.write_text(
        "\n".join(
            [
                "# Beside providers that do not work",
                "",
                f"`python -m bench.dead` on {datetime.now(UTC):%-d %B %Y}, commit {commit()}.",
                f"{machine()} PostgreSQL, sandbox, product and load generator share it: only the ratios mean anything. "
                f"Load average at the end {os.getloadavg()[1]:.1f}.",
                "",
                f"One worker with {PLACES} places. {MADE} pictures of the fastest model, one after the other, while "
                f"{len(CROWD)} generations of other people wait for the connection that does not work. Both rows "
                f"“alone” together are what is compared with; {MOST:g}× is the most.",
                "",
                f"| {' | '.join(HEAD)} |",
                "|---|--:|--:|--:|--:|--:|---|--:|",
                *(f"| {' | '.join(line)} |" for line in cells),
                "",
            ]
        ),
        encoding="utf-8",
    )
    return not any("missed" in line for line in cells)


def main() -> None:
    raise SystemExit(0 if tell(uvloop.run(measure())) else 1)


if __name__ == "__main__":
    main()
