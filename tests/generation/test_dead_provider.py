"""A provider that takes requests and never answers holds its own generations up, and nobody else's."""

import asyncio
import time
import uuid
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from gesso.calls.shares import Shares
from gesso.catalog.registry import CHANNEL
from gesso.catalog.service import add_connection
from gesso.core.ids import new_id
from gesso.core.sealed import Sealer
from gesso.db.embedded import EmbeddedPostgres
from tests.conftest import SECRET, create_database
from tests.generation.house import FAST, opened, settings_for

PLACES = 4


async def test_generations_elsewhere_go_on_while_one_provider_hangs(
    postgres: EmbeddedPostgres, template: str, sandbox: str, tmp_path: Path
) -> None:
    url = await create_database(postgres, f"gesso_dead_{uuid.uuid4().hex[:12]}", template)
    settings = settings_for(url, tmp_path, sandbox)
    settings = replace(settings, worker=settings.worker.model_copy(update={"concurrency": PLACES, "grace_seconds": 0}))
    async with opened(settings) as house:
        async with house.db.elevated("test: a provider that hangs") as tx:
            dead = await add_connection(
                tx, Sealer(SECRET), key="dead", adapter="fal", api_key=SecretStr("someone:fault-hang=120"),
                base_url=f"{sandbox}/fal",
            )  # fmt: skip
            await tx.execute_raw(
                """INSERT INTO model (id, key, kind, connection_id, upstream, name, capabilities, price, wire,
                       outputs_per_call, typical_seconds, enabled, origin, position)
                   SELECT $1, 'hanging', kind, $2, upstream, 'Hanging', capabilities, price, wire, outputs_per_call,
                       typical_seconds, true, 'operator', 900 FROM model WHERE key = $3""",
                new_id(), dead.id, FAST,
            )  # fmt: skip
            tx.notify_after_commit(CHANNEL, {})
        people = [await house.person(f"Person {number}") for number in range(2 * PLACES)]
        async with asyncio.timeout(60):
            while (await people[0].submit(model="hanging")).status_code != 202:
                await asyncio.sleep(0.05)
        for person in people[1:]:
            await person.asked(model="hanging")
        async with asyncio.timeout(60):  # as many hang as may
            while len(await house.rows("SELECT 1 FROM attempt WHERE state = 'started'")) < PLACES - 1:
                await asyncio.sleep(0.05)
        ben = await house.person("Ben")
        begun = time.monotonic()
        for _ in range(3):
            status = await ben.made()
            assert status["status"] == "succeeded", status
        assert time.monotonic() - begun < 45  # a hanging call lasts 60 s: whoever stood behind one would still wait
        hanging = await house.rows("SELECT connection_id FROM attempt WHERE state = 'started'")
        assert [row["connection_id"] for row in hanging] == [dead.id] * (PLACES - 1)
        jobs = await house.rows(
            """SELECT g.id, count(*) FROM generation g JOIN pgqueuer ON entrypoint = 'generation.run'
                   AND convert_from(payload, 'UTF8')::jsonb ->> 'generation_id' = g.id::text
               WHERE g.model_key = 'hanging' GROUP BY g.id"""
        )
        assert [row["count"] for row in jobs] == [1] * len(people), "who waits waits in one job"
        states = await house.rows("SELECT state FROM generation WHERE model_key = 'hanging'")
        queued = [row["state"] for row in states].count("queued")  # one more may have begun before the share was full
        assert queued in (len(people) - PLACES, len(people) - (PLACES - 1)), "it is not their turn"


@pytest.mark.parametrize(("places", "most"), [(1, 1), (2, 1), (4, 3), (32, 24)])
def test_one_connection_gets_its_share_and_gives_it_back(places: int, most: int) -> None:
    shares, one, other = Shares(places), new_id(), new_id()
    assert [shares.take(one, alone=False) for _ in range(places + 1)].count(True) == most
    assert shares.take(other, alone=False)
    shares.give_back(one)
    assert shares.take(one, alone=False) and not shares.take(one, alone=False)
    assert shares.take(one, alone=True)


def test_several_that_hang_still_leave_something() -> None:
    shares, hanging = Shares(32), [new_id() for _ in range(3)]
    for connection in hanging:
        while shares.take(connection, alone=False):
            pass
    assert shares.take(new_id(), alone=False) and shares.take(new_id(), alone=False)


def test_only_a_few_stand_by() -> None:
    shares, one = Shares(32), new_id()
    while not shares.crowded(one, alone=False):
        if not shares.take(one, alone=False):
            break
    assert shares.patience(one) > 0 and not shares.crowded(one, alone=False), "its calls come and go"
    with ExitStack() as standing:
        for _ in range(32 // 8):
            standing.enter_context(shares.standing_by())
        assert shares.patience(one) == 0 and shares.crowded(one, alone=False) and not shares.may_stand_by()
        assert not shares.crowded(one, alone=True) and not shares.crowded(new_id(), alone=False)
    assert shares.patience(one) > 0
