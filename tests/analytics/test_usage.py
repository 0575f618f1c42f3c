"""What the dashboard says was used is what the ledger says, summed up or not, whoever asks, however it is divided."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gesso.accounts.access import Actor
from gesso.analytics import usage
from gesso.analytics.facts import NOBODY
from gesso.analytics.history import KINDS, STATES, Filter, HistoryRow, history
from gesso.analytics.periods import Period
from gesso.analytics.rollup import roll_up
from gesso.core.ids import new_id
from gesso.core.money import OutputAsk, OutputPrice, Price
from gesso.credits import service as credits
from gesso.db import Database
from gesso.db.database import set_json_codec
from tests.cast import add_member, make_user
from tests.media.pictures import id_at

ZONE = ZoneInfo("UTC")
SPAN = timedelta(days=75)
NOW = datetime(2031, 3, 18, 9, 30, tzinfo=UTC)
_GENERATION = """
INSERT INTO generation (id, workspace_id, user_id, kind, state, source, model_key, model_id, model_name, prompt, params,
    count, priority, parallel, hold_id, price, charged, created_at, queue_deadline_at, dispatched_at, started_at,
    deadline_at, finished_at, error_code, error_message)
VALUES ($1, $2, $3, $4, $5, 'api', $6, $1, upper($6), 'boats', '{}', 2, 0, 1, $7, $8, $9, $10::timestamptz, $10, $10,
    $10, $10, CASE WHEN $5 <> 'running' THEN $10::timestamptz + interval '3 seconds' END,
    CASE $5 WHEN 'failed' THEN 'busy' END, CASE $5 WHEN 'failed' THEN 'Busy.' END)
"""
_OUTPUT = """
INSERT INTO output (workspace_id, generation_id, index, asset_id, state, price, finished_at, error_code, error_message)
VALUES ($1, $2, $3, $4, $5, '{}', CASE WHEN $5 <> 'pending' THEN now() END, CASE $5 WHEN 'failed' THEN 'busy' END,
    CASE $5 WHEN 'failed' THEN 'Busy.' END)
"""
_PROMPT = """
INSERT INTO prompt_record (workspace_id, id, user_id, kind, state, input_text, output_text, model_key, hold_id, price,
    charged, expires_at, created_at, finished_at, error_code, error_message)
VALUES ($1, $2, $3, 'improve', $4, 'boats', CASE $4 WHEN 'done' THEN 'Boats.' END, $5, $6, $7, $8, $9, $9::timestamptz,
    $9::timestamptz + interval '2 seconds', CASE $4 WHEN 'failed' THEN 'busy' END,
    CASE $4 WHEN 'failed' THEN 'Busy.' END)
"""


class At:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOW


@dataclass(frozen=True)
class Asked:
    """A request: so long ago, by the first or the second member, of two outputs of which some were delivered, each
    after `late`. `price` in microcredits; with `plan` an allowance pays while there is any."""

    ago: timedelta
    member: int
    kind: str
    model: str
    state: str
    delivered: int
    price: int
    plan: bool
    late: timedelta


ASKS = st.builds(
    Asked,
    ago=st.one_of(
        st.timedeltas(timedelta(minutes=5), timedelta(days=70)),
        st.integers(0, 5).map(lambda days: NOW - NOW.replace(hour=0, minute=0) + timedelta(days=days, seconds=1)),
    ),
    member=st.integers(0, 1), kind=st.sampled_from(KINDS), model=st.sampled_from(["flux", "kling", "sdxl"]),
    state=st.sampled_from(["succeeded", "succeeded", "failed", "cancelled", "running"]), delivered=st.integers(0, 2),
    price=st.integers(1, 7_000_003), plan=st.booleans(),
    late=st.sampled_from([timedelta(seconds=2), timedelta(hours=20)]),
)  # fmt: skip


async def record(db: Database, owner: asyncpg.Connection, who: Actor, ask: Asked) -> None:
    """The rows that such a request leaves, and the ledger's own movements for it."""
    at, hold = NOW - ask.ago, new_id()
    made = id_at(at)
    prompt = ask.kind == "prompt"
    asked = ask.state
    if asked == "running" and (prompt or ask.ago > timedelta(days=1)):
        asked = "failed" if prompt else "cancelled"  # nothing runs for days
    unit = ("image" if ask.kind == "image" else "prompt") if ask.plan else None
    count = 1 if prompt else 2
    delivered = 0 if asked in ("failed", "cancelled") else min(ask.delivered, count)
    state = "failed" if asked == "succeeded" and not delivered else asked
    async with db.workspace(who.workspace_id, who.user_id) as tx:
        price = await credits.hold(
            tx, hold_id=hold, subject_id=made, asks=[OutputAsk(ask.price, unit, 1 if unit else 0)] * count,
            expires_at=at + timedelta(days=2), now=at,
        )  # fmt: skip
        paid: list[OutputPrice] = []
        for index in range(delivered):
            found = await credits.capture(tx, hold, index, now=min(at + ask.late, NOW - timedelta(seconds=1)))
            assert found is not None
            paid.append(found)
        if state != "running":
            await credits.release(tx, hold, now=min(at + ask.late, NOW - timedelta(seconds=1)))
    if prompt:
        done = "done" if paid else "failed"
        charged = paid[0].to_json() if paid else None
        await owner.execute(
            _PROMPT, who.workspace_id, made, who.user_id, done, ask.model, hold, price.outputs[0].to_json(), charged, at
        )
        return
    charged = Price(tuple(paid)).to_json() if state != "running" else None
    await owner.execute(
        _GENERATION, made, who.workspace_id, who.user_id, ask.kind, state, ask.model, hold, price.to_json(), charged, at
    )
    for index in range(count):
        ended = (
            "delivered" if index < delivered else {"running": "pending", "cancelled": "cancelled"}.get(state, "failed")
        )
        await owner.execute(_OUTPUT, who.workspace_id, made, index, new_id(), ended)


