"""The gallery of somebody with a million pictures: deep pages, and searches that find nothing."""

import hashlib
import random
from collections.abc import Callable
from urllib.parse import urlencode

import asyncpg

from bench.house import HOT, House, bench_id, token
from bench.load import Line, get, percentile
from bench.report import Row
from gesso.db.paging import encode_cursor

Query = Callable[[], dict[str, str]]
PAGE = 50
WORDS = 2000
_KIND = 15
"""Kind of the ids of these pictures, see `house.bench_id`."""

# Twelve words each out of two thousand, the first ones far more often, as in real prompts.
_FILL = f"""
INSERT INTO asset (id, workspace_id, user_id, kind, source, storage_key, sha256, media_type, size_bytes, width, height,
    thumbhash, prompt, model_key, model_name, seed)
SELECT bench_id({_KIND}, n), $1, $2, 'image', 'generated', 'bench/' || n || '/original', sha256(n::text::bytea),
    'image/jpeg', 200000, 1024, 1024, '\\x00'::bytea,
    (SELECT string_agg(left(md5(floor({WORDS} * power(random(), 3))::int::text), 6), ' ')
     FROM generate_series(1, 12 + 0 * n::int)),
    'juggernaut-lightning', 'Juggernaut Lightning', n
FROM generate_series($3::bigint, $4::bigint) n
"""


async def gallery(house: House, port: int, *, pictures: int, requests: int) -> list[Row]:
    """`pictures` in one workspace; the page in their middle against the first, and searches in turns."""
    connection = await asyncpg.connect(house.owner_url)
    for first in range(1, pictures + 1, 50_000):
        last = min(first + 49_999, pictures)
        await connection.execute(_FILL, bench_id(1, HOT), bench_id(2, HOT), first, last)
    await connection.execute("VACUUM ANALYZE asset")
    await connection.close()
    deep = encode_cursor(bench_id(_KIND, pictures // 2))
    async with Line.opened(port) as line:
        pages = await _in_turns(line, requests, dict, lambda: {"cursor": deep})
        words = await _in_turns(
            line, requests, lambda: {"q": _word()}, lambda: {"q": f"{_word()}zz"}, second_empty=True
        )
    number = pictures // 2 // PAGE
    return [
        _row(f"gallery API p95 at page {number:,} of {pictures:,} pictures ÷ first page", *pages, 2, 1.3),
        _row(f"search with no hit ÷ with hits, p95, {pictures:,} pictures", *words, 10, 3),
    ]


def _word() -> str:
    return hashlib.md5(str(int(WORDS * random.random() ** 3)).encode(), usedforsecurity=False).hexdigest()[:6]


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
