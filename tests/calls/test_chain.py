"""Chains over real HTTP: the next link answers, in time, and nothing is charged to a link that had no say."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from gesso.calls import gate, record
from gesso.calls.alone import Who
from gesso.calls.chain import Chains, Declined, NotWritten, Written, collect
from gesso.calls.pool import ProviderPool
from gesso.catalog.registry import Catalog
from gesso.catalog.service import add_connection, replace_key
from gesso.core.clock import SystemClock
from gesso.core.errors import Unavailable
from gesso.core.ids import new_id
from gesso.core.sealed import Sealer
from gesso.db import Database
from gesso.db.embedded import EmbeddedPostgres
from gesso.providers.text import TextMessage
from gesso.sandbox.app import create_app as create_sandbox
from gesso.sandbox.pace import Pace
from tests.catalog.helpers import SECRET, seed_studio, settings
from tests.conftest import create_database
from tests.product import served

ASKED = "Improve this prompt:\na lighthouse at dusk"
NAMES = {
    "type": "object", "additionalProperties": False, "required": ["prompts"],
    "properties": {"prompts": {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 3}},
}  # fmt: skip


@dataclass
class Site:
    """A catalogue with as many OpenAI-speaking connections as a test wants, each with its own faults."""

    db: Database
    sandbox: str
    catalog: Catalog
    chains: Chains

    async def arrange(self, *faults: str, total: int = 20, seconds: int = 10, **limits: int) -> list[uuid.UUID]:
        """A chain `text` with one link per fault ("" for none). Returns the connections' ids, in order."""
        found, links = [], []
        async with self.db.elevated("test: arrange") as tx:
            for fault in faults:
                key = f"c{new_id().hex[-12:]}"
                secret = f"k{new_id().hex}:" + (f"fault-{fault}" if fault else "fine")
                made = await add_connection(
                    tx, Sealer(SECRET), key=key, adapter="openai", api_key=SecretStr(secret), limits=limits,
                    base_url=f"{self.sandbox}/openai" if fault != "dead" else "http://127.0.0.1:9/openai",
                )  # fmt: skip
                found.append(made.id)
                links.append({"model": f"m-{key}", "seconds": seconds})
                await tx.execute_raw(
                    """INSERT INTO model (id, key, kind, connection_id, upstream, name, capabilities, price, cost, wire,
                           tags, typical_seconds, enabled, origin)
                       SELECT $1, $2, kind, $3, upstream, $2, capabilities, price, '{"usd": "0.01"}',
                           '{"limit": "max_completion_tokens"}', tags, typical_seconds, true, 'operator'
                       FROM model WHERE key = 'gpt-mini'""",
                    new_id(), f"m-{key}", made.id,
                )  # fmt: skip
            await tx.execute_raw(
                """INSERT INTO chain (id, key, total_seconds, links, origin) VALUES ($1, 'text', $2, $3, 'operator')
                   ON CONFLICT (key) DO UPDATE SET total_seconds = excluded.total_seconds, links = excluded.links""",
                new_id(), total, links,
            )  # fmt: skip
        await self.catalog.refresh()
        return found

    async def calls(self, who: Who) -> list[dict[str, Any]]:
        async with self.db.elevated("test: look behind") as tx:
            rows = await tx.fetch("SELECT * FROM attempt WHERE workspace_id = $1 ORDER BY id", who.workspace_id)
        return [dict(row) for row in rows]

    def ask(self, who: Who, text: str = ASKED, **more: Any) -> AsyncIterator[str | Written]:
        return self.chains.write(who, "improve", "text", [TextMessage("user", text)], **more)


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[str]:
    async with served(create_sandbox(pace=Pace.instant(), workers=1)) as url:
        yield url


@pytest.fixture(scope="module")
async def site(postgres: EmbeddedPostgres, template: str, sandbox: str) -> AsyncIterator[Site]:
    db = Database(await create_database(postgres, f"gesso_chain_{uuid.uuid4().hex[:12]}", template), secret=SECRET)
    await seed_studio(db, settings("development"))
    catalog = await Catalog.load(db)
    pool = ProviderPool(Sealer(SECRET), sandbox)
    yield Site(db, sandbox, catalog, Chains(db, catalog, pool, SystemClock()))
    await pool.aclose()
    await db.close()