@pytest.fixture
async def owner(fresh_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Past the policies, with JSON as Python has it."""
    connection = await asyncpg.connect(fresh_database_url)
    await set_json_codec(connection)
    yield connection
    await connection.close()


async def team(db: Database, owner: asyncpg.Connection, zone: ZoneInfo = ZONE) -> tuple[Actor, Actor]:
    """Ada, who owns a workspace with plenty of everything, and Ben, its member; and nothing summed up yet."""
    ada = await make_user(db, "Ada")
    ben = await add_member(db, ada, await make_user(db, "Ben"))
    async with db.workspace(ada.workspace_id) as tx:
        for unit, amount in (("credit", 10**9), ("image", 12), ("prompt", 3)):
            await credits.grant(
                tx, ada.workspace_id, unit=unit, amount=amount, source="operator", key=unit, reason="for the test",
                now=NOW - timedelta(days=90),
            )  # fmt: skip
    await owner.execute("TRUNCATE usage_day")
    await owner.execute("UPDATE usage_rolled SET until = $1, movement = 0, zone = $2", (NOW - SPAN).date(), zone.key)
    return ada, ben


def of_journal(rows: list[asyncpg.Record], start: datetime, end: datetime, who: UUID | None) -> tuple[int, int]:
    """(microcredits, uses of allowances) that the journal captured."""
    mine = [row for row in rows if start <= row["created_at"] < end and who in (None, row["user_id"])]
    return (
        sum(row["amount"] for row in mine if row["unit"] == "credit"),
        sum(row["amount"] for row in mine if row["unit"] != "credit"),
    )


@settings(
    max_examples=6, deadline=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    asks=st.lists(ASKS, min_size=4, max_size=14),
    rolled_ago=st.integers(0, 40),
    zone=st.sampled_from([ZONE, ZoneInfo("America/New_York")]),
)
async def test_figures_are_the_journals(
    fresh_db: Database, owner: asyncpg.Connection, asks: list[Asked], rolled_ago: int, zone: ZoneInfo
) -> None:
    db = fresh_db
    people = await team(db, owner, zone)
    for ask in sorted(asks, key=lambda ask: -ask.ago):
        await record(db, owner, people[ask.member], ask)
    journal = await owner.fetch(
        "SELECT created_at, user_id, unit, amount FROM credit_journal WHERE workspace_id = $1 AND kind = 'capture'",
        people[0].workspace_id,
    )
    questions = [(days, step, only) for days, step in ((7, "day"), (30, "day"), (30, "week"), (90, "month"))
                 for only in (None, *(one.user_id for one in people))]  # fmt: skip

    async def answers() -> list[usage.Usage]:
        async with db.workspace(people[0].workspace_id) as tx:
            reach = await usage.rolled(tx, zone)
            return [
                await usage.used(tx, Period.of(days, NOW, zone, step), only, reach) for days, step, only in questions
            ]

    told = await answers()
    for (days, step, only), used in zip(questions, told, strict=True):
        period = Period.of(days, NOW, zone, step)
        total = used.total
        assert (total.spent, total.uses) == of_journal(journal, period.start, NOW, only)
        assert (used.before.spent, used.before.uses) == of_journal(journal, period.before, period.start, only)
        bounds = [*period.steps(), NOW]
        for start, end in pairwise(bounds):
            step_sum = sum((one for (at, _), one in used.steps.items() if at == start), usage.Figures())
            assert (step_sum.spent, step_sum.uses) == of_journal(journal, start, end, only)
        for user_id, figures in used.members:
            assert (figures.spent, figures.uses) == of_journal(journal, period.start, NOW, user_id)
        assert sum((model.figures for model in used.models), usage.Figures()) == total
        mine = [ask for ask in asks if period.start <= NOW - ask.ago < NOW
                and only in (None, people[ask.member].user_id)]  # fmt: skip
        assert total.requests == len(mine)
        assert {kind: one.requests for kind, one in used.by_kind().items() if one.requests} == Counter(
            ask.kind for ask in mine
        )

    class Then:
        def now(self) -> datetime:
            return NOW - timedelta(days=rolled_ago)

    await roll_up(db, Then(), zone)
    assert await answers() == told
    async with db.workspace(people[0].workspace_id) as tx:
        period, reach = Period.of(90, NOW, zone), await usage.rolled(tx, zone)
        assert reach.until == (Then().now().astimezone(zone) - timedelta(days=2)).replace(hour=0, minute=0)
        tomorrow = period.end.replace(hour=0, minute=0) + timedelta(days=1)
        lines = await usage.days(tx, period.start, tomorrow, None, reach)
        used = await usage.used(tx, period, None, reach)
        assert sum((line.figures for line in lines), usage.Figures()) == used.total
        everything = await history(tx, Filter(), reach, limit=100)
        assert len(everything) == len(asks)
        for wanted in filters(people[1].user_id):
            fits = [row.id for row in everything if matches(row, wanted)]
            assert [row.id for row in await history(tx, wanted, reach, limit=100)] == fits
            found: list[UUID] = []
            while page := await history(tx, wanted, reach, before=found[-1] if found else None, limit=2):
                found += [row.id for row in page]
            assert found == fits


def filters(member: UUID) -> list[Filter]:
    return [
        Filter(member=member),
        *(Filter(kind=kind, member=who) for kind in KINDS for who in (None, member)),
        *(
            Filter(model=model, state=state)
            for model in ("flux", "kling")
            for state in (None, "succeeded", "cancelled")
        ),
        *(Filter(state=state) for state in STATES),
    ]


def matches(row: HistoryRow, wanted: Filter) -> bool:
    return (
        wanted.kind in (None, row.kind) and wanted.model in (None, row.model_key)
        and wanted.state in (None, row.state) and wanted.member in (None, row.user_id)
    )  # fmt: skip


async def test_sums_outlive_what_they_were_made_of_and_people(fresh_db: Database, owner: asyncpg.Connection) -> None:
    ada, ben = await team(fresh_db, owner)
    day = timedelta(days=1)
    await record(fresh_db, owner, ada, Asked(20 * day, 0, "video", "kling", "succeeded", 2, 3_000_001, False, day / 24))
    await record(fresh_db, owner, ben, Asked(19 * day, 1, "image", "flux", "succeeded", 1, 5, False, day / 24))
    await record(fresh_db, owner, ben, Asked(day, 1, "image", "flux", "succeeded", 2, 7, False, day / 24))
    assert await roll_up(fresh_db, At(), ZONE) == 2
    assert await roll_up(fresh_db, At(), ZONE) == 0  # nothing is summed up twice
    await owner.execute("DELETE FROM generation WHERE workspace_id = $1", ada.workspace_id)
    await owner.execute("UPDATE credit_journal SET user_id = NULL WHERE user_id = $1", ben.user_id)
    async with fresh_db.workspace(ada.workspace_id) as tx:
        used = await usage.used(tx, Period.of(30, NOW, ZONE), None, await usage.rolled(tx, ZONE))
    spent = {user_id: figures.spent for user_id, figures in used.members}
    assert spent == {ada.user_id: 6_000_002, ben.user_id: 5, NOBODY: 14}
    assert {kind: one.spent for kind, one in used.by_kind().items()} == {"video": 6_000_002, "image": 5, "other": 14}


async def test_two_that_sum_up_at_once_do_it_once(fresh_db: Database, owner: asyncpg.Connection) -> None:
    ada, _ = await team(fresh_db, owner)
    for days in range(3, 12):
        ask = Asked(timedelta(days=days), 0, "image", "flux", "succeeded", 2, 1, False, timedelta(seconds=2))
        await record(fresh_db, owner, ada, ask)
    lines = await asyncio.gather(*(roll_up(fresh_db, At(), ZONE) for _ in range(2)))
    assert sum(lines) == 9 == await owner.fetchval("SELECT count(*) FROM usage_day")
    assert await owner.fetchval("SELECT sum(spent) FROM usage_day") == 18


async def test_another_time_zone_begins_anew(fresh_db: Database, owner: asyncpg.Connection) -> None:
    ada, _ = await team(fresh_db, owner)
    await owner.execute("UPDATE workspace SET created_at = $1", NOW - timedelta(days=12))
    evening = NOW.replace(hour=22, minute=50) - timedelta(days=9)
    ask = Asked(NOW - evening, 0, "image", "flux", "succeeded", 1, 3, False, timedelta(seconds=2))
    await record(fresh_db, owner, ada, ask)
    tokyo = ZoneInfo("Asia/Tokyo")

    async def days(zone: ZoneInfo) -> list[tuple[date, int, int]]:
        async with fresh_db.workspace(ada.workspace_id) as tx:
            used = await usage.used(tx, Period.of(30, NOW, zone), None, await usage.rolled(tx, zone))
        return [(start.date(), one.requests, one.spent) for (start, _), one in used.steps.items()]

    for zone, there in ((ZONE, evening.date()), (tokyo, evening.date() + timedelta(days=1)), (ZONE, evening.date())):
        assert await days(zone) == [(there, 1, 3)]  # from the rows
        assert await roll_up(fresh_db, At(), zone) == 1
        assert await owner.fetchval("SELECT zone FROM usage_rolled") == zone.key
        assert await days(zone) == [(there, 1, 3)]  # from the sums
        assert await owner.fetchval("SELECT count(*) FROM usage_day") == 1
