"""The gallery of somebody with a million pictures: deep pages, and searches that find nothing.

The two figures that were promised; `bench.million` measures every page.
"""

import asyncio
import random
from collections.abc import Callable
from urllib.parse import urlencode

import asyncpg

from bench import sightseeing
from bench.archive import Space, fill
from bench.house import HOT, House, bench_id, token
from bench.load import Line, get, percentile
from bench.prompts import vocabulary
from bench.report import Row
from gesso.db.paging import encode_cursor

Query = Callable[[], dict[str, str]]
PAGE = 50
_DEEP = "SELECT id FROM asset WHERE workspace_id = $1 AND deleted_at IS NULL ORDER BY id DESC OFFSET $2 LIMIT 1"


async def gallery(house: House, port: int, *, pictures: int, requests: int) -> list[Row]:
    """`pictures` in one workspace; the page in their middle against the first, and searches in turns."""
    workspace = bench_id(1, HOT)
    connection = await asyncpg.connect(house.owner_url)
    blurs = await asyncio.to_thread(sightseeing.blurs)
    await fill(connection, [Space(workspace, (bench_id(2, HOT),), pictures)], blurs, everything=False)
    deep = encode_cursor(await connection.fetchval(_DEEP, workspace, pictures // 2))
    await connection.close()
    words = vocabulary()

    def word() -> str:
        """As people search: the first words of the vocabulary far more often, each of them in some prompt."""
        return words[int(len(words) * 0.2 * random.random() ** 3)]

    async with Line.opened(port) as line:
        pages = await _in_turns(line, requests, dict, lambda: {"cursor": deep})
        searches = await _in_turns(
            line, requests, lambda: {"q": word()}, lambda: {"q": f"{word()}zz"}, second_empty=True
        )
    number = pictures // 2 // PAGE
    return [
        _row(f"gallery API p95 at page {number:,} of {pictures:,} pictures ÷ first page", *pages, 2, 1.3),
        _row(f"search with no hit ÷ with hits, p95, {pictures:,} pictures", *searches, 10, 3),
    ]


async def _in_turns(
    line: Line, requests: int, first: Query, second: Query, *, second_empty: bool = False
) -> tuple[list[float], list[float]]:
    """Milliseconds of two kinds of requests, one after the other."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * requests):
        query = (first if number % 2 == 0 else second)()
        reply = await line.send(get(f"/api/media?{urlencode({'limit': PAGE, **query})}", token(HOT)))
        empty = b'"items":[]' in reply.body
        if reply.status != 200 or empty != (second_empty and number % 2 == 1):
            raise RuntimeError(f"{query} was answered {reply.status}: {reply.body[:200]!r}")
        times[number % 2].append(reply.whole * 1000)
    return times


def _row(what: str, usual: list[float], hard: list[float], must: float, target: float) -> Row:
    ours, theirs = percentile(hard, 0.95), percentile(usual, 0.95)
    return Row(what, ours / theirs, "×", must, target, True, f"{ours:.1f} ms ÷ {theirs:.1f} ms")
