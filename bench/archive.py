"""Years of pictures in one workspace, inserted as sets: requests, outputs, assets, and what they cost.

What a person asked for is made in Python (`bench.prompts`, dates, shapes) and copied into a staging table; every
table of the product is then filled by one statement from it. Secondary indexes are dropped meanwhile and made anew,
which is twice as fast and leaves them as compact as years of work would not. The ledger adds up afterwards:
`gesso ledger verify` says so.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import numpy as np

from bench.prompts import prompts
from gesso.core.ids import new_id

YEARS = 3
VIDEO = ("ltx-video", "LTX Video")
MODELS = (
    ("juggernaut-lightning", "Juggernaut Lightning"), ("photo-flux", "Photo Flux"), ("flux-schnell", "Flux Schnell"),
    ("juggernaut-pro", "Juggernaut Pro"), ("flux-ultra", "Flux Ultra"), ("seedream-edit", "Seedream Edit"),
    ("sdxl-classic", "SDXL Classic"), VIDEO, ("ideogram-3", "Ideogram 3"), ("recraft-v3", "Recraft V3"),
    ("qwen-image", "Qwen Image"), ("hidream", "HiDream"),
)  # fmt: skip
"""(key, name), the most used first; several are no longer offered, as in any archive of years."""
RARE_MODEL = ("trial-model", "Trial Model")
"""Ten pictures, all two years old."""
SHAPES = ((1024, 1024), (832, 1216), (1216, 832), (768, 1344), (1344, 768), (1536, 640))
_SHAPE_WEIGHTS = (0.38, 0.24, 0.16, 0.1, 0.09, 0.03)
_COUNTS, _COUNT_WEIGHTS = (1, 2, 3, 4), (0.35, 0.2, 0.05, 0.4)


@dataclass(frozen=True, slots=True)
class Space:
    """A workspace to fill: its members (the first asks for most, the last for hardly anything) and how many assets.

    `idle`: how long ago its newest picture was made, while others went on.
    """

    workspace_id: UUID
    members: tuple[UUID, ...]
    assets: int
    idle: timedelta = timedelta(0)


def moments(count: int, now: datetime, draw: np.random.Generator) -> np.ndarray:
    """`count` moments in milliseconds since 1970, ascending, over YEARS: more every month, quiet nights and
    weekends, and now and then a day with twenty times the usual."""
    days = YEARS * 365
    weight = np.linspace(0.4, 1.6, days) * np.where(np.arange(days) % 7 < 2, 0.5, 1.0)
    weight[draw.choice(days, size=max(1, days // 45), replace=False)] *= 20
    weight[draw.choice(days, size=days // 12, replace=False)] = 0  # holidays
    day = draw.choice(days, size=count, p=weight / weight.sum())
    hour = np.clip(draw.normal(15, 4.5, count), 0, 23.99)
    start = (now - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
    found = int(start.timestamp() * 1000) + day * 86_400_000 + (hour * 3_600_000).astype(np.int64)
    return np.sort(np.minimum(found, int(now.timestamp() * 1000) - 60_000))


def asks(space: Space, now: datetime, seed: int) -> Iterator[tuple[object, ...]]:
    """Rows of the staging table, oldest first: requests until there are `space.assets` pictures."""
    draw = np.random.default_rng(seed)
    counts = draw.choice(_COUNTS, size=space.assets, p=_COUNT_WEIGHTS)
    counts = counts[: int(np.searchsorted(np.cumsum(counts), space.assets)) + 1].copy()
    counts[-1] -= int(counts.sum()) - space.assets
    total = len(counts)
    weights = 1 / (np.arange(len(MODELS)) + 1) ** 1.1
    model = draw.choice(len(MODELS), size=total, p=weights / weights.sum())
    shape = draw.choice(len(SHAPES), size=total, p=_SHAPE_WEIGHTS)
    rare = set(range(total // 3, min(total // 3 + 10, total)))
    who = draw.random(total)
    share = (1.0,) if len(space.members) == 1 else (0.8, *(1.0,) * (len(space.members) - 1))
    member = np.minimum(np.searchsorted(share, who), len(space.members) - 1)
    if len(space.members) > 2:
        member[member == len(space.members) - 1] = 1
        member[np.linspace(0, total - 1, 20).astype(int)] = len(space.members) - 1
    took = draw.lognormal(1.6, 0.5, total)
    size = draw.lognormal(12.3, 0.4, total).astype(int)
    texts = prompts(total, seed)
    for number, at in enumerate(moments(total, now, draw)):
        key, name = RARE_MODEL if number in rare else MODELS[model[number]]
        width, height = SHAPES[shape[number]]
        yield (
            space.workspace_id, space.members[member[number]], int(at), 1 if number in rare else int(counts[number]),
            key, name, "video" if key == VIDEO[0] else "image", width, height, texts[number],
            int(took[number] * 1000), int(size[number]), new_id(),
        )  # fmt: skip


_STAGE = """
CREATE UNLOGGED TABLE bench_ask (
    workspace_id uuid, user_id uuid, at_ms bigint, count integer, model_key text, model_name text, kind text,
    width integer, height integer, prompt text, took_ms integer, size_bytes integer, hold_id uuid,
    n bigint GENERATED ALWAYS AS IDENTITY, id uuid, at timestamptz)