@pytest.fixture
def who() -> Who:
    return Who(new_id(), new_id())


async def pieces_of(asked: AsyncIterator[str | Written]) -> tuple[list[str], Written]:
    found = [piece async for piece in asked]
    assert isinstance(found[-1], Written)
    return [piece for piece in found if isinstance(piece, str)], found[-1]


async def test_the_first_link_answers_and_its_call_is_recorded(site: Site, who: Who) -> None:
    (connection_id,) = await site.arrange("")
    pieces, written = await pieces_of(site.ask(who))
    assert len(pieces) > 1 and "".join(pieces) == written.text and "lighthouse" in written.text
    (call,) = await site.calls(who)
    assert (call["state"], call["purpose"], call["generation_id"], call["output_indexes"]) == (
        "succeeded", "improve", None, None,
    )  # fmt: skip
    assert (call["user_id"], call["connection_id"], call["id"]) == (who.user_id, connection_id, written.attempt_id)
    assert call["input_tokens"] == written.usage.input_tokens > 0 and call["output_tokens"] > 0
    assert (call["provider_cost_micro_usd"], call["cost_state"]) == (10_000, "estimated")
    async with site.db.elevated("test: look behind") as tx:
        (said,) = await record.of_attempt(tx, who.workspace_id, call["id"])
    assert (said.operation, said.method, said.status) == ("write", "POST", 200)
    assert said.url.endswith("/openai/v1/chat/completions") or said.url.endswith("/openai/chat/completions")
    assert "lighthouse" not in str(said.request) and "lighthouse" not in str(said.response)


@pytest.mark.parametrize(
    ("fault", "state", "kind"),
    [
        ("500", "failed", None), ("429=30", "failed", "busy"), ("no-credit", "failed", "misconfigured_credit"),
        ("dead", "failed", "unavailable"), ("hang=30", "uncertain", "outcome_unknown"),
        ("drop-before", None, None), ("malformed", None, None), ("overloaded", None, None),
    ],
)  # fmt: skip
async def test_the_next_link_answers_for_one_that_cannot(
    site: Site, who: Who, fault: str, state: str | None, kind: str | None
) -> None:
    await site.arrange(fault, "", seconds=2)
    begun = time.monotonic()
    _, written = await pieces_of(site.ask(who))
    assert "lighthouse" in written.text and time.monotonic() - begun < 25
    bad, good = await site.calls(who)
    assert good["state"] == "succeeded" and good["id"] == written.attempt_id and bad["error_kind"]
    assert bad["state"] == (state or bad["state"]) and bad["error_kind"] == (kind or bad["error_kind"])
    assert bad["state"] in ("failed", "uncertain") and bad["id"] != good["id"]


async def test_a_wrong_key_pauses_its_connection_and_costs_the_next_request_nothing(site: Site, who: Who) -> None:
    wrong, _ = await site.arrange("", "")
    async with site.db.elevated("test: a key nobody knows") as tx:
        key = await tx.fetchval("SELECT key FROM connection WHERE id = $1", wrong)
        await replace_key(tx, Sealer(SECRET), key, SecretStr("someone:wrong"))
    await site.catalog.refresh()
    await pieces_of(site.ask(who))
    assert [call["error_kind"] for call in await site.calls(who)] == ["misconfigured_key", None]
    await pieces_of(site.ask(who))
    assert len(await site.calls(who)) == 3  # the paused one was not even asked


async def test_after_the_first_word_no_other_link_is_asked(site: Site, who: Who) -> None:
    await site.arrange("cut", "")
    seen: list[str] = []
    with pytest.raises(NotWritten, match="broke off"):
        async for piece in site.ask(who):
            seen.append(str(piece))
    (call,) = await site.calls(who)
    assert seen and (call["state"], call["error_kind"]) == ("uncertain", "outcome_unknown")


