"""Server-sent events: what changes is told, to whom it concerns, and what was missed is told afterwards."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.generation.house import House, Person


@asynccontextmanager
async def listening(person: Person, last_event_id: int | None = None) -> AsyncIterator["Ear"]:
    headers = {"Last-Event-ID": str(last_event_id)} if last_event_id is not None else {}
    async with person.http.stream("GET", "/api/events", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Ear(response.aiter_lines())


class Ear:
    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.last_id = 0

    async def next(self, seconds: float = 10) -> dict[str, Any]:
        """The next event: {"event", "id", "data"}. One without data only sets the id, as in a browser."""
        found: dict[str, Any] = {}
        async with asyncio.timeout(seconds):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name in ("event", "id", "data"):
                    found[name] = value
                elif not line and found:
                    self.last_id = int(found.get("id", self.last_id))
                    if "data" in found:
                        return {**found, "data": json.loads(found["data"])}
                    found = {}
        raise AssertionError("the stream ended")

    async def until(self, kind: str, generation_id: object, seconds: float = 15) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while True:
                event = await self.next()
                if event["event"] == kind and event["data"].get("id") == str(generation_id):
                    return event


async def test_everything_that_happens_is_told_in_order(house: House) -> None:
    ada = await house.person()
    async with listening(ada) as ear:
        generation_id = await ada.asked(count=2)
        ids, credits_told = [], False
        while (await ada.status(generation_id))["status"] != "succeeded" or len(ids) < 5:
            event = await ear.next()
            credits_told |= event["event"] == "credits"
            if event["event"] == "generation":
                assert event["data"] == {"id": str(generation_id)}
                ids.append(int(event["id"]))
        assert credits_told and ids == sorted(ids)  # submitted, started, two pictures, the end
        told = "SELECT type FROM generation_event WHERE generation_id = $1 ORDER BY id"
        kinds = await house.rows(told, generation_id)
        assert [row["type"] for row in kinds] == ["submitted", "started", "delivered", "delivered", "succeeded"]


async def test_a_page_that_reconnects_hears_what_it_missed(idle: House) -> None:
    ada = await idle.person()
    first = await ada.asked("one")
    async with listening(ada) as ear:
        await ada.http.post(f"/api/generate/{first}/cancel")
        await ear.until("generation", first)
        seen = ear.last_id
    second, third = await ada.asked("two"), await ada.asked("three")
    await ada.http.post(f"/api/generate/{second}/cancel")
    async with listening(ada, seen) as ear:
        told = [await ear.next(), await ear.next()]
        assert [event["data"]["id"] for event in told] == [str(third), str(second)]
        assert int(told[0]["id"]) < int(told[1]["id"])
        fourth = await ada.asked("four")
        await ear.until("generation", fourth)


async def test_many_that_come_back_at_once_miss_nothing_and_keep_nobody_out(idle: House) -> None:
    ada, cleo = await idle.person(), await idle.person("Cleo")
    async with listening(ada) as ear:
        first = await ada.asked("one")
        await ear.until("generation", first)
        seen = ear.last_id
    missed = [await ada.asked("two"), await ada.asked("three")]

    async def back() -> list[str]:
        async with listening(ada, seen) as ear:
            return [(await ear.next())["data"]["id"] for _ in missed]

    returning = [asyncio.create_task(back()) for _ in range(60)]
    assert (await cleo.http.get("/api/credits")).status_code == 200
    assert await asyncio.gather(*returning) == [[str(generation_id) for generation_id in missed]] * 60


async def test_a_newcomer_learns_where_to_count_from(idle: House) -> None:
    ada = await idle.person()
    await ada.asked("one")
    async with listening(ada) as ear:
        other = await ada.asked("two")
        await ear.until("generation", other)
        newest = await idle.rows(
            "SELECT max(id) AS id FROM generation_event WHERE workspace_id = $1", ada.actor.workspace_id
        )
        assert ear.last_id == newest[0]["id"]


async def test_nobody_hears_another_workspace(idle: House) -> None:
    ada, cleo = await idle.person(), await idle.person("Cleo")
    async with listening(cleo, 0) as ear:
        await ada.asked("a secret harbour")
        own = await cleo.asked("a hill")
        heard = await ear.next()
        while heard["event"] != "generation":
            heard = await ear.next()
        assert heard["data"]["id"] == str(own)


async def test_a_gap_too_long_to_tell_asks_to_look_at_everything(idle: House) -> None:
    ada = await idle.person()
    asked = await ada.asked("one")
    await idle.rows(
        """WITH crowd AS (
               INSERT INTO generation (workspace_id, id, user_id, kind, state, source, model_key, model_id, model_name,
                   prompt, params, count, priority, parallel, hold_id, price, queue_deadline_at)
               SELECT workspace_id, gen_random_uuid(), user_id, kind, 'queued', source, model_key, model_id, model_name,
                   prompt, params, count, priority, parallel, gen_random_uuid(), price, queue_deadline_at
               FROM generation, generate_series(1, 250) WHERE id = $1 RETURNING workspace_id, id)
           INSERT INTO generation_event (workspace_id, generation_id, type)
           SELECT workspace_id, id, 'submitted' FROM crowd""",
        asked,
    )
    async with listening(ada, 0) as ear:
        assert (await ear.next())["event"] == "resync"


async def test_a_strange_last_event_id_is_refused(idle: House) -> None:
    ada = await idle.person()
    for wrong in ("nonsense", "-1", "9" * 30):
        answer = await ada.http.get("/api/events", headers={"Last-Event-ID": wrong})
        assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