"""
_COLUMNS = (
    "workspace_id", "user_id", "at_ms", "count", "model_key", "model_name", "kind", "width", "height", "prompt",
    "took_ms", "size_bytes", "hold_id",
)  # fmt: skip

# A UUIDv7 of a millisecond: what follows the time comes from a hash, so that two runs give the same ids.
_ID = """
CREATE OR REPLACE FUNCTION bench_uuid7(ms bigint, salt text) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN (lpad(to_hex(ms), 12, '0') || '7' || substr(md5(salt), 1, 3) || '8' || substr(md5(salt), 4, 15))::uuid
"""

_ASSETS = """
INSERT INTO asset (id, workspace_id, user_id, generation_id, output_index, kind, source, storage_key, sha256,
    media_type, size_bytes, width, height, duration_ms, thumbhash, prompt, model_key, model_name, seed, params, charged,
    took_ms, favourite, deleted_at, created_at)
SELECT p.id, a.workspace_id, a.user_id, a.id, i, a.kind, 'generated',
    a.workspace_id || to_char(a.at AT TIME ZONE 'UTC', '/YYYY/MM/') || p.id || '/original',
    sha256(p.id::text::bytea), CASE a.kind WHEN 'video' THEN 'video/mp4' ELSE 'image/jpeg' END,
    a.size_bytes, a.width, a.height, CASE a.kind WHEN 'video' THEN 5000 END,
    ($1::bytea[])[1 + (h % cardinality($1::bytea[]))], a.prompt, a.model_key, a.model_name, h,
    '{"quality": "standard", "num_inference_steps": 28}', '{"credits": "1"}', a.took_ms,
    h % 50 = 0, CASE WHEN h % 4001 = 0 THEN now() END, a.at + a.took_ms * interval '1 ms'
FROM bench_ask a CROSS JOIN LATERAL generate_series(0, a.count - 1) i
CROSS JOIN LATERAL (SELECT bench_uuid7(a.at_ms, a.n || '/' || i) AS id) p
CROSS JOIN LATERAL (SELECT abs(hashint8(a.n * 8 + i)::bigint) AS h) x
ORDER BY a.n, i
"""
_UPLOADS = """
INSERT INTO asset (id, workspace_id, user_id, kind, source, storage_key, sha256, media_type, size_bytes, width, height,
    thumbhash, used_at, created_at)
SELECT p.id, a.workspace_id, a.user_id, 'image', 'upload', a.workspace_id || '/upload/' || p.id,
    sha256(p.id::text::bytea), 'image/png', a.size_bytes, a.width, a.height, ($1::bytea[])[1], a.at, a.at
FROM bench_ask a CROSS JOIN LATERAL (SELECT bench_uuid7(a.at_ms - 5, a.n || '/upload') AS id) p WHERE a.n % 100 = 7
"""
_GENERATIONS = """
INSERT INTO generation (id, workspace_id, user_id, kind, state, source, model_key, model_id, model_name, prompt, params,
    count, seed, priority, parallel, hold_id, price, charged, progress, created_at, queue_deadline_at, dispatched_at,
    started_at, deadline_at, finished_at)
SELECT a.id, a.workspace_id, a.user_id, a.kind, 'succeeded', 'page', a.model_key, a.hold_id, a.model_name, a.prompt,
    '{"quality": "standard"}', a.count, a.n, 0, 1, a.hold_id, price.json, price.json, 1, a.at, a.at + interval '1 day',
    a.at, a.at + interval '40 ms', a.at + interval '10 minutes', a.at + a.took_ms * interval '1 ms'
FROM bench_ask a CROSS JOIN LATERAL (SELECT jsonb_build_object('credits', a.count::text, 'allowances', '{}'::jsonb,
    'outputs', (SELECT jsonb_agg('{"credits": "1"}'::jsonb) FROM generate_series(1, a.count))) AS json) price
ORDER BY a.n
"""
_OUTPUTS = """
INSERT INTO output (workspace_id, generation_id, index, asset_id, state, seed, price, created_at, finished_at)
SELECT a.workspace_id, a.id, i, bench_uuid7(a.at_ms, a.n || '/' || i), 'delivered', a.n, '{"credits": "1"}', a.at,
    a.at + a.took_ms * interval '1 ms'