async def test_with_a_schema_a_broken_answer_shows_nothing_and_the_next_link_answers(site: Site, who: Who) -> None:
    for fault in ("cut", "no-schema"):
        await site.arrange(fault, "")
        pieces, written = await pieces_of(site.ask(who, "Write 3 prompts for pictures of a lighthouse.", schema=NAMES))
        assert pieces == [written.text] and written.text.count("lighthouse") >= 1
    assert [call["state"] for call in await site.calls(who)] == ["uncertain", "succeeded", "failed", "succeeded"]


async def test_a_refusal_ends_the_chain(site: Site, who: Who) -> None:
    await site.arrange("", "")
    with pytest.raises(Declined):
        await pieces_of(site.ask(who, "Improve this prompt:\nsandbox:safety a lighthouse"))
    (call,) = await site.calls(who)
    assert call["error_kind"] == "rejected_safety"


async def test_full_links_give_way_at_once_and_are_waited_for_a_little(site: Site, who: Who) -> None:
    first, second = await site.arrange("", "", concurrency=1)
    slow = [asyncio.create_task(collect(site.ask(who, f"sandbox:slow=3 number {n}"))) for n in range(2)]
    async with asyncio.timeout(25):
        while len([call for call in await site.calls(who) if call["state"] == "started"]) < 2:
            await asyncio.sleep(0.05)
    third = await collect(site.ask(who))
    assert "lighthouse" in third.text
    await asyncio.gather(*slow)
    calls = await site.calls(who)
    assert {call["connection_id"] for call in calls[:2]} == {first, second} and len(calls) == 3


async def test_when_nobody_answers_it_is_said_once_and_in_time(site: Site, who: Who) -> None:
    await site.arrange("dead", "500", total=4)
    begun = time.monotonic()
    with pytest.raises(NotWritten, match="try again") as caught:
        await pieces_of(site.ask(who))
    assert isinstance(caught.value, Unavailable) and time.monotonic() - begun < 25
    await site.arrange("hang=30", "hang=30", total=2, seconds=1)
    begun = time.monotonic()
    with pytest.raises(NotWritten):
        await pieces_of(site.ask(who))
    assert 1 < time.monotonic() - begun < 25
    await site.arrange("", concurrency=1)
    busy = asyncio.create_task(collect(site.ask(who, "sandbox:slow=40 number")))
    async with asyncio.timeout(25):
        while not any(call["state"] == "started" for call in await site.calls(who)):
            await asyncio.sleep(0.05)
    async with site.db.elevated("test") as tx:
        await tx.execute_raw("UPDATE chain SET total_seconds = 1")
    await site.catalog.refresh()
    with pytest.raises(NotWritten, match="busy"):
        await pieces_of(site.ask(who))
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)


async def test_without_a_model_the_operator_is_named(site: Site, who: Who) -> None:
    await site.arrange()
    with pytest.raises(NotWritten, match="operator"):
        await pieces_of(site.ask(who))


async def test_whoever_stops_listening_stops_the_call(site: Site, who: Who) -> None:
    await site.arrange("")
    asked = site.ask(who, "sandbox:slow=20 a long story")
    task = asyncio.create_task(collect(asked))
    async with asyncio.timeout(25):
        while not await site.calls(who):
            await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(25):
        while (await site.calls(who))[0]["state"] == "started":
            await asyncio.sleep(0.05)
    (call,) = await site.calls(who)
    assert call["state"] == "uncertain"
    async with site.db.elevated("test") as tx:  # which says nothing about the connection
        assert not await tx.fetchval(
            "SELECT failures FROM connection_health WHERE connection_id = $1", call["connection_id"]
        )


async def test_a_link_that_keeps_failing_is_left_alone_by_all(site: Site, who: Who) -> None:
    dead, _ = await site.arrange("dead", "")
    for _ in range(gate.OPEN_AFTER + 2):
        await pieces_of(site.ask(who))
    calls = await site.calls(who)
    assert sum(call["connection_id"] == dead for call in calls) == gate.OPEN_AFTER
