"""A fallback is charged what it costs itself, never more than what was held; what is left goes back at once."""

import asyncio

import pytest

from gesso.calls import gate
from gesso.catalog.registry import CHANNEL
from gesso.core.ids import new_id
from gesso.core.money import format_credits
from tests.generation.house import House, Person


async def with_models(house: House, ada: Person, **prices: str) -> None:
    """Copies of the fast model; the first falls back to the second. Returns when web and worker know them."""
    keys = list(prices)
    async with house.db.elevated("test: two more models") as tx:
        for number, (key, price) in enumerate(prices.items()):
            await tx.execute_raw(
                """INSERT INTO model (id, key, kind, connection_id, upstream, name, capabilities, price, wire,
                       fallbacks, outputs_per_call, typical_seconds, enabled, origin, position)
                   SELECT $1, $2, kind, connection_id, upstream, $2, capabilities, $3, wire, $4, outputs_per_call,
                       typical_seconds, true, 'operator', 900 FROM model WHERE key = 'flux-schnell'""",
                new_id(), key, {"credits": price}, keys[number + 1 :],
            )  # fmt: skip
        tx.notify_after_commit(CHANNEL, {})
    async with asyncio.timeout(20):
        while True:  # the worker may hear of it a moment after the web
            answer = await ada.submit(model=keys[-1])
            if answer.status_code == 202 and (await ada.ended(answer.json()["id"]))["status"] == "succeeded":
                return
            await asyncio.sleep(0.1)


async def test_a_cheaper_fallback_costs_its_own_price(house: House) -> None:
    ada, ben = await house.person(), await house.person("Ben")
    dear, cheap = f"dear-{new_id().hex[-8:]}", f"cheap-{new_id().hex[-8:]}"
    await with_models(house, ben, **{dear: "3", cheap: "0.4"})
    status = await ada.made("a cheaper harbour sandbox:fail*1", model=dear, count=2)
    assert status["status"] == "succeeded", status["error"]
    assert {attempt["model_key"] for attempt in await house.attempts(status["id"])} == {dear, cheap}
    assert status["price"]["credits"] == "6"
    # one picture's call failed once and went to the fallback; the other's did not
    charged = sorted(output["credits"] for output in status["charged"]["outputs"])
    paid = await house.rows("SELECT charged FROM asset WHERE generation_id = $1", status["id"])
    assert charged == sorted(row["charged"]["credits"] for row in paid)
    assert set(charged) <= {"0.4", "3"} and "0.4" in charged
    total = sum(round(float(credits) * 1_000_000) for credits in charged)
    assert status["charged"]["credits"] == format_credits(total)
    assert await ada.wallet() == (format_credits(100_000_000 - total), "0")
    assert any("costs less" in warning for warning in status["warnings"])
    assert await house.wrong() == ()


async def test_a_fallback_of_the_same_price_says_nothing_of_it(house: House) -> None:
    ada, ben = await house.person(), await house.person("Ben")
    first, second = f"one-{new_id().hex[-8:]}", f"two-{new_id().hex[-8:]}"
    await with_models(house, ben, **{first: "1", second: "1"})
    status = await ada.made("a harbour of the same price sandbox:fail*1", model=first)
    assert status["charged"] == status["price"] and await ada.wallet() == ("99", "0")
    assert not any("costs less" in warning for warning in status["warnings"])
    (row,) = await house.rows("SELECT charged FROM output WHERE generation_id = $1", status["id"])
    assert row["charged"] is None


@pytest.mark.parametrize(
    ("reason", "seconds", "failures"), [("unavailable", 600, 5), ("busy", 600, 0), ("unavailable", -1, 5)]
)
async def test_nobody_waits_for_an_ill_connection_where_another_could_serve(
    house: House, reason: str, seconds: int, failures: int
) -> None:
    ada = await house.person()
    await with_models(house, await house.person("Ben"), **{(ill := f"ill-{new_id().hex[-8:]}"): "1"})
    async with house.db.elevated("test: a model elsewhere, and a connection that is ill") as tx:
        await tx.execute_raw("UPDATE model SET fallbacks = '{flux-schnell,sdxl}' WHERE key = $1", ill)
        sick = await tx.fetchval("SELECT connection_id FROM model WHERE key = $1", ill)
        await tx.execute_raw(
            """INSERT INTO connection_health (connection_id, paused_until, reason, failures, last_failure_at)
               VALUES ($1, now() + make_interval(secs => $2), $3, $4, now())
               ON CONFLICT (connection_id) DO UPDATE SET paused_until = excluded.paused_until,
                   reason = excluded.reason, failures = excluded.failures""",
            sick, seconds, reason, failures,
        )  # fmt: skip
        tx.notify_after_commit(CHANNEL, {})
    probe = await ada.asked("a probe that takes its time sandbox:slow=30", model="flux-ultra") if seconds < 0 else None
    if probe is not None:
        async with asyncio.timeout(30):
            while not await house.attempts(probe):
                await asyncio.sleep(0.05)
    status = await ada.made("a harbour that must not wait", model=ill)
    assert status["status"] == "succeeded", status["error"]
    assert [attempt["model_key"] for attempt in await house.attempts(status["id"])] == ["sdxl"]
    assert any("was used instead" in warning for warning in status["warnings"])
    if probe is not None:
        await ada.http.post(f"/api/generate/{probe}/cancel")
    async with house.db.elevated("test: well again") as tx:
        await gate.resume(tx, sick)