FROM bench_ask a CROSS JOIN LATERAL generate_series(0, a.count - 1) i ORDER BY a.n, i
"""
_HOLDS = """
INSERT INTO credit_hold (id, workspace_id, subject_id, user_id, state, expires_at, created_at, closed_at)
SELECT hold_id, workspace_id, id, user_id, 'closed', at + interval '1 day', at, at + took_ms * interval '1 ms'
FROM bench_ask ORDER BY n
"""
_PARTS = """
INSERT INTO credit_hold_part (workspace_id, hold_id, output_index, part_number, lot_id, unit, amount, state)
SELECT a.workspace_id, a.hold_id, i, 0, l.id, 'credit', 1000000, 'captured'
FROM bench_ask a JOIN credit_lot l ON l.workspace_id = a.workspace_id AND l.key = 'bench'
CROSS JOIN LATERAL generate_series(0, a.count - 1) i ORDER BY a.n, i
"""
_JOURNAL = """
INSERT INTO credit_journal (workspace_id, unit, kind, debit_account, credit_account, amount, hold_id, output_index,
    lot_id, user_id, created_at)
SELECT a.workspace_id, 'credit', m.kind, m.debit, m.credit, m.amount, a.hold_id, m.i, l.id, a.user_id, a.at
FROM bench_ask a JOIN credit_lot l ON l.workspace_id = a.workspace_id AND l.key = 'bench'
CROSS JOIN LATERAL (
    SELECT 'hold' AS kind, 'available' AS debit, 'held' AS credit, a.count * 1000000::bigint AS amount, NULL::int AS i
    UNION ALL SELECT 'capture', 'held', 'spent', 1000000, i FROM generate_series(0, a.count - 1) i) m
ORDER BY a.n, m.i NULLS FIRST
"""
_GRANTS = """
SELECT count(*) FROM (SELECT workspace_id, sum(count) AS used, min(user_id::text)::uuid AS user_id FROM bench_ask
    GROUP BY 1) s, LATERAL ledger_grant(s.workspace_id, gen_random_uuid(), 'credit', (s.used + 5000) * 1000000,
    'operator', 'bench', NULL, NULL, 'For the archive', s.user_id, NULL)
"""
_SETTLED = """
WITH used AS (SELECT workspace_id, sum(count) * 1000000 AS spent FROM bench_ask GROUP BY 1),
lot AS (UPDATE credit_lot l SET remaining = l.remaining - used.spent FROM used
    WHERE l.workspace_id = used.workspace_id AND l.key = 'bench' RETURNING 1)
UPDATE credit_balance b SET available = b.available - used.spent, spent = b.spent + used.spent
FROM used WHERE b.workspace_id = used.workspace_id AND b.unit = 'credit'
"""
_ALL = (_GENERATIONS, _OUTPUTS, _GRANTS, _HOLDS, _PARTS, _JOURNAL, _SETTLED)
_TABLES = ("asset", "generation", "output", "credit_hold", "credit_hold_part", "credit_journal")
_INDEXES = """
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS sql
FROM pg_index i WHERE i.indrelid = ANY ($1::regclass[]) AND NOT i.indisprimary
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""


async def fill(
    connection: asyncpg.Connection,
    spaces: Iterable[Space],
    blurs: list[bytes],
    *,
    now: datetime | None = None,
    everything: bool = True,
) -> None:
    """Fill `spaces` as the owner of the database. `blurs` are ThumbHashes to choose from.

    With `everything` requests, outputs and the ledger's rows are made, too; else only assets.
    """
    await connection.execute(_STAGE)
    await connection.execute(_ID)
    await connection.execute("SET maintenance_work_mem = '512MB'; SET work_mem = '256MB'; SET synchronous_commit = off")
    moment = now or datetime.now(UTC)
    for number, space in enumerate(spaces):
        await connection.copy_records_to_table(
            "bench_ask", records=asks(space, moment - space.idle, seed=2026 + number), columns=_COLUMNS
        )
    await connection.execute(
        "UPDATE bench_ask SET id = bench_uuid7(at_ms - 30, n::text), at = to_timestamp((at_ms - 30) / 1000.0)"
    )
    await connection.execute("ANALYZE bench_ask")
    tables = _TABLES if everything else ("asset",)
    async with connection.transaction():
        indexes = await connection.fetch(_INDEXES, list(tables))
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['name']}")
        await connection.execute(_ASSETS, blurs)
        await connection.execute(_UPLOADS, blurs)
        for statement in _ALL if everything else ():
            await connection.execute(statement)
        for index in indexes:
            await connection.execute(index["sql"])
    await connection.execute("DROP TABLE bench_ask")
    for table in (*tables, "media_usage", "credit_balance", "credit_lot"):
        await connection.execute(f"VACUUM (ANALYZE, FREEZE) {table}")
    await connection.execute("CHECKPOINT")
